// SPDX-License-Identifier: Apache-2.0
// AWQ, "gemm" version. A word of the file holds p = 32 / bits neighbouring outputs of one input,
// even ones first; a canonical word holds p inputs of one output. p words of the file and p
// canonical words are therefore a square of p x p fields and its transpose.
#include <algorithm>

#include "unpack/group_rows.h"
#include "unpack/reader.h"

namespace mmoe {

namespace {

// Columns 0, 2, 4, 6, 1, 3, 5, 7 lie in fields 0 to 7 (8 bits: 0, 2, 1, 3 in 0 to 3).
constexpr int awq_field(int column, int bits) {
    return column / 2 + (column % 2) * (16 / bits);
}
static_assert(awq_field(1, 4) == 4 && awq_field(6, 4) == 3 && awq_field(7, 4) == 7);
static_assert(awq_field(1, 8) == 2 && awq_field(2, 8) == 1 && awq_field(3, 8) == 3);

constexpr int kColumnWords = 16;  // of a tile: one cache line of the file
constexpr int kRowWords = 16;     // of a tile: one cache line of a canonical row

// Exchanges, between words a and b, the upper `span` fields of every 2 * span fields of a with
// the lower ones of b: one step of a square's transpose.
template <int bits, int span>
void exchange(uint32_t* a, uint32_t* b) {
    constexpr uint32_t kLower = span * bits == 16  ? 0x0000FFFF
                                : span * bits == 8 ? 0x00FF00FF
                                                   : 0x0F0F0F0F;
    for (int i = 0; i < kColumnWords; ++i) {
        const uint32_t change = ((a[i] >> (span * bits)) ^ b[i]) & kLower;
        b[i] ^= change;
        a[i] ^= change << (span * bits);
    }
}

template <int bits, int span>
void transpose_squares(uint32_t (&words)[32 / bits][kColumnWords]) {
    for (int row = 0; row < 32 / bits; ++row) {
        if ((row & span) == 0) exchange<bits, span>(words[row], words[row + span]);
    }
    if constexpr (span > 1) transpose_squares<bits, span / 2>(words);
}

class AwqReader final : public Reader {
  public:
    AwqReader(const ReaderShape& shape, const ProjectionTensors& tensors)
        : shape_(shape),
          file_words_(shape.outputs / shape.fields_per_word()),
          weight_(static_cast<const uint32_t*>(tensors.weight.data)),
          scale_(tensors.scale),
          zero_point_(static_cast<const uint32_t*>(tensors.zero_point.data)) {}

    void read_codes(int64_t first_row, int64_t rows, uint32_t* codes) const override {
        if (shape_.bits == 4) {
            read_codes_of<4>(first_row, rows, codes);
        } else {
            read_codes_of<8>(first_row, rows, codes);
        }
    }

    void read_scales(int64_t first_row, int64_t rows, float* scales) const override {
        read_group_scales(shape_, scale_, first_row, rows, scales);
    }

    void read_zero_points(int64_t first_row, int64_t rows, uint8_t* zero_points) const override {
        read_group_zero_points(shape_, zero_point_, first_row, rows, awq_field, zero_points);
    }

  private:
    template <int bits>
    using Tile = uint32_t[kColumnWords * 32 / bits][kRowWords];

    // A strip may start and end inside a word of the file; tiles are whole words, rows outside
    // the strip are not written.
    template <int bits>
    void read_codes_of(int64_t first_row, int64_t rows, uint32_t* codes) const {
        constexpr int64_t kFields = 32 / bits;
        const int64_t words = shape_.words_per_row();
        const int64_t end_column = ceil_div(first_row + rows, kFields);
        for (int64_t word = 0; word < words; word += kRowWords) {
            for (int64_t column = first_row / kFields; column < end_column;
                 column += kColumnWords) {
                Tile<bits> tile;
                fill_tile<bits>(word, column, end_column, tile);
                const int64_t tile_row = column * kFields;  // output of the tile's first row
                const int64_t begin = std::max(first_row, tile_row);
                const int64_t end = std::min(first_row + rows, tile_row + kColumnWords * kFields);
                for (int64_t row = begin; row < end; ++row) {
                    std::copy_n(tile[row - tile_row], std::min<int64_t>(kRowWords, words - word),
                                codes + (row - first_row) * words + word);
                }
            }
        }
    }

    // tile: canonical words [word, word + kRowWords) of the outputs of file columns
    // [column, column + kColumnWords); what lies past the matrix is 0 or left out.
    template <int bits>
    void fill_tile(int64_t word, int64_t column, int64_t end_column, Tile<bits>& tile) const {
        constexpr int kFields = 32 / bits;
        const int64_t columns = std::min<int64_t>(kColumnWords, end_column - column);
        const int64_t end_word = std::min(word + kRowWords, shape_.words_per_row());
        for (int64_t k_word = word; k_word < end_word; ++k_word) {
            uint32_t squares[kFields][kColumnWords] = {};
            const int64_t inputs = std::min(int64_t{kFields}, shape_.inputs - k_word * kFields);
            for (int64_t k = 0; k < inputs; ++k) {
                std::copy_n(weight_ + (k_word * kFields + k) * file_words_ + column, columns,
                            squares[k]);
            }
            transpose_squares<bits, kFields / 2>(squares);
            for (int n = 0; n < kFields; ++n) {
                const uint32_t* outputs = squares[awq_field(n, bits)];
                for (int i = 0; i < kColumnWords; ++i) {
                    tile[i * kFields + n][k_word - word] = outputs[i];
                }
            }
        }
    }

    ReaderShape shape_;
    int64_t file_words_;          // N / fields_per_word
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
