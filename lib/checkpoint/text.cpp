// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/text.h"

#include <algorithm>

namespace mmoe {

namespace {

// The end of a text that is longer.
std::string printable_end(std::string_view name, size_t max_bytes) {
    constexpr std::string_view kCut = "...";
    const bool cut = name.size() > max_bytes;
    if (cut) {
        name.remove_prefix(name.size() - (max_bytes - kCut.size()));
        while (!name.empty() && (static_cast<unsigned char>(name.front()) & 0xC0) == 0x80) {
            name.remove_prefix(1);  // the rest of a UTF-8 character that the cut has split
        }
    }
    std::string text{cut ? kCut : std::string_view{}};
    text += name;
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    std::replace_if(text.begin(), text.end(), control, '?');
    return text;
}

}  // namespace

std::string printable(std::string_view name) {
    return printable_end(name, 80);
}

std::string path_text(std::string_view path) {
    return printable_end(path, 120);
}

std::optional<int64_t> parse_decimal(std::string_view text) noexcept {
    constexpr size_t kMaxDigits = 9;  // layer and expert numbers; cannot overflow
    if (text.empty() || text.size() > kMaxDigits) return std::nullopt;
    if (text.size() > 1 && text.front() == '0') return std::nullopt;
    int64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + (c - '0');
    }
    return value;
}

}  // namespace mmoe
