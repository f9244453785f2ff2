// SPDX-License-Identifier: Apache-2.0
// What the library asks of the system's files; one source a system, os_file_posix.cpp and
// os_file_windows.cpp. Paths are UTF-8. A function that fails answers with a negative number and
// leaves the reason in errno, on every system; interrupted calls are made again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mmoe::os {

#if defined(_WIN32)
inline constexpr std::string_view kPathSeparators = "/\\";
#else
inline constexpr std::string_view kPathSeparators = "/";
#endif

struct FileInfo {
    enum class Kind { kRegular, kDirectory, kOther };
    Kind kind = Kind::kOther;
    uint64_t size_bytes = 0;  // of a regular file that is open
};

// Both return a descriptor. Reading never waits for a pipe that somebody put there.
[[nodiscard]] int open_for_reading(const std::string& path);
[[nodiscard]] int create_new(const std::string& path);
void close(int descriptor) noexcept;

[[nodiscard]] int inspect(int descriptor, FileInfo& info) noexcept;
[[nodiscard]] int inspect(const std::string& path, FileInfo& info);

// How many bytes were moved: perhaps fewer than asked for, and 0 at the end of the file.
[[nodiscard]] int64_t read_at(int descriptor, void* data, size_t size_bytes,
                              uint64_t offset_bytes) noexcept;
[[nodiscard]] int64_t write(int descriptor, const void* data, size_t size_bytes) noexcept;

[[nodiscard]] int flush(int descriptor) noexcept;  // to the device
// Gives a closed file another name, over what had it.
[[nodiscard]] int replace(const std::string& from, const std::string& to);
void remove(const std::string& path) noexcept;
// Makes the names in a directory survive a crash, where the system can.
void flush_directory(const std::string& path) noexcept;

[[nodiscard]] uint32_t process_id() noexcept;

}  // namespace mmoe::os
