// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/file.h"

#include <cerrno>
#include <utility>

#include "base/os_file.h"
#include "base/system_call.h"
#include "checkpoint/text.h"

namespace mmoe {
namespace {

std::string last_part(const std::string& path) {
    return printable(std::string_view(path).substr(path.find_last_of(os::kPathSeparators) + 1));
}

}  // namespace

Result<File> File::open(const std::string& path) {
    std::string name = last_part(path);
    const std::string given = path_text(path);
    if (path.find('\0') != std::string::npos) {
        return refused_by_system(given.c_str(), "open", EINVAL);
    }
    const int descriptor = os::open_for_reading(path);
    if (descriptor < 0) return refused_by_system(given.c_str(), "open", errno);
    File file(descriptor, 0, std::move(name));
    os::FileInfo info;
    if (os::inspect(descriptor, info) != 0) {
        return refused_by_system(given.c_str(), "inspect", errno);
    }
    if (info.kind != os::FileInfo::Kind::kRegular) {
        return Status::error(Code::kIo, "%s: expected a regular file, got another kind",
                             given.c_str());
    }
    file.size_bytes_ = info.size_bytes;
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
    if (descriptor_ >= 0) os::close(descriptor_);
}

Status File::read_at(uint64_t offset_bytes, std::span<uint8_t> out) const {
    while (!out.empty()) {
        const int64_t got = os::read_at(descriptor_, out.data(), out.size(), offset_bytes);
        if (got < 0) return refused_by_system(name(), "read", errno).at_offset(offset_bytes);
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
    os::FileInfo info;
    if (os::inspect(path, info) == 0) {
        return info.kind == os::FileInfo::Kind::kDirectory ? PathKind::kDirectory
                                                           : PathKind::kOther;
    }
    const int error = errno;
    Status refused = refused_by_system(path_text(path).c_str(), "inspect", error);
    if (refused.code() == Code::kNotFound) return PathKind::kNothing;
    return refused;
}

std::string join_path(const std::string& directory, const std::string& name) {
    const bool separated =
        !directory.empty() && os::kPathSeparators.find(directory.back()) != std::string_view::npos;
    return directory + (separated ? "" : "/") + name;
}

}  // namespace mmoe
