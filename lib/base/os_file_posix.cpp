// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/os_file.h"

namespace mmoe::os {
namespace {

constexpr size_t kMaxMoveBytes = size_t{1} << 30;  // Linux moves at most 2 GiB - 4 KiB a call

template <class Call>
auto retry(Call call) noexcept {
    while (true) {
        const auto result = call();
        if (result >= 0 || errno != EINTR) return result;
    }
}

FileInfo info_of(const struct stat& status) noexcept {
    if (S_ISDIR(status.st_mode)) return {FileInfo::Kind::kDirectory, 0};
    if (!S_ISREG(status.st_mode)) return {FileInfo::Kind::kOther, 0};
    return {FileInfo::Kind::kRegular, static_cast<uint64_t>(status.st_size)};
}

}  // namespace

// O_NONBLOCK keeps a pipe from hanging the caller; it does not affect regular files.
int open_for_reading(const std::string& path) {
    return retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
}

int create_new(const std::string& path) {
    return retry(
        [&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); });
}

void close(int descriptor) noexcept {
    ::close(descriptor);
}

int inspect(int descriptor, FileInfo& info) noexcept {
    struct stat status = {};
    if (::fstat(descriptor, &status) != 0) return -1;
    info = info_of(status);
    return 0;
}

int inspect(const std::string& path, FileInfo& info) {
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0) return -1;
    info = info_of(status);
    return 0;
}

int64_t read_at(int descriptor, void* data, size_t size_bytes, uint64_t offset_bytes) noexcept {
    return retry([&] {
        return ::pread(descriptor, data, std::min(size_bytes, kMaxMoveBytes),
                       static_cast<off_t>(offset_bytes));
    });
}

int64_t write(int descriptor, const void* data, size_t size_bytes) noexcept {
    return retry([&] { return ::write(descriptor, data, std::min(size_bytes, kMaxMoveBytes)); });
}

int flush(int descriptor) noexcept {
    return retry([&] { return ::fsync(descriptor); });
}

int replace(const std::string& from, const std::string& to) {
    return ::rename(from.c_str(), to.c_str());
}

void remove(const std::string& path) noexcept {
    (void)::unlink(path.c_str());
}

void flush_directory(const std::string& path) noexcept {
    const int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return;
    (void)::fsync(directory);
    ::close(directory);
}

uint32_t process_id() noexcept {
    return static_cast<uint32_t>(::getpid());
}

}  // namespace mmoe::os
