// SPDX-License-Identifier: Apache-2.0
// Descriptors are those of the C run time, which keeps errno; what it lacks (reading by position,
// replacing a name) is asked of the system, whose errors are turned into errno.
#include <fcntl.h>
#include <io.h>
#include <sys/stat.h>
#include <windows.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "base/os_file.h"

namespace mmoe::os {
namespace {

constexpr size_t kMaxMoveBytes = size_t{1} << 30;  // the system counts in 32 bits

// An empty string, which names no file, where the path is not UTF-8.
std::wstring wide(const std::string& path) {
    const int size = static_cast<int>(path.size());
    const int count =
        MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path.data(), size, nullptr, 0);
    std::wstring result(static_cast<size_t>(std::max(count, 0)), L'\0');
    MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path.data(), size, result.data(), count);
    return result;
}

int failed() noexcept {
    switch (GetLastError()) {
        case ERROR_FILE_NOT_FOUND:
        case ERROR_PATH_NOT_FOUND:
        case ERROR_INVALID_NAME:
            errno = ENOENT;
            break;
        case ERROR_ACCESS_DENIED:
        case ERROR_SHARING_VIOLATION:
            errno = EACCES;
            break;
        case ERROR_DISK_FULL:
            errno = ENOSPC;
            break;
        default:
            errno = EIO;
            break;
    }
    return -1;
}

}  // namespace

int open_for_reading(const std::string& path) {
    return _wopen(wide(path).c_str(), _O_RDONLY | _O_BINARY | _O_NOINHERIT);
}

int create_new(const std::string& path) {
    return _wopen(wide(path).c_str(), _O_WRONLY | _O_CREAT | _O_EXCL | _O_BINARY | _O_NOINHERIT,
                  _S_IREAD | _S_IWRITE);
}

void close(int descriptor) noexcept {
    _close(descriptor);
}

int inspect(int descriptor, FileInfo& info) noexcept {
    struct _stat64 status = {};
    if (_fstat64(descriptor, &status) != 0) return -1;
    const bool regular = (status.st_mode & _S_IFMT) == _S_IFREG;
    info = {regular ? FileInfo::Kind::kRegular : FileInfo::Kind::kOther,
            regular ? static_cast<uint64_t>(status.st_size) : 0};
    return 0;
}

int inspect(const std::string& path, FileInfo& info) {
    const DWORD attributes = GetFileAttributesW(wide(path).c_str());
    if (attributes == INVALID_FILE_ATTRIBUTES) return failed();
    const bool is_directory = (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
    info = {is_directory ? FileInfo::Kind::kDirectory : FileInfo::Kind::kOther, 0};
    return 0;
}

int64_t read_at(int descriptor, void* data, size_t size_bytes, uint64_t offset_bytes) noexcept {
    OVERLAPPED position = {};
    position.Offset = static_cast<DWORD>(offset_bytes);
    position.OffsetHigh = static_cast<DWORD>(offset_bytes >> 32);
    DWORD got = 0;
    if (!ReadFile(reinterpret_cast<HANDLE>(_get_osfhandle(descriptor)), data,
                  static_cast<DWORD>(std::min(size_bytes, kMaxMoveBytes)), &got, &position)) {
        return GetLastError() == ERROR_HANDLE_EOF ? 0 : failed();
    }
    return got;
}

int64_t write(int descriptor, const void* data, size_t size_bytes) noexcept {
    return _write(descriptor, data, static_cast<unsigned>(std::min(size_bytes, kMaxMoveBytes)));
}

int flush(int descriptor) noexcept {
    return _commit(descriptor);
}

int replace(const std::string& from, const std::string& to) {
    const DWORD how = MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH;
    return MoveFileExW(wide(from).c_str(), wide(to).c_str(), how) ? 0 : failed();
}

void remove(const std::string& path) noexcept {
    try {
        (void)_wunlink(wide(path).c_str());
    } catch (const std::bad_alloc&) {
        // The file stays; its name ends in ".tmp".
    }
}

void flush_directory(const std::string&) noexcept {
    // MOVEFILE_WRITE_THROUGH has done it.
}

uint32_t process_id() noexcept {
    return GetCurrentProcessId();
}

}  // namespace mmoe::os
