// SPDX-License-Identifier: Apache-2.0
// A CPU context whose memory notes the largest block that was asked for, and refuses what is
// larger than a test allows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/checked.h"
#include "device/context.h"

namespace mmoe::test {

// Outlives its contexts.
class MeasuredMemory {
  public:
    [[nodiscard]] std::shared_ptr<const Context> make_context(int threads) {
        auto context = std::make_shared<Context>();
        context->allocator = std::make_shared<const Allocator>(this, allocate, release);
        context->parallel = Parallel::create(threads, nullptr, nullptr).value();
        context->budget = std::make_shared<Budget>(0);
        return context;
    }
    // Starts again; larger requests are refused from now on.
    void allow(size_t most_bytes) noexcept {
        most_bytes_ = most_bytes;
        largest_request_bytes_ = 0;
    }
    [[nodiscard]] size_t largest_request_bytes() const noexcept { return largest_request_bytes_; }

  private:
    static void* allocate(void* user, size_t size_bytes, size_t alignment_bytes) {
        auto* const memory = static_cast<MeasuredMemory*>(user);
        memory->largest_request_bytes_ = std::max(memory->largest_request_bytes_, size_bytes);
        if (size_bytes > memory->most_bytes_) return nullptr;
        return std::aligned_alloc(alignment_bytes, round_up(size_bytes, alignment_bytes));
    }
    static void release(void* /*user*/, void* memory, size_t /*size_bytes*/) { std::free(memory); }

    size_t most_bytes_ = SIZE_MAX;
    size_t largest_request_bytes_ = 0;
};

}  // namespace mmoe::test
