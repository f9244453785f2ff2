// SPDX-License-Identifier: Apache-2.0
// Inside of room unpack: matrices of 4-byte elements turned over, in blocks of whole cache lines.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/four.h"

namespace mmoe {

inline constexpr int kBlock = kLineWords;  // elements a side: one cache line

// T has 4 bytes. A block in a buffer of its own. Matrices are entered and left through it because
// their rows are often a multiple of 4 KiB apart and would push each other out of the cache.
template <class T>
using Block = T[kBlock][kBlock];

// out[column][row] = block[row][column], whole or cut to `rows` by `columns`.
template <class T>
void store_transposed(const Block<T>& block, int64_t rows, int64_t columns, T* out,
                      int64_t out_stride) {
    if (rows < kBlock || columns < kBlock) {
        for (int64_t column = 0; column < columns; ++column) {
            for (int64_t row = 0; row < rows; ++row) {
                out[column * out_stride + row] = block[row][column];
            }
        }
        return;
    }
    for (int column = 0; column < kBlock; column += 4) {
        for (int row = 0; row < kBlock; row += 4) {
            Four turned[4];
            transpose_four({load_four(&block[row][column]), load_four(&block[row + 1][column]),
                            load_four(&block[row + 2][column]), load_four(&block[row + 3][column])},
                           turned);
            for (int i = 0; i < 4; ++i) {
                store_four(turned[i], out + (column + i) * out_stride + row);
            }
        }
    }
}

// out[column][row] = element of (row, column), where fill(row, column, columns, to) writes
// elements (row, column) to (row, column + columns) of the source to `to`.
template <class T, class Fill>
void transpose_from(const Fill& fill, int64_t rows, int64_t columns, T* out, int64_t out_stride) {
    for (int64_t row = 0; row < rows; row += kBlock) {
        const int64_t block_rows = std::min<int64_t>(kBlock, rows - row);
        for (int64_t column = 0; column < columns; column += kBlock) {
            const int64_t block_columns = std::min<int64_t>(kBlock, columns - column);
            Block<T> block;
            for (int64_t i = 0; i < block_rows; ++i) {
                fill(row + i, column, block_columns, block[i]);
            }
            store_transposed(block, block_rows, block_columns, out + column * out_stride + row,
                             out_stride);
        }
    }
}

// out[column][row] = source[row][column], by the processor's own instructions where it has them.
void transpose_words(const uint32_t* source, int64_t source_stride, int64_t rows, int64_t columns,
                     uint32_t* out, int64_t out_stride);

}  // namespace mmoe
