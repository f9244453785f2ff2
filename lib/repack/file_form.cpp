// SPDX-License-Identifier: Apache-2.0
#include "repack/file_form.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <vector>

#include "base/checked.h"
#include "unpack/fields.h"
#include "unpack/scale_memory.h"
#include "unpack/transpose.h"
#include "unpack/zero_points.h"

namespace mmoe {

namespace {

// [rows, words_per_row] with every column where the file has it.
std::vector<uint32_t> file_columns(const Canonical& strip) {
    const int64_t fields = 32 / strip.bits;
    std::vector<uint32_t> codes(static_cast<size_t>(strip.rows * strip.words_per_row()));
    for (int64_t row = 0; row < strip.rows; ++row) {
        uint32_t* words = codes.data() + row * strip.words_per_row();
        for (int64_t k = 0; k < strip.columns; ++k) {
            const int64_t column = strip.order[static_cast<size_t>(k)];
            words[column / fields] |= strip.code(row, k) << (column % fields * strip.bits);
        }
    }
    return codes;
}

// Word j of input k holds outputs p * j to p * j + p - 1.
void write_awq_codes(const FileShape& shape, const Canonical& strip, int64_t first_row,
                     uint32_t* weight) {
    const int64_t fields = 32 / strip.bits;
    const int64_t file_columns = shape.outputs / fields;
    for (int64_t row = 0; row < strip.rows; row += fields) {
        uint32_t* column = weight + (first_row + row) / fields;
        for (int64_t k = 0; k < strip.columns; ++k) {
            uint32_t word = 0;
            for (int n = 0; n < fields; ++n) {
                word |= strip.code(row + n, k) << (strip.bits * awq_field(n, strip.bits));
            }
            column[k * file_columns] = word;
        }
    }
}

// The word of zero points of outputs [row, row + 32 / bits) of a strip, little end first in the
// order that `field_of` names; outputs past the strip count as 0.
template <class FieldOf>
uint32_t zero_point_word(const Canonical& strip, int64_t row, int64_t group,
                         const FieldOf& field_of) {
    const int64_t fields = 32 / strip.bits;
    const int64_t count = std::min(fields, strip.rows - row);
    uint32_t word = 0;
    for (int n = 0; n < count; ++n) {
        word |= strip.zero_point(row + n, group) << (strip.bits * field_of(n));
    }
    return word;
}

Status check_minus_one(const Canonical& strip, int64_t first_row) {
    for (int64_t row = 0; row < strip.rows; ++row) {
        for (int64_t group = 0; group < strip.groups(); ++group) {
            if (strip.zero_point(row, group) != 0) continue;
            return Status::error(Code::kBadData,
                                 "zero point of output %" PRId64 ", group %" PRId64
                                 ": expected 1 or more where one is subtracted field by field, "
                                 "got 0",
                                 first_row + row, group);
        }
    }
    return {};
}

void write_signed_zero_points(const Canonical& strip, int64_t first_row, int8_t* zero_point) {
    const auto middle = static_cast<int>(middle_code(strip.bits));
    int8_t* to = zero_point + first_row * strip.groups();
    for (int64_t row = 0; row < strip.rows; ++row) {
        for (int64_t group = 0; group < strip.groups(); ++group) {
            *to++ = static_cast<int8_t>(static_cast<int>(strip.zero_point(row, group)) - middle);
        }
    }
}

}  // namespace

void write_codes(const FileShape& shape, const Canonical& strip, int64_t first_row,
                 uint32_t* weight) {
    const int64_t words = strip.words_per_row();
    Canonical plain = strip;
    std::vector<uint32_t> moved;
    if (!strip.order.empty()) {
        moved = file_columns(strip);
        plain.codes = moved;
    }
    switch (shape.config.format) {
        case Format::kGptq:
            transpose_words(plain.codes.data(), words, strip.rows, words, weight + first_row,
                            shape.outputs);
            break;
        case Format::kAwq:
            write_awq_codes(shape, plain, first_row, weight);
            break;
        default:  // compressed-tensors
            std::memcpy(weight + first_row * words, plain.codes.data(), plain.codes.size_bytes());
    }
}

void write_scales(const FileShape& shape, const Canonical& strip, int64_t first_row,
                  uint8_t* scale) {
    const bool by_row = shape.config.format == Format::kCompressedTensors;
    for (int64_t row = 0; row < strip.rows; ++row) {
        const int64_t output = first_row + row;
        for (int64_t group = 0; group < strip.groups(); ++group) {
            const int64_t index =
                by_row ? output * strip.groups() + group : group * shape.outputs + output;
            store_scale(strip.scale_type, scale, index, strip.scale(row, group));
        }
    }
}

Status write_zero_points(const FileShape& shape, const Canonical& strip, int64_t first_row,
                         void* zero_point) {
    const QuantConfig& config = shape.config;
    if (config.zero_point_form == ZeroPointForm::kInt8) {
        write_signed_zero_points(strip, first_row, static_cast<int8_t*>(zero_point));
        return {};
    }
    if (config.zero_point_form == ZeroPointForm::kMinusOne) TRY(check_minus_one(strip, first_row));
    auto* words = static_cast<uint32_t*>(zero_point);
    const int bits = config.bits;
    const int64_t fields = 32 / bits;
    const bool awq = config.format == Format::kAwq;
    const bool by_group = config.format != Format::kCompressedTensors;
    for (int64_t row = 0; row < strip.rows; row += fields) {
        const int64_t column = (first_row + row) / fields;
        for (int64_t group = 0; group < strip.groups(); ++group) {
            const uint32_t word = zero_point_word(
                strip, row, group, [&](int n) { return awq ? awq_field(n, bits) : n; });
            const int64_t index = by_group ? group * (shape.outputs / fields) + column
                                           : column * strip.groups() + group;
            words[index] = stored_zero_points(word, config.zero_point_form, bits);
        }
    }
    return {};
}

}  // namespace mmoe
