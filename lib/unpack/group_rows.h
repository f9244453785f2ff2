// SPDX-License-Identifier: Apache-2.0
// Inside of room unpack: scales and zero points of the formats that store one row a group
// (GPTQ, AWQ): [G, N] becomes rows of outputs.
#pragma once

#include <algorithm>
#include <cstdint>

#include "unpack/fields.h"
#include "unpack/reader.h"
#include "unpack/scales.h"
#include "unpack/transpose.h"
#include "unpack/zero_points.h"

namespace mmoe {

inline void read_group_scales(const ReaderShape& shape, const TensorView& scale, int64_t first_row,
                              int64_t rows, float* scales) {
    with_scales(scale, [&](auto load) {
        const auto fill = [&](int64_t group, int64_t row, int64_t count, float* to) {
            const int64_t first = group * shape.outputs + first_row + row;
            for (int64_t i = 0; i < count; ++i) to[i] = load(first + i);
        };
        transpose_from<float>(fill, shape.groups, rows, scales, shape.groups);
    });
}

// What packers need to read such a file themselves, from output `first_row` on: its codes stand
// `code_words` behind `codes`.
inline FileRows file_rows_of(const ReaderShape& shape, cpu::FileCodes codes, int64_t code_words,
                             const TensorView& scale, const uint32_t* zero_points,
                             int64_t first_row) {
    FileRows file = {codes, nullptr, nullptr, shape.outputs, shape.zero_point_form};
    if (codes.words != nullptr) file.codes.words += code_words;
    if (!scale.absent()) {
        file.scales = static_cast<const uint8_t*>(scale.data) +
                      first_row * static_cast<int64_t>(dtype_bytes(scale.dtype));
    }
    if (shape.asymmetric && zero_points != nullptr) {
        file.zero_points = zero_points + first_row / shape.fields_per_word();
    }
    return file;
}

// Zero points of the outputs of one word, for at most kBlock groups: row i of `out` is column i of
// the word, `words` are kBlock of them, one a group.
template <class FieldOf>
void spread_zero_points(const uint32_t (&words)[kBlock], int bits, const FieldOf& field_of,
                        uint8_t (&out)[8][kBlock]) {
    for (int column = 0; column < 32 / bits; ++column) {
        const int index = field_of(column, bits);
        for (int i = 0; i < kBlock; ++i) {
            out[column][i] = static_cast<uint8_t>(field(words[i], index, bits));
        }
    }
}

// `stored`: [G, N / fields_per_word] words. `field_of(column, bits)` names the field of a word
// that holds a column, counted inside the word.
template <class FieldOf>
void read_group_zero_points(const ReaderShape& shape, const uint32_t* stored, int64_t first_row,
                            int64_t rows, const FieldOf& field_of, uint8_t* zero_points) {
    const int64_t fields = shape.fields_per_word();
    const int64_t words_per_group = shape.outputs / fields;
    const int64_t end_row = first_row + rows;
    for (int64_t column = first_row / fields; column < ceil_div(end_row, fields); ++column) {
        const int64_t begin = std::max(first_row, column * fields);
        const int64_t end = std::min(end_row, (column + 1) * fields);
        for (int64_t group = 0; group < shape.groups; group += kBlock) {
            const int64_t groups = std::min<int64_t>(kBlock, shape.groups - group);
            uint32_t words[kBlock] = {};
            for (int64_t i = 0; i < groups; ++i) {
                words[i] = true_zero_points(stored[(group + i) * words_per_group + column],
                                            shape.zero_point_form, shape.bits);
            }
            uint8_t block[8][kBlock];
            spread_zero_points(words, shape.bits, field_of, block);
            for (int64_t row = begin; row < end; ++row) {
                std::copy_n(block[row - column * fields], groups,
                            zero_points + (row - first_row) * shape.groups + group);
            }
        }
    }
}

}  // namespace mmoe
