// SPDX-License-Identifier: Apache-2.0
// Where the tensors of a test live. The CPU is here, CUDA in gpu/cuda_device.h, so that one test
// serves both.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "marlin_moe.h"

namespace mmoe {

class TestDevice {
  public:
    virtual ~TestDevice() = default;
    [[nodiscard]] virtual mmoe_device_kind kind() const = 0;
    // Aligned to 256 bytes; an address also for no bytes.
    virtual void* allocate(size_t size_bytes) = 0;
    virtual void release(void* memory) = 0;
    virtual void upload(void* to, const void* from, size_t size_bytes) = 0;
    virtual void download(void* to, const void* from, size_t size_bytes) = 0;
    virtual void synchronize() = 0;
};

class CpuTestDevice final : public TestDevice {
  public:
    [[nodiscard]] mmoe_device_kind kind() const override { return MMOE_DEVICE_CPU; }
    void* allocate(size_t size_bytes) override {
        return std::aligned_alloc(256, (size_bytes + 256) / 256 * 256);
    }
    void release(void* memory) override { std::free(memory); }
    void upload(void* to, const void* from, size_t size_bytes) override {
        if (size_bytes != 0) std::memcpy(to, from, size_bytes);
    }
    void download(void* to, const void* from, size_t size_bytes) override {
        if (size_bytes != 0) std::memcpy(to, from, size_bytes);
    }
    void synchronize() override {}
};

}  // namespace mmoe
