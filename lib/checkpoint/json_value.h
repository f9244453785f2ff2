// SPDX-License-Identifier: Apache-2.0
// A small JSON text as a tree, for configuration files that are asked in no fixed order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace mmoe {

struct JsonMember;

struct JsonValue {
    enum class Kind { kNull, kBoolean, kInteger, kNumber, kString, kArray, kObject };

    Kind kind = Kind::kNull;
    bool boolean = false;
    int64_t integer = 0;  // kInteger: whole and within 64 bits
    double number = 0;    // kNumber: everything else, and the value of kInteger
    std::string text;
    std::vector<JsonValue> items;
    std::vector<JsonMember> members;  // in the order of the text; names are unique

    [[nodiscard]] bool is(Kind wanted) const noexcept { return kind == wanted; }
    // Null if this is no object, has no such member, or the member is JSON's null.
    [[nodiscard]] const JsonValue* find(std::string_view name) const noexcept;

    // The member `name`; absent or null is nullopt, another kind is bad data.
    [[nodiscard]] Result<std::optional<int64_t>> integer_at(std::string_view name) const;
    [[nodiscard]] Result<std::optional<bool>> boolean_at(std::string_view name) const;
    [[nodiscard]] Result<std::optional<std::string>> text_at(std::string_view name) const;
};

struct JsonMember {
    std::string name;
    JsonValue value;
};

// "name: expected a list, got a string". An absent value is null.
Status wrong_kind(std::string_view name, const char* expected, const JsonValue* got);

// Limits: 32 levels, a million values, names of 4 KiB.
Result<JsonValue> parse_json_value(std::string_view text);

}  // namespace mmoe
