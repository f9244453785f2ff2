// SPDX-License-Identifier: Apache-2.0
// GPTQ, both versions. A word of the file holds inputs p * r to p * r + p - 1 of one output, as a
// canonical word does: the file is the transpose of the canonical words.
#include "unpack/group_rows.h"
#include "unpack/reader.h"
#include "unpack/transpose.h"

namespace mmoe {

namespace {

class GptqReader final : public Reader {
  public:
    GptqReader(const ReaderShape& shape, const ProjectionTensors& tensors)
        : shape_(shape),
          weight_(static_cast<const uint32_t*>(tensors.weight.data)),
          scale_(tensors.scale),
          zero_point_(static_cast<const uint32_t*>(tensors.zero_point.data)) {}

    [[nodiscard]] std::optional<FileRows> file_rows(int64_t first_row) const noexcept override {
        return file_rows_of(shape_, {cpu::CodeOrder::kWords, weight_, shape_.outputs}, first_row,
                            scale_, zero_point_, first_row);
    }

    void read_codes(int64_t first_row, int64_t rows, uint32_t* codes) const override {
        transpose_words(weight_ + first_row, shape_.outputs, shape_.words_per_row(), rows, codes,
                        shape_.words_per_row());
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
