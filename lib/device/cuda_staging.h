// SPDX-License-Identifier: Apache-2.0
// Host memory that a CUDA device reads by itself, as much memory on the device, and a stream for
// both: what goes to the device piece by piece passes through here. Without the toolkit,
// cuda_staging_none.cpp answers.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/memory.h"
#include "base/status.h"
#include "device/context.h"
#include "device/cuda_memory.h"

namespace mmoe {

// One piece at a time. A scope of the device is entered for every call.
class CudaStaging {
  public:
    static Result<std::unique_ptr<CudaStaging>> create(const Context& context, uint64_t size_bytes);
    ~CudaStaging();
    CudaStaging(const CudaStaging&) = delete;
    CudaStaging& operator=(const CudaStaging&) = delete;

    [[nodiscard]] uint64_t size_bytes() const noexcept { return host_.size_bytes(); }
    [[nodiscard]] uint8_t* host() const noexcept { return host_.data(); }
    [[nodiscard]] uint8_t* on_device() const noexcept { return device_memory_.data(); }
    [[nodiscard]] void* stream() const noexcept { return stream_; }

    // Enqueues the copy of the first bytes.
    Status send(uint64_t size_bytes);
    // Returns when all that was enqueued on the stream has run.
    Status wait();

  private:
    CudaStaging() = default;
    CudaPlace place_;
    Buffer host_;
    [[maybe_unused]] bool registered_ = false;  // else the driver copies twice
    DeviceBuffer device_memory_;
    void* stream_ = nullptr;
};

// Pieces for whichever thread wants one; they are kept until release().
class CudaStagingPool {
  public:
    // Of at least so many bytes; give it back.
    Result<std::unique_ptr<CudaStaging>> take(const Context& context, uint64_t size_bytes);
    void give_back(std::unique_ptr<CudaStaging> staging);
    void release() noexcept;

  private:
    std::mutex mutex_;
    std::vector<std::unique_ptr<CudaStaging>> idle_;
};

}  // namespace mmoe
