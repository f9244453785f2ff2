// SPDX-License-Identifier: Apache-2.0
// Host memory through the caller's allocator or our own. Everything large goes through here:
// weights, workspace, load scratch.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "base/status.h"

namespace mmoe {

// 64 bytes: one cache line and one AVX-512 register.
inline constexpr size_t kAlignmentBytes = 64;

// Memory callbacks and the budget that a context's bundles and workspaces share. Immutable but
// for the running total, so threads may share it.
class Allocator {
  public:
    using Allocate = void* (*)(void* user, size_t size_bytes, size_t alignment_bytes);
    using Release = void (*)(void* user, void* memory, size_t size_bytes);

    Allocator() noexcept;  // our own: aligned, 2 MiB pages where the system grants them
    Allocator(void* user, Allocate allocate, Release release) noexcept
        : user_(user), allocate_(allocate), release_(release) {}

    [[nodiscard]] void* allocate(size_t size_bytes, size_t alignment_bytes) const noexcept {
        return allocate_(user_, size_bytes, alignment_bytes);
    }
    void release(void* memory, size_t size_bytes) const noexcept {
        release_(user_, memory, size_bytes);
    }

  private:
    void* user_;
    Allocate allocate_;
    Release release_;
};

// Owns one block of host memory. Move-only; keeps the allocator alive.
class Buffer {
  public:
    Buffer() noexcept = default;
    // `what` names the thing in the error sentence. Contents are undefined.
    static Result<Buffer> create(std::shared_ptr<const Allocator> allocator, uint64_t size_bytes,
                                 const char* what);

    Buffer(Buffer&& other) noexcept { swap(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        Buffer moved(std::move(other));
        swap(moved);
        return *this;
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() {
        if (data_ != nullptr) allocator_->release(data_, size_bytes_);
    }

    [[nodiscard]] uint8_t* data() const noexcept { return static_cast<uint8_t*>(data_); }
    [[nodiscard]] size_t size_bytes() const noexcept { return size_bytes_; }
    template <class T>
    [[nodiscard]] std::span<T> as() const noexcept {
        return {static_cast<T*>(data_), size_bytes_ / sizeof(T)};
    }

  private:
    void swap(Buffer& other) noexcept {
        std::swap(allocator_, other.allocator_);
        std::swap(data_, other.data_);
        std::swap(size_bytes_, other.size_bytes_);
    }

    std::shared_ptr<const Allocator> allocator_;
    void* data_ = nullptr;
    size_t size_bytes_ = 0;
};

}  // namespace mmoe
