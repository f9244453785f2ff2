// SPDX-License-Identifier: Apache-2.0
// Inside of room unpack: scales of any file type as float.
#pragma once

#include <cstdint>

#include "checkpoint/tensor.h"
#include "layout/number.h"

namespace mmoe {

// Calls use(load) with load(i) = element i of a tensor of floating-point numbers, so that the
// type is asked once a tensor and not once an element.
template <class Use>
void with_scales(const TensorView& tensor, const Use& use) {
    if (tensor.dtype == DType::kF32) {
        const auto* data = static_cast<const float*>(tensor.data);
        use([data](int64_t i) { return data[i]; });
        return;
    }
    const auto* data = static_cast<const uint16_t*>(tensor.data);
    if (tensor.dtype == DType::kF16) {
        use([data](int64_t i) { return layout::f16_to_f32(data[i]); });
    } else {
        use([data](int64_t i) { return layout::bf16_to_f32(data[i]); });
    }
}

}  // namespace mmoe
