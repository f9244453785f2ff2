// SPDX-License-Identifier: Apache-2.0
#include "bundle/entry_unpacker.h"

#include <algorithm>

#include "layout/cpu_record.h"
#include "repack/slice.h"

namespace mmoe {
namespace {

constexpr int64_t kStripBytes = int64_t{256} << 10;

}  // namespace

int64_t strip_rows(int64_t inputs, int64_t groups, int bits) noexcept {
    const int64_t row_bytes = inputs * bits / 8 + groups * int64_t{sizeof(float) + 1};
    return std::max<int64_t>(1, kStripBytes / (row_bytes * layout::kLanes)) * layout::kLanes;
}

Result<std::unique_ptr<Unpacker>> unpack_entry(const BundleSpec& spec, const Shard& shard,
                                               const StoreEntry& entry, int64_t max_rows,
                                               const std::shared_ptr<const Allocator>& allocator,
                                               CodeForm form) {
    const Layer& layer = spec.layer;
    const int64_t outputs = layer.outputs(entry.projection);
    const Slice& slice = shard.slice;
    const bool whole_axis = slice.size == layer.intermediate_size;
    const bool as_it_is =
        whole_axis && (entry.projection == Projection::kDown || entry.channels.empty());
    TRY(std::unique_ptr<Unpacker> whole,
        Unpacker::create(spec.config, outputs, layer.inputs(entry.projection), entry.tensors,
                         std::min(max_rows, outputs), allocator,
                         as_it_is ? form : CodeForm::kCanonical));
    if (entry.projection == Projection::kDown) {
        if (whole_axis) return whole;
        return slice_inputs(std::move(whole), slice, std::min(max_rows, outputs), allocator);
    }
    if (entry.channels.empty()) {
        return whole_axis ? std::move(whole) : slice_outputs(std::move(whole), slice);
    }
    const auto channels =
        entry.channels.subspan(static_cast<size_t>(slice.first), static_cast<size_t>(slice.size));
    return move_outputs(std::move(whole), outputs, channels, std::min(max_rows, outputs),
                        allocator);
}

}  // namespace mmoe
