// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <cstdarg>
#include <cstdio>

namespace mmoe {

void Log::line(LogLevel level, const char* format, ...) const noexcept {
    if (!wants(level)) return;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    if (std::vsnprintf(text, sizeof text, format, arguments) < 0) text[0] = '\0';
    va_end(arguments);
    sink_(user_, static_cast<int32_t>(level), text);
}

}  // namespace mmoe
