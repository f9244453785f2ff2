// SPDX-License-Identifier: Apache-2.0
// Inside of room repack: one Marlin tile between its words and plain bytes, by a table that the
// compiler makes from layout/marlin.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "layout/marlin.h"

namespace mmoe {

// A tile's codes in plain order, one a byte: output n, input k at [n * tile inputs + k].
using MarlinCodes = uint8_t[layout::kMarlinTileValues];

template <int bits, layout::MarlinTile tile>
struct MarlinTileMap {
    static constexpr int kInputs = layout::marlin_tile_inputs(tile);
    static constexpr int kOutputs = layout::marlin_tile_outputs(tile);
    static constexpr int kWords = layout::marlin_tile_words(bits);
    static constexpr int kFields = 32 / bits;

    uint16_t code[kWords][kFields];  // where in MarlinCodes each field comes from

    static constexpr MarlinTileMap make() noexcept {
        MarlinTileMap map = {};
        for (int word = 0; word < kWords; ++word) {
            for (int field = 0; field < kFields; ++field) {
                const auto source = layout::marlin_source_in_tile(word, field, bits, tile);
                map.code[word][field] = static_cast<uint16_t>(source.n * kInputs + source.k);
            }
        }
        return map;
    }
};

template <int bits, layout::MarlinTile tile>
inline constexpr auto kMarlinTileMap = MarlinTileMap<bits, tile>::make();

template <int bits, layout::MarlinTile tile>
void pack_tile(const MarlinCodes& codes, uint32_t* words) {
    using Map = MarlinTileMap<bits, tile>;
    for (int word = 0; word < Map::kWords; ++word) {
        uint32_t packed = 0;
        for (int field = 0; field < Map::kFields; ++field) {
            packed |= uint32_t{codes[kMarlinTileMap<bits, tile>.code[word][field]]}
                      << (bits * field);
        }
        words[word] = packed;
    }
}

template <int bits, layout::MarlinTile tile>
void unpack_tile(const uint32_t* words, MarlinCodes& codes) {
    using Map = MarlinTileMap<bits, tile>;
    for (int word = 0; word < Map::kWords; ++word) {
        for (int field = 0; field < Map::kFields; ++field) {
            codes[kMarlinTileMap<bits, tile>.code[word][field]] =
                static_cast<uint8_t>((words[word] >> (bits * field)) & ((1u << bits) - 1));
        }
    }
}

// Bytes of one row of a tile from, or to, `count` canonical words; bytes past them are 0.
template <int bits, int inputs>
void spread_words(const uint32_t* words, int64_t count, uint8_t* bytes) {
    constexpr int kFields = 32 / bits;
    uint32_t row[inputs / kFields] = {};
    std::memcpy(row, words, static_cast<size_t>(count) * 4);
    for (int k = 0; k < inputs; ++k) {
        bytes[k] =
            static_cast<uint8_t>((row[k / kFields] >> (k % kFields * bits)) & ((1u << bits) - 1));
    }
}

template <int bits, int inputs>
void gather_words(const uint8_t* bytes, int64_t count, uint32_t* words) {
    constexpr int kFields = 32 / bits;
    uint32_t row[inputs / kFields] = {};
    for (int k = 0; k < inputs; ++k) {
        row[k / kFields] |= uint32_t{bytes[k]} << (k % kFields * bits);
    }
    std::memcpy(words, row, static_cast<size_t>(count) * 4);
}

// Calls body<bits, tile>() with both known to the compiler.
template <class Body>
void with_marlin_tile(int bits, layout::MarlinTile tile, const Body& body) {
    using layout::MarlinTile;
    if (bits == 4) {
        if (tile == MarlinTile::kK16N64) {
            body.template operator()<4, MarlinTile::kK16N64>();
        } else {
            body.template operator()<4, MarlinTile::kK32N32>();
        }
    } else if (tile == MarlinTile::kK16N64) {
        body.template operator()<8, MarlinTile::kK16N64>();
    } else {
        body.template operator()<8, MarlinTile::kK32N32>();
    }
}

}  // namespace mmoe
