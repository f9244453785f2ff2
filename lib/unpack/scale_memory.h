// SPDX-License-Identifier: Apache-2.0
// An array of scales or biases in one of their memory types.
#pragma once

#include <cstdint>
#include <cstring>

#include "layout/number.h"

namespace mmoe {

// Narrowing rounds to nearest even; a scale that came from the type is exact in it.
inline void store_scale(layout::ScaleType type, uint8_t* array, int64_t index, float value) {
    if (type == layout::ScaleType::kF32) {
        std::memcpy(array + index * 4, &value, 4);
        return;
    }
    const uint16_t half =
        type == layout::ScaleType::kF16 ? layout::f32_to_f16(value) : layout::f32_to_bf16(value);
    std::memcpy(array + index * 2, &half, 2);
}

[[nodiscard]] inline float load_scale(layout::ScaleType type, const uint8_t* array, int64_t index) {
    if (type == layout::ScaleType::kF32) {
        float value = 0;
        std::memcpy(&value, array + index * 4, 4);
        return value;
    }
    uint16_t half = 0;
    std::memcpy(&half, array + index * 2, 2);
    return type == layout::ScaleType::kF16 ? layout::f16_to_f32(half) : layout::bf16_to_f32(half);
}

}  // namespace mmoe
