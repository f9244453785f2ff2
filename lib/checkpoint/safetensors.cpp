// SPDX-License-Identifier: Apache-2.0
// In this order: length, JSON events into entries, one entry's size against its range, then all
// ranges against each other and the end of the file.
#include "checkpoint/safetensors.h"

#include <algorithm>
#include <string>

#include "base/checked.h"
#include "checkpoint/json.h"
#include "checkpoint/text.h"

namespace mmoe {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr int kBitsPerByte = 8;
constexpr std::string_view kMetadata = "__metadata__";

constexpr JsonLimits kHeaderLimits = {
    .max_depth = 4,  // header, tensor, shape; one to spare for metadata
    // An entry has at most 13 values: itself, its type, two arrays, 8 dimensions, 2 offsets.
    .max_values = 16 * kMaxTensorsPerFile,
    .max_key_bytes = kMaxTensorNameBytes,
};

struct FileType {
    std::string_view name;
    int bits;
    DType dtype;
};

// Every type that safetensors 0.6 defines.
constexpr FileType kFileTypes[] = {
    {"F32", 32, DType::kF32},      {"F16", 16, DType::kF16},      {"BF16", 16, DType::kBf16},
    {"I32", 32, DType::kI32},      {"I64", 64, DType::kI64},      {"U8", 8, DType::kU8},
    {"I8", 8, DType::kI8},         {"F64", 64, DType::kF64},      {"I16", 16, DType::kI16},
    {"BOOL", 8, DType::kOther},    {"U16", 16, DType::kOther},    {"U32", 32, DType::kOther},
    {"U64", 64, DType::kOther},    {"C64", 64, DType::kOther},    {"F8_E5M2", 8, DType::kOther},
    {"F8_E4M3", 8, DType::kOther}, {"F8_E8M0", 8, DType::kOther}, {"F6_E2M3", 6, DType::kOther},
    {"F6_E3M2", 6, DType::kOther}, {"F4", 4, DType::kOther},
};

const FileType* find_type(std::string_view name) noexcept {
    const auto* found = std::find_if(std::begin(kFileTypes), std::end(kFileTypes),
                                     [&](const FileType& type) { return type.name == name; });
    return found == std::end(kFileTypes) ? nullptr : found;
}

// Collects the entries of a header. `file_offset` of an entry counts from the start of the data
// until the header's length has been added.
class HeaderSink final : public JsonSink {
  public:
    HeaderSink(uint32_t file_index, uint64_t max_tensors) noexcept
        : file_index_(file_index), max_tensors_(max_tensors) {}

    Status on(const JsonEvent& event) override {
        if (event.depth == 0) return {};  // '{' has been checked, and its end follows from it
        if (event.depth == 1 && event.kind == JsonEvent::Kind::kKey) return begin_tensor(event);
        if (in_metadata_) return on_metadata(event);
        if (event.depth == 1) return on_tensor(event);
        if (event.depth == 2) return on_field(event);
        return on_element(event);
    }

    [[nodiscard]] std::vector<TensorEntry>& entries() noexcept { return entries_; }

  private:
    enum class Field { kNone, kDtype, kShape, kOffsets };

    Status begin_tensor(const JsonEvent& event) {
        in_metadata_ = event.text == kMetadata;
        if (in_metadata_) return {};
        if (event.text.empty() || event.text.find('\0') != std::string_view::npos) {
            return Status::error(Code::kBadData,
                                 "tensor name: expected text, got an empty name or a NUL");
        }
        if (entries_.size() == max_tensors_) {
            return Status::error(Code::kLimit, "expected at most %llu tensors, got more",
                                 static_cast<unsigned long long>(max_tensors_));
        }
        entries_.emplace_back();
        entries_.back().name = event.text;
        entries_.back().file_index = file_index_;
        type_ = nullptr;
        has_shape_ = false;
        offset_count_ = 0;
        return {};
    }

    Status on_metadata(const JsonEvent& event) {
        if (event.depth > 1 || event.kind == JsonEvent::Kind::kBeginObject) return {};
        if (event.kind == JsonEvent::Kind::kEndObject) return {};
        return Status::error(Code::kBadData, "__metadata__: expected an object, got %s",
                             kind_text(event.kind));
    }

    Status on_tensor(const JsonEvent& event) {
        if (event.kind == JsonEvent::Kind::kBeginObject) return {};
        if (event.kind == JsonEvent::Kind::kEndObject) return end_tensor();
        return bad_kind("expected an object with dtype, shape and data_offsets", event);
    }

