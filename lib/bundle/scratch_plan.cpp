// SPDX-License-Identifier: Apache-2.0
#include "bundle/scratch_plan.h"

#include <algorithm>

#include "base/checked.h"
#include "unpack/unpack.h"

namespace mmoe {
namespace {

constexpr uint64_t kStripBytes = uint64_t{256} << 10;
// With more loaders bands would become small, and reads short.
constexpr uint64_t kMaxLoaders = 16;
// Strips of a multiple of so many outputs are read fastest: see Unpacker::strip().
constexpr int64_t kFastRows = 128;

// Codes, scales and zero points of one output, in the file's form or the canonical one.
uint64_t output_bytes(const QuantConfig& config, int64_t inputs) noexcept {
    const int64_t words = ceil_div(inputs, int64_t{32 / config.bits});
    const int64_t groups = inputs / config.group_size_for(inputs);
    return static_cast<uint64_t>(words * 4 + groups * int64_t{sizeof(float) + 1});
}

// As many as fit, in whole units.
int64_t fitting_rows(uint64_t bytes, uint64_t bytes_per_output) noexcept {
    const auto rows = static_cast<int64_t>(bytes / bytes_per_output);
    const int64_t unit = rows < kFastRows ? kOutputUnit : kFastRows;
    return std::max(rows / unit * unit, kOutputUnit);
}

}  // namespace

ScratchPlan::Need ScratchPlan::plan(const BundleSpec& spec, DeviceKind device,
                                    Projection projection) noexcept {
    const bool ordered = spec.config.order == Order::kGroup;
    const auto inputs = static_cast<uint64_t>(spec.layer.inputs(projection));
    const uint64_t bytes = output_bytes(spec.config, spec.layer.inputs(projection));
    Need need;
    need.outputs = spec.layer.outputs(projection);
    need.strip_rows = fitting_rows(kStripBytes, bytes);
    // The file's form; rows that activation order brings together; what the device reads itself.
    need.bytes_per_output = bytes * (1 + (ordered ? 1 : 0) + (device == DeviceKind::kCuda ? 1 : 0));
    // A strip and its slice; outputs before and after the band in its first and last unit; the
    // bias; group index and columns in transposed form.
    need.fixed_bytes = (2 * static_cast<uint64_t>(need.strip_rows) + 2 * kOutputUnit) * bytes +
                       static_cast<uint64_t>(need.outputs) * sizeof(float);
    if (ordered) need.fixed_bytes += inputs * (sizeof(int32_t) + 16);
    return need;
}

ScratchPlan::ScratchPlan(const BundleSpec& spec, DeviceKind device, uint32_t thread_count,
                         int64_t expert_count, uint64_t limit_bytes) noexcept
    : up_(plan(spec, device, Projection::kUp)), down_(plan(spec, device, Projection::kDown)) {
    const uint64_t least = std::max(up_.bytes(kOutputUnit), down_.bytes(kOutputUnit));
    const uint64_t loaders = std::min({limit_bytes / least, kMaxLoaders, uint64_t{thread_count},
                                       static_cast<uint64_t>(expert_count)});
    loader_count_ = static_cast<uint32_t>(std::max<uint64_t>(loaders, 1));
    const uint64_t share = limit_bytes / loader_count_;
    for (Need* need : {&up_, &down_}) {
        const uint64_t band = share - std::min(share, need->fixed_bytes);
        need->band_rows = std::min(fitting_rows(band, need->bytes_per_output),
                                   round_up(need->outputs, kOutputUnit));
    }
}

uint64_t ScratchPlan::total_bytes() const noexcept {
    const auto most = [](const Need& need) {
        return need.bytes(std::min(need.band_rows, need.outputs));
    };
    return loader_count_ * std::max(most(up_), most(down_));
}

}  // namespace mmoe
