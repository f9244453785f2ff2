// SPDX-License-Identifier: Apache-2.0
#include "api/boundary.h"

namespace mmoe::api {
namespace {

static_assert(sizeof(mmoe_error) == 256);
static_assert(sizeof(mmoe_error::message) == Status::kMessageBytes);
static_assert(MMOE_ERR_INVALID_ARGUMENT == static_cast<int>(Code::kInvalidArgument));
static_assert(MMOE_ERR_NULL_POINTER == static_cast<int>(Code::kNullPointer));
static_assert(MMOE_ERR_STRUCT_SIZE == static_cast<int>(Code::kStructSize));
static_assert(MMOE_ERR_SHAPE == static_cast<int>(Code::kShape));
static_assert(MMOE_ERR_DTYPE == static_cast<int>(Code::kDtype));
static_assert(MMOE_ERR_STATE == static_cast<int>(Code::kState));
static_assert(MMOE_ERR_BUSY == static_cast<int>(Code::kBusy));
static_assert(MMOE_ERR_CANCELLED == static_cast<int>(Code::kCancelled));
static_assert(MMOE_ERR_OUT_OF_MEMORY == static_cast<int>(Code::kOutOfMemory));
static_assert(MMOE_ERR_DEVICE_MEMORY == static_cast<int>(Code::kDeviceMemory));
static_assert(MMOE_ERR_MEMORY_BUDGET == static_cast<int>(Code::kMemoryBudget));
static_assert(MMOE_ERR_IO == static_cast<int>(Code::kIo));
static_assert(MMOE_ERR_NOT_FOUND == static_cast<int>(Code::kNotFound));
static_assert(MMOE_ERR_FILE_CHANGED == static_cast<int>(Code::kFileChanged));
static_assert(MMOE_ERR_BAD_DATA == static_cast<int>(Code::kBadData));
static_assert(MMOE_ERR_TRUNCATED == static_cast<int>(Code::kTruncated));
static_assert(MMOE_ERR_MISSING_TENSOR == static_cast<int>(Code::kMissingTensor));
static_assert(MMOE_ERR_LIMIT == static_cast<int>(Code::kLimit));
static_assert(MMOE_ERR_CHECKSUM == static_cast<int>(Code::kChecksum));
static_assert(MMOE_ERR_UNSUPPORTED == static_cast<int>(Code::kUnsupported));
static_assert(MMOE_ERR_DEVICE == static_cast<int>(Code::kDevice));
static_assert(MMOE_ERR_NO_DEVICE == static_cast<int>(Code::kNoDevice));
static_assert(MMOE_ERR_DRIVER_TOO_OLD == static_cast<int>(Code::kDriverTooOld));
static_assert(MMOE_ERR_INTERNAL == static_cast<int>(Code::kInternal));

}  // namespace

void fill_error(const Status& status, mmoe_error* error) noexcept {
    if (error == nullptr) return;
    mmoe_error filled = {};
    const uint32_t size = error->struct_size;
    filled.struct_size = size;
    filled.status = static_cast<mmoe_status>(status.code());
    filled.os_errno = status.os_errno();
    filled.cuda_error = status.cuda_error();
    filled.file_offset = status.file_offset();
    std::memcpy(filled.message, status.message(), std::strlen(status.message()));
    if (size == 0 || size > kLargestStructBytes) {
        std::memcpy(error, &filled, sizeof filled);
        return;
    }
    const size_t known = std::min<size_t>(size, sizeof filled);
    std::memset(static_cast<void*>(error), 0, size);
    std::memcpy(static_cast<void*>(error), &filled, known);
    // A sentence cut by a short structure still ends.
    if (known > offsetof(mmoe_error, message)) reinterpret_cast<char*>(error)[known - 1] = '\0';
}

Status require_not_null(const void* pointer, const char* name) noexcept {
    if (pointer != nullptr) return {};
    return Status::error(Code::kNullPointer, "%s: must not be NULL", name);
}

Status check_struct_size(const char* name, uint32_t size, size_t first_size) noexcept {
    if (size >= first_size && size <= kLargestStructBytes) return {};
    return Status::error(Code::kStructSize,
                         "%s->struct_size: expected %zu to %u, got %u; set it to sizeof", name,
                         first_size, kLargestStructBytes, size);
}

Status struct_has_unknown_members(const char* name, uint32_t size, size_t known) noexcept {
    return Status::error(Code::kStructSize,
                         "%s: this library knows its first %zu of %u bytes, but later ones are "
                         "set: the header is newer than the library",
                         name, known, size);
}

size_t copy_text(const char* text, size_t length, char* out, size_t capacity_bytes) noexcept {
    if (out != nullptr && capacity_bytes != 0) {
        const size_t copied = std::min(length, capacity_bytes - 1);
        std::memcpy(out, text, copied);
        out[copied] = '\0';
    }
    return length + 1;
}

}  // namespace mmoe::api
