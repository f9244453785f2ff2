// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "checkpoint/text.h"

namespace mmoe {
namespace {

std::string last_part(const std::string& path) {
    return printable(std::string_view(path).substr(path.find_last_of('/') + 1));
}

bool is_missing(int error) noexcept {
    return error == ENOENT || error == ENOTDIR;
}

Status refused(const std::string& name, const char* verb, int error) {
    return Status::error(is_missing(error) ? Code::kNotFound : Code::kIo, "%s: cannot %s: %s",
                         name.c_str(), verb, std::generic_category().message(error).c_str())
        .with_errno(error);
}

// O_NONBLOCK keeps a pipe that somebody put there from hanging the caller; it does not affect
// regular files.
int open_retrying(const char* path) noexcept {
    while (true) {
        const int descriptor = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (descriptor >= 0 || errno != EINTR) return descriptor;
    }
}

}  // namespace

Result<File> File::open(const std::string& path) {
    std::string name = last_part(path);
    if (path.find('\0') != std::string::npos) return refused(name, "open", EINVAL);
    const int descriptor = open_retrying(path.c_str());
    if (descriptor < 0) return refused(name, "open", errno);
    File file(descriptor, 0, std::move(name));
    struct stat status = {};
    if (::fstat(descriptor, &status) != 0) return refused(file.name_, "inspect", errno);
    if (!S_ISREG(status.st_mode)) {
        return Status::error(Code::kIo, "%s: expected a regular file", file.name());
    }
    file.size_bytes_ = static_cast<uint64_t>(status.st_size);
    return file;
}

File::File(File&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      size_bytes_(other.size_bytes_),
      name_(std::move(other.name_)) {}

File& File::operator=(File&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(size_bytes_, other.size_bytes_);
    std::swap(name_, other.name_);
    return *this;
}

File::~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

Status File::read_at(uint64_t offset_bytes, std::span<uint8_t> out) const {
    constexpr size_t kMaxReadBytes = size_t{1} << 30;  // Linux moves at most 2 GiB - 4 KiB a call
    while (!out.empty()) {
        const ssize_t got = ::pread(descriptor_, out.data(), std::min(out.size(), kMaxReadBytes),
                                    static_cast<off_t>(offset_bytes));
        if (got < 0) {
            if (errno == EINTR) continue;
            return refused(name_, "read", errno).at_offset(offset_bytes);
        }
        if (got == 0) {
            return Status::error(Code::kFileChanged,
                                 "%s: expected %llu bytes as when it was opened, got an end at "
                                 "%llu",
                                 name(), static_cast<unsigned long long>(size_bytes_),
                                 static_cast<unsigned long long>(offset_bytes))
                .at_offset(offset_bytes);
        }
        out = out.subspan(static_cast<size_t>(got));
        offset_bytes += static_cast<uint64_t>(got);
    }
    return {};
}

Result<std::string> File::read_text(uint64_t max_bytes) const {
    if (size_bytes_ > max_bytes) {
        return Status::error(Code::kLimit, "%s: expected at most %llu bytes, got %llu", name(),
                             static_cast<unsigned long long>(max_bytes),
                             static_cast<unsigned long long>(size_bytes_));
    }
    std::string text(static_cast<size_t>(size_bytes_), '\0');
    TRY(read_at(0, {reinterpret_cast<uint8_t*>(text.data()), text.size()}));
    return text;
}

Result<PathKind> look_at(const std::string& path) {
    struct stat status = {};
    if (::stat(path.c_str(), &status) == 0) {
        return S_ISDIR(status.st_mode) ? PathKind::kDirectory : PathKind::kOther;
    }
    if (is_missing(errno)) return PathKind::kNothing;
    return refused(last_part(path), "inspect", errno);
}

std::string join_path(const std::string& directory, const std::string& name) {
    return !directory.empty() && directory.back() == '/' ? directory + name
                                                         : directory + "/" + name;
}

}  // namespace mmoe
