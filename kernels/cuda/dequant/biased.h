// SPDX-License-Identifier: Apache-2.0
// Codes to MMA operands without their zero points: B + code, exactly, where B is a power of two
// whose mantissa has room for a code. With the sum of x over a group, fp32 takes B and the zero
// point away once a group:
//
//     sum over k of (code - z) * x  =  sum of (B + code) * x  -  (B + z) * sum of x
//
// Registers are those of dequant/weight.h. bf16 has no room for a byte: its two nibbles are two
// operands ("planes") of B + nibble, the upper one counts 16 times, and B becomes 17 * 128.
#pragma once

#include <cstdint>

#include "cuda/number.h"
#include "cuda/ptx/bits.h"

namespace mmoe::cuda {

template <class Number, int kBits>
struct Biased;

template <uint32_t kMask, uint32_t kBias>
__device__ __forceinline__ void expand_codes(uint32_t row, uint32_t row_8, int shift,
                                             uint32_t (&a)[4]) {
    a[0] = ptx::lop3_and_or(row, kMask, kBias);
    a[2] = ptx::lop3_and_or(row >> shift, kMask, kBias);
    a[1] = ptx::lop3_and_or(row_8, kMask, kBias);
    a[3] = ptx::lop3_and_or(row_8 >> shift, kMask, kBias);
}

template <class Number>
struct Biased<Number, 4> {
    static constexpr int kSliceWords = 1;  // of a lane and an m16 slice
    static constexpr int kPlanes = 1;
    static __device__ __forceinline__ float bias_and(uint32_t zero_point) {
        return Number::code_bias_and(zero_point);
    }
    template <int kPlane>
    static __device__ __forceinline__ void expand(const uint32_t* words, uint32_t (&a)[4]) {
        expand_codes<0x000F000F, Number::kCodeBias>(words[0], words[0] >> 8, 4, a);
    }
};

template <>
struct Biased<F16, 8> {
    static constexpr int kSliceWords = 2;
    static constexpr int kPlanes = 1;
    static __device__ __forceinline__ float bias_and(uint32_t zero_point) {
        return F16::code_bias_and(zero_point);
    }
    template <int kPlane>
    static __device__ __forceinline__ void expand(const uint32_t* words, uint32_t (&a)[4]) {
        expand_codes<0x00FF00FF, F16::kCodeBias>(words[0], words[1], 8, a);
    }
};

template <>
struct Biased<Bf16, 8> {
    static constexpr int kSliceWords = 2;
    static constexpr int kPlanes = 2;
    static constexpr float kPlaneScale = 16.0F;
    static __device__ __forceinline__ float bias_and(uint32_t zero_point) {
        constexpr uint32_t kF32Of2176 = 0x45080000;  // 17 * 128; one step of 2^-12 ulp is 1
        return __uint_as_float(kF32Of2176 + (zero_point << 12));
    }
    template <int kPlane>
    static __device__ __forceinline__ void expand(const uint32_t* words, uint32_t (&a)[4]) {
        expand_codes<0x000F000F, Bf16::kCodeBias>(words[0] >> (4 * kPlane),
                                                  words[1] >> (4 * kPlane), 8, a);
    }
};

}  // namespace mmoe::cuda
