// SPDX-License-Identifier: Apache-2.0
// Inside of room unpack: one format's packing, as three reads of a strip of rows. Columns stay
// where the file has them; unpack.cpp adds scratch memory and activation order.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "checkpoint/quant_config.h"
#include "cpu/launch.h"
#include "unpack/unpack.h"

namespace mmoe {

// What every reader knows of its projection.
struct ReaderShape {
    int64_t outputs = 0;  // N
    int64_t inputs = 0;   // K
    int64_t groups = 0;   // G
    int bits = 4;
    bool asymmetric = false;
    ZeroPointForm zero_point_form = ZeroPointForm::kPacked;

    [[nodiscard]] int fields_per_word() const noexcept { return 32 / bits; }
    [[nodiscard]] int64_t words_per_row() const noexcept {
        return ceil_div(inputs, int64_t{32 / bits});
    }
};

// Rows are [first_row, first_row + rows) of N. Outputs are shaped as in Canonical.
class Reader {
  public:
    virtual ~Reader() = default;
    // [rows, words_per_row] inside the tensor, or null where the file form is another one.
    [[nodiscard]] virtual const uint32_t* codes_in_place(int64_t first_row) const noexcept {
        static_cast<void>(first_row);
        return nullptr;
    }
    // From an output on, for packers that read the file themselves; none where they cannot.
    [[nodiscard]] virtual std::optional<FileRows> file_rows(int64_t first_row) const noexcept {
        static_cast<void>(first_row);
        return std::nullopt;
    }
    virtual void read_codes(int64_t first_row, int64_t rows, uint32_t* codes) const = 0;
    virtual void read_scales(int64_t first_row, int64_t rows, float* scales) const = 0;
    virtual void read_zero_points(int64_t first_row, int64_t rows, uint8_t* zero_points) const = 0;
};

std::unique_ptr<const Reader> make_compressed_tensors_reader(const ReaderShape& shape,
                                                             const ProjectionTensors& tensors);
std::unique_ptr<const Reader> make_gptq_reader(const ReaderShape& shape,
                                               const ProjectionTensors& tensors);
std::unique_ptr<const Reader> make_awq_reader(const ReaderShape& shape,
                                              const ProjectionTensors& tensors);

}  // namespace mmoe
