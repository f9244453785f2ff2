// SPDX-License-Identifier: Apache-2.0
// Loading a bundle on a thread of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/thread.h"
#include "bundle/bundle.h"

namespace mmoe {

class LoadJob {
  public:
    // `entry` is copied; the job keeps context and checkpoint alive.
    static Result<std::shared_ptr<LoadJob>> start(std::shared_ptr<const Context> context,
                                                  std::shared_ptr<const Checkpoint> checkpoint,
                                                  const LayerEntry& entry, const Split& split,
                                                  int64_t slot_count, Progress progress);
    ~LoadJob();  // cancels and waits

    struct Snapshot {
        bool finished = false;  // whether wait() would return at once
        uint64_t done_bytes = 0;
        uint64_t total_bytes = 0;
    };
    [[nodiscard]] Snapshot poll() const noexcept;
    void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
    // Waits for the end and gives the bundle to the first caller.
    Result<std::shared_ptr<Bundle>> wait();

  private:
    LoadJob() = default;

    std::atomic<bool> cancelled_{false};
    std::atomic<bool> finished_{false};
    std::atomic<uint64_t> done_bytes_{0};
    std::atomic<uint64_t> total_bytes_{0};
    std::mutex wait_mutex_;
    std::shared_ptr<Bundle> bundle_;  // written by the thread, read after it was joined
    Status status_;
    bool given_ = false;
    Thread thread_;
};

}  // namespace mmoe
