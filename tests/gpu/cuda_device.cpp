// SPDX-License-Identifier: Apache-2.0
#include "cuda_device.h"

#include <cuda_runtime.h>

#include <cstdio>

#include "cmocka_cpp.h"

namespace mmoe::test {
namespace {

void check(cudaError_t status, const char* what) {
    if (status != cudaSuccess) fail_msg("%s: %s", what, cudaGetErrorString(status));
}

}  // namespace

void* CudaTestDevice::allocate(size_t size_bytes) {
    void* memory = nullptr;
    check(cudaMalloc(&memory, size_bytes + 1), "cudaMalloc");
    return memory;
}
void CudaTestDevice::release(void* memory) {
    cudaFree(memory);
}
void CudaTestDevice::upload(void* to, const void* from, size_t size_bytes) {
    check(cudaMemcpy(to, from, size_bytes, cudaMemcpyHostToDevice), "upload");
}
void CudaTestDevice::download(void* to, const void* from, size_t size_bytes) {
    check(cudaMemcpy(to, from, size_bytes, cudaMemcpyDeviceToHost), "download");
}
void CudaTestDevice::synchronize() {
    check(cudaDeviceSynchronize(), "synchronise");
}

int skip_without_device() {
    constexpr int kSkipReturnCode = 77;
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaSuccess && count > 0) return 0;
    std::printf("skipped: no CUDA device (%s)\n", cudaGetErrorString(status));
    return kSkipReturnCode;
}

}  // namespace mmoe::test
