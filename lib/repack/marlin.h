// SPDX-License-Identifier: Apache-2.0
// Canonical form to the Marlin layouts (layout/marlin.h): the bytes that vLLM's kernels read, and
// what the device bundle is made of. unpack/marlin.h reads them back.
//
// A Marlin matrix is one GEMM operand of one expert, padded: w13 holds gate outputs, then up
// outputs, each padded on its own (or up alone); w2 holds the down projection. Padding is zero
// codes, zero scales and zero zero points, in outputs, inputs and groups alike.
#pragma once

#include <cstdint>
#include <span>

#include "checkpoint/layer.h"
#include "checkpoint/quant_config.h"
#include "layout/marlin.h"
#include "unpack/canonical.h"
#include "unpack/marlin.h"

namespace mmoe {

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

struct PaddedAxis {
    int64_t size;
    int64_t groups;  // along it
};

// Both matrices from their axes. An absent scale type is bf16.
[[nodiscard]] MarlinLayerPlan marlin_layer_of(const QuantConfig& config, bool gated,
                                              const PaddedAxis& hidden,
                                              const PaddedAxis& intermediate,
                                              layout::MarlinTile tile) noexcept;

// `layer` has the dimensions that this rank holds, `down_group_size` is that of its slice, or the
// config's along I where nothing is split.
[[nodiscard]] MarlinLayerPlan plan_marlin_layer(const QuantConfig& config, const Layer& layer,
                                                int64_t down_group_size,
                                                layout::MarlinTile tile) noexcept;

// The tensors of one matrix; sizes as MarlinShape says. One that is empty is not written.
struct MarlinTensors {
    std::span<uint32_t> weight;
    std::span<uint8_t> scale;        // in the scale type, 2-byte or 4-byte aligned
    std::span<uint32_t> zero_point;  // empty if symmetric
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

}  // namespace mmoe
