// SPDX-License-Identifier: Apache-2.0
// Canonical form to Marlin: weights tile by tile, then the permuted rows of scales, zero points
// and biases.
#include "repack/marlin.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>

#include "base/checked.h"
#include "unpack/marlin_tile.h"
#include "unpack/scale_memory.h"

namespace mmoe {

namespace {

using layout::kMarlinBlock;

// An axis of inputs and the groups along it, padded.
struct PaddedAxis {
    int64_t size;
    int64_t groups;
};

// Up to whole blocks of 64 and whole groups; one scale a channel stays one group.
PaddedAxis pad_axis(const QuantConfig& config, int64_t size, int64_t group_size) noexcept {
    constexpr int64_t kBlock = kMarlinBlock;
    if (!config.group_size) return {round_up(size, kBlock), 1};
    const int64_t padded = round_up(size, std::lcm(kBlock, group_size));
    return {padded, padded / group_size};
}

// One row of tiles, which may reach past the strip; what is not there is 0.
template <class Map>
void load_line(const Canonical& strip, int64_t first_row, int64_t first_word,
               MarlinLine<Map>& line) {
    PlainLine<Map> plain;
    const int64_t words = strip.words_per_row();
    const int64_t rows = std::min<int64_t>(strip.rows - first_row, Map::kOutputs);
    const int64_t count = std::min<int64_t>(words - first_word, kLineWords);
    if (rows < Map::kOutputs || count < kLineWords) std::memset(plain, 0, sizeof plain);
    for (int64_t n = 0; n < rows; ++n) {
        copy_line(strip.codes.data() + (first_row + n) * words + first_word, count, plain[n]);
    }
    to_quarters<Map>(plain, line);
}

template <int bits, layout::MarlinTile tile>
void pack_weights(const MarlinShape& shape, const Canonical& strip, int64_t first_output,
                  uint32_t* weight) {
    using Map = MarlinTileMap<bits, tile>;
    const int64_t words = strip.words_per_row();
    for (int64_t row = 0; row < strip.rows; row += Map::kOutputs) {
        const int64_t tile_column = (first_output + row) / Map::kOutputs;
        MarlinLine<Map> line;
        for (int64_t word = 0; word < words; word += Map::kRowWords) {
            const auto in_line = static_cast<int>(word % kLineWords);
            if (in_line == 0) load_line<Map>(strip, row, word, line);
            const int64_t k_tile = word / Map::kRowWords;
            const int64_t tile_index = k_tile * (shape.outputs / Map::kOutputs) + tile_column;
            pack_tile<bits, tile>(line, in_line, weight + tile_index * Map::kWords);
        }
    }
}

// `scale`: the whole matrix's.
void pack_scales(const MarlinShape& shape, const Canonical& strip, int64_t first_output,
                 uint8_t* scale) {
    for (int64_t group = 0; group < strip.groups(); ++group) {
        for (int64_t row = 0; row < strip.rows; ++row) {
            const int64_t place = layout::marlin_scale_place(row, shape.scale_order());
            store_scale(shape.scale_type, scale, group * shape.outputs + first_output + place,
                        strip.scale(row, group));
        }
    }
}

// `zero_point`: the whole matrix's.
void pack_zero_points(const MarlinShape& shape, const Canonical& strip, int64_t first_output,
                      uint32_t* zero_point) {
    const int fields = 32 / shape.bits;
    for (int64_t group = 0; group < strip.groups(); ++group) {
        uint32_t* words = zero_point + (group * shape.outputs + first_output) / fields;
        std::fill_n(words, round_up(strip.rows, int64_t{kMarlinBlock}) / fields, 0);
        for (int64_t row = 0; row < strip.rows; ++row) {
            const layout::MarlinPlace place =
                layout::marlin_zero_point_place(row, shape.bits, shape.tile);
            words[place.word] |= strip.zero_point(row, group) << (shape.bits * place.field);
        }
    }
}

}  // namespace

MarlinLayerPlan plan_marlin_layer(const QuantConfig& config, const Layer& layer,
                                  int64_t down_group_size, layout::MarlinTile tile) noexcept {
    const PaddedAxis hidden =
        pad_axis(config, layer.hidden_size, config.group_size_for(layer.hidden_size));
    const PaddedAxis intermediate = pad_axis(config, layer.intermediate_size, down_group_size);
    MarlinShape common;
    common.bits = config.bits;
    common.asymmetric = config.asymmetric();
    common.tile = tile;
    common.scale_type = config.scale_type.value_or(layout::ScaleType::kBf16);

    MarlinLayerPlan plan{common, common, hidden.size, intermediate.size};
    plan.w13.inputs = hidden.size;
    plan.w13.outputs = intermediate.size * (layer.gated() ? 2 : 1);
    plan.w13.groups = hidden.groups;
    plan.w2.inputs = intermediate.size;
    plan.w2.outputs = hidden.size;
    plan.w2.groups = intermediate.groups;
    return plan;
}

void pack_marlin(const MarlinShape& shape, const Canonical& strip, int64_t first_output,
                 const MarlinTensors& tensors) {
    assert(first_output % kMarlinBlock == 0 && strip.groups() <= shape.groups);
    assert(tensors.weight.size() == static_cast<size_t>(shape.weight_words()));
    with_marlin_tile(shape.bits, shape.tile, [&]<int bits, layout::MarlinTile tile>() {
        pack_weights<bits, tile>(shape, strip, first_output, tensors.weight.data());
    });
    pack_scales(shape, strip, first_output, tensors.scale.data());
    if (shape.asymmetric) pack_zero_points(shape, strip, first_output, tensors.zero_point.data());
}

void pack_marlin_bias(const MarlinShape& shape, std::span<const float> bias, int64_t first_output,
                      std::span<uint8_t> out) {
    for (size_t row = 0; row < bias.size(); ++row) {
        const int64_t place = layout::marlin_scale_place(static_cast<int64_t>(row),
                                                         layout::MarlinScaleOrder::kSingle);
        store_scale(shape.scale_type, out.data(), first_output + place, bias[row]);
    }
}

void unpack_marlin_bias(const MarlinShape& shape, std::span<const uint8_t> packed,
                        int64_t first_output, std::span<float> bias) {
    for (size_t row = 0; row < bias.size(); ++row) {
        const int64_t place = layout::marlin_scale_place(static_cast<int64_t>(row),
                                                         layout::MarlinScaleOrder::kSingle);
        bias[row] = load_scale(shape.scale_type, packed.data(), first_output + place);
    }
}

}  // namespace mmoe
