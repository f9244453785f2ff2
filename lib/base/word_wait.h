// SPDX-License-Identifier: Apache-2.0
// Sleeping until another thread changes a word. std::atomic does that where the system has a
// futex. Elsewhere the library of GCC 12 compares the word outside of the lock that it sleeps
// under, so a change in between is slept through; on Windows the system's own call is used.
#pragma once

#include <atomic>
#include <cstddef>

namespace mmoe {

// wait_for_change() returns once `word` is not `value`; announce_change() wakes everyone who waits
// for it.
#if defined(_WIN32)

// word_wait_windows.cpp
void sleep_while_equal(const void* word, const void* value, size_t size_bytes) noexcept;
void wake_sleepers(const void* word) noexcept;

template <class Word>
void wait_for_change(const std::atomic<Word>& word, Word value) noexcept {
    static_assert(sizeof word == sizeof value && std::atomic<Word>::is_always_lock_free);
    while (word.load(std::memory_order_acquire) == value) {
        sleep_while_equal(&word, &value, sizeof value);
    }
}

template <class Word>
void announce_change(std::atomic<Word>& word) noexcept {
    wake_sleepers(&word);
}

#else

template <class Word>
void wait_for_change(const std::atomic<Word>& word, Word value) noexcept {
    word.wait(value, std::memory_order_acquire);
}

template <class Word>
void announce_change(std::atomic<Word>& word) noexcept {
    word.notify_all();
}

#endif

}  // namespace mmoe
