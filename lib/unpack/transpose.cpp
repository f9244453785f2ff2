// SPDX-License-Identifier: Apache-2.0
#include "unpack/transpose.h"

#include "cpu/launch.h"

namespace mmoe {

namespace {

static_assert(kBlock == cpu::kTurnWordsBlock);

struct Words {
    const uint32_t* source;
    int64_t source_stride;
    uint32_t* out;
    int64_t out_stride;
};

// Rows [first_row, end_row) of columns [first_column, end_column). Lines of a column of blocks lie
// in pages of their own, where no hardware prefetcher sees them coming.
void transpose_part(const Words& words, int64_t first_row, int64_t end_row, int64_t first_column,
                    int64_t end_column) {
    const auto fill = [&](int64_t row, int64_t column, int64_t count, uint32_t* to) {
        const int64_t later = std::min(first_row + row + 2 * kBlock, end_row - 1);
        __builtin_prefetch(words.source + later * words.source_stride + first_column + column);
        copy_line(words.source + (first_row + row) * words.source_stride + first_column + column,
                  count, to);
    };
    transpose_from<uint32_t>(fill, end_row - first_row, end_column - first_column,
                             words.out + first_column * words.out_stride + first_row,
                             words.out_stride);
}

}  // namespace

void transpose_words(const uint32_t* source, int64_t source_stride, int64_t rows, int64_t columns,
                     uint32_t* out, int64_t out_stride) {
    const Words words{source, source_stride, out, out_stride};
    const cpu::Turn turn = cpu::turn_words(cpu::usable_tier());
    const int64_t whole_rows = turn == nullptr ? 0 : rows / kBlock * kBlock;
    const int64_t whole_columns = turn == nullptr ? 0 : columns / kBlock * kBlock;
    if (whole_rows != 0 && whole_columns != 0) {
        turn({source, source_stride, whole_rows, whole_columns, out, out_stride});
    }
    transpose_part(words, 0, whole_rows, whole_columns, columns);
    transpose_part(words, whole_rows, rows, 0, columns);
}

}  // namespace mmoe
