// SPDX-License-Identifier: Apache-2.0
// What the loaded library is, and what its numbers mean.
#include <string>

#include "api/boundary.h"
#include "cpu/launch.h"

#define MMOE_TEXT_(x) #x
#define MMOE_TEXT(x)  MMOE_TEXT_(x)

using mmoe::api::copy_text;

uint32_t mmoe_version(void) {
    return MMOE_VERSION_MAJOR << 16 | MMOE_VERSION_MINOR << 8 | MMOE_VERSION_PATCH;
}

const char* mmoe_version_string(void) {
    return MMOE_TEXT(MMOE_VERSION_MAJOR) "." MMOE_TEXT(MMOE_VERSION_MINOR) "." MMOE_TEXT(
        MMOE_VERSION_PATCH);
}

size_t mmoe_build_describe(char* text, size_t capacity_bytes) {
    // Out of memory leaves the caller with an empty text, not with an exception.
    try {
        std::string lines = std::string("marlin-moe ") + mmoe_version_string() + "\n";
#if defined(__clang__)
        lines += "compiler: clang " __clang_version__ "\n";
#else
        lines += "compiler: gcc " __VERSION__ "\n";
#endif
        lines += "cuda: " MMOE_BUILD_CUDA "\n";
        lines += "cpu rows:";
        for (const mmoe::cpu::Row& row : mmoe::cpu::rows()) lines += std::string(" ") + row.name;
        lines += "\n";
        return copy_text(lines.data(), lines.size(), text, capacity_bytes);
    } catch (...) {
        return copy_text("", 0, text, capacity_bytes);
    }
}

const char* mmoe_status_name(mmoe_status status) {
    switch (status) {
#define MMOE_CASE(name) \
    case name:          \
        return #name;
        MMOE_CASE(MMOE_OK)
        MMOE_CASE(MMOE_ERR_INVALID_ARGUMENT)
        MMOE_CASE(MMOE_ERR_NULL_POINTER)
        MMOE_CASE(MMOE_ERR_STRUCT_SIZE)
        MMOE_CASE(MMOE_ERR_SHAPE)
        MMOE_CASE(MMOE_ERR_DTYPE)
        MMOE_CASE(MMOE_ERR_STATE)
        MMOE_CASE(MMOE_ERR_BUSY)
        MMOE_CASE(MMOE_ERR_CANCELLED)
        MMOE_CASE(MMOE_ERR_OUT_OF_MEMORY)
        MMOE_CASE(MMOE_ERR_DEVICE_MEMORY)
        MMOE_CASE(MMOE_ERR_MEMORY_BUDGET)
        MMOE_CASE(MMOE_ERR_IO)
        MMOE_CASE(MMOE_ERR_NOT_FOUND)
        MMOE_CASE(MMOE_ERR_FILE_CHANGED)
        MMOE_CASE(MMOE_ERR_BAD_DATA)
        MMOE_CASE(MMOE_ERR_TRUNCATED)
        MMOE_CASE(MMOE_ERR_MISSING_TENSOR)
        MMOE_CASE(MMOE_ERR_LIMIT)
        MMOE_CASE(MMOE_ERR_CHECKSUM)
        MMOE_CASE(MMOE_ERR_UNSUPPORTED)
        MMOE_CASE(MMOE_ERR_DEVICE)
        MMOE_CASE(MMOE_ERR_NO_DEVICE)
        MMOE_CASE(MMOE_ERR_DRIVER_TOO_OLD)
        MMOE_CASE(MMOE_ERR_INTERNAL)
#undef MMOE_CASE
        default:
            return "MMOE_ERR_UNKNOWN";
    }
}
