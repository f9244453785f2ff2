// SPDX-License-Identifier: Apache-2.0
// AWQ, "gemm" version. A word of the file holds p = 32 / bits neighbouring outputs of one input,
// even ones first; a canonical word holds p inputs of one output. p words of the file and p
// canonical words are therefore a square of p x p fields and its transpose.
//
// Work goes by tiles of one cache line of file words by one cache line of canonical words:
// squares are turned four at a time, in registers, then words of one output are brought together.
#include <algorithm>

#include "cpu/launch.h"
#include "unpack/group_rows.h"
#include "unpack/reader.h"
#include "unpack/transpose.h"

namespace mmoe {

namespace {

// Four squares side by side: lane i of word r is row r of square i.
template <int bits>
using Squares = Four[32 / bits];

// One step of a transpose: in words a and b, the upper `span` fields of every 2 * span fields of
// a change places with the lower ones of b.
template <int bits, int span>
void exchange(Four* a, Four* b) {
    constexpr int kShift = span * bits;
    constexpr uint32_t kLower = kShift == 16 ? 0x0000FFFF : kShift == 8 ? 0x00FF00FF : 0x0F0F0F0F;
    const Four change = ((*a >> kShift) ^ *b) & kLower;
    *b ^= change;
    *a ^= change << kShift;
}

template <int bits, int span = 16 / bits>
void transpose_squares(Squares<bits>& words) {
    for (int row = 0; row < 32 / bits; ++row) {
        if ((row & span) == 0) exchange<bits, span>(&words[row], &words[row + span]);
    }
    if constexpr (span > 1) transpose_squares<bits, span / 2>(words);
}

template <int bits>
struct Tile {
    static constexpr int kFields = 32 / bits;
    uint32_t file[kBlock * kFields][kBlock];  // [input, file column]
    uint32_t rows[kBlock * kFields][kBlock];  // [output, canonical word]
};

// Canonical words [word, word + 4) of the outputs of file columns [column, column + 4).
template <int bits>
void turn_squares(int word, int column, Tile<bits>& tile) {
    constexpr int kFields = 32 / bits;
    Squares<bits> squares[4];
    for (int i = 0; i < 4; ++i) {
        for (int k = 0; k < kFields; ++k) {
            squares[i][k] = load_four(&tile.file[(word + i) * kFields + k][column]);
        }
        transpose_squares<bits>(squares[i]);
    }
    for (int n = 0; n < kFields; ++n) {
        const int index = awq_field(n, bits);
        Four rows[4];
        transpose_four({squares[0][index], squares[1][index], squares[2][index], squares[3][index]},
                       rows);
        for (int i = 0; i < 4; ++i) {
            store_four(rows[i], &tile.rows[(column + i) * kFields + n][word]);
        }
    }
}

constexpr bool kernels_agree_on_columns() {
    for (int field = 0; field < 8; ++field) {
        if (awq_field(cpu::kAwqColumn[field], 4) != field) return false;
    }
    return true;
}
static_assert(kernels_agree_on_columns());

class AwqReader final : public Reader {
  public:
    AwqReader(const ReaderShape& shape, const ProjectionTensors& tensors)
        : shape_(shape),
          file_columns_(shape.outputs / shape.fields_per_word()),
          weight_(static_cast<const uint32_t*>(tensors.weight.data)),
          scale_(tensors.scale),
          zero_point_(static_cast<const uint32_t*>(tensors.zero_point.data)) {}

    [[nodiscard]] std::optional<FileRows> file_rows(int64_t first_row) const noexcept override {
        if (shape_.bits != 4) return std::nullopt;
        return file_rows_of(shape_, {cpu::CodeOrder::kAwq, weight_, file_columns_}, first_row / 8,
                            scale_, zero_point_, first_row);
    }

    void read_codes(int64_t first_row, int64_t rows, uint32_t* codes) const override {
        if (shape_.bits == 8) return read_codes_of<8>(first_row, rows, 0, codes);
        const Whole whole = read_whole_blocks(first_row, rows, codes);
        const int64_t words = shape_.words_per_row();
        if (whole.words < words) read_codes_of<4>(first_row, whole.rows, whole.words, codes);
        read_codes_of<4>(first_row + whole.rows, rows - whole.rows, 0, codes + whole.rows * words);
    }

