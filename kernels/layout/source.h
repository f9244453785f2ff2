// SPDX-License-Identifier: Apache-2.0
// The packings of checkpoints as index maps: where the code, the scale and the zero point of output
// n and input k of one expert lie. With layout/marlin.h they are all that a repacker on the device
// knows; lib/unpack reads the same packings with vector code.
//
// N outputs, K inputs, G groups, b bits, p = 32 / b codes a word, little end first:
//   canonical   weight [N, K / p], scale [N, G], zero point [N, G] bytes: what lib/unpack makes of
//               any of them
//   compressed  weight [N, K / p], scale [N, G], zero point [N / p, G] or [N, G] signed bytes
//   GPTQ        weight [K / p, N], scale [G, N], zero point [G, N / p]
//   AWQ         weight [K, N / p], scale [G, N], zero point [G, N / p], even columns first
//   Marlin      layout/marlin.h, tiles of 16 inputs by 64 outputs
#pragma once

#include <cstdint>

#include "layout/marlin.h"

namespace mmoe::layout {

enum class SourceFormat : int32_t {
    kCanonical = 0,
    kCompressedTensors = 1,
    kGptq = 2,
    kAwq = 3,
    kMarlin = 4,
};

// How zero points are stored.
enum class SourceZeroPoint : int32_t {
    kPacked = 0,        // true values in fields of words
    kInt8 = 1,          // one signed byte each, z - 2^(bits-1)
    kMinusOne = 2,      // each field holds the zero point minus one
    kMinusOneWord = 3,  // one was subtracted from all fields of a word at once, with borrows
    kByte = 4,          // one byte each
};

// One expert's matrix as it is stored.
struct SourceShape {
    SourceFormat format = SourceFormat::kCanonical;
    SourceZeroPoint zero_point = SourceZeroPoint::kByte;
    int bits = 4;
    int64_t outputs = 0;
    int64_t inputs = 0;
    int64_t groups = 1;

    [[nodiscard]] constexpr int fields() const noexcept { return 32 / bits; }
    [[nodiscard]] constexpr int64_t row_words() const noexcept {  // canonical and compressed
        return (inputs + fields() - 1) / fields();
    }
};

// AWQ: the field of a word that holds its column-th output: 0, 2, 4, 6, 1, 3, 5, 7.
[[nodiscard]] constexpr int awq_column_field(int column, int bits) noexcept {
    return column / 2 + column % 2 * (16 / bits);
}

[[nodiscard]] constexpr MarlinPlace source_code_place(const SourceShape& shape, int64_t n,
                                                      int64_t k) noexcept {
    const int fields = shape.fields();
    switch (shape.format) {
        case SourceFormat::kGptq:
            return {k / fields * shape.outputs + n, static_cast<int>(k % fields)};
        case SourceFormat::kAwq:
            return {k * (shape.outputs / fields) + n / fields,
                    awq_column_field(static_cast<int>(n % fields), shape.bits)};
        case SourceFormat::kMarlin:
            return marlin_place(k, n, shape.outputs, shape.bits, MarlinTile::kK16N64);
        default:
            return {n * shape.row_words() + k / fields, static_cast<int>(k % fields)};
    }
}

// Where a scale lies, counted in scales.
[[nodiscard]] constexpr int64_t source_scale_place(const SourceShape& shape, int64_t n,
                                                   int64_t group) noexcept {
    switch (shape.format) {
        case SourceFormat::kGptq:
        case SourceFormat::kAwq:
            return group * shape.outputs + n;
        case SourceFormat::kMarlin:
            return group * shape.outputs +
                   marlin_scale_place(n, marlin_scale_order(shape.inputs / shape.groups,
                                                            shape.inputs, MarlinTile::kK16N64));
        default:
            return n * shape.groups + group;
    }
}

// The field of a word that holds a zero point.
[[nodiscard]] constexpr MarlinPlace source_zero_point_place(const SourceShape& shape, int64_t n,
                                                            int64_t group) noexcept {
    const int fields = shape.fields();
    const auto column = static_cast<int>(n % fields);
    switch (shape.format) {
        case SourceFormat::kGptq:
            return {group * (shape.outputs / fields) + n / fields, column};
        case SourceFormat::kAwq:
            return {group * (shape.outputs / fields) + n / fields,
                    awq_column_field(column, shape.bits)};
        case SourceFormat::kMarlin: {
            const MarlinPlace place = marlin_zero_point_place(n, shape.bits, MarlinTile::kK16N64);
            return {group * (shape.outputs / fields) + place.word, place.field};
        }
        default:
            return {n / fields * shape.groups + group, column};
    }
}

// The true zero point in a field of a stored word.
[[nodiscard]] constexpr uint32_t source_zero_point(uint32_t word, int field, int bits,
                                                   SourceZeroPoint form) noexcept {
    const uint32_t mask = (1u << bits) - 1;
    if (form == SourceZeroPoint::kMinusOneWord) word += bits == 4 ? 0x11111111u : 0x01010101u;
    const uint32_t value = word >> (bits * field);
    return (form == SourceZeroPoint::kMinusOne ? value + 1 : value) & mask;
}
static_assert(source_zero_point(0x77777777, 3, 4, SourceZeroPoint::kMinusOne) == 8);
static_assert(source_zero_point(0xEEEEEEEF, 0, 4, SourceZeroPoint::kMinusOneWord) == 0);

}  // namespace mmoe::layout
