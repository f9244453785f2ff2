// SPDX-License-Identifier: Apache-2.0
// The pool. A loop is published as one ticket word, (generation, next index); the caller and the
// workers take indices by compare-and-swap until none is left. A worker that wakes late finds
// another generation and goes back to sleep, so a loop never waits for a worker that has not
// taken a task: it stays correct, only slower, when workers are descheduled or lost in a fork.
#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/thread.h"
#include "base/word_wait.h"

#if defined(__linux__)
    #include <sched.h>
#endif
#if defined(__x86_64__)
    #include <immintrin.h>
#endif

namespace mmoe {
namespace {

constexpr uint32_t kMaxThreads = 1024;

// About 30 us on a 3 GHz core: longer than the gap between the loops of one layer, short enough
// that an idle pool costs nothing.
constexpr int kSpinCount = 1500;

void pause_once() noexcept {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

template <class Word>
void wait_while_equal(const std::atomic<Word>& word, Word value) noexcept {
    for (int i = 0; i < kSpinCount; ++i) {
        if (word.load(std::memory_order_acquire) != value) return;
        pause_once();
    }
    wait_for_change(word, value);
}

class SerialOrHook final : public Parallel {
  public:
    SerialOrHook(uint32_t thread_count, Hook hook, void* user) noexcept
        : Parallel(thread_count), hook_(hook), user_(user) {}

    Status start() override { return {}; }
    void run(uint32_t task_count, Task task, void* task_data) override {
        if (hook_ != nullptr && task_count > 1) return hook_(user_, task_count, task, task_data);
        for (uint32_t i = 0; i < task_count; ++i) task(task_data, i);
    }

  private:
    Hook hook_;
    void* user_;
};

class Pool final : public Parallel {
  public:
    explicit Pool(uint32_t thread_count) noexcept : Parallel(thread_count) {}

    ~Pool() override {
        stop_.store(true, std::memory_order_relaxed);
        ticket_.fetch_add(kGenerationStep, std::memory_order_release);
        announce_change(ticket_);
        for (Thread& worker : workers_) worker.join();
    }

    Status start() override {
        const std::lock_guard lock(start_mutex_);
        if (started_.load(std::memory_order_acquire)) return {};
        try {
            workers_.reserve(thread_count() - 1);
            while (workers_.size() + 1 < thread_count()) workers_.emplace_back([this] { work(); });
        } catch (const std::system_error& refused) {
            // With fewer threads the results are the same.
            if (workers_.empty()) {
                return Status::error(Code::kOutOfMemory, "cannot start a worker thread: %s",
                                     refused.what());
            }
        }
        started_.store(true, std::memory_order_release);
        return {};
    }

    void run(uint32_t task_count, Task task, void* task_data) override {
        if (task_count <= 1 || !started_.load(std::memory_order_acquire)) {
            for (uint32_t i = 0; i < task_count; ++i) task(task_data, i);
            return;
        }
        const std::lock_guard lock(run_mutex_);
        // Closed before the task changes: a worker that still holds a ticket of the last loop
        // and reads the new task or count (release, acquire) can then no longer claim with it.
        const uint64_t closed = ticket_.load(std::memory_order_relaxed) | kClosedIndex;
        ticket_.store(closed, std::memory_order_relaxed);
        task_.store(task, std::memory_order_release);
        task_data_.store(task_data, std::memory_order_release);
        task_count_.store(task_count, std::memory_order_release);
        finished_.store(0, std::memory_order_relaxed);
        const uint64_t generation = closed + 1;
        ticket_.store(generation, std::memory_order_release);
        announce_change(ticket_);

        take_tasks(generation);
        for (uint32_t done = finished_.load(std::memory_order_acquire); done != task_count;
             done = finished_.load(std::memory_order_acquire)) {
            wait_while_equal(finished_, done);
        }
    }

  private:
    static constexpr uint64_t kGenerationStep = uint64_t{1} << 32;
    static constexpr uint64_t kClosedIndex = kGenerationStep - 1;  // no task has it

    void take_tasks(uint64_t generation) noexcept {
        uint64_t ticket = ticket_.load(std::memory_order_acquire);
        while ((ticket & ~(kGenerationStep - 1)) == generation) {
            // Read before the claim; another loop may overwrite them, but then the claim fails.
            const Task task = task_.load(std::memory_order_acquire);
            void* const data = task_data_.load(std::memory_order_acquire);
            const uint32_t count = task_count_.load(std::memory_order_acquire);
            const auto index = static_cast<uint32_t>(ticket);
            if (index >= count) return;
            if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel,
                                               std::memory_order_acquire)) {
                continue;
            }
            task(data, index);
            if (finished_.fetch_add(1, std::memory_order_acq_rel) + 1 == count) {
                announce_change(finished_);
            }
            ticket = ticket_.load(std::memory_order_acquire);
        }
    }

    void work() noexcept {
        uint64_t seen = 0;
        while (true) {
            const uint64_t ticket = ticket_.load(std::memory_order_acquire);
            const uint64_t generation = ticket & ~(kGenerationStep - 1);
            if (stop_.load(std::memory_order_relaxed)) return;
            if (generation != seen) {
                take_tasks(generation);
                seen = generation;
            } else {
                wait_while_equal(ticket_, ticket);
            }
        }
    }

    // The words that every thread polls, each on a cache line of its own.
    alignas(64) std::atomic<uint64_t> ticket_{0};
    alignas(64) std::atomic<uint32_t> finished_{0};
    alignas(64) std::atomic<Task> task_{nullptr};
    std::atomic<void*> task_data_{nullptr};
    std::atomic<uint32_t> task_count_{0};
    std::atomic<bool> stop_{false};
    std::atomic<bool> started_{false};
    std::mutex start_mutex_;
    std::mutex run_mutex_;
    std::vector<Thread> workers_;
};

}  // namespace

uint32_t usable_hardware_threads() noexcept {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        return static_cast<uint32_t>(std::max(1, CPU_COUNT(&set)));
    }
#endif
    return std::max(1u, std::thread::hardware_concurrency());
}

Result<std::shared_ptr<Parallel>> Parallel::create(uint32_t thread_count, Hook hook, void* user) {
    if (thread_count > kMaxThreads) {
        return Status::error(Code::kInvalidArgument, "thread_count: expected at most %u, got %u",
                             kMaxThreads, thread_count);
    }
    if (thread_count == 0) thread_count = std::min(kMaxThreads, usable_hardware_threads());
    std::shared_ptr<Parallel> parallel;
    if (hook != nullptr || thread_count == 1) {
        parallel = std::make_shared<SerialOrHook>(thread_count, hook, user);
    } else {
        parallel = std::make_shared<Pool>(thread_count);
    }
    return parallel;
}

}  // namespace mmoe
