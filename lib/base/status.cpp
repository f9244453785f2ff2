// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace mmoe {
namespace {

// Removes a character that the end of the buffer has cut in two: a UTF-8 sequence is as long
// as its first byte says, and continuation bytes are 10xxxxxx.
void trim_cut_utf8(char* text) noexcept {
    const size_t length = std::strlen(text);
    size_t start = length;
    while (start > 0 && length - start < 4) {
        const auto byte = static_cast<unsigned char>(text[--start]);
        if ((byte & 0xC0) == 0x80) continue;
        const size_t wanted = byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
        if (start + wanted > length) text[start] = '\0';
        return;
    }
}

void format_into(char (&buffer)[Status::kMessageBytes], const char* format,
                 va_list arguments) noexcept {
    const int wanted = std::vsnprintf(buffer, sizeof buffer, format, arguments);
    if (wanted < 0) buffer[0] = '\0';
    if (wanted >= static_cast<int>(sizeof buffer)) trim_cut_utf8(buffer);
}

}  // namespace

Status Status::error(Code code, const char* format, ...) noexcept {
    Status status;
    status.code_ = code;
    va_list arguments;
    va_start(arguments, format);
    format_into(status.message_, format, arguments);
    va_end(arguments);
    return status;
}

Status Status::within(const char* format, ...) && noexcept {
    if (ok()) return std::move(*this);
    Status status = *this;
    va_list arguments;
    va_start(arguments, format);
    format_into(status.message_, format, arguments);
    va_end(arguments);
    const size_t used = std::strlen(status.message_);
    const int wanted =
        std::snprintf(status.message_ + used, sizeof status.message_ - used, ": %s", message_);
    if (wanted >= static_cast<int>(sizeof status.message_ - used)) trim_cut_utf8(status.message_);
    return status;
}

}  // namespace mmoe
