// SPDX-License-Identifier: Apache-2.0
// Where a command runs: the context, and memory that runs on it may touch. Device memory comes
// from the CUDA driver, found at run time, as an engine would bring its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api.h"

namespace mmoe_tool {

// The CUDA driver's memory calls on one device's primary context.
class CudaDriver {
  public:
    static std::shared_ptr<CudaDriver> open(int32_t index);  // throws std::runtime_error
    ~CudaDriver();
    CudaDriver(const CudaDriver&) = delete;
    CudaDriver& operator=(const CudaDriver&) = delete;

    void* allocate(size_t size_bytes) const;
    void release(void* memory) const;
    void upload(void* device, const void* host, size_t size_bytes) const;
    void download(void* host, const void* device, size_t size_bytes) const;
    void synchronize() const;

  private:
    struct Functions;
    CudaDriver() = default;
    void check(int result, const char* what) const;

    std::unique_ptr<Functions> functions_;
    void* library_ = nullptr;
    int device_ = 0;
};

struct Device {
    std::string name;  // "cpu" or "cuda:N"
    mmoe_device_kind kind;
    int32_t index;  // CUDA ordinal; 0 on the CPU
    Owned<mmoe_context> context;
    std::shared_ptr<CudaDriver> cuda;  // null on the CPU

    void synchronize() const {
        if (cuda != nullptr) cuda->synchronize();
    }
};

// `name` is "cpu", "cuda" or "cuda:N"; 0 threads: all; `tier` bounds the CPU rows. Throws
// UsageError or Refused.
Device open_device(const std::string& name, int64_t threads,
                   mmoe_cpu_tier tier = MMOE_CPU_TIER_BEST);

// best, scalar, avx2, avx512 or avx512bf16. Throws UsageError.
mmoe_cpu_tier parse_tier(const std::string& text);

// Memory for one tensor of a run.
class DeviceArray {
  public:
    DeviceArray(const Device& device, size_t size_bytes);
    ~DeviceArray();
    DeviceArray(const DeviceArray&) = delete;
    DeviceArray& operator=(const DeviceArray&) = delete;

    void upload(const void* host, size_t size_bytes);
    [[nodiscard]] std::vector<uint8_t> download() const;
    [[nodiscard]] void* data() const { return data_; }

  private:
    std::shared_ptr<CudaDriver> cuda_;
    size_t size_bytes_;
    void* data_;
};

}  // namespace mmoe_tool
