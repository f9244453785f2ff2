// SPDX-License-Identifier: Apache-2.0
// The C allocator of the whole process, libraries among it, in front of glibc's. Not for
// sanitizer builds, which have an allocator of their own.
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "fault/fault_point.h"

namespace mmoe::fault {

FaultPoint allocations;

namespace {
std::atomic<int64_t> live{0};

void* counted(void* memory) noexcept {
    if (memory != nullptr) live.fetch_add(1, std::memory_order_relaxed);
    return memory;
}
}  // namespace

int64_t live_blocks() noexcept {
    return live.load();
}

}  // namespace mmoe::fault

using mmoe::fault::allocations;
using mmoe::fault::counted;

#pragma GCC visibility push(default)
extern "C" {
void* __libc_malloc(size_t size_bytes);
void* __libc_calloc(size_t count, size_t size_bytes);
void* __libc_realloc(void* memory, size_t size_bytes);
void* __libc_memalign(size_t alignment_bytes, size_t size_bytes);
void __libc_free(void* memory);

void* malloc(size_t size_bytes) noexcept {
    return allocations.refuses() ? nullptr : counted(__libc_malloc(size_bytes));
}
void* calloc(size_t count, size_t size_bytes) noexcept {
    return allocations.refuses() ? nullptr : counted(__libc_calloc(count, size_bytes));
}
void* realloc(void* memory, size_t size_bytes) noexcept {
    if (memory == nullptr) return malloc(size_bytes);
    if (size_bytes == 0) {
        free(memory);
        return nullptr;
    }
    return allocations.refuses() ? nullptr : __libc_realloc(memory, size_bytes);
}
void* memalign(size_t alignment_bytes, size_t size_bytes) noexcept {
    return allocations.refuses() ? nullptr : counted(__libc_memalign(alignment_bytes, size_bytes));
}
void* aligned_alloc(size_t alignment_bytes, size_t size_bytes) noexcept {
    return memalign(alignment_bytes, size_bytes);
}
int posix_memalign(void** out, size_t alignment_bytes, size_t size_bytes) noexcept {
    void* memory = memalign(alignment_bytes, size_bytes);
    if (memory == nullptr) return ENOMEM;
    *out = memory;
    return 0;
}
void free(void* memory) noexcept {
    if (memory != nullptr) mmoe::fault::live.fetch_sub(1, std::memory_order_relaxed);
    __libc_free(memory);
}
}
#pragma GCC visibility pop
