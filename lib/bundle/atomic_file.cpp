// SPDX-License-Identifier: Apache-2.0
#include "bundle/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

namespace mmoe {
namespace {

std::string directory_of(const std::string& path) {
    const size_t slash = path.find_last_of('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

Status refused(const std::string& path, const char* verb, int error) {
    const std::string name = path.substr(path.find_last_of('/') + 1);
    return Status::error(error == ENOENT ? Code::kNotFound : Code::kIo, "%s: cannot %s: %s",
                         name.c_str(), verb, std::generic_category().message(error).c_str())
        .with_errno(error);
}

}  // namespace

// The object is whole before the file exists: nothing can fail between the two.
Result<AtomicFile> AtomicFile::create(const std::string& path) {
    AtomicFile file(path);
    TRY(file.create_temporary());
    return file;
}

// A file that did not exist, with the process's ordinary mode.
Status AtomicFile::create_temporary() {
    constexpr int kAttempts = 100;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
        temporary_ = path_ + "." + std::to_string(::getpid()) + "-" +
                     std::to_string(static_cast<uint64_t>(now) + static_cast<uint64_t>(attempt)) +
                     ".tmp";
        descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor_ >= 0) return {};
        if (errno != EEXIST && errno != EINTR) break;
    }
    return refused(path_, "create", errno);
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      temporary_(std::move(other.temporary_)),
      path_(std::move(other.path_)),
      written_bytes_(other.written_bytes_) {}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(temporary_, other.temporary_);
    std::swap(path_, other.path_);
    std::swap(written_bytes_, other.written_bytes_);
    return *this;
}

AtomicFile::~AtomicFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    ::unlink(temporary_.c_str());
}

Status AtomicFile::write(std::span<const uint8_t> bytes) {
    constexpr size_t kMaxWriteBytes = size_t{1} << 30;  // Linux moves at most 2 GiB - 4 KiB a call
    while (!bytes.empty()) {
        const ssize_t put =
            ::write(descriptor_, bytes.data(), std::min(bytes.size(), kMaxWriteBytes));
        if (put < 0) {
            if (errno == EINTR) continue;
            return refused(path_, "write", errno).at_offset(written_bytes_);
        }
        if (put == 0) return refused(path_, "write", ENOSPC).at_offset(written_bytes_);
        bytes = bytes.subspan(static_cast<size_t>(put));
        written_bytes_ += static_cast<uint64_t>(put);
    }
    return {};
}

Status AtomicFile::commit() {
    const std::string parent = directory_of(path_);  // nothing may fail once the name is taken
    while (::fsync(descriptor_) != 0) {
        if (errno != EINTR) return refused(path_, "flush", errno);
    }
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) return refused(path_, "name", errno);
    ::close(std::exchange(descriptor_, -1));
    // The new name survives a crash only once its directory is on the device. A file system that
    // cannot flush a directory still has the file.
    const int directory = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
        (void)::fsync(directory);
        ::close(directory);
    }
    return {};
}

}  // namespace mmoe
