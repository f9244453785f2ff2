// SPDX-License-Identifier: Apache-2.0
// The two types that the tensor cores multiply, with the arithmetic that differs between them.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "cuda/ptx/bf16.h"
#include "cuda/ptx/f16.h"

namespace mmoe::cuda {

struct Bf16 {
    static constexpr uint32_t kOne = 0x3F803F80;
    // 128.0: one mantissa step is 1, so a nibble in the low bits adds its value exactly.
    static constexpr uint32_t kCodeBias = 0x43004300;
    // f16 numbers, see dequant/biased.h: 0x4300 + n is 3.5 + n * 2^-9, and
    // (1024 + 16 * n) * 2^-13 + 3.375 is just that.
    static constexpr uint32_t kUpperFactor = 0x08000800;
    static constexpr uint32_t kUpperOffset = 0x42C042C0;
    static constexpr uint32_t kSign = 0x80008000;

    static __device__ __forceinline__ uint32_t fma(uint32_t a, uint32_t b, uint32_t c) {
        return ptx::fma_bf16x2(a, b, c);
    }
    static __device__ __forceinline__ uint32_t pack(float low, float high) {
        return ptx::cvt_bf16x2(low, high);
    }
    static __device__ __forceinline__ void mma(float (&d)[4], const uint32_t (&a)[4],
                                               const uint32_t (&b)[2]) {
        ptx::mma_m16n8k16_bf16(d, a, b);
    }
    static __device__ __forceinline__ float widen(uint16_t bits) {
        return __bfloat162float(__ushort_as_bfloat16(bits));
    }
    static __device__ __forceinline__ float widen_low(uint32_t pair) {
        return __uint_as_float(pair << 16);
    }
    static __device__ __forceinline__ float widen_high(uint32_t pair) {
        return __uint_as_float(pair & 0xFFFF0000);
    }
    static __device__ __forceinline__ uint16_t narrow(float value) {
        return __bfloat16_as_ushort(__float2bfloat16_rn(value));
    }
};

struct F16 {
    static constexpr uint32_t kOne = 0x3C003C00;
    static constexpr uint32_t kCodeBias = 0x64006400;  // 1024.0, where one step is 1
    // (1024 + 16 * n) * 2^-4 + 960 is 1024 + n.
    static constexpr uint32_t kUpperFactor = 0x2C002C00;
    static constexpr uint32_t kUpperOffset = 0x63806380;
    static constexpr uint32_t kSign = 0x80008000;

    static __device__ __forceinline__ uint32_t fma(uint32_t a, uint32_t b, uint32_t c) {
        return ptx::fma_f16x2(a, b, c);
    }
    static __device__ __forceinline__ uint32_t pack(float low, float high) {
        return ptx::cvt_f16x2(low, high);
    }
    static __device__ __forceinline__ void mma(float (&d)[4], const uint32_t (&a)[4],
                                               const uint32_t (&b)[2]) {
        ptx::mma_m16n8k16_f16(d, a, b);
    }
    static __device__ __forceinline__ float widen(uint16_t bits) {
        return __half2float(__ushort_as_half(bits));
    }
    static __device__ __forceinline__ float widen_low(uint32_t pair) {
        return widen(static_cast<uint16_t>(pair));
    }
    static __device__ __forceinline__ float widen_high(uint32_t pair) {
        return widen(static_cast<uint16_t>(pair >> 16));
    }
    static __device__ __forceinline__ uint16_t narrow(float value) {
        return __half_as_ushort(__float2half_rn(value));
    }
};

}  // namespace mmoe::cuda
