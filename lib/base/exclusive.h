// SPDX-License-Identifier: Apache-2.0
// Objects that serve one call at a time say so to a second caller instead of racing with it.
#pragma once

#include <atomic>

namespace mmoe {

class Exclusive {
  public:
    // Holds the object while it lives, if `held()`.
    class Hold {
      public:
        explicit Hold(Exclusive& owner) noexcept
            : flag_(owner.busy_.exchange(true, std::memory_order_acquire) ? nullptr
                                                                          : &owner.busy_) {}
        ~Hold() {
            if (flag_ != nullptr) flag_->store(false, std::memory_order_release);
        }
        Hold(const Hold&) = delete;
        Hold& operator=(const Hold&) = delete;
        [[nodiscard]] bool held() const noexcept { return flag_ != nullptr; }

      private:
        std::atomic<bool>* flag_;
    };

  private:
    std::atomic<bool> busy_{false};
};

}  // namespace mmoe
