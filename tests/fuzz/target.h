// SPDX-License-Identifier: Apache-2.0
// What every fuzz target shares. A target takes any bytes and traps when a promise is broken;
// sanitizers watch the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/status.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace mmoe::fuzz {

inline std::string_view as_text(const uint8_t* data, size_t size) noexcept {
    return {reinterpret_cast<const char*>(data), size};
}

inline void require(bool promise) noexcept {
    if (!promise) __builtin_trap();
}

// A failure has a code of its own and a sentence that ends inside its buffer.
inline void require_sentence(const Status& status) noexcept {
    require(!status.ok());
    const size_t length = ::strnlen(status.message(), Status::kMessageBytes);
    require(length > 0 && length < Status::kMessageBytes);
    require(status.code() != Code::kInternal);
}

}  // namespace mmoe::fuzz
