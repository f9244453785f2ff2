// SPDX-License-Identifier: Apache-2.0
// compressed-tensors "pack-quantized". Codes are canonical as they lie in the file; zero points
// are packed along the outputs, or in old files one signed byte each.
#include <cstring>

#include "unpack/fields.h"
#include "unpack/reader.h"
#include "unpack/scales.h"

namespace mmoe {

namespace {

class CompressedTensorsReader final : public Reader {
  public:
    CompressedTensorsReader(const ReaderShape& shape, const ProjectionTensors& tensors)
        : shape_(shape),
          weight_(static_cast<const uint32_t*>(tensors.weight.data)),
          scale_(tensors.scale),
          zero_point_(tensors.zero_point.data) {}

    // Spare bits at the end of a row are 0 by the format's rule, but nothing that we can trust:
    // rows with spare bits are copied.
    [[nodiscard]] const uint32_t* codes_in_place(int64_t first_row) const noexcept override {
        if (shape_.inputs % shape_.fields_per_word() != 0) return nullptr;
        return weight_ + first_row * shape_.words_per_row();
    }

    void read_codes(int64_t first_row, int64_t rows, uint32_t* codes) const override {
        const int64_t words = shape_.words_per_row();
        std::memcpy(codes, weight_ + first_row * words, static_cast<size_t>(rows * words) * 4);
        const auto used_fields = static_cast<int>(shape_.inputs % shape_.fields_per_word());
        if (used_fields == 0) return;
        const uint32_t used_bits = field_mask(used_fields * shape_.bits);
        for (int64_t row = 0; row < rows; ++row) codes[(row + 1) * words - 1] &= used_bits;
    }

    void read_scales(int64_t first_row, int64_t rows, float* scales) const override {
        const int64_t first = first_row * shape_.groups;
        with_scales(scale_, [&](auto load) {
            for (int64_t i = 0; i < rows * shape_.groups; ++i) scales[i] = load(first + i);
        });
    }

    void read_zero_points(int64_t first_row, int64_t rows, uint8_t* zero_points) const override {
        if (shape_.zero_point_form == ZeroPointForm::kInt8) {
            read_signed(first_row, rows, zero_points);
        } else {
            read_packed(first_row, rows, zero_points);
        }
    }

  private:
    void read_signed(int64_t first_row, int64_t rows, uint8_t* zero_points) const {
        const auto* stored = static_cast<const int8_t*>(zero_point_) + first_row * shape_.groups;
        const auto offset = static_cast<int>(middle_code(shape_.bits));
        for (int64_t i = 0; i < rows * shape_.groups; ++i) {
            zero_points[i] = static_cast<uint8_t>(stored[i] + offset);
        }
    }

    // stored: [ceil(N / fields_per_word), G]; field i of word (r, g) belongs to output
    // r * fields_per_word + i.
    void read_packed(int64_t first_row, int64_t rows, uint8_t* zero_points) const {
        const auto* stored = static_cast<const uint32_t*>(zero_point_);
        for (int64_t row = 0; row < rows; ++row) {
            const int64_t output = first_row + row;
            const uint32_t* words = stored + output / shape_.fields_per_word() * shape_.groups;
            const auto index = static_cast<int>(output % shape_.fields_per_word());
            for (int64_t group = 0; group < shape_.groups; ++group) {
                zero_points[row * shape_.groups + group] =
                    static_cast<uint8_t>(field(words[group], index, shape_.bits));
            }
        }
    }

    ReaderShape shape_;
    const uint32_t* weight_;  // [N, words_per_row]
    TensorView scale_;        // [N, G]
    const void* zero_point_;  // int8 [N, G] or words [ceil(N / fields_per_word), G]; or null
};

}  // namespace

std::unique_ptr<const Reader> make_compressed_tensors_reader(const ReaderShape& shape,
                                                             const ProjectionTensors& tensors) {
    return std::make_unique<CompressedTensorsReader>(shape, tensors);
}

}  // namespace mmoe
