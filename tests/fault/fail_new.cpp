// SPDX-License-Identifier: Apache-2.0
// operator new of the whole process, for sanitizer builds: their C allocator stays in place, so
// that the sanitizer sees every byte.
#include <algorithm>
#include <cstdlib>
#include <new>

#include "fault/fault_point.h"

namespace mmoe::fault {

FaultPoint allocations;

namespace {
std::atomic<int64_t> live{0};

void* allocate(size_t size_bytes) noexcept {
    if (allocations.refuses()) return nullptr;
    void* memory = std::malloc(std::max<size_t>(size_bytes, 1));
    if (memory != nullptr) live.fetch_add(1, std::memory_order_relaxed);
    return memory;
}

void* allocate_or_throw(size_t size_bytes) {
    if (void* memory = allocate(size_bytes)) return memory;
    throw std::bad_alloc();
}

void* allocate_aligned(size_t size_bytes, size_t alignment_bytes) {
    void* memory = nullptr;
    if (allocations.refuses() || posix_memalign(&memory, alignment_bytes, size_bytes) != 0) {
        throw std::bad_alloc();
    }
    live.fetch_add(1, std::memory_order_relaxed);
    return memory;
}

void release(void* memory) noexcept {
    if (memory != nullptr) live.fetch_sub(1, std::memory_order_relaxed);
    std::free(memory);
}
}  // namespace

int64_t live_blocks() noexcept {
    return live.load();
}

}  // namespace mmoe::fault

using namespace mmoe::fault;

void* operator new(size_t size_bytes) {
    return allocate_or_throw(size_bytes);
}
void* operator new[](size_t size_bytes) {
    return allocate_or_throw(size_bytes);
}
void* operator new(size_t size_bytes, const std::nothrow_t&) noexcept {
    return allocate(size_bytes);
}
void* operator new(size_t size_bytes, std::align_val_t alignment) {
    return allocate_aligned(size_bytes, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept {
    release(memory);
}
void operator delete[](void* memory) noexcept {
    release(memory);
}
void operator delete(void* memory, size_t) noexcept {
    release(memory);
}
void operator delete[](void* memory, size_t) noexcept {
    release(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    release(memory);
}
void operator delete(void* memory, size_t, std::align_val_t) noexcept {
    release(memory);
}
