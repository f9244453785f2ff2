// SPDX-License-Identifier: Apache-2.0
// The only file that knows the JSON library. Its exceptions end here.
#include "checkpoint/json.h"

#include <cstddef>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/text.h"

namespace mmoe {
namespace {

// Walks over the text and tells the adapter how far the library has read.
class CountingIterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    CountingIterator(const char* position, const char** reached) noexcept
        : position_(position), reached_(reached) {}

    const char& operator*() const noexcept { return *position_; }
    CountingIterator& operator++() noexcept {
        *reached_ = ++position_;
        return *this;
    }
    bool operator==(const CountingIterator& other) const noexcept {
        return position_ == other.position_;
    }

  private:
    const char* position_;
    const char** reached_;
};

// Turns the library's callbacks into events and keeps the limits.
class Adapter {
  public:
    Adapter(std::string_view text, uint64_t file_offset, const JsonLimits& limits,
            JsonSink& sink) noexcept
        : begin_(text.data()),
          reached_(text.data()),
          file_offset_(file_offset),
          limits_(limits),
          sink_(sink) {}

    [[nodiscard]] const char** reached() noexcept { return &reached_; }
    [[nodiscard]] Status take_status() noexcept { return std::move(status_); }

    bool null() { return value({.kind = JsonEvent::Kind::kNull}); }
    bool boolean(bool boolean) {
        return value({.kind = JsonEvent::Kind::kBoolean, .boolean = boolean});
    }
    bool number_integer(int64_t integer) {
        return value({.kind = JsonEvent::Kind::kNegative, .integer = integer});
    }
    bool number_unsigned(uint64_t natural) {
        return value({.kind = JsonEvent::Kind::kUnsigned, .natural = natural});
    }
    bool number_float(double number, const std::string&) {
        return value({.kind = JsonEvent::Kind::kFloat, .number = number});
    }
    bool string(std::string& text) {
        return value({.kind = JsonEvent::Kind::kString, .text = text});
    }
    // The library wants it to exist and calls it for binary formats alone.
    bool binary(nlohmann::json::binary_t&) { return false; }  // GCOVR_EXCL_LINE
    bool start_object(size_t) { return open(JsonEvent::Kind::kBeginObject); }
    bool end_object() { return close(JsonEvent::Kind::kEndObject); }
    bool start_array(size_t) { return open(JsonEvent::Kind::kBeginArray); }
    bool end_array() { return close(JsonEvent::Kind::kEndArray); }

    bool key(std::string& text) {
        if (text.size() > limits_.max_key_bytes) {
            return fail(Status::error(Code::kLimit, "name: expected at most %llu bytes, got %zu",
                                      static_cast<unsigned long long>(limits_.max_key_bytes),
                                      text.size()));
        }
        if (!keys_.back().insert(text).second) {
            return fail(Status::error(Code::kBadData,
                                      "\"%s\": expected it once in its object, got it twice",
                                      printable(text).c_str()));
        }
        return emit({.kind = JsonEvent::Kind::kKey, .text = text});
    }

    bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) {
        reached_ = begin_ + position;
        return fail(Status::error(Code::kBadData, "expected JSON, got something else at byte %zu",
                                  position));
    }

  private:
    bool open(JsonEvent::Kind kind) {
        if (!value({.kind = kind})) return false;
        keys_.emplace_back();
        if (keys_.size() <= static_cast<size_t>(limits_.max_depth)) return true;
        return fail(Status::error(Code::kLimit, "JSON: expected at most %d levels, got more",
                                  limits_.max_depth));
    }

    bool close(JsonEvent::Kind kind) {
        keys_.pop_back();
        return emit({.kind = kind});
    }

    bool value(JsonEvent event) {
        if (++value_count_ > limits_.max_values) {
            return fail(Status::error(Code::kLimit, "JSON: expected at most %llu values, got more",
                                      static_cast<unsigned long long>(limits_.max_values)));
        }
        return emit(event);
    }

    bool emit(JsonEvent event) {
        event.depth = static_cast<int>(keys_.size());
        event.offset = offset();
        Status status = sink_.on(event);
        return status.ok() || fail(std::move(status));
    }

    bool fail(Status&& status) {
        status_ = std::move(status).at_offset(offset());
        return false;
    }

    [[nodiscard]] uint64_t offset() const noexcept {
        return file_offset_ + static_cast<uint64_t>(reached_ - begin_);
    }

    const char* begin_;
    const char* reached_;
    uint64_t file_offset_;
    const JsonLimits& limits_;
    JsonSink& sink_;
    uint64_t value_count_ = 0;
    // One for each open container; those of arrays stay empty. Ordered sets, because crafted
    // keys can make a hash table quadratic.
    std::vector<std::set<std::string>> keys_;
    Status status_;
};

}  // namespace

const char* kind_text(JsonEvent::Kind kind) noexcept {
    using Kind = JsonEvent::Kind;
    switch (kind) {
        case Kind::kBeginObject:
        case Kind::kKey:
        case Kind::kEndObject:
            return "an object";
        case Kind::kBeginArray:
        case Kind::kEndArray:
            return "a list";
        case Kind::kString:
            return "a string";
        case Kind::kUnsigned:
        case Kind::kNegative:
        case Kind::kFloat:
            return "a number";
        case Kind::kBoolean:
            return "true or false";
        case Kind::kNull:
            break;
    }
    return "null";
}

Status parse_json(std::string_view text, uint64_t file_offset, const JsonLimits& limits,
                  JsonSink& sink) {
    // The library takes a NUL for the end of the text.
    if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
        return Status::error(Code::kBadData, "expected JSON, got a NUL at byte %zu", nul)
            .at_offset(file_offset + nul);
    }
    Adapter adapter(text, file_offset, limits, sink);
    try {
        const CountingIterator first(text.data(), adapter.reached());
        const CountingIterator last(text.data() + text.size(), adapter.reached());
        if (nlohmann::json::sax_parse(first, last, &adapter)) return {};
        // GCOVR_EXCL_START: no text is known to get here.
    } catch (const nlohmann::json::exception&) {
        return Status::error(Code::kBadData, "expected JSON, got what its reader cannot take");
        // GCOVR_EXCL_STOP
    }
    return adapter.take_status();
}

}  // namespace mmoe
