// SPDX-License-Identifier: Apache-2.0
// The codes of records word by word: the plain form of pack_tiles(), and the remainders of the
// vector forms.
#pragma once

#include <cstdint>
#include <cstring>

#include "cpu/launch.h"

namespace mmoe::cpu {
namespace {

// What of one record a call packs: tiles from first_tile on, of rows [first_row, end_row).
struct WordRange {
    int64_t first_row, end_row, first_tile;
};

inline void pack_words(const PackTilesArgs& args, int64_t record, const WordRange& range) {
    uint8_t* tiles = args.tile_bytes + record * args.record_bytes;
    for (int64_t row = range.first_row; row < range.end_row; ++row) {
        const uint32_t* dense = args.codes + row * args.row_words + record * args.tiles;
        uint8_t* lane = tiles + (args.first_lane + row) * 4;
        for (int64_t tile = range.first_tile; tile < args.tiles; ++tile) {
            const uint32_t word = layout::cpu_record_word(dense[tile], args.bits);
            std::memcpy(lane + tile * layout::kTileBytes, &word, sizeof word);
        }
    }
}

}  // namespace
}  // namespace mmoe::cpu
