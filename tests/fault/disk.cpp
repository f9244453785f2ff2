// SPDX-License-Identifier: Apache-2.0
// Symbols of the program go before those of libc, so the shared library calls these; they must
// be visible for it.
#include "fault/disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>

namespace mmoe::fault {

Disk disk;

void Disk::mend() {
    calls.stop();
    error = 0;
    writes_only = false;
    most_bytes = INT64_MAX;
    interrupts_before_each = 0;
    on_call = nullptr;
    call_count.store(0);
}

namespace {

thread_local int interrupts_left = 0;

// Whether the call fails at once, with errno set.
bool intercepted(bool writes, bool can_be_interrupted) {
    const int64_t number = disk.call_count.fetch_add(1);
    if (disk.on_call) disk.on_call(number);
    if (can_be_interrupted && interrupts_left-- > 0) {
        errno = EINTR;
        return true;
    }
    interrupts_left = disk.interrupts_before_each;
    if ((disk.writes_only && !writes) || !disk.calls.refuses()) return false;
    errno = disk.error;
    return true;
}

size_t shortened(size_t size_bytes) {
    return std::min(size_bytes, static_cast<size_t>(disk.most_bytes));
}

}  // namespace
}  // namespace mmoe::fault

using mmoe::fault::intercepted;
using mmoe::fault::shortened;

#pragma GCC visibility push(default)
extern "C" {

int open(const char* path, int flags, ...) {
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if (intercepted((flags & O_CREAT) != 0, true)) return -1;
    return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

int stat(const char* path, struct stat* out) noexcept {
    return intercepted(false, false) ? -1 : fstatat(AT_FDCWD, path, out, 0);
}

int fstat(int descriptor, struct stat* out) noexcept {
    return intercepted(false, false) ? -1 : fstatat(descriptor, "", out, AT_EMPTY_PATH);
}

ssize_t pread(int descriptor, void* data, size_t size_bytes, off_t offset) {
    if (intercepted(false, true)) return -1;
    return syscall(SYS_pread64, descriptor, data, shortened(size_bytes), offset);
}

ssize_t write(int descriptor, const void* data, size_t size_bytes) {
    if (descriptor <= STDERR_FILENO) return syscall(SYS_write, descriptor, data, size_bytes);
    if (intercepted(true, true)) return -1;
    return syscall(SYS_write, descriptor, data, shortened(size_bytes));
}

int fsync(int descriptor) {
    return intercepted(true, true) ? -1 : static_cast<int>(syscall(SYS_fsync, descriptor));
}

int rename(const char* from, const char* to) noexcept {
    return intercepted(true, false) ? -1 : renameat(AT_FDCWD, from, AT_FDCWD, to);
}
}
#pragma GCC visibility pop
