// SPDX-License-Identifier: Apache-2.0
// Codes to MMA operands that carry their scale: (code - zero point) exactly, times the scale,
// rounded once to 16 bits. For tiles so wide that sums of a group cannot wait in registers.
// Words and fragments are those of dequant/weight.h.
//
// `Group` is made once a group from two pairs, (row g, row g + 8) in the low and the high half of a
// word: the zero points as integers, the scales in the type of the MMA.
#pragma once

#include <cstdint>

#include "cuda/dequant/weight.h"
#include "cuda/number.h"

namespace mmoe::cuda {

__device__ __forceinline__ uint32_t low_twice(uint32_t pair) {
    return __byte_perm(pair, 0, 0x1010);
}
__device__ __forceinline__ uint32_t high_twice(uint32_t pair) {
    return __byte_perm(pair, 0, 0x3232);
}

struct ScaledGroup {
    uint32_t zero_low, zero_high;    // what takes the zero point away, twice: row g, row g + 8
    uint32_t scale_low, scale_high;  // twice
};

template <class Number, int kBits>
struct ScaledWeight;

// f16: as the unscaled form, then one product.
template <int kBits>
struct ScaledWeight<F16, kBits> : Weight<F16, kBits> {
    using Unscaled = Weight<F16, kBits>;

    static __device__ __forceinline__ ScaledGroup group(uint32_t zero_pair, uint32_t scale_pair) {
        const auto zero = Unscaled::zero_point(zero_pair);
        return {zero.low, zero.high, low_twice(scale_pair), high_twice(scale_pair)};
    }
    static __device__ __forceinline__ void convert(typename Unscaled::Raw raw,
                                                   const ScaledGroup& group, uint32_t (&a)[4]) {
        Unscaled::convert(raw, {group.zero_low, group.zero_high}, a);
        a[0] = ptx::mul_f16x2(a[0], group.scale_low);
        a[2] = ptx::mul_f16x2(a[2], group.scale_low);
        a[1] = ptx::mul_f16x2(a[1], group.scale_high);
        a[3] = ptx::mul_f16x2(a[3], group.scale_high);
    }
};

// bf16: the bits of a code q below 256, read as a bf16 number, are q * 2^-133: subnormal, and one
// binade more at the same step. One FMA makes it (q - z) * 2^-6, exactly; the scale takes 2^6.
struct ScaledBf16 {
    static constexpr uint32_t k2To127 = 0x7F007F00;
    static constexpr uint32_t k2To123 = 0x7D007D00;  // for codes that stand four bits higher
    static constexpr uint32_t kMinus2To127 = 0xFF00FF00;
    static constexpr uint32_t k2To6 = 0x42804280;
    static constexpr uint32_t kMinusZero = 0x80008000;

    static __device__ __forceinline__ ScaledGroup group(uint32_t zero_pair, uint32_t scale_pair) {
        const uint32_t zero = ptx::fma_bf16x2(zero_pair, kMinus2To127, kMinusZero);
        const uint32_t scale = ptx::mul_bf16x2(scale_pair, k2To6);
        return {low_twice(zero), high_twice(zero), low_twice(scale), high_twice(scale)};
    }
    static __device__ __forceinline__ uint32_t low_row(uint32_t code, uint32_t power,
                                                       const ScaledGroup& group) {
        return ptx::mul_bf16x2(ptx::fma_bf16x2(code, power, group.zero_low), group.scale_low);
    }
    static __device__ __forceinline__ uint32_t high_row(uint32_t code, uint32_t power,
                                                        const ScaledGroup& group) {
        return ptx::mul_bf16x2(ptx::fma_bf16x2(code, power, group.zero_high), group.scale_high);
    }
};

template <>
struct ScaledWeight<Bf16, 4> : Weight<Bf16, 4>, ScaledBf16 {
    static __device__ __forceinline__ void convert(uint32_t word, const ScaledGroup& group,
                                                   uint32_t (&a)[4]) {
        const uint32_t upper = word >> 8;
        a[0] = low_row(word & 0x000F000F, k2To127, group);
        a[2] = low_row(word & 0x00F000F0, k2To123, group);
        a[1] = high_row(upper & 0x000F000F, k2To127, group);
        a[3] = high_row(upper & 0x00F000F0, k2To123, group);
    }
};

template <>
struct ScaledWeight<Bf16, 8> : Weight<Bf16, 8>, ScaledBf16 {
    static __device__ __forceinline__ void convert(uint2 words, const ScaledGroup& group,
                                                   uint32_t (&a)[4]) {
        constexpr uint32_t kMask = 0x00FF00FF;
        a[0] = low_row(words.x & kMask, k2To127, group);
        a[2] = low_row(words.x >> 8 & kMask, k2To127, group);
        a[1] = high_row(words.y & kMask, k2To127, group);
        a[3] = high_row(words.y >> 8 & kMask, k2To127, group);
    }
};

}  // namespace mmoe::cuda
