// SPDX-License-Identifier: Apache-2.0
// Memory for one Marlin matrix, and the round through pack_marlin(), for tests.
#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "repack/marlin.h"
#include "support/unpack_linear.h"

namespace mmoe::test {

struct MarlinMatrix {
    MarlinShape shape;
    std::vector<uint32_t> weight;
    std::vector<uint8_t> scale;
    std::vector<uint32_t> zero_point;

    explicit MarlinMatrix(const MarlinShape& s)
        : shape(s),
          weight(static_cast<size_t>(s.weight_words())),
          scale(static_cast<size_t>(s.scale_bytes())),
          zero_point(static_cast<size_t>(s.zero_point_words())) {}

    [[nodiscard]] MarlinTensors tensors() { return {weight, scale, zero_point}; }
    [[nodiscard]] ConstMarlinTensors tensors() const { return {weight, scale, zero_point}; }

    // Packs all rows of an unpacker in strips of `strip_rows`, a multiple of 64.
    void pack(Unpacker& unpacker, int64_t rows, int64_t first_output, int64_t strip_rows) {
        for (int64_t row = 0; row < rows; row += strip_rows) {
            const Canonical strip = unpacker.strip(row, std::min(strip_rows, rows - row));
            pack_marlin(shape, strip, first_output + row, tensors());
        }
    }
};

inline std::unique_ptr<Unpacker> value_or_throw(Result<std::unique_ptr<Unpacker>> unpacker) {
    if (!unpacker.ok()) throw std::runtime_error(unpacker.status().message());
    return std::move(unpacker).value();
}

inline std::unique_ptr<Unpacker> make_unpacker(const QuantConfig& config, int64_t outputs,
                                               int64_t inputs, const ProjectionTensors& tensors,
                                               int64_t max_rows) {
    const Status checked = check_projection(config, outputs, inputs, tensors);
    if (!checked.ok()) throw std::runtime_error(checked.message());
    return value_or_throw(Unpacker::create(config, outputs, inputs, tensors, max_rows,
                                           std::make_shared<const Allocator>()));
}

}  // namespace mmoe::test
