// SPDX-License-Identifier: Apache-2.0
// Objects that serve one call at a time, or many readers or one writer, say so to a caller that
// comes too early instead of racing with it.
#pragma once

#include <atomic>
#include <cstdint>

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

// Any number of readers, or one writer.
class ReadersOrWriter {
  public:
    class Reading {
      public:
        explicit Reading(ReadersOrWriter& owner) noexcept : owner_(&owner) {
            int32_t users = owner.users_.load(std::memory_order_relaxed);
            while (users != kWriter) {
                if (owner.users_.compare_exchange_weak(users, users + 1,
                                                       std::memory_order_acquire)) {
                    return;
                }
            }
            owner_ = nullptr;
        }
        ~Reading() {
            if (owner_ != nullptr) owner_->users_.fetch_sub(1, std::memory_order_release);
        }
        Reading(const Reading&) = delete;
        Reading& operator=(const Reading&) = delete;
        [[nodiscard]] bool held() const noexcept { return owner_ != nullptr; }

      private:
        ReadersOrWriter* owner_;
    };

    class Writing {
      public:
        explicit Writing(ReadersOrWriter& owner) noexcept : owner_(&owner) {
            int32_t nobody = 0;
            if (!owner.users_.compare_exchange_strong(nobody, kWriter, std::memory_order_acquire)) {
                owner_ = nullptr;
            }
        }
        ~Writing() {
            if (owner_ != nullptr) owner_->users_.store(0, std::memory_order_release);
        }
        Writing(const Writing&) = delete;
        Writing& operator=(const Writing&) = delete;
        [[nodiscard]] bool held() const noexcept { return owner_ != nullptr; }

      private:
        ReadersOrWriter* owner_;
    };

  private:
    static constexpr int32_t kWriter = -1;
    std::atomic<int32_t> users_{0};  // readers, or kWriter
};

}  // namespace mmoe
