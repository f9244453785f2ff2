// SPDX-License-Identifier: Apache-2.0
// Parallel loops: the caller's hook, our own pool, or the calling thread alone. A loop runs
// independent tasks; no task waits for another, so any of the three is correct.
#pragma once

#include <cstdint>
#include <memory>

#include "base/status.h"

namespace mmoe {

// Hardware threads that the process may use; at least 1.
uint32_t usable_hardware_threads() noexcept;

class Parallel {
  public:
    using Task = void (*)(void* task_data, uint32_t index);
    using Hook = void (*)(void* user, uint32_t task_count, Task task, void* task_data);

    // `thread_count` tasks at a time; 0: one a hardware thread that the process may use.
    // Starts no thread yet.
    static Result<std::shared_ptr<Parallel>> create(uint32_t thread_count, Hook hook, void* user);
    virtual ~Parallel() = default;

    // How many tasks can run at a time; loops split their work by it.
    [[nodiscard]] uint32_t thread_count() const noexcept { return thread_count_; }

    // Makes later runs unable to fail: starts the pool's threads, once.
    virtual Status start() = 0;

    // Runs task(task_data, i) for every i < task_count; returns when all have returned. Calls
    // from several threads at once are legal; they take turns on the pool.
    virtual void run(uint32_t task_count, Task task, void* task_data) = 0;

    template <class Function>
    void run(uint32_t task_count, Function&& function) {
        run(
            task_count, [](void* data, uint32_t index) { (*static_cast<Function*>(data))(index); },
            &function);
    }

  protected:
    explicit Parallel(uint32_t thread_count) noexcept : thread_count_(thread_count) {}

  private:
    uint32_t thread_count_;
};

}  // namespace mmoe
