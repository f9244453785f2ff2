// SPDX-License-Identifier: Apache-2.0
// Memory for the tensors of a run: the host's on the CPU, the device's on CUDA. CUDA is reached
// through the driver that comes with the GPU, so the tool needs no toolkit to be built.
#pragma once

#include <cstddef>
#include <memory>

#include "device.h"

namespace tool {

class Memory {
  public:
    virtual ~Memory() = default;
    virtual void* allocate(size_t size_bytes) = 0;
    virtual void release(void* memory) noexcept = 0;
    virtual void copy_in(void* to, const void* from_host, size_t size_bytes) = 0;
    virtual void copy_out(void* to_host, const void* from, size_t size_bytes) = 0;
    // Waits until all work that was enqueued has run.
    virtual void wait() = 0;
};

std::shared_ptr<Memory> open_memory(const DeviceOptions& options);

// Owns one piece of it.
class MemoryBlock {
  public:
    MemoryBlock(std::shared_ptr<Memory> memory, size_t size_bytes)
        : memory_(std::move(memory)),
          data_(memory_->allocate(size_bytes)),
          size_bytes_(size_bytes) {}
    MemoryBlock(const MemoryBlock&) = delete;
    MemoryBlock& operator=(const MemoryBlock&) = delete;
    ~MemoryBlock() { memory_->release(data_); }

    [[nodiscard]] void* data() const { return data_; }
    void fill(const void* from_host) { memory_->copy_in(data_, from_host, size_bytes_); }
    void read(void* to_host) const { memory_->copy_out(to_host, data_, size_bytes_); }

  private:
    std::shared_ptr<Memory> memory_;
    void* data_;
    size_t size_bytes_;
};

}  // namespace tool
