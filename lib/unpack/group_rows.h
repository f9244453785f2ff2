// SPDX-License-Identifier: Apache-2.0
// Inside of room unpack: scales and zero points of the formats that store one row a group
// (GPTQ, AWQ): [G, N] becomes rows of outputs.
#pragma once

#include <cstdint>

#include "unpack/fields.h"
#include "unpack/reader.h"
#include "unpack/scales.h"
#include "unpack/zero_points.h"

namespace mmoe {

inline void read_group_scales(const ReaderShape& shape, const TensorView& scale, int64_t first_row,
                              int64_t rows, float* scales) {
    with_scales(scale, [&](auto load) {
        for (int64_t group = 0; group < shape.groups; ++group) {
            const int64_t first = group * shape.outputs + first_row;
            for (int64_t row = 0; row < rows; ++row) {
                scales[row * shape.groups + group] = load(first + row);
            }
        }
    });
}

// `field_of(column, bits)` names the field of a word that holds a column, counted inside the
// word.
template <class FieldOf>
void read_group_zero_points(const ReaderShape& shape, const uint32_t* stored, int64_t first_row,
                            int64_t rows, const FieldOf& field_of, uint8_t* zero_points) {
    const int fields = shape.fields_per_word();
    for (int64_t group = 0; group < shape.groups; ++group) {
        const uint32_t* words = stored + group * (shape.outputs / fields);
        for (int64_t row = 0; row < rows; ++row) {
            const int64_t output = first_row + row;
            const uint32_t word =
                true_zero_points(words[output / fields], shape.zero_point_form, shape.bits);
            const int index = field_of(static_cast<int>(output % fields), shape.bits);
            zero_points[row * shape.groups + group] =
                static_cast<uint8_t>(field(word, index, shape.bits));
        }
    }
}

}  // namespace mmoe