    void read_scales(int64_t first_row, int64_t rows, float* scales) const override {
        read_group_scales(shape_, scale_, first_row, rows, scales);
    }

    void read_zero_points(int64_t first_row, int64_t rows, uint8_t* zero_points) const override {
        read_group_zero_points(shape_, zero_point_, first_row, rows, awq_field, zero_points);
    }

  private:
    // Rows of a strip, and canonical words of each.
    struct Whole {
        int64_t rows;
        int64_t words;
    };

    // 4 bits: what the processor's own instructions can do at the start of a strip.
    Whole read_whole_blocks(int64_t first_row, int64_t rows, uint32_t* codes) const {
        constexpr int64_t kRows = 8 * cpu::kTurnFileWords;
        const cpu::Turn turn = cpu::turn_awq(cpu::usable_tier());
        if (turn == nullptr || first_row % 8 != 0) return {0, 0};
        const Whole whole{rows / kRows * kRows,
                          shape_.inputs / cpu::kTurnInputs * cpu::kTurnInputs / 8};
        if (whole.rows == 0 || whole.words == 0) return {0, 0};
        turn({weight_ + first_row / 8, file_columns_, whole.words * 8, whole.rows / 8, codes,
              shape_.words_per_row()});
        return whole;
    }

    // Canonical words from `first_word` on. A strip may start and end inside a word of the file;
    // tiles are whole words, rows outside the strip are not written.
    template <int bits>
    void read_codes_of(int64_t first_row, int64_t rows, int64_t first_word, uint32_t* codes) const {
        constexpr int64_t kFields = 32 / bits;
        const int64_t words = shape_.words_per_row();
        const int64_t end_column = ceil_div(first_row + rows, kFields);
        for (int64_t column = first_row / kFields; column < end_column; column += kBlock) {
            const int64_t tile_row = column * kFields;  // output of the tile's first row
            const int64_t begin = std::max(first_row, tile_row);
            const int64_t end = std::min(first_row + rows, tile_row + kBlock * kFields);
            for (int64_t word = first_word; word < words; word += kBlock) {
                Tile<bits> tile;
                fill_tile(word, column, end_column, tile);
                const int64_t copied = std::min<int64_t>(kBlock, words - word);
                for (int64_t row = begin; row < end; ++row) {
                    copy_line(tile.rows[row - tile_row], copied,
                              codes + (row - first_row) * words + word);
                }
            }
        }
    }

    // tile.rows: canonical words [word, word + kBlock) of the outputs of file columns
    // [column, column + kBlock). Inputs past the matrix count as 0, columns past `end_column`
    // come out as 0.
    template <int bits>
    void fill_tile(int64_t word, int64_t column, int64_t end_column, Tile<bits>& tile) const {
        constexpr int64_t kInputs = kBlock * Tile<bits>::kFields;
        const int64_t first_input = word * Tile<bits>::kFields;
        const int64_t inputs = std::min(kInputs, shape_.inputs - first_input);
        const int64_t columns = std::min<int64_t>(kBlock, end_column - column);
        if (inputs < kInputs || columns < kBlock) std::memset(tile.file, 0, sizeof tile.file);
        for (int64_t k = 0; k < inputs; ++k) {
            copy_line(weight_ + (first_input + k) * file_columns_ + column, columns, tile.file[k]);
        }
        for (int tile_column = 0; tile_column < columns; tile_column += 4) {
            for (int tile_word = 0; tile_word < kBlock; tile_word += 4) {
                turn_squares(tile_word, tile_column, tile);
            }
        }
    }

    ReaderShape shape_;
    int64_t file_columns_;        // N / fields_per_word
    const uint32_t* weight_;      // [K, N / fields_per_word]
    TensorView scale_;            // [G, N]
    const uint32_t* zero_point_;  // [G, N / fields_per_word]; or null
};

}  // namespace

std::unique_ptr<const Reader> make_awq_reader(const ReaderShape& shape,
                                              const ProjectionTensors& tensors) {
    return std::make_unique<AwqReader>(shape, tensors);
}

}  // namespace mmoe
