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
        assert(strip.rows % cpu::kFileOutputs == 0);
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

using Halves [[gnu::vector_size(16)]] = uint16_t;  // 8 of them
using Bytes [[gnu::vector_size(16)]] = uint8_t;    // 16 of them

// Eight rows shuffled like cards, row i with row i + 4. Three times is a transpose.
void shuffle_rows(Halves (&rows)[8]) {
    const Halves(&r)[8] = rows;
    Halves shuffled[8];
    for (int i = 0; i < 4; ++i) {
        shuffled[2 * i] = __builtin_shufflevector(r[i], r[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
        shuffled[2 * i + 1] = __builtin_shufflevector(r[i], r[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    std::copy(std::begin(shuffled), std::end(shuffled), rows);
}

// 16-bit scales of one group, those of kMarlinBlock outputs. The grouped order is a transpose of
// 8 x 8 scales, the single order one of 4 x 4 pairs in each half of the block.
template <layout::MarlinScaleOrder order>
void pack_half_scales(const uint8_t* from, uint8_t* to) {
    if constexpr (order == layout::MarlinScaleOrder::kGrouped) {
        Halves rows[8];
        std::memcpy(rows, from, sizeof rows);
        for (int i = 0; i < 3; ++i) shuffle_rows(rows);
        std::memcpy(to, rows, sizeof rows);
    } else {
        for (int half = 0; half < 2; ++half) {
            Four pairs[4];
            Four turned[4];
            std::memcpy(pairs, from + half * sizeof pairs, sizeof pairs);
            transpose_four(pairs, turned);
            std::memcpy(to + half * sizeof turned, turned, sizeof turned);
        }
    }
}

// Scales of one group, those of kMarlinBlock outputs. T: as large as a scale.
template <class T, layout::MarlinScaleOrder order>
void pack_scale_block(const uint8_t* from, uint8_t* to) {
    if constexpr (sizeof(T) == 2) return pack_half_scales<order>(from, to);
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

// Byte i of four rows becomes word i: out[0] has words 0 to 3, out[1] words 4 to 7.
void join_bytes(const uint64_t (&rows)[4], Four (&out)[2]) {
    Bytes of[4] = {};
    for (int i = 0; i < 4; ++i) std::memcpy(&of[i], &rows[i], sizeof rows[i]);
    const auto join = [](const Bytes& a, const Bytes& b) {
        return Halves(__builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19,  //
                                              4, 20, 5, 21, 6, 22, 7, 23));
    };
    const Halves low = join(of[0], of[1]);
    const Halves high = join(of[2], of[3]);
    out[0] = Four(__builtin_shufflevector(low, high, 0, 8, 1, 9, 2, 10, 3, 11));
    out[1] = Four(__builtin_shufflevector(low, high, 4, 12, 5, 13, 6, 14, 7, 15));
}

// Zero points of one group, those of kMarlinBlock outputs, become words. A field of eight words is
// an eighth of the block.
template <int bits, layout::MarlinTile tile>
void pack_zero_point_block(const uint8_t* values, uint32_t* words) {
    const auto eighth = [values](int word, int field) {
        uint64_t row;
        std::memcpy(&row, values + layout::marlin_zero_point_source(word, field, bits, tile),
                    sizeof row);
        return row;
    };
    if constexpr (bits == 4) {
        uint64_t pairs[4];  // of fields
        for (int i = 0; i < 4; ++i) pairs[i] = eighth(0, 2 * i) | eighth(0, 2 * i + 1) << 4;
        Four joined[2];
        join_bytes(pairs, joined);
        std::memcpy(words, joined, sizeof joined);
    } else {  // even words have the first four eighths, odd words the others
        Four joined[2][2];
        for (int odd = 0; odd < 2; ++odd) {
            join_bytes({eighth(odd, 0), eighth(odd, 1), eighth(odd, 2), eighth(odd, 3)},
                       joined[odd]);
        }
        for (int half = 0; half < 2; ++half) {
            const Four even = joined[0][half];
            const Four odd = joined[1][half];
            store_four(__builtin_shufflevector(even, odd, 0, 4, 1, 5), words + 8 * half);
            store_four(__builtin_shufflevector(even, odd, 2, 6, 3, 7), words + 8 * half + 4);
        }
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

MarlinLayerPlan marlin_layer_of(const QuantConfig& config, bool gated, const PaddedAxis& hidden,
                                const PaddedAxis& intermediate, layout::MarlinTile tile) noexcept {
    MarlinShape common;
    common.bits = config.bits;
    common.asymmetric = config.asymmetric();
    common.tile = tile;
    common.scale_type = config.scale_type.value_or(layout::ScaleType::kBf16);

    MarlinLayerPlan plan{common, common, hidden.size, intermediate.size};
    plan.w13.inputs = hidden.size;
    plan.w13.outputs = intermediate.size * (gated ? 2 : 1);
    plan.w13.groups = hidden.groups;
    plan.w2.inputs = intermediate.size;
    plan.w2.outputs = hidden.size;
    plan.w2.groups = intermediate.groups;
    return plan;
}

MarlinLayerPlan plan_marlin_layer(const QuantConfig& config, const Layer& layer,
                                  int64_t down_group_size, layout::MarlinTile tile) noexcept {
    const PaddedAxis hidden =
        pad_axis(config, layer.hidden_size, config.group_size_for(layer.hidden_size));
    const PaddedAxis intermediate = pad_axis(config, layer.intermediate_size, down_group_size);
    return marlin_layer_of(config, layer.gated(), hidden, intermediate, tile);
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
