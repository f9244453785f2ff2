// SPDX-License-Identifier: Apache-2.0
// Canonical form to the Marlin layouts (layout/marlin.h) and back: the bytes that vLLM's kernels
// read, and what the device bundle is made of.
//
// A Marlin matrix is one GEMM operand of one expert, padded: w13 holds gate outputs, then up
// outputs, each padded on its own (or up alone); w2 holds the down projection. Padding is zero
// codes, zero scales and zero zero points, in outputs, inputs and groups alike.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/memory.h"
#include "base/status.h"
#include "checkpoint/layer.h"
#include "checkpoint/quant_config.h"
#include "layout/marlin.h"
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

// Both matrices of an expert.
struct MarlinLayerPlan {
    MarlinShape w13;
    MarlinShape w2;
    int64_t padded_hidden = 0;        // H, up to a multiple of 64 and of the group size
    int64_t padded_intermediate = 0;  // I, likewise

    [[nodiscard]] constexpr const MarlinShape& shape(Projection projection) const noexcept {
        return projection == Projection::kDown ? w2 : w13;
    }
    // Where a projection's first output stands in its matrix.
    [[nodiscard]] constexpr int64_t first_output(Projection projection, bool gated) const noexcept {
        return gated && projection == Projection::kUp ? padded_intermediate : 0;
    }
};

// `layer` has the dimensions that this rank holds, `down_group_size` is that of its slice, or the
// config's along I where nothing is split. An absent scale type is bf16.
[[nodiscard]] MarlinLayerPlan plan_marlin_layer(const QuantConfig& config, const Layer& layer,
                                                int64_t down_group_size,
                                                layout::MarlinTile tile) noexcept;

// The tensors of one matrix; sizes as MarlinShape says.
struct MarlinTensors {
    std::span<uint32_t> weight;
    std::span<uint8_t> scale;        // in the scale type, 2-byte or 4-byte aligned
    std::span<uint32_t> zero_point;  // empty if symmetric
};
struct ConstMarlinTensors {
    std::span<const uint32_t> weight;
    std::span<const uint8_t> scale;
    std::span<const uint32_t> zero_point;
};

// Writes a strip whose first row is output `first_output` of the matrix. Strips start on a
// multiple of 64 outputs and, but for the last of a projection, end on one. The tensors are zeroed
// before the first strip. Different strips may be written from several threads.
void pack_marlin(const MarlinShape& shape, const Canonical& strip, int64_t first_output,
                 const MarlinTensors& tensors);

// Biases of outputs [first_output, first_output + bias.size()), 0 before. `out`: the whole
// matrix's, shape.bias_bytes() long, in the scale type.
void pack_marlin_bias(const MarlinShape& shape, std::span<const float> bias, int64_t first_output,
                      std::span<uint8_t> out);
void unpack_marlin_bias(const MarlinShape& shape, std::span<const uint8_t> packed,
                        int64_t first_output, std::span<float> bias);

// Rows of a Marlin matrix that belong to one projection, without their padding.
struct MarlinRows {
    int64_t first_output = 0;
    int64_t rows = 0;     // N of the projection
    int64_t columns = 0;  // K of the projection
    // [K]: file column of each input where activation order sorted them; empty: the same. Kept by
    // the caller as long as strips are used.
    std::span<const int32_t> order = {};
};

// Reads a Marlin matrix, ours or vLLM's, back into strips of the canonical form. Sizes of the
// spans must be those of the shape. The matrix must outlive the unpacker.
Result<std::unique_ptr<Unpacker>> unpack_marlin(const MarlinShape& shape, const MarlinRows& rows,
                                                const ConstMarlinTensors& tensors, int64_t max_rows,
                                                std::shared_ptr<const Allocator> allocator);

}  // namespace mmoe