    Status on_field(const JsonEvent& event) {
        using Kind = JsonEvent::Kind;
        if (event.kind == Kind::kKey) return begin_field(event.text);
        if (field_ == Field::kDtype && event.kind == Kind::kString) {
            type_ = find_type(event.text);
            if (type_ != nullptr) return {};
            return bad(("dtype: expected one that safetensors defines, got \"" +
                        printable(event.text) + "\"")
                           .c_str());
        }
        if (field_ == Field::kDtype) return bad_kind("dtype: expected a string", event);
        if (event.kind == Kind::kBeginArray || event.kind == Kind::kEndArray) return {};
        return bad_kind(field_ == Field::kShape ? "shape: expected a list of numbers"
                                                : "data_offsets: expected a list of two numbers",
                        event);
    }

    Status begin_field(std::string_view name) {
        if (name == "dtype") {
            field_ = Field::kDtype;
        } else if (name == "shape") {
            field_ = Field::kShape;
            has_shape_ = true;
        } else if (name == "data_offsets") {
            field_ = Field::kOffsets;
        } else {
            return bad(("expected dtype, shape and data_offsets, got \"" + printable(name) + "\"")
                           .c_str());
        }
        return {};
    }

    Status on_element(const JsonEvent& event) {
        if (event.kind != JsonEvent::Kind::kUnsigned) {
            const bool other_number =
                event.kind == JsonEvent::Kind::kNegative || event.kind == JsonEvent::Kind::kFloat;
            return bad((std::string(field_ == Field::kShape ? "shape" : "data_offsets") +
                        ": expected whole numbers from 0, got " +
                        (other_number ? "another number" : kind_text(event.kind)))
                           .c_str());
        }
        return field_ == Field::kShape ? add_dimension(event.natural) : add_offset(event.natural);
    }

    Status add_dimension(uint64_t size) {
        TensorEntry& entry = entries_.back();
        if (entry.rank == kMaxFileRank)
            return too_much("shape: expected at most 8 dimensions, got more");
        if (size > static_cast<uint64_t>(INT64_MAX)) {
            return bad(
                ("shape: expected dimensions below 2^63, got " + std::to_string(size)).c_str());
        }
        entry.shape[entry.rank++] = static_cast<int64_t>(size);
        return {};
    }

    Status add_offset(uint64_t offset) {
        if (offset_count_ == 2) return bad("data_offsets: expected two numbers, got more");
        offsets_[offset_count_++] = offset;
        return {};
    }

    // Bits are counted, for some types are smaller than a byte.
    Status end_tensor() {
        TensorEntry& entry = entries_.back();
        if (type_ == nullptr) return bad("dtype: expected a string, got none");
        if (!has_shape_) return bad("shape: expected a list of numbers, got none");
        if (offset_count_ != 2) {
            return bad(("data_offsets: expected two numbers, got " + std::to_string(offset_count_))
                           .c_str());
        }
        if (offsets_[0] > offsets_[1]) {
            return bad(("data_offsets: expected begin before end, got " +
                        std::to_string(offsets_[0]) + " and " + std::to_string(offsets_[1]))
                           .c_str());
        }
        std::optional<uint64_t> bits = static_cast<uint64_t>(type_->bits);
        for (int axis = 0; axis < entry.rank && bits; ++axis) {
            bits = checked_mul(*bits, static_cast<uint64_t>(entry.shape[axis]));
        }
        const std::string shape = shape_text(entry.shape, entry.rank);
        if (!bits) return bad(("shape: expected fewer than 2^64 bits, got " + shape).c_str());
        if (*bits % kBitsPerByte != 0)
            return bad(("shape: expected whole bytes, got " + shape).c_str());
        if (*bits / kBitsPerByte != offsets_[1] - offsets_[0]) {
            return Status::error(Code::kBadData,
                                 "%s: expected %llu bytes for %s %s, got data_offsets [%llu, %llu]",
                                 printable(entry.name).c_str(),
                                 static_cast<unsigned long long>(*bits / kBitsPerByte),
                                 std::string(type_->name).c_str(), shape.c_str(),
                                 static_cast<unsigned long long>(offsets_[0]),
                                 static_cast<unsigned long long>(offsets_[1]));
        }
        entry.dtype = type_->dtype;
        entry.file_offset = offsets_[0];
        entry.byte_count = offsets_[1] - offsets_[0];
        return {};
    }

    Status bad_kind(const char* expected, const JsonEvent& event) const {
        return bad((std::string(expected) + ", got " + kind_text(event.kind)).c_str());
    }
    Status bad(const char* sentence) const { return refuse(Code::kBadData, sentence); }
    Status too_much(const char* sentence) const { return refuse(Code::kLimit, sentence); }
    Status refuse(Code code, const char* sentence) const {
        return Status::error(code, "%s: %s", printable(entries_.back().name).c_str(), sentence);
    }

