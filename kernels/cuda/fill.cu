// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>

#include "cuda/fill.h"

namespace mmoe::cuda {
namespace {

constexpr uint32_t kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    fill_kernel(uint32_t* words, uint32_t count, uint32_t seed) {
    const uint32_t i = blockIdx.x * kThreads + threadIdx.x;
    if (i < count) words[i] = fill_word(i, seed);
}

}  // namespace

int fill(uint32_t* words, uint32_t count, uint32_t seed, void* stream) {
    if (count == 0) return cudaSuccess;
    fill_kernel<<<(count - 1) / kThreads + 1, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
        words, count, seed);
    return cudaGetLastError();
}

}  // namespace mmoe::cuda
