// SPDX-License-Identifier: Apache-2.0
// 16-bit floating point: exact widening, and narrowing to nearest even as IEEE 754 rounds.
#pragma once

#include <bit>
#include <cstdint>

namespace mmoe::layout {

enum class ScaleType : int32_t { kF32 = 1, kF16 = 2, kBf16 = 3 };  // values of mmoe_dtype

[[nodiscard]] constexpr int scale_bytes(ScaleType type) noexcept {
    return type == ScaleType::kF32 ? 4 : 2;
}

[[nodiscard]] constexpr float bf16_to_f32(uint16_t bits) noexcept {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

[[nodiscard]] constexpr uint16_t f32_to_bf16(float value) noexcept {
    const auto bits = std::bit_cast<uint32_t>(value);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return static_cast<uint16_t>((bits >> 16) | 0x40);  // NaN
    return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

// Both cases are computed and one is masked in, without a branch, so that loops vectorise.
[[nodiscard]] constexpr float f16_to_f32(uint16_t bits) noexcept {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
    const int32_t magnitude = bits & 0x7FFF;
    // Exponents move up by 112; those of infinity and NaN once more, to the top.
    const auto special = static_cast<uint32_t>(-static_cast<int32_t>(magnitude >= 0x7C00));
    const uint32_t normal =
        (static_cast<uint32_t>(magnitude) << 13) + 0x38000000 + (special & 0x38000000);
    // Zero or subnormal: mantissa * 2^-24, exact in binary32.
    const auto subnormal = static_cast<uint32_t>(-static_cast<int32_t>(magnitude < 0x400));
    const auto small = std::bit_cast<uint32_t>(static_cast<float>(magnitude) * 0x1p-24F);
    return std::bit_cast<float>(sign | (normal & ~subnormal) | (small & subnormal));
}

[[nodiscard]] constexpr uint16_t f32_to_f16(float value) noexcept {
    const auto bits = std::bit_cast<uint32_t>(value);
    const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
    const uint32_t magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return sign | 0x7E00;   // NaN
    if (magnitude >= 0x477FF000) return sign | 0x7C00;  // 65520 and more round to infinity
    if (magnitude < 0x38800000) {                       // below 2^-14: subnormal, steps of 2^-24
        // Adding 0.5 puts the 24th fractional bit last in the sum's mantissa: the addition
        // itself rounds to nearest even.
        const float sum = std::bit_cast<float>(magnitude) + 0.5F;
        return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(sum) - 0x3F000000));
    }
    const uint32_t rounded = magnitude + 0xFFF + ((magnitude >> 13) & 1);
    return static_cast<uint16_t>(sign | ((rounded - 0x38000000) >> 13));
}

}  // namespace mmoe::layout
