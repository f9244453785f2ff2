// SPDX-License-Identifier: Apache-2.0
// Host memory callbacks that count what is held now and at most.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "marlin_moe.h"

namespace mmoe::test {

class CountingAllocator {
  public:
    [[nodiscard]] mmoe_allocator callbacks() noexcept {
        return {this,
                [](void* user, size_t bytes, size_t alignment) {
                    return static_cast<CountingAllocator*>(user)->allocate(bytes, alignment);
                },
                [](void* user, void* memory, size_t bytes) {
                    static_cast<CountingAllocator*>(user)->held_ -= bytes;
                    std::free(memory);
                }};
    }
    [[nodiscard]] uint64_t held_bytes() const noexcept { return held_; }
    [[nodiscard]] uint64_t peak_bytes() const noexcept { return peak_; }

  private:
    void* allocate(size_t bytes, size_t alignment) noexcept {
        void* memory =
            std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
        if (memory == nullptr) return nullptr;
        const uint64_t now = held_ += bytes;
        uint64_t peak = peak_;
        while (now > peak && !peak_.compare_exchange_weak(peak, now)) {
        }
        return memory;
    }

    std::atomic<uint64_t> held_{0};
    std::atomic<uint64_t> peak_{0};
};

}  // namespace mmoe::test
