// SPDX-License-Identifier: Apache-2.0
// What a context holds: one device, the memory and threads to use with it. The inside of the
// context handle; bundles and executors keep it alive.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/status.h"
#include "cpu/launch.h"
#include "device/cuda.h"
#include "device/cuda_memory.h"

namespace mmoe {

enum class DeviceKind : int32_t { kCpu = 1, kCuda = 2 };  // values of mmoe_device_kind

// Bytes that bundles and workspaces of one context hold at a time, against the caller's limit.
class Budget {
  public:
    explicit Budget(uint64_t limit_bytes) noexcept : limit_bytes_(limit_bytes) {}  // 0: none

    // Holds bytes until it is destroyed.
    class Lease {
      public:
        Lease() noexcept = default;
        Lease(Lease&& other) noexcept { swap(other); }
        Lease& operator=(Lease&& other) noexcept {
            Lease moved(std::move(other));
            swap(moved);
            return *this;
        }
        ~Lease() {
            if (budget_) budget_->used_bytes_.fetch_sub(size_bytes_, std::memory_order_relaxed);
        }

      private:
        friend class Budget;
        void swap(Lease& other) noexcept {
            std::swap(budget_, other.budget_);
            std::swap(size_bytes_, other.size_bytes_);
        }
        std::shared_ptr<Budget> budget_;
        uint64_t size_bytes_ = 0;
    };

    // `what` names the thing in the error sentence.
    static Result<Lease> take(const std::shared_ptr<Budget>& budget, uint64_t size_bytes,
                              const char* what);

  private:
    uint64_t limit_bytes_;
    std::atomic<uint64_t> used_bytes_{0};
};

struct Context {
    DeviceKind kind = DeviceKind::kCpu;
    int32_t index = 0;
    CudaPlace place;                                    // kCuda only
    std::shared_ptr<const Allocator> allocator;         // host memory
    std::shared_ptr<const Allocator> device_allocator;  // null: cudaMalloc
    CudaDescription cuda;                               // kCuda only
    std::shared_ptr<Parallel> parallel;
    std::shared_ptr<Budget> budget;
    Log log;
    cpu::Tier tier = cpu::Tier::kScalar;  // best tier that the CPU kernels may use
};

// What the CPU is, for the device list.
struct CpuDescription {
    char name[104] = {};
    int32_t thread_count = 1;  // hardware threads that the process may use
    uint64_t memory_bytes = 0;
    uint64_t memory_free_bytes = 0;
};
CpuDescription describe_cpu() noexcept;

}  // namespace mmoe
