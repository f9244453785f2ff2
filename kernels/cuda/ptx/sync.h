// SPDX-License-Identifier: Apache-2.0
// Order between threads of a block and between blocks (PTX ISA, memory consistency model).
#pragma once

#include <cstdint>

namespace mmoe::cuda::ptx {

// Waits until `kThreads` threads of the block have come to barrier `kBarrier`; 0 is
// __syncthreads'.
template <int kBarrier, int kThreads>
__device__ __forceinline__ void bar_sync() {
    asm volatile("bar.sync %0, %1;" ::"n"(kBarrier), "n"(kThreads) : "memory");
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

// ---- mbarrier (sm_80, try_wait sm_90): phases end when `count` arrivals have come
// -------------------------------

__device__ __forceinline__ void mbarrier_init(uint32_t barrier, uint32_t count) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}

__device__ __forceinline__ void mbarrier_arrive(uint32_t barrier) {
    asm volatile("{\n .reg .b64 state;\n mbarrier.arrive.shared.b64 state, [%0];\n}" ::"r"(barrier)
                 : "memory");
}

// Returns when the phase of this parity has ended; before the first arrival, phase 1 has.
// The instruction sleeps for a while by itself.
__device__ __forceinline__ void mbarrier_wait(uint32_t barrier, uint32_t parity) {
    uint32_t ended = 0;
    while (ended == 0) {
        asm volatile(
            "{\n .reg .pred p;\n mbarrier.try_wait.parity.shared.b64 p, [%1], %2;\n"
            " selp.u32 %0, 1, 0, p;\n}"
            : "=r"(ended)
            : "r"(barrier), "r"(parity)
            : "memory");
    }
}

}  // namespace mmoe::cuda::ptx
