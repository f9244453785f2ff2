// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/layer_view.h"

#include "checkpoint/text.h"

namespace mmoe {

const char* part_name(Part part) noexcept {
    constexpr const char* kNames[kPartCount] = {"gate", "up", "down", "fused gate and up"};
    return kNames[static_cast<int>(part)];
}

const char* slot_name(Slot slot) noexcept {
    constexpr const char* kNames[kSlotCount] = {"weight",      "scale", "zero point",
                                                "group index", "bias",  "weight_shape"};
    return kNames[static_cast<int>(slot)];
}

std::string LayerView::prefix() const {
    return printable(tensors_.experts_prefix);
}

const TensorEntry* LayerView::find(int64_t set, Part part, Slot slot) const noexcept {
    const LayerTensor* found = tensors_.find(set, part, slot);
    return found == nullptr ? nullptr : &checkpoint_.tensors()[found->tensor];
}

Result<const TensorEntry*> LayerView::expect(int64_t set, Part part, Slot slot) const {
    const TensorEntry* found = find(set, part, slot);
    if (found == nullptr) return missing(set, part, slot);
    return found;
}

std::string_view LayerView::module_of(int64_t set, Part part) const noexcept {
    const LayerTensor* weight = tensors_.find(set, part, Slot::kWeight);
    std::string_view name = checkpoint_.tensors()[weight->tensor].name;
    name.remove_suffix(weight->suffix_bytes);
    return name;
}

Status LayerView::missing(int64_t set, Part part, Slot slot) const {
    const std::string experts = tensors_.fused() ? "" : " expert " + std::to_string(set) + ":";
    return Status::error(Code::kMissingTensor, "%s:%s %s %s: expected a tensor, got none",
                         prefix().c_str(), experts.c_str(), part_name(part), slot_name(slot));
}

Status LayerView::unexpected(int64_t set, Part part, Slot slot, const char* why) const {
    return Status::error(Code::kBadData, "%s: expected no such tensor, for %s; got one",
                         printable(find(set, part, slot)->name).c_str(), why);
}

}  // namespace mmoe
