// SPDX-License-Identifier: Apache-2.0
// A regular file, read by position. Never mapped: a mapped file that shrinks is a signal to the
// host, one that is read is an error.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/status.h"

namespace mmoe {

class File {
  public:
    // Refuses everything but a regular file. Refusals name the path as it was given; sentences
    // about what is in the file, its last part.
    static Result<File> open(const std::string& path);

    File(File&& other) noexcept;
    File& operator=(File&& other) noexcept;
    ~File();

    // Last part of the path, printable.
    [[nodiscard]] const char* name() const noexcept { return name_.c_str(); }
    // Length when it was opened.
    [[nodiscard]] uint64_t size_bytes() const noexcept { return size_bytes_; }

    // Reads exactly out.size() bytes; the caller has checked the range against size_bytes().
    // Safe from several threads.
    Status read_at(uint64_t offset_bytes, std::span<uint8_t> out) const;

    // The whole file.
    Result<std::string> read_text(uint64_t max_bytes) const;

  private:
    File(int descriptor, uint64_t size_bytes, std::string name) noexcept
        : descriptor_(descriptor), size_bytes_(size_bytes), name_(std::move(name)) {}

    int descriptor_ = -1;
    uint64_t size_bytes_ = 0;
    std::string name_;
};

enum class PathKind { kNothing, kDirectory, kOther };
// A path that the system will not look at is an error, and not nothing.
Result<PathKind> look_at(const std::string& path);
[[nodiscard]] std::string join_path(const std::string& directory, const std::string& name);

}  // namespace mmoe
