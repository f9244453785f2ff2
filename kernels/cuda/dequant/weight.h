// SPDX-License-Identifier: Apache-2.0
// Codes to MMA operands. A lane's words of a Marlin tile hold, for one m16 slice of outputs, the
// four registers of the A operand of m16n8k16:
//     a0 = (row g, k..k+1)  a1 = (row g+8, same)  a2 = (row g, k+8..k+9)  a3 = (row g+8, same)
// with g = lane / 4 and k = 2 * (lane % 4). Conversion gives code - zero point, exactly; the scale
// follows in fp32 on the accumulator.
//
// `ZeroPoint` is made once a group from the pair (zero point of row g, of row g+8) in the low and
// the high half of a word.
#pragma once

#include <cstdint>

#include "cuda/number.h"
#include "cuda/ptx/bits.h"
#include "cuda/ptx/shared.h"

namespace mmoe::cuda {

template <class Number, int kBits>
struct Weight;

// 4 bits: an OR puts a nibble below a bias B, one FMA takes B + zero point away.
template <class Number>
struct Weight<Number, 4> {
    static constexpr int kTileBytes = 512;
    static constexpr int kLaneBytes = 16;
    static constexpr int kSliceBytes = 4;
    static constexpr uint32_t kSymmetric = 0x00080008;

    using Raw = uint32_t;
    struct ZeroPoint {
        uint32_t low, high;  // -(B + z) twice, of row g and of row g + 8
    };

    static __device__ __forceinline__ Raw load(uint32_t address) {
        return ptx::ld_shared_32(address);
    }
    // `words`: zero point words of output block and lane; slice 0..3.
    static __device__ __forceinline__ uint32_t zero_point_pair(uint32_t word, int slice) {
        return (word >> (4 * slice)) & 0x000F000F;
    }
    static __device__ __forceinline__ int zero_point_word(int group_row, int /*slice*/) {
        return group_row;
    }
    static __device__ __forceinline__ ZeroPoint zero_point(uint32_t pair) {
        const uint32_t both = pair | Number::kCodeBias | Number::kSign;
        return {__byte_perm(both, 0, 0x1010), __byte_perm(both, 0, 0x3232)};
    }
    static __device__ __forceinline__ void convert(Raw word, const ZeroPoint& zero,
                                                   uint32_t (&a)[4]) {
        constexpr uint32_t kMask = 0x000F000F;
        const auto biased = [](uint32_t bits) {
            return ptx::lop3_and_or(bits, kMask, Number::kCodeBias);
        };
        a[0] = Number::fma(biased(word), Number::kOne, zero.low);
        a[2] = Number::fma(biased(word >> 4), Number::kOne, zero.low);
        a[1] = Number::fma(biased(word >> 8), Number::kOne, zero.high);
        a[3] = Number::fma(biased(word >> 12), Number::kOne, zero.high);
    }
};

// What both 8-bit forms share: two words a slice, bytes (k, k+8, k+1, k+9) of row g, then of g+8.
struct ByteWeight {
    static constexpr int kTileBytes = 1024;
    static constexpr int kLaneBytes = 32;
    static constexpr int kSliceBytes = 8;
    static constexpr uint32_t kSymmetric = 0x00800080;

    using Raw = uint2;

    static __device__ __forceinline__ Raw load(uint32_t address) {
        return ptx::ld_shared_64(address);
    }
    static __device__ __forceinline__ uint32_t zero_point_pair(uint32_t word, int slice) {
        return (word >> (8 * (slice % 2))) & 0x00FF00FF;
    }
    static __device__ __forceinline__ int zero_point_word(int group_row, int slice) {
        return 2 * group_row + slice / 2;
    }
};

// f16 has room for a byte below 1024.0: as 4 bits.
template <>
struct Weight<F16, 8> : ByteWeight {
    struct ZeroPoint {
        uint32_t low, high;
    };
    static __device__ __forceinline__ ZeroPoint zero_point(uint32_t pair) {
        const uint32_t both = pair | F16::kCodeBias | F16::kSign;
        return {__byte_perm(both, 0, 0x1010), __byte_perm(both, 0, 0x3232)};
    }
    static __device__ __forceinline__ void convert(Raw words, const ZeroPoint& zero,
                                                   uint32_t (&a)[4]) {
        constexpr uint32_t kMask = 0x00FF00FF;
        const auto biased = [](uint32_t bits) {
            return ptx::lop3_and_or(bits, kMask, F16::kCodeBias);
        };
        a[0] = F16::fma(biased(words.x), F16::kOne, zero.low);
        a[2] = F16::fma(biased(words.x >> 8), F16::kOne, zero.low);
        a[1] = F16::fma(biased(words.y), F16::kOne, zero.high);
        a[3] = F16::fma(biased(words.y >> 8), F16::kOne, zero.high);
    }
};

// bf16 has not: a byte goes below 2^23 in fp32, the difference is an integer of at most 8 bits
// and narrows exactly.
template <>
struct Weight<Bf16, 8> : ByteWeight {
    static constexpr uint32_t kF32Of2To23 = 0x4B000000;

    struct ZeroPoint {
        float low, high;  // 2^23 + z
    };
    static __device__ __forceinline__ ZeroPoint zero_point(uint32_t pair) {
        return {__uint_as_float((pair & 0xFFFF) | kF32Of2To23),
                __uint_as_float((pair >> 16) | kF32Of2To23)};
    }
    template <int kByte>
    static __device__ __forceinline__ float difference(uint32_t word, float zero) {
        return __uint_as_float(__byte_perm(word, kF32Of2To23, 0x7650 | kByte)) - zero;
    }
    static __device__ __forceinline__ void convert(Raw words, const ZeroPoint& zero,
                                                   uint32_t (&a)[4]) {
        a[0] = Bf16::pack(difference<0>(words.x, zero.low), difference<2>(words.x, zero.low));
        a[2] = Bf16::pack(difference<1>(words.x, zero.low), difference<3>(words.x, zero.low));
        a[1] = Bf16::pack(difference<0>(words.y, zero.high), difference<2>(words.y, zero.high));
        a[3] = Bf16::pack(difference<1>(words.y, zero.high), difference<3>(words.y, zero.high));
    }
};

}  // namespace mmoe::cuda
