// SPDX-License-Identifier: Apache-2.0
// Order between threads of a block and between blocks (PTX ISA, memory consistency model).
#pragma once

#include <cstdint>

#include "cuda/ptx/mbarrier.h"

namespace mmoe::cuda::ptx {

// Waits until `kThreads` threads of the block have come to barrier `kBarrier`; 0 is
// __syncthreads'.
template <int kBarrier, int kThreads>
__device__ __forceinline__ void bar_sync() {
    asm volatile("bar.sync %0, %1;" ::"n"(kBarrier), "n"(kThreads) : "memory");
}

// Launches that overlap (programmatic dependent launch; sm_90, before that they never do): waits
// until the kernel before has ended and its writes are visible.
__device__ __forceinline__ void griddepcontrol_wait() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Lets the next kernel start once every block has said so or has ended.
__device__ __forceinline__ void griddepcontrol_launch_dependents() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

__device__ __forceinline__ int32_t ld_relaxed_gpu(const int32_t* global) {
    int32_t value;
    asm volatile("ld.relaxed.gpu.global.s32 %0, [%1];" : "=r"(value) : "l"(global) : "memory");
    return value;
}

__device__ __forceinline__ uint2 ld_relaxed_gpu_64(const uint32_t* global) {
    uint2 value;
    asm volatile("ld.relaxed.gpu.global.v2.b32 {%0, %1}, [%2];"
                 : "=r"(value.x), "=r"(value.y)
                 : "l"(global)
                 : "memory");
    return value;
}

__device__ __forceinline__ void st_relaxed_gpu(uint32_t* global, uint32_t value) {
    asm volatile("st.relaxed.gpu.global.b32 [%0], %1;" ::"l"(global), "r"(value) : "memory");
}

__device__ __forceinline__ int32_t ld_acquire_gpu(const int32_t* global) {
    int32_t value;
    asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(value) : "l"(global) : "memory");
    return value;
}

__device__ __forceinline__ void red_release_gpu_add(int32_t* global, int32_t value) {
    asm volatile("red.release.gpu.global.add.s32 [%0], %1;" ::"l"(global), "r"(value) : "memory");
}

__device__ __forceinline__ int32_t ld_acquire_shared(uint32_t address) {
    int32_t value;
    asm volatile("ld.acquire.cta.shared.s32 %0, [%1];" : "=r"(value) : "r"(address) : "memory");
    return value;
}

__device__ __forceinline__ void st_release_shared(uint32_t address, int32_t value) {
    asm volatile("st.release.cta.shared.s32 [%0], %1;" ::"r"(address), "r"(value) : "memory");
}

__device__ __forceinline__ void red_shared_max(uint32_t address, int32_t value) {
    asm volatile("red.shared.max.s32 [%0], %1;" ::"r"(address), "r"(value) : "memory");
}

}  // namespace mmoe::cuda::ptx
