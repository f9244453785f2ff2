// SPDX-License-Identifier: Apache-2.0
// GPTQ, both versions. A word of the file holds inputs p * r to p * r + p - 1 of one output, as a
// canonical word does: the file is the transpose of the canonical words.
#include <algorithm>
#include <cstring>

#include "unpack/group_rows.h"
#include "unpack/reader.h"

namespace mmoe {

namespace {

constexpr int kBlock = 16;  // words: one cache line

// out[column][row] = source[row][column] of one block of at most kBlock words a side. The copy
// in between keeps the reads whole lines: rows of the source are often a multiple of 4 KiB apart
// and would push each other out of the cache.
void transpose_block(const uint32_t* source, int64_t source_stride, int64_t rows, int64_t columns,
                     uint32_t* out, int64_t out_stride) {
    uint32_t block[kBlock][kBlock];
    for (int64_t row = 0; row < rows; ++row) {
        std::memcpy(block[row], source + row * source_stride, static_cast<size_t>(columns) * 4);
    }
    for (int64_t column = 0; column < columns; ++column) {
        for (int64_t row = 0; row < rows; ++row) {
            out[column * out_stride + row] = block[row][column];
        }
    }
}

class GptqReader final : public Reader {
  public:
    GptqReader(const ReaderShape& shape, const ProjectionTensors& tensors)
        : shape_(shape),
          weight_(static_cast<const uint32_t*>(tensors.weight.data)),
          scale_(tensors.scale),
          zero_point_(static_cast<const uint32_t*>(tensors.zero_point.data)) {}

    void read_codes(int64_t first_row, int64_t rows, uint32_t* codes) const override {
        const int64_t words = shape_.words_per_row();
        for (int64_t word = 0; word < words; word += kBlock) {
            const int64_t block_words = std::min<int64_t>(kBlock, words - word);
            for (int64_t row = 0; row < rows; row += kBlock) {
                const uint32_t* source = weight_ + word * shape_.outputs + first_row + row;
                transpose_block(source, shape_.outputs, block_words,
                                std::min<int64_t>(kBlock, rows - row), codes + row * words + word,
                                words);
            }
        }
    }

    void read_scales(int64_t first_row, int64_t rows, float* scales) const override {
        read_group_scales(shape_, scale_, first_row, rows, scales);
    }

    void read_zero_points(int64_t first_row, int64_t rows, uint8_t* zero_points) const override {
        const auto plain_field = [](int column, int) { return column; };
        read_group_zero_points(shape_, zero_point_, first_row, rows, plain_field, zero_points);
    }

  private:
    ReaderShape shape_;
    const uint32_t* weight_;      // [K / fields_per_word, N]
    TensorView scale_;            // [G, N]
    const uint32_t* zero_point_;  // [G, N / fields_per_word]; or null
};

}  // namespace

std::unique_ptr<const Reader> make_gptq_reader(const ReaderShape& shape,
                                               const ProjectionTensors& tensors) {
    return std::make_unique<GptqReader>(shape, tensors);
}

}  // namespace mmoe
