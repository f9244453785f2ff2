// SPDX-License-Identifier: Apache-2.0
// Bit-level instructions of the code conversion.
#pragma once

#include <cstdint>

namespace mmoe::cuda::ptx {

// (value & mask) | bits in one instruction: 0xEA is the truth table of (a & b) | c.
__device__ __forceinline__ uint32_t lop3_and_or(uint32_t value, uint32_t mask, uint32_t bits) {
    uint32_t result;
    asm("lop3.b32 %0, %1, %2, %3, 0xEA;" : "=r"(result) : "r"(value), "r"(mask), "r"(bits));
    return result;
}

}  // namespace mmoe::cuda::ptx
