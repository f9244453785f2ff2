// SPDX-License-Identifier: Apache-2.0
// The system calls that the library makes on files, in front of the system's own: they can come
// back early, be interrupted, fail, or let something happen to the file before they run.
#pragma once

#include <cstdint>
#include <functional>

#include "fault/fault_point.h"

namespace mmoe::fault {

// Every call of open, stat, fstat, pread, write, fsync and rename counts, on any thread.
struct Disk {
    FaultPoint calls;                      // refused: fails with `error`
    int error = 0;                         // errno of what is refused
    bool writes_only = false;              // reading is never refused
    int64_t most_bytes = INT64_MAX;        // of one pread or write
    int interrupts_before_each = 0;        // EINTR before a call gets through
    std::function<void(int64_t)> on_call;  // before the call of this number
    std::atomic<int64_t> call_count{0};

    // Works again, and counts from 0.
    void mend();
};
extern Disk disk;

}  // namespace mmoe::fault
