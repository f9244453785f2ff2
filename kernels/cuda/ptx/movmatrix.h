// SPDX-License-Identifier: Apache-2.0
// Transposition in registers (PTX ISA, movmatrix; sm_75).
#pragma once

#include <cstdint>

namespace mmoe::cuda::ptx {

// An 8 x 8 matrix of 16-bit elements: lane l holds two neighbours of row l / 4.
__device__ __forceinline__ uint32_t movmatrix_trans(uint32_t fragment) {
    uint32_t transposed;
    asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;"
                 : "=r"(transposed)
                 : "r"(fragment));
    return transposed;
}

}  // namespace mmoe::cuda::ptx
