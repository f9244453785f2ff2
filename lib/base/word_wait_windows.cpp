// SPDX-License-Identifier: Apache-2.0
#include <windows.h>

#include "base/word_wait.h"

namespace mmoe {

void sleep_while_equal(const void* word, const void* value, size_t size_bytes) noexcept {
    (void)WaitOnAddress(const_cast<void*>(word), const_cast<void*>(value), size_bytes, INFINITE);
}

void wake_sleepers(const void* word) noexcept {
    // The caller's store may still wait in its processor while the list of sleepers is read.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    WakeByAddressAll(const_cast<void*>(word));
}

}  // namespace mmoe
