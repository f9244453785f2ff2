// SPDX-License-Identifier: Apache-2.0
// Memory for the tensors of mmoe_marlin_experts, for tests.
#pragma once

#include <cstdint>
#include <vector>

#include "marlin_moe.h"

namespace mmoe::test {

// All tensors, absent ones too.
inline std::vector<mmoe_tensor*> tensors_of(mmoe_marlin_experts& experts) {
    std::vector<mmoe_tensor*> all = {&experts.w13_order, &experts.w2_order};
    for (mmoe_marlin_operand* operand : {&experts.w13, &experts.w2}) {
        for (mmoe_tensor* tensor :
             {&operand->weight, &operand->scale, &operand->zero_point, &operand->bias}) {
            all.push_back(tensor);
        }
    }
    return all;
}

inline size_t size_bytes(const mmoe_tensor& tensor) {
    if (tensor.rank == 0) return 0;
    const bool half = tensor.dtype == MMOE_DTYPE_F16 || tensor.dtype == MMOE_DTYPE_BF16;
    size_t bytes = half ? 2 : 4;
    for (int32_t axis = 0; axis < tensor.rank; ++axis) {
        bytes *= static_cast<size_t>(tensor.shape[axis]);
    }
    return bytes;
}

// Experts that own the memory of their tensors; what is not written shows.
class OwnedExperts {
  public:
    // In the shapes and types of `like`.
    explicit OwnedExperts(const mmoe_marlin_experts& like) : value_(like) {
        for (mmoe_tensor* tensor : tensors_of(value_)) {
            memory_.emplace_back(size_bytes(*tensor), uint8_t{0xEE});
            if (tensor->rank != 0) tensor->data = memory_.back().data();
        }
    }
    OwnedExperts(OwnedExperts&&) = default;
    mmoe_marlin_experts& value() { return value_; }
    // In the order of tensors_of(); empty: absent.
    [[nodiscard]] const std::vector<std::vector<uint8_t>>& bytes() const { return memory_; }

  private:
    mmoe_marlin_experts value_;
    std::vector<std::vector<uint8_t>> memory_;
};

}  // namespace mmoe::test
