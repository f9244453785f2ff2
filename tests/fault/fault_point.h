// SPDX-License-Identifier: Apache-2.0
// A place that can be told to refuse: the n-th request from now, or it and all after it.
#pragma once

#include <atomic>
#include <cstdint>

namespace mmoe::fault {

enum class Mode { kOnce, kFromThenOn };

// Requests may come from any thread.
class FaultPoint {
  public:
    // Request number `n` is refused, counting from 0.
    void arm(int64_t n, Mode mode) noexcept {
        mode_ = mode;
        refused_.store(0);
        left_.store(n);
        armed_.store(true);
    }
    // Returns whether a request was refused since arm().
    bool stop() noexcept {
        armed_.store(false);
        return refused_.load() != 0;
    }
    [[nodiscard]] bool refused() const noexcept { return refused_.load() != 0; }

    // What the interposed function asks.
    [[nodiscard]] bool refuses() noexcept {
        if (!armed_.load()) return false;
        const int64_t left = left_.fetch_sub(1);
        if (left > 0 || (left < 0 && mode_ == Mode::kOnce)) return false;
        refused_.fetch_add(1);
        return true;
    }

  private:
    std::atomic<bool> armed_{false};
    std::atomic<int64_t> left_{0};
    std::atomic<int64_t> refused_{0};
    Mode mode_ = Mode::kOnce;
};

// Every allocation of the process: fail_malloc.cpp, or fail_new.cpp under a sanitizer.
extern FaultPoint allocations;
// Blocks that are allocated now.
int64_t live_blocks() noexcept;

}  // namespace mmoe::fault
