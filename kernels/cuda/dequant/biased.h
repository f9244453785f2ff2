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
    static constexpr uint32_t kSymmetric = 0x88888888;

    // B + zero points of rows g and g + 8 of a slice; `words` of 64 outputs and this g.
    static __device__ __forceinline__ void zero_points(const uint32_t* words, int slice,
                                                       float (&zeros)[2]) {
        const uint32_t pair =
            ptx::lop3_and_or(words[0] >> (4 * slice), 0x000F000F, Number::kCodeBias);
        zeros[0] = Number::widen_low(pair);
        zeros[1] = Number::widen_high(pair);
    }
    template <int kPlane>
    static __device__ __forceinline__ void expand(const uint32_t* words, uint32_t (&a)[4]) {
        const uint32_t row = words[0];
        const uint32_t row_8 = row >> 8;
        a[0] = ptx::lop3_and_or(row, 0x000F000F, Number::kCodeBias);
        a[2] = upper_nibble(row);
        a[1] = ptx::lop3_and_or(row_8, 0x000F000F, Number::kCodeBias);
        a[3] = upper_nibble(row_8);
    }

  private:
    // B + the nibble above the lowest one, without a shift: logic operations and shifts share a
    // pipe, which limits a decode. As f16, 0x6400 | nibble << 4 is 1024 + 16 * nibble; one FMA
    // takes it to the f16 number whose bits are those of B + nibble.
    static __device__ __forceinline__ uint32_t upper_nibble(uint32_t word) {
        return ptx::fma_f16x2(ptx::lop3_and_or(word, 0x00F000F0, F16::kCodeBias),
                              Number::kUpperFactor, Number::kUpperOffset);
    }
};

template <>
struct Biased<F16, 8> {
    static constexpr int kSliceWords = 2;
    static constexpr int kPlanes = 1;
    static constexpr uint32_t kSymmetric = 0x80808080;

    static __device__ __forceinline__ void zero_points(const uint32_t* words, int slice,
                                                       float (&zeros)[2]) {
        const uint32_t pair =
            ptx::lop3_and_or(words[slice / 2] >> (8 * (slice % 2)), 0x00FF00FF, F16::kCodeBias);
        zeros[0] = F16::widen_low(pair);
        zeros[1] = F16::widen_high(pair);
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
    static constexpr uint32_t kSymmetric = 0x80808080;

    static __device__ __forceinline__ void zero_points(const uint32_t* words, int slice,
                                                       float (&zeros)[2]) {
        constexpr uint32_t kF32Of2176 = 0x45080000;  // 17 * 128, where one step of bit 12 is 1
        const uint32_t word = words[slice / 2] >> (8 * (slice % 2));
        zeros[0] = __uint_as_float(kF32Of2176 + ((word & 0xFF) << 12));
        zeros[1] = __uint_as_float(kF32Of2176 + (word >> 4 & 0xFF000));
    }
    template <int kPlane>
    static __device__ __forceinline__ void expand(const uint32_t* words, uint32_t (&a)[4]) {
        expand_codes<0x000F000F, Bf16::kCodeBias>(words[0] >> (4 * kPlane),
                                                  words[1] >> (4 * kPlane), 8, a);
    }
};

}  // namespace mmoe::cuda
