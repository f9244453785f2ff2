// SPDX-License-Identifier: Apache-2.0
// Names and numbers from files, made fit for a sentence: short, and without control characters
// that could forge a line in somebody's log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mmoe {

// At most 80 bytes; of a longer name the end stays, for tensor names differ there.
std::string printable(std::string_view name);

// A path as it was given; at most 120 bytes.
std::string path_text(std::string_view path);

// The whole of `text` as a decimal number without sign and leading zeros.
std::optional<int64_t> parse_decimal(std::string_view text) noexcept;

}  // namespace mmoe
