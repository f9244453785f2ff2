// SPDX-License-Identifier: Apache-2.0
// JSON as a stream of events, with limits kept while reading: a hostile text can cost no more
// than its own length. Duplicate keys are refused here, for every reader.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace mmoe {

struct JsonLimits {
    int max_depth = 0;        // open objects and arrays
    uint64_t max_values = 0;  // of any kind, keys not counted
    uint64_t max_key_bytes = 0;
};

struct JsonEvent {
    enum class Kind {
        kBeginObject,
        kKey,
        kEndObject,
        kBeginArray,
        kEndArray,
        kString,
        kUnsigned,  // integer from 0 to 2^64 - 1
        kNegative,  // integer from -2^63 to -1
        kFloat,     // every other number
        kBoolean,
        kNull,
    };
    Kind kind = Kind::kNull;
    int depth = 0;               // containers around the value; a begin and its end say the same
    uint64_t offset = 0;         // in the file, just behind what the event stands for
    std::string_view text = {};  // kKey, kString; until the call returns
    uint64_t natural = 0;        // kUnsigned
    int64_t integer = 0;         // kNegative
    double number = 0;           // kFloat
    bool boolean = false;        // kBoolean
};

// What a value is, for sentences: "a list".
[[nodiscard]] const char* kind_text(JsonEvent::Kind kind) noexcept;

class JsonSink {
  public:
    virtual ~JsonSink() = default;
    // A failure ends the parse and is its result.
    virtual Status on(const JsonEvent& event) = 0;
};

// `file_offset` is where `text` begins in its file. The text holds one value and whitespace.
Status parse_json(std::string_view text, uint64_t file_offset, const JsonLimits& limits,
                  JsonSink& sink);

}  // namespace mmoe
