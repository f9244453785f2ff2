// SPDX-License-Identifier: Apache-2.0
#include "bundle/atomic_file.h"

#include <cerrno>
#include <chrono>
#include <utility>

#include "base/os_file.h"
#include "base/system_call.h"
#include "checkpoint/text.h"

namespace mmoe {
namespace {

std::string directory_of(const std::string& path) {
    const size_t slash = path.find_last_of(os::kPathSeparators);
    if (slash == std::string::npos) return ".";
    return path.substr(0, slash == 0 ? 1 : slash);
}

Status refused(const std::string& path, const char* verb, int error) {
    return refused_by_system(path_text(path).c_str(), verb, error);
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
        temporary_ = path_ + "." + std::to_string(os::process_id()) + "-" +
                     std::to_string(static_cast<uint64_t>(now) + static_cast<uint64_t>(attempt)) +
                     ".tmp";
        descriptor_ = os::create_new(temporary_);
        if (descriptor_ >= 0) {
            exists_ = true;
            return {};
        }
        if (errno != EEXIST) break;
    }
    return refused(path_, "create", errno);
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      exists_(std::exchange(other.exists_, false)),
      temporary_(std::move(other.temporary_)),
      path_(std::move(other.path_)),
      written_bytes_(other.written_bytes_) {}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(exists_, other.exists_);
    std::swap(temporary_, other.temporary_);
    std::swap(path_, other.path_);
    std::swap(written_bytes_, other.written_bytes_);
    return *this;
}

AtomicFile::~AtomicFile() {
    if (descriptor_ >= 0) os::close(descriptor_);
    if (exists_) os::remove(temporary_);
}

Status AtomicFile::write(std::span<const uint8_t> bytes) {
    while (!bytes.empty()) {
        const int64_t put = os::write(descriptor_, bytes.data(), bytes.size());
        if (put < 0) return refused(path_, "write", errno).at_offset(written_bytes_);
        if (put == 0) return refused(path_, "write", ENOSPC).at_offset(written_bytes_);
        bytes = bytes.subspan(static_cast<size_t>(put));
        written_bytes_ += static_cast<uint64_t>(put);
    }
    return {};
}

Status AtomicFile::commit() {
    const std::string parent = directory_of(path_);  // nothing may fail once the name is taken
    if (os::flush(descriptor_) != 0) return refused(path_, "flush", errno);
    os::close(std::exchange(descriptor_, -1));  // Windows renames no file that is open
    if (os::replace(temporary_, path_) != 0) return refused(path_, "name", errno);
    exists_ = false;
    // The new name survives a crash only once its directory is on the device. A file system that
    // cannot flush a directory still has the file.
    os::flush_directory(parent);
    return {};
}

}  // namespace mmoe
