// SPDX-License-Identifier: Apache-2.0
// Asynchronous copies from global to shared memory (PTX ISA, cp.async; sm_80).
#pragma once

#include <cstdint>

namespace mmoe::cuda::ptx {

// 16 bytes, past L1. `source_bytes` 0 reads nothing and writes zeros.
__device__ __forceinline__ void cp_async_16(uint32_t shared, const void* global,
                                            uint32_t source_bytes) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(global),
                 "r"(source_bytes)
                 : "memory");
}

__device__ __forceinline__ void cp_async_commit_group() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// Returns when at most kPending of this thread's groups are still under way.
template <int kPending>
__device__ __forceinline__ void cp_async_wait_group() {
    asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

__device__ __forceinline__ void cp_async_wait_all() {
    asm volatile("cp.async.wait_all;" ::: "memory");
}

}  // namespace mmoe::cuda::ptx
