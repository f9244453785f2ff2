// SPDX-License-Identifier: Apache-2.0
// The codes of a record word by word: the plain form of pack_tiles(), and the remainders of the
// vector forms.
#pragma once

#include <cstdint>
#include <cstring>

#include "cpu/launch.h"

namespace mmoe::cpu {
namespace {

// Tiles from first_tile on, of rows [first_row, end_row).
inline void pack_words(const PackTilesArgs& args, int64_t first_row, int64_t end_row,
                       int64_t first_tile) {
    for (int64_t row = first_row; row < end_row; ++row) {
        const uint32_t* dense = args.codes + row * args.row_words;
        uint8_t* lane = args.tile_bytes + (args.first_lane + row) * 4;
        for (int64_t tile = first_tile; tile < args.tiles; ++tile) {
            const uint32_t word = layout::cpu_record_word(dense[tile], args.bits);
            std::memcpy(lane + tile * layout::kTileBytes, &word, sizeof word);
        }
    }
}

}  // namespace
}  // namespace mmoe::cpu
