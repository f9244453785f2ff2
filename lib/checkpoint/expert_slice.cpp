// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/expert_slice.h"

#include <algorithm>

#include "checkpoint/text.h"

namespace mmoe {
namespace {

Part part_of(Projection projection) noexcept {
    switch (projection) {
        case Projection::kGate:
            return Part::kGate;
        case Projection::kUp:
            return Part::kUp;
        case Projection::kDown:
            break;
    }
    return Part::kDown;
}

Slot slot_of(Role role) noexcept {
    switch (role) {
        case Role::kWeight:
            return Slot::kWeight;
        case Role::kScale:
            return Slot::kScale;
        case Role::kZeroPoint:
            return Slot::kZeroPoint;
        case Role::kGroupIndex:
            return Slot::kGroupIndex;
        case Role::kBias:
            break;
    }
    return Slot::kBias;
}

ExpertTensor whole(const TensorEntry& entry) {
    ExpertTensor tensor;
    tensor.entry = &entry;
    tensor.rank = entry.rank;
    std::copy_n(entry.shape, std::min(entry.rank, 4), tensor.shape);
    tensor.file_offset = entry.file_offset;
    tensor.byte_count = entry.byte_count;
    return tensor;
}

// [E, ...] -> [...]
ExpertTensor expert_of(const TensorEntry& entry, int64_t expert) {
    ExpertTensor tensor = whole(entry);
    tensor.rank = entry.rank - 1;
    std::copy_n(entry.shape + 1, tensor.rank, tensor.shape);
    tensor.shape[tensor.rank] = 0;
    tensor.byte_count = entry.byte_count / static_cast<uint64_t>(entry.shape[0]);
    tensor.file_offset += static_cast<uint64_t>(expert) * tensor.byte_count;
    return tensor;
}

// [2R, ...] -> gate's or up's R rows: a half, or every second row.
Result<ExpertTensor> rows_of(ExpertTensor tensor, bool up, GateForm form) {
    const auto rows = static_cast<uint64_t>(tensor.shape[0]);
    if (rows == 0 || rows % 2 != 0) {
        return Status::error(
            Code::kUnsupported, "%s: expected rows that divide into gate and up, got %llu",
            printable(tensor.entry->name).c_str(), static_cast<unsigned long long>(rows));
    }
    const uint64_t row_bytes = tensor.byte_count / rows;
    tensor.shape[0] /= 2;
    tensor.byte_count /= 2;
    if (form == GateForm::kInterleaved) {
        tensor.row_stride_bytes = static_cast<int64_t>(2 * row_bytes);
        tensor.file_offset += up ? row_bytes : 0;
    } else {
        tensor.file_offset += up ? tensor.byte_count : 0;
    }
    return tensor;
}

}  // namespace

Result<ExpertTensor> slice_expert(std::span<const TensorEntry> all, const LayerTensors& tensors,
                                  const LayerEntry& layer, int64_t expert, Projection projection,
                                  Role role) {
    const Slot slot = slot_of(role);
    const int64_t set = tensors.fused() ? 0 : expert;
    const LayerTensor* found = tensors.find(set, part_of(projection), slot);
    const bool both = found == nullptr && projection != Projection::kDown;
    if (both) found = tensors.find(set, Part::kGateUp, slot);
    if (found == nullptr) return ExpertTensor{};
    const TensorEntry& entry = all[found->tensor];
    if (!tensors.fused() && entry.rank > 2) {
        return Status::error(Code::kBadData, "%s: expected at most 2 dimensions, got %s",
                             printable(entry.name).c_str(),
                             shape_text(entry.shape, entry.rank).c_str());
    }
    const ExpertTensor tensor = tensors.fused() ? expert_of(entry, expert) : whole(entry);
    // Gate and up read the same inputs and so share their group index.
    if (!both || slot == Slot::kGroupIndex) return tensor;
    return rows_of(tensor, projection == Projection::kUp, layer.layer.gate_form);
}

}  // namespace mmoe
