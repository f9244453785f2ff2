// SPDX-License-Identifier: Apache-2.0
// Contexts are switched with driver functions, because the caller's need not be a device's primary
// one; memory, copies and kernels go through the runtime, which uses whatever context is current.
#include "device/cuda_memory.h"

#include <cuda.h>
#include <cuda_runtime.h>

#include <algorithm>

namespace mmoe {
namespace {

constexpr size_t kDeviceAlignmentBytes = 256;

// Driver functions come from the runtime's own copy of the driver's table, so that the library
// needs no libcuda to load.
template <class Function>
Result<Function*> driver_function(const char* name) {
    void* entry = nullptr;
    cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
    constexpr unsigned kVersion = 12000;  // all functions used here are older
    const cudaError_t error =
        cudaGetDriverEntryPointByVersion(name, &entry, kVersion, cudaEnableDefault, &found);
    if (error == cudaSuccess && found == cudaDriverEntryPointSuccess && entry != nullptr) {
        return reinterpret_cast<Function*>(entry);
    }
    return Status::error(Code::kDriverTooOld, "the CUDA driver has no function %s", name)
        .with_cuda_error(error);
}

struct Driver {
    decltype(cuCtxGetCurrent)* get_current;
    decltype(cuCtxSetCurrent)* set_current;
    decltype(cuCtxGetDevice)* get_device;
    decltype(cuStreamGetCtx)* context_of_stream;
};

Result<Driver> load_driver() {
    Driver driver = {};
    TRY(driver.get_current, driver_function<decltype(cuCtxGetCurrent)>("cuCtxGetCurrent"));
    TRY(driver.set_current, driver_function<decltype(cuCtxSetCurrent)>("cuCtxSetCurrent"));
    TRY(driver.get_device, driver_function<decltype(cuCtxGetDevice)>("cuCtxGetDevice"));
    TRY(driver.context_of_stream, driver_function<decltype(cuStreamGetCtx)>("cuStreamGetCtx"));
    return driver;
}

Result<Driver>& driver() {
    static Result<Driver> loaded = load_driver();
    return loaded;
}

Status driver_status(CUresult error, const char* what) {
    if (error == CUDA_SUCCESS) return {};
    return Status::error(Code::kDevice, "%s: CUDA driver error %d", what, static_cast<int>(error))
        .with_cuda_error(error);
}

// NULL and the two handles that CUDA reserves have no context of their own.
bool is_default_stream(void* stream) noexcept {
    return stream == nullptr || stream == cudaStreamLegacy || stream == cudaStreamPerThread;
}

}  // namespace

Status cuda_status(int error, const char* what) {
    if (error == cudaSuccess) return {};
    const auto value = static_cast<cudaError_t>(error);
    const Code code = value == cudaErrorMemoryAllocation ? Code::kDeviceMemory : Code::kDevice;
    return Status::error(code, "%s: %s", what, cudaGetErrorString(value)).with_cuda_error(error);
}

bool cuda_is_built() noexcept {
    return true;
}

Result<CudaPlace> cuda_place(int32_t device) {
    Result<Driver>& loaded = driver();
    if (!loaded.ok()) return loaded.status();
    const Driver& functions = loaded.value();
    CUcontext current = nullptr;
    CUdevice current_device = -1;
    TRY(driver_status(functions.get_current(&current), "current context"));
    const bool own = current != nullptr && functions.get_device(&current_device) == CUDA_SUCCESS &&
                     current_device == device;
    CUcontext primary = nullptr;
    {
        TRY(const CudaScope scope, CudaScope::enter_primary(device));
        TRY(driver_status(functions.get_current(&primary), "primary context"));
    }
    if (own && current != primary) return CudaPlace{device, false, current};
    return CudaPlace{device, true, primary};
}

Result<CudaScope> CudaScope::enter(const CudaPlace& place) {
    if (place.primary) return enter_primary(place.device);
    Result<Driver>& loaded = driver();
    if (!loaded.ok()) return loaded.status();
    CUcontext saved = nullptr;
    TRY(driver_status(loaded.value().get_current(&saved), "current context"));
    CudaScope scope(saved);
    TRY(driver_status(loaded.value().set_current(static_cast<CUcontext>(place.context)),
                      "the device's context"));
    return scope;
}

Result<CudaScope> CudaScope::enter(const CudaPlace& place, void* stream) {
    if (is_default_stream(stream)) return enter(place);
    Result<Driver>& loaded = driver();
    if (!loaded.ok()) return loaded.status();
    const Driver& functions = loaded.value();
    CUcontext saved = nullptr;
    TRY(driver_status(functions.get_current(&saved), "current context"));
    CudaScope scope(saved);
    CUcontext own = nullptr;
    TRY(driver_status(functions.context_of_stream(static_cast<CUstream>(stream), &own), "stream"));
    if (own != place.context) {
        return Status::error(Code::kInvalidArgument,
                             "stream: it belongs to another CUDA context than the library's "
                             "objects, which were made in the one that was current then");
    }
    TRY(driver_status(functions.set_current(own), "the stream's context"));
    return scope;
}

Result<CudaScope> CudaScope::enter_primary(int32_t device) {
    Result<Driver>& loaded = driver();
    if (!loaded.ok()) return loaded.status();
    CUcontext saved = nullptr;
    TRY(driver_status(loaded.value().get_current(&saved), "current context"));
    CudaScope scope(saved);
    TRY(cuda_status(cudaSetDevice(device), "device"));
    return scope;
}

CudaScope::~CudaScope() {
    if (active_) driver().value().set_current(static_cast<CUcontext>(saved_));
}

Result<DeviceBuffer> DeviceBuffer::create(const CudaPlace& place,
                                          std::shared_ptr<const Allocator> allocator,
                                          uint64_t size_bytes, const char* what) {
    TRY(const CudaScope scope, CudaScope::enter(place));
    DeviceBuffer buffer;
    buffer.place_ = place;
    const uint64_t wanted = std::max<uint64_t>(size_bytes, 1);
    if (allocator != nullptr) {
        buffer.data_ = allocator->allocate(wanted, kDeviceAlignmentBytes);
    } else if (cudaMalloc(&buffer.data_, wanted) != cudaSuccess) {
        buffer.data_ = nullptr;
        cudaGetLastError();  // the status says it; the runtime's sticky copy is not for others
    }
    if (buffer.data_ == nullptr) {
        return Status::error(Code::kDeviceMemory, "%s: no %llu bytes of device memory", what,
                             static_cast<unsigned long long>(size_bytes));
    }
    buffer.allocator_ = std::move(allocator);
    buffer.size_bytes_ = size_bytes;
    return buffer;
}

DeviceBuffer::~DeviceBuffer() {
    if (data_ == nullptr) return;
    const Result<CudaScope> scope = CudaScope::enter(place_);
    if (allocator_ != nullptr) {
        allocator_->release(data_, std::max<uint64_t>(size_bytes_, 1));
    } else {
        cudaFree(data_);
    }
}

Result<DeviceFlag> DeviceFlag::create(const CudaPlace& place) {
    TRY(const CudaScope scope, CudaScope::enter(place));
    DeviceFlag flag;
    void* memory = nullptr;
    constexpr unsigned kVisible = cudaHostAllocPortable | cudaHostAllocMapped;
    TRY(cuda_status(cudaHostAlloc(&memory, sizeof(int32_t), kVisible), "pinned word"));
    flag.place_ = place;
    flag.on_host_ = static_cast<int32_t*>(memory);
    *flag.on_host_ = 0;
    TRY(cuda_status(cudaHostGetDevicePointer(&memory, flag.on_host_, 0), "pinned word"));
    flag.on_device_ = static_cast<int32_t*>(memory);
    return flag;
}

DeviceFlag::~DeviceFlag() {
    if (on_host_ == nullptr) return;
    const Result<CudaScope> scope = CudaScope::enter(place_);
    cudaFreeHost(on_host_);
}

Status copy_to_device(void* device_memory, const void* host, uint64_t size_bytes) {
    return cuda_status(cudaMemcpy(device_memory, host, size_bytes, cudaMemcpyHostToDevice),
                       "copy to the device");
}

Status copy_rows_to_device(void* device_memory, uint64_t pitch_bytes, const void* host,
                           uint64_t row_bytes, uint64_t rows) {
    return cuda_status(cudaMemcpy2D(device_memory, pitch_bytes, host, row_bytes, row_bytes, rows,
                                    cudaMemcpyHostToDevice),
                       "copy to the device");
}

Status copy_to_host(void* host, const void* device_memory, uint64_t size_bytes) {
    return cuda_status(cudaMemcpy(host, device_memory, size_bytes, cudaMemcpyDeviceToHost),
                       "copy from the device");
}

Status wait_for_device() {
    return cuda_status(cudaDeviceSynchronize(), "wait for the device");
}

Status fill_device(void* device_memory, uint8_t value, uint64_t size_bytes) {
    TRY(cuda_status(cudaMemset(device_memory, value, size_bytes), "fill device memory"));
    return cuda_status(cudaStreamSynchronize(nullptr), "fill device memory");
}

}  // namespace mmoe
