// SPDX-License-Identifier: Apache-2.0
// A thread of the library's own: the host's signals stay on the host's threads, and a process
// that forked, where the thread does not exist, can end its objects.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

namespace mmoe {

class Thread {
  public:
    Thread() noexcept = default;
    // Throws std::system_error if the system has no thread left.
    explicit Thread(std::function<void()> work);
    Thread(Thread&&) noexcept = default;
    Thread& operator=(Thread&&) noexcept = default;
    ~Thread() = default;  // joined before

    [[nodiscard]] bool joinable() const noexcept { return thread_ != nullptr; }
    // Waits for its end; in a forked child returns at once.
    void join();

  private:
    std::unique_ptr<std::thread> thread_;
    int64_t process_ = 0;  // that started it
};

}  // namespace mmoe
