// SPDX-License-Identifier: Apache-2.0
// Canonical form to Marlin: weights tile by tile, then the permuted rows of scales, zero points
// and biases.
#include "repack/marlin.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>

#include "base/checked.h"
#include "cpu/launch.h"
#include "repack/group_block.h"
#include "unpack/fields.h"
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

// The outputs of one column of tiles, from row `first_row` of a strip on.
struct TileColumn {
    int64_t first_row;
    uint32_t* tiles;      // tile of the first inputs
    int64_t tile_stride;  // words, to the tile of the next inputs
};

// Words [first_word, words_per_row) of every row, those that are not there as 0.
template <int bits, layout::MarlinTile tile>
void pack_lines(const Canonical& strip, const TileColumn& column, int64_t first_word) {
    using Map = MarlinTileMap<bits, tile>;
    MarlinLine<Map> line;
    for (int64_t word = first_word; word < strip.words_per_row(); word += Map::kRowWords) {
        const auto in_line = static_cast<int>((word - first_word) % kLineWords);
        if (in_line == 0) load_line<Map>(strip, column.first_row, word, line);
        pack_tile<bits, tile>(line, in_line,
                              column.tiles + word / Map::kRowWords * column.tile_stride);
    }
}

// What the processor's own instructions can do; returns how many words of each row that is.
template <int bits, layout::MarlinTile tile>
int64_t pack_whole_chunks(const Canonical& strip, const TileColumn& column) {
    const cpu::PackMarlin pack = cpu::pack_marlin(cpu::usable_tier());
    const int64_t words = strip.words_per_row() / cpu::kMarlinChunkWords * cpu::kMarlinChunkWords;
    const bool whole = strip.rows - column.first_row >= MarlinTileMap<bits, tile>::kOutputs;
    if (pack == nullptr || words == 0 || !whole) return 0;
    pack({bits, tile, strip.codes.data() + column.first_row * strip.words_per_row(),
          strip.words_per_row(), words, column.tiles, column.tile_stride});
    return words;
}

template <int bits, layout::MarlinTile tile>
void pack_weights(const MarlinShape& shape, const Canonical& strip, int64_t first_output,
                  uint32_t* weight) {
    using Map = MarlinTileMap<bits, tile>;
    if (strip.file) {
        cpu::pack_file_marlin(cpu::usable_tier())(
            {bits,
             tile,
             strip.file->codes,
             {strip.rows, strip.words_per_row()},
             weight + first_output / Map::kOutputs * Map::kWords,
             shape.outputs / Map::kOutputs * Map::kWords});
        return;
    }
    for (int64_t row = 0; row < strip.rows; row += Map::kOutputs) {
        const TileColumn column{row, weight + (first_output + row) / Map::kOutputs * Map::kWords,
                                shape.outputs / Map::kOutputs * Map::kWords};
        const int64_t packed = pack_whole_chunks<bits, tile>(strip, column);
        pack_lines<bits, tile>(strip, column, packed);
    }
}

// Scales of one group, those of kMarlinBlock outputs. T: as large as a scale.
template <class T, layout::MarlinScaleOrder order>
void pack_scale_block(const uint8_t* from, uint8_t* to) {
    T values[kMarlinBlock];
    T placed[kMarlinBlock];
    std::memcpy(values, from, sizeof values);
    for (int place = 0; place < kMarlinBlock; ++place) {
        placed[place] = values[layout::marlin_scale_source(place, order)];
    }
    std::memcpy(to, placed, sizeof placed);
}

template <class T>
void pack_scale_block(layout::MarlinScaleOrder order, const uint8_t* from, uint8_t* to) {
    if (order == layout::MarlinScaleOrder::kGrouped) {
        pack_scale_block<T, layout::MarlinScaleOrder::kGrouped>(from, to);
    } else {
        pack_scale_block<T, layout::MarlinScaleOrder::kSingle>(from, to);
    }
}

// `scale`: the whole matrix's.
void pack_scales(const MarlinShape& shape, const Canonical& strip, int64_t first_output,
                 uint8_t* scale) {
    const int64_t scale_bytes = layout::scale_bytes(shape.scale_type);
    const auto pack = scale_bytes == 4 ? &pack_scale_block<uint32_t> : &pack_scale_block<uint16_t>;
    GroupBlock block(strip.groups(), shape.scale_type);
    for (int64_t row = 0; row < strip.rows; row += kMarlinBlock) {
        block.read_scales(strip, row, std::min<int64_t>(kMarlinBlock, strip.rows - row));
        for (int64_t group = 0; group < strip.groups(); ++group) {
            const int64_t first = group * shape.outputs + first_output + row;
            pack(shape.scale_order(), block.scales(group), scale + first * scale_bytes);
        }
    }
}

// Zero points of one group, those of kMarlinBlock outputs, become words.
template <int bits, layout::MarlinTile tile>
void pack_zero_point_block(const uint8_t* values, uint32_t* words) {
    constexpr int kFields = 32 / bits;
    for (int word = 0; word < kMarlinBlock / kFields; ++word) {
        uint32_t packed = 0;
        for (int field = 0; field < kFields; ++field) {
            const int64_t source = layout::marlin_zero_point_source(word, field, bits, tile);
            packed |= static_cast<uint32_t>(values[source]) << (bits * field);
        }
        words[word] = packed;
    }
}

// `zero_point`: the whole matrix's.
template <int bits, layout::MarlinTile tile>
void pack_zero_points(const MarlinShape& shape, const Canonical& strip, int64_t first_output,
                      uint32_t* zero_point) {
    constexpr int kFields = 32 / bits;
    GroupBlock block(strip.groups(), shape.scale_type);
    for (int64_t row = 0; row < strip.rows; row += kMarlinBlock) {
        block.read_zero_points(strip, row, std::min<int64_t>(kMarlinBlock, strip.rows - row));
        for (int64_t group = 0; group < strip.groups(); ++group) {
            pack_zero_point_block<bits, tile>(
                block.zero_points(group),
                zero_point + (group * shape.outputs + first_output + row) / kFields);
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
    with_marlin_tile(shape.bits, shape.tile, [&]<int bits, layout::MarlinTile tile>() {
        if (!tensors.weight.empty()) {
            pack_weights<bits, tile>(shape, strip, first_output, tensors.weight.data());
        }
        if (!tensors.zero_point.empty()) {
            pack_zero_points<bits, tile>(shape, strip, first_output, tensors.zero_point.data());
        }
    });
    if (!tensors.scale.empty()) pack_scales(shape, strip, first_output, tensors.scale.data());
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
