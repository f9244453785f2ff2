// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/json_value.h"

#include <algorithm>

#include "checkpoint/json.h"
#include "checkpoint/text.h"

namespace mmoe {
namespace {

constexpr JsonLimits kConfigLimits = {
    .max_depth = 32, .max_values = 1000 * 1000, .max_key_bytes = 4096};

class TreeSink final : public JsonSink {
  public:
    Status on(const JsonEvent& event) override {
        using Kind = JsonEvent::Kind;
        switch (event.kind) {
            case Kind::kKey:
                key_ = event.text;
                break;
            case Kind::kEndObject:
            case Kind::kEndArray:
                open_.pop_back();
                break;
            case Kind::kBeginObject:
                open_.push_back(add(JsonValue::Kind::kObject));
                break;
            case Kind::kBeginArray:
                open_.push_back(add(JsonValue::Kind::kArray));
                break;
            case Kind::kString:
                add(JsonValue::Kind::kString)->text = event.text;
                break;
            case Kind::kBoolean:
                add(JsonValue::Kind::kBoolean)->boolean = event.boolean;
                break;
            case Kind::kNull:
                add(JsonValue::Kind::kNull);
                break;
            case Kind::kFloat:
                add(JsonValue::Kind::kNumber)->number = event.number;
                break;
            case Kind::kNegative:
                add_integer(event.integer);
                break;
            case Kind::kUnsigned:
                add_natural(event.natural);
                break;
        }
        return {};
    }

    [[nodiscard]] JsonValue& root() noexcept { return root_; }

  private:
    // Containers that are open are the last children of one another: growing the innermost one
    // moves none of them.
    JsonValue* add(JsonValue::Kind kind) {
        JsonValue* value = &root_;
        if (!open_.empty() && open_.back()->is(JsonValue::Kind::kObject)) {
            open_.back()->members.push_back({std::move(key_), {}});
            value = &open_.back()->members.back().value;
        } else if (!open_.empty()) {
            value = &open_.back()->items.emplace_back();
        }
        value->kind = kind;
        return value;
    }

    void add_integer(int64_t integer) {
        JsonValue* value = add(JsonValue::Kind::kInteger);
        value->integer = integer;
        value->number = static_cast<double>(integer);
    }

    void add_natural(uint64_t natural) {
        if (natural <= static_cast<uint64_t>(INT64_MAX)) {
            return add_integer(static_cast<int64_t>(natural));
        }
        add(JsonValue::Kind::kNumber)->number = static_cast<double>(natural);
    }

    JsonValue root_;
    std::vector<JsonValue*> open_;
    std::string key_;
};

}  // namespace

Status wrong_kind(std::string_view name, const char* expected, const JsonValue* got) {
    constexpr const char* kKinds[] = {"null",     "true or false", "a number", "a number",
                                      "a string", "a list",        "an object"};
    const auto kind = static_cast<size_t>(got == nullptr ? JsonValue::Kind::kNull : got->kind);
    const bool fraction = got != nullptr && got->is(JsonValue::Kind::kNumber);
    return Status::error(Code::kBadData, "%s: expected %s, got %s", printable(name).c_str(),
                         expected, fraction ? "a fraction or a larger number" : kKinds[kind]);
}

const JsonValue* JsonValue::find(std::string_view name) const noexcept {
    const auto found = std::find_if(members.begin(), members.end(),
                                    [&](const JsonMember& member) { return member.name == name; });
    return found == members.end() || found->value.is(Kind::kNull) ? nullptr : &found->value;
}

Result<std::optional<int64_t>> JsonValue::integer_at(std::string_view name) const {
    const JsonValue* value = find(name);
    if (value == nullptr) return std::optional<int64_t>{};
    if (!value->is(Kind::kInteger)) return wrong_kind(name, "a whole number", value);
    return std::optional{value->integer};
}

Result<std::optional<bool>> JsonValue::boolean_at(std::string_view name) const {
    const JsonValue* value = find(name);
    if (value == nullptr) return std::optional<bool>{};
    if (!value->is(Kind::kBoolean)) return wrong_kind(name, "true or false", value);
    return std::optional{value->boolean};
}

Result<std::optional<std::string>> JsonValue::text_at(std::string_view name) const {
    const JsonValue* value = find(name);
    if (value == nullptr) return std::optional<std::string>{};
    if (!value->is(Kind::kString)) return wrong_kind(name, "a string", value);
    return std::optional{value->text};
}

Result<JsonValue> parse_json_value(std::string_view text) {
    TreeSink sink;
    TRY(parse_json(text, 0, kConfigLimits, sink));
    return std::move(sink.root());
}

}  // namespace mmoe
