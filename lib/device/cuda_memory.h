// SPDX-License-Identifier: Apache-2.0
// Device memory, and whose CUDA context is current. This header needs no toolkit; without one,
// cuda_memory_none.cpp answers instead of cuda_memory.cpp that the build has no CUDA backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/memory.h"
#include "base/status.h"

namespace mmoe {

[[nodiscard]] bool cuda_is_built() noexcept;

// A cudaError_t as a Status; `what` names the call.
Status cuda_status(int error, const char* what);

// A device and the CUDA context on it where memory lives and kernels run.
struct CudaPlace {
    int32_t device = 0;
    bool primary = true;      // the device's primary context
    void* context = nullptr;  // a CUcontext
};

// The context that is current on this thread if it is one of the device's, which must then outlive
// the place; else the device's primary one.
Result<CudaPlace> cuda_place(int32_t device);

// While it lives, the context of a place is current on this thread; then the caller's is again,
// whichever it was.
class CudaScope {
  public:
    static Result<CudaScope> enter(const CudaPlace& place);
    // The same for work on a stream (a cudaStream_t, or null for the default one), which must be of
    // that context.
    static Result<CudaScope> enter(const CudaPlace& place, void* stream);
    // The primary context of a device.
    static Result<CudaScope> enter_primary(int32_t device);
    CudaScope(CudaScope&& other) noexcept
        : saved_(other.saved_), active_(std::exchange(other.active_, false)) {}
    CudaScope& operator=(CudaScope&&) = delete;
    ~CudaScope();

  private:
    explicit CudaScope(void* saved) noexcept : saved_(saved), active_(true) {}
    void* saved_;  // CUcontext or null
    bool active_;
};

// Owns device memory, aligned to 256 bytes. Move-only.
class DeviceBuffer {
  public:
    DeviceBuffer() noexcept = default;
    // From the caller's device allocator, or cudaMalloc where `allocator` is null. `what` names the
    // thing in the error sentence. Contents are undefined.
    static Result<DeviceBuffer> create(const CudaPlace& place,
                                       std::shared_ptr<const Allocator> allocator,
                                       uint64_t size_bytes, const char* what);
    DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
    DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
        DeviceBuffer moved(std::move(other));
        swap(moved);
        return *this;
    }
    ~DeviceBuffer();

    [[nodiscard]] uint8_t* data() const noexcept { return static_cast<uint8_t*>(data_); }
    [[nodiscard]] uint64_t size_bytes() const noexcept { return size_bytes_; }

  private:
    void swap(DeviceBuffer& other) noexcept {
        std::swap(place_, other.place_);
        std::swap(allocator_, other.allocator_);
        std::swap(data_, other.data_);
        std::swap(size_bytes_, other.size_bytes_);
    }
    CudaPlace place_;
    std::shared_ptr<const Allocator> allocator_;
    void* data_ = nullptr;
    uint64_t size_bytes_ = 0;
};

// A word that kernels set and the host reads without a call to the device: pinned host memory.
class DeviceFlag {
  public:
    DeviceFlag() noexcept = default;
    static Result<DeviceFlag> create(const CudaPlace& place);
    DeviceFlag(DeviceFlag&& other) noexcept { swap(other); }
    DeviceFlag& operator=(DeviceFlag&& other) noexcept {
        DeviceFlag moved(std::move(other));
        swap(moved);
        return *this;
    }
    ~DeviceFlag();

    // What kernels set to 1.
    [[nodiscard]] int32_t* on_device() const noexcept { return on_device_; }
    // Whether it was set since the last call.
    [[nodiscard]] bool take() const noexcept {
        return __atomic_exchange_n(on_host_, 0, __ATOMIC_RELAXED) != 0;
    }

  private:
    void swap(DeviceFlag& other) noexcept {
        std::swap(place_, other.place_);
        std::swap(on_host_, other.on_host_);
        std::swap(on_device_, other.on_device_);
    }
    CudaPlace place_;
    int32_t* on_host_ = nullptr;
    int32_t* on_device_ = nullptr;
};

// Copies and fills that have ended when they return. A scope of the device is entered.
Status copy_to_device(void* device_memory, const void* host, uint64_t size_bytes);
// `rows` rows of `row_bytes`, the device's `pitch_bytes` apart.
Status copy_rows_to_device(void* device_memory, uint64_t pitch_bytes, const void* host,
                           uint64_t row_bytes, uint64_t rows);
Status copy_to_host(void* host, const void* device_memory, uint64_t size_bytes);
Status fill_device(void* device_memory, uint8_t value, uint64_t size_bytes);
// Returns when all work of the current device has ended.
Status wait_for_device();

}  // namespace mmoe