    std::vector<TensorEntry> entries_;
    uint32_t file_index_;
    uint64_t max_tensors_;
    bool in_metadata_ = false;
    // Of the tensor that is being read:
    Field field_ = Field::kNone;
    const FileType* type_ = nullptr;
    bool has_shape_ = false;
    int offset_count_ = 0;
    uint64_t offsets_[2] = {};
};

// No holes, no overlap, ending exactly where the file ends.
Status check_ranges(std::vector<TensorEntry>& entries, uint64_t data_bytes) {
    std::sort(entries.begin(), entries.end(), [](const TensorEntry& a, const TensorEntry& b) {
        return a.file_offset != b.file_offset ? a.file_offset < b.file_offset
                                              : a.byte_count < b.byte_count;
    });
    uint64_t end = 0;
    for (const TensorEntry& entry : entries) {
        if (entry.file_offset != end) {
            return Status::error(Code::kBadData, "%s: expected data at %llu, got %llu (%s)",
                                 printable(entry.name).c_str(),
                                 static_cast<unsigned long long>(end),
                                 static_cast<unsigned long long>(entry.file_offset),
                                 entry.file_offset < end ? "two tensors overlap" : "a hole");
        }
        end = entry.file_offset + entry.byte_count;  // the second data_offset: no overflow
    }
    if (end == data_bytes) return {};
    return Status::error(end > data_bytes ? Code::kTruncated : Code::kBadData,
                         "expected %llu bytes of data, got %llu",
                         static_cast<unsigned long long>(end),
                         static_cast<unsigned long long>(data_bytes));
}

uint64_t little_endian(const uint8_t (&bytes)[kLengthBytes]) noexcept {
    uint64_t value = 0;
    for (size_t i = 0; i < kLengthBytes; ++i) value |= uint64_t{bytes[i]} << (8 * i);
    return value;
}

Result<uint64_t> read_header_length(const File& file, uint64_t max_header_bytes) {
    if (file.size_bytes() < kLengthBytes) {
        return Status::error(Code::kTruncated, "%s: expected at least 8 bytes, got %llu",
                             file.name(), static_cast<unsigned long long>(file.size_bytes()));
    }
    uint8_t bytes[kLengthBytes];
    TRY(file.read_at(0, bytes));
    const uint64_t length = little_endian(bytes);
    if (length > max_header_bytes) {
        return Status::error(Code::kLimit, "%s: header: expected at most %llu bytes, got %llu",
                             file.name(), static_cast<unsigned long long>(max_header_bytes),
                             static_cast<unsigned long long>(length))
            .at_offset(0);
    }
    if (length > file.size_bytes() - kLengthBytes) {
        return Status::error(Code::kTruncated, "%s: header: expected %llu bytes, got %llu",
                             file.name(), static_cast<unsigned long long>(length),
                             static_cast<unsigned long long>(file.size_bytes() - kLengthBytes))
            .at_offset(0);
    }
    return length;
}

}  // namespace

Result<std::vector<TensorEntry>> parse_safetensors_header(std::string_view json,
                                                          uint64_t data_bytes, uint32_t file_index,
                                                          uint64_t max_tensors) {
    if (json.empty() || json.front() != '{') {
        return Status::error(Code::kBadData, "header: expected '{' as its first byte, got %s",
                             json.empty() ? "none" : "another")
            .at_offset(kLengthBytes);
    }
    HeaderSink sink(file_index, max_tensors);
    TRY(parse_json(json, kLengthBytes, kHeaderLimits, sink));
    std::vector<TensorEntry> entries = std::move(sink.entries());
    TRY(check_ranges(entries, data_bytes));
    for (TensorEntry& entry : entries) entry.file_offset += kLengthBytes + json.size();
    std::sort(entries.begin(), entries.end(),
              [](const TensorEntry& a, const TensorEntry& b) { return a.name < b.name; });
    return entries;
}

Result<std::vector<TensorEntry>> read_safetensors_header(const File& file, uint32_t file_index,
                                                         uint64_t max_header_bytes) {
    TRY(const uint64_t length, read_header_length(file, max_header_bytes));
    std::string json(static_cast<size_t>(length), '\0');
    TRY(file.read_at(kLengthBytes, {reinterpret_cast<uint8_t*>(json.data()), json.size()}));
    const uint64_t data_bytes = file.size_bytes() - kLengthBytes - length;
    Result<std::vector<TensorEntry>> entries =
        parse_safetensors_header(json, data_bytes, file_index);
    if (entries.ok()) return entries;
    return std::move(entries.status()).within("%s", file.name());
}

}  // namespace mmoe
