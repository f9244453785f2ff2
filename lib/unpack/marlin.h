// SPDX-License-Identifier: Apache-2.0
// Marlin matrices (layout/marlin.h) to the canonical form: what other programs have repacked can be
// given to every store, and what repack packed can be read again.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/memory.h"
#include "base/status.h"
#include "layout/marlin.h"
#include "layout/number.h"
#include "unpack/unpack.h"

namespace mmoe {

// Shape of one matrix; every count includes padding.
struct MarlinShape {
    int64_t inputs = 0;   // K: a multiple of the tile's inputs
    int64_t outputs = 0;  // N: a multiple of 64
    int64_t groups = 1;   // G
    int bits = 4;
    bool asymmetric = false;
    layout::MarlinTile tile = layout::MarlinTile::kK16N64;
    layout::ScaleType scale_type = layout::ScaleType::kBf16;

    [[nodiscard]] constexpr layout::MarlinScaleOrder scale_order() const noexcept {
        return layout::marlin_scale_order(inputs / groups, inputs, tile);
    }
    [[nodiscard]] constexpr int64_t weight_words() const noexcept {
        return inputs * outputs * bits / 32;
    }
    [[nodiscard]] constexpr int64_t scale_bytes() const noexcept {
        return groups * outputs * layout::scale_bytes(scale_type);
    }
    [[nodiscard]] constexpr int64_t zero_point_words() const noexcept {
        return asymmetric ? groups * outputs * bits / 32 : 0;
    }
    [[nodiscard]] constexpr int64_t bias_bytes() const noexcept {
        return outputs * layout::scale_bytes(scale_type);
    }
    [[nodiscard]] constexpr bool operator==(const MarlinShape&) const noexcept = default;
};

// The tensors of one matrix; sizes as MarlinShape says. One that is empty is left out of the
// strips.
struct ConstMarlinTensors {
    std::span<const uint32_t> weight;
    std::span<const uint8_t> scale;        // in the scale type
    std::span<const uint32_t> zero_point;  // empty if symmetric
};

// Rows of a Marlin matrix that belong to one projection, without their padding.
struct MarlinRows {
    int64_t first_output = 0;
    int64_t rows = 0;     // N of the projection
    int64_t columns = 0;  // K of the projection
    // [K]: file column of each input where activation order sorted them; empty: the same.
    std::vector<int32_t> order = {};
};

// Reads a Marlin matrix, ours or vLLM's, back into strips of the canonical form. Sizes of the
// spans must be those of the shape. The matrix must outlive the unpacker.
Result<std::unique_ptr<Unpacker>> unpack_marlin(const MarlinShape& shape, MarlinRows rows,
                                                const ConstMarlinTensors& tensors, int64_t max_rows,
                                                std::shared_ptr<const Allocator> allocator);

}  // namespace mmoe
