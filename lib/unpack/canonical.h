// SPDX-License-Identifier: Apache-2.0
// The canonical form: what "the weights" of one linear layer are, whoever wrote the file. Every
// reader ends here and every layout starts here.
//
//   W[n][k] = (code[n][k] - zero_point[n][group(k)]) * scale[n][group(k)]
//
// Codes are dense bit strings along k, little end first, one string a row: exactly what
// compressed-tensors writes, so that its files need no work. Group of k is k / group_size: a
// reader of activation order has already moved the columns together, and `order` says from
// where.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/checked.h"
#include "checkpoint/quant_config.h"
#include "cpu/launch.h"
#include "layout/number.h"

namespace mmoe {

// What a strip may be instead: GPTQ and AWQ tensors as they lie in the file, from the strip's first
// row on. Rows are a multiple of 64, words of a row of 8.
struct FileRows {
    cpu::FileCodes codes;
    const void* scales;           // [G, outputs] of the strip's scale type
    const uint32_t* zero_points;  // [G, outputs / fields_per_word]; null: none
    int64_t outputs;              // of the file
    ZeroPointForm zero_point_form;
};

// A strip of rows (outputs) of one linear layer. Views; the memory belongs to the maker.
struct Canonical {
    int64_t rows = 0;        // N of this strip
    int64_t columns = 0;     // K
    int64_t group_size = 0;  // K if there is one scale a channel; divides K
    int bits = 4;            // 4 or 8
    layout::ScaleType scale_type = layout::ScaleType::kBf16;  // of the file; values are exact in it

    std::span<const uint32_t> codes;       // [rows, words_per_row]; bits past K are 0
    std::span<const float> scales;         // [rows, groups]
    std::span<const uint8_t> zero_points;  // [rows, groups]; empty: 2^(bits-1) everywhere
    std::span<const int32_t> order;        // [K]: file column of each column; empty: the same
    // Instead of codes, scales and zero points, for callers that asked for it (unpack/unpack.h).
    std::optional<FileRows> file;

    [[nodiscard]] int64_t groups() const noexcept { return columns / group_size; }
    [[nodiscard]] int64_t words_per_row() const noexcept {
        return ceil_div(columns, int64_t{32 / bits});
    }
    [[nodiscard]] uint32_t code(int64_t row, int64_t column) const noexcept {
        const int64_t per_word = 32 / bits;
        const uint32_t word = codes[static_cast<size_t>(row * words_per_row() + column / per_word)];
        return (word >> (static_cast<int>(column % per_word) * bits)) & ((1u << bits) - 1);
    }
    [[nodiscard]] uint32_t zero_point(int64_t row, int64_t group) const noexcept {
        return zero_points.empty() ? 1u << (bits - 1)
                                   : zero_points[static_cast<size_t>(row * groups() + group)];
    }
    [[nodiscard]] float scale(int64_t row, int64_t group) const noexcept {
        return scales[static_cast<size_t>(row * groups() + group)];
    }
};

}  // namespace mmoe
