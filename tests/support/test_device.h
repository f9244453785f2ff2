// SPDX-License-Identifier: Apache-2.0
// Where the tensors of a test live. The CPU is here, CUDA in gpu/cuda_device.h, so that one test
// serves both.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

#include "marlin_moe.h"

namespace mmoe {

// Of tests whose tensors are all in host memory: the CPU, or what $MMOE_TEST_DEVICE names (cpu,
// cuda).
inline mmoe_device_kind chosen_device_kind() {
    const char* name = std::getenv("MMOE_TEST_DEVICE");
    return name != nullptr && std::string_view(name) == "cuda" ? MMOE_DEVICE_CUDA : MMOE_DEVICE_CPU;
}

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
        return ::operator new(size_bytes + 1, kAlignment);
    }
    void release(void* memory) override { ::operator delete(memory, kAlignment); }
    void upload(void* to, const void* from, size_t size_bytes) override {
        if (size_bytes != 0) std::memcpy(to, from, size_bytes);
    }
    void download(void* to, const void* from, size_t size_bytes) override {
        if (size_bytes != 0) std::memcpy(to, from, size_bytes);
    }
    void synchronize() override {}

  private:
    static constexpr std::align_val_t kAlignment{256};
};

}  // namespace mmoe
