// SPDX-License-Identifier: Apache-2.0
// A parallel loop whose tasks may fail: the failure of the lowest task is the loop's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>

#include "base/guard.h"
#include "base/parallel.h"
#include "base/status.h"

namespace mmoe {

// The failure of the lowest task that failed.
class FirstFailure {
  public:
    void note(uint32_t task, const Status& status) {
        if (status.ok()) return;
        const std::lock_guard<std::mutex> lock(mutex_);
        if (task >= task_) return;
        task_ = task;
        status_ = status;
    }
    [[nodiscard]] const Status& status() const noexcept { return status_; }

  private:
    std::mutex mutex_;
    uint32_t task_ = UINT32_MAX;
    Status status_;
};

// Calls body(i), which returns Status, for all i below `count`. No `parallel`: one after the other
// on the calling thread, up to the first that fails.
template <class Body>
Status for_each_task(Parallel* parallel, int64_t count, const Body& body) {
    if (parallel == nullptr) {
        for (int64_t i = 0; i < count; ++i) TRY(body(i));
        return {};
    }
    TRY(parallel->start());
    FirstFailure failure;
    // Tasks are counted in 32 bits: each takes every task_count-th piece.
    const auto tasks = static_cast<uint32_t>(std::min<int64_t>(count, INT32_MAX));
    parallel->run(tasks, [&](uint32_t task) {
        failure.note(task, guarded([&]() -> Status {
                         for (int64_t i = task; i < count; i += tasks) TRY(body(i));
                         return {};
                     }));
    });
    return failure.status();
}

}  // namespace mmoe
