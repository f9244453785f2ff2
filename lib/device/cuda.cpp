// SPDX-License-Identifier: Apache-2.0
// The CUDA runtime is linked statically and finds the driver itself, so the library loads where
// there is none. Out-parameters of a runtime that has no driver stay unwritten: all are
// initialised.
#include "device/cuda.h"

#include <cuda_runtime_api.h>

#include <string.h>

#include <cstring>
#include <vector>

#include "cuda/fill.h"
#include "device/cuda_memory.h"

namespace mmoe {
namespace {

constexpr int major_of(int version) noexcept {
    return version / 1000;
}
constexpr int minor_of(int version) noexcept {
    return version % 1000 / 10;
}

Status failed(const char* call, cudaError_t error) {
    (void)cudaGetLastError();  // a failure that is reported must not surface in the caller's calls
    return Status::error(error == cudaErrorMemoryAllocation ? Code::kDeviceMemory : Code::kDevice,
                         "%s: %s (%s)", call, cudaGetErrorString(error), cudaGetErrorName(error))
        .with_cuda_error(error);
}

Status driver_too_old(int driver, int runtime) {
    return Status::error(Code::kDriverTooOld,
                         "the driver serves CUDA %d.%d; this build needs CUDA %d.0 or later",
                         major_of(driver), minor_of(driver), major_of(runtime))
        .with_cuda_error(cudaErrorInsufficientDriver);
}

class DeviceMemory {
  public:
    DeviceMemory() noexcept = default;
    ~DeviceMemory() { (void)cudaFree(data_); }
    DeviceMemory(const DeviceMemory&) = delete;
    DeviceMemory& operator=(const DeviceMemory&) = delete;
    cudaError_t allocate(size_t size_bytes) noexcept { return cudaMalloc(&data_, size_bytes); }
    [[nodiscard]] void* data() const noexcept { return data_; }

  private:
    void* data_ = nullptr;
};

}  // namespace

Result<uint32_t> cuda_device_count() {
    int driver = 0;
    cudaError_t error = cudaDriverGetVersion(&driver);
    if (error != cudaSuccess) return failed("cudaDriverGetVersion", error);
    if (driver == 0) return Status::error(Code::kNoDevice, "no CUDA driver is installed");
    if (major_of(driver) < major_of(CUDART_VERSION)) {
        return driver_too_old(driver, CUDART_VERSION);
    }
    int count = 0;
    error = cudaGetDeviceCount(&count);
    if (error == cudaErrorInsufficientDriver) return driver_too_old(driver, CUDART_VERSION);
    if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0)) {
        (void)cudaGetLastError();
        return Status::error(Code::kNoDevice, "the CUDA driver sees no device")
            .with_cuda_error(cudaErrorNoDevice);
    }
    if (error != cudaSuccess) return failed("cudaGetDeviceCount", error);
    return static_cast<uint32_t>(count);
}

Result<CudaDescription> describe_cuda(uint32_t index) {
    cudaDeviceProp properties = {};
    cudaError_t error = cudaGetDeviceProperties(&properties, static_cast<int>(index));
    if (error != cudaSuccess) return failed("cudaGetDeviceProperties", error);
    CudaDescription device;
    std::memcpy(device.name, properties.name, ::strnlen(properties.name, sizeof device.name - 1));
    device.multiprocessor_count = properties.multiProcessorCount;
    device.compute_major = properties.major;
    device.compute_minor = properties.minor;
    device.shared_memory_bytes = static_cast<uint32_t>(properties.sharedMemPerBlockOptin);
    device.memory_bytes = properties.totalGlobalMem;
    static_assert(sizeof device.uuid == sizeof properties.uuid);
    std::memcpy(device.uuid, &properties.uuid, sizeof device.uuid);
    static_assert(sizeof device.luid == sizeof properties.luid);
    std::memcpy(device.luid, properties.luid, sizeof device.luid);

    TRY(const CudaScope scope, CudaScope::enter_primary(static_cast<int32_t>(index)));
    size_t free_bytes = 0;
    size_t total_bytes = 0;
    error = cudaMemGetInfo(&free_bytes, &total_bytes);
    if (error != cudaSuccess) return failed("cudaMemGetInfo", error);
    device.memory_free_bytes = free_bytes;
    return device;
}

Status check_cuda_copy(uint32_t index) {
    constexpr uint32_t kCount = 1u << 16;
    constexpr uint32_t kSeed = 0x9E3779B9;
    TRY(const CudaScope scope, CudaScope::enter_primary(static_cast<int32_t>(index)));
    DeviceMemory memory;
    cudaError_t error = memory.allocate(kCount * sizeof(uint32_t));
    if (error != cudaSuccess) return failed("cudaMalloc", error);
    error = static_cast<cudaError_t>(
        cuda::fill(static_cast<uint32_t*>(memory.data()), kCount, kSeed, cudaStreamPerThread));
    if (error != cudaSuccess) return failed("launch of fill", error);
    std::vector<uint32_t> words(kCount);
    error = cudaMemcpyAsync(words.data(), memory.data(), kCount * sizeof(uint32_t),
                            cudaMemcpyDeviceToHost, cudaStreamPerThread);
    if (error == cudaSuccess) error = cudaStreamSynchronize(cudaStreamPerThread);
    if (error != cudaSuccess) return failed("copy from the device", error);
    for (uint32_t i = 0; i < kCount; ++i) {
        const uint32_t expected = cuda::fill_word(i, kSeed);
        if (words[i] == expected) continue;
        return Status::error(Code::kDevice, "copy check: word %u: expected %08x, got %08x", i,
                             expected, words[i]);
    }
    return {};
}

}  // namespace mmoe
