// SPDX-License-Identifier: Apache-2.0
// Log lines go to the context's sink and nowhere else.
#pragma once

#include <cstdint>

namespace mmoe {

enum class LogLevel : int32_t { kOff = 0, kWarning = 1, kInfo = 2, kDebug = 3 };

class Log {
  public:
    using Sink = void (*)(void* user, int32_t level, const char* line);

    Log() noexcept = default;
    Log(Sink sink, void* user, LogLevel level) noexcept : sink_(sink), user_(user), level_(level) {}

    [[nodiscard]] bool wants(LogLevel level) const noexcept {
        return sink_ != nullptr && level != LogLevel::kOff && level <= level_;
    }
    [[gnu::format(printf, 3, 4)]] void line(LogLevel level, const char* format, ...) const noexcept;

  private:
    Sink sink_ = nullptr;
    void* user_ = nullptr;
    LogLevel level_ = LogLevel::kOff;
};

}  // namespace mmoe
