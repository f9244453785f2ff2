// SPDX-License-Identifier: Apache-2.0
// The Marlin layouts as index maps: where weight (k, n), a scale, a bias or a zero point of one
// expert lies, and back. Host repackers, device repackers, kernels and golden tests all call
// these functions; nothing else spells the order out.
//
//   weights     tiles of 1024 values, tile row by tile row: first tiles along n, then along k.
//               A tile is what one warp feeds to the tensor cores with one read a lane: 16
//               inputs by 64 outputs for 16-bit activations, 32 by 32 for 8-bit ones. Words hold
//               32 / bits codes, little end first.
//   scales      [groups, N], outputs permuted inside blocks of 64 (grouped) or 32 (single).
//   bias        [N] in the single order.
//   zero points [groups, N * bits / 32] words, outputs permuted inside blocks of 64.
//
// Weights need K and N that are multiples of the tile; permuted rows need N a multiple of 64.
// Only std is included: device code compiles the header with --expt-relaxed-constexpr.
#pragma once

#include <cstdint>

namespace mmoe::layout {

// Which activations the tensor cores multiply with; it decides the tile.
enum class MarlinTile : int32_t {
    kK16N64 = 0,  // 16-bit activations
    kK32N32 = 1,  // 8-bit activations
};

inline constexpr int kMarlinTileValues = 1024;
inline constexpr int kMarlinBlock = 64;  // outputs over which scales and zero points are permuted

[[nodiscard]] constexpr int marlin_tile_inputs(MarlinTile tile) noexcept {
    return tile == MarlinTile::kK16N64 ? 16 : 32;
}
[[nodiscard]] constexpr int marlin_tile_outputs(MarlinTile tile) noexcept {
    return tile == MarlinTile::kK16N64 ? 64 : 32;
}
[[nodiscard]] constexpr int marlin_tile_words(int bits) noexcept {
    return kMarlinTileValues * bits / 32;
}

// ---- Weights ---------------------------------------------------------------------------------

// A code's place: field f of a word holds bits [bits * f, bits * f + bits).
struct MarlinPlace {
    int64_t word;
    int field;
};
struct MarlinSource {
    int64_t k;
    int64_t n;
};

// Inside one tile: 0 <= k < tile inputs, 0 <= n < tile outputs. Fields are ordered so that one
// mask takes the pair (k, k + 1) into the low and the high half of a word.
[[nodiscard]] constexpr MarlinPlace marlin_place_in_tile(int k, int n, int bits,
                                                         MarlinTile tile) noexcept {
    if (tile == MarlinTile::kK32N32) {
        const int lane = 4 * (n % 8) + (k % 16) / 4;
        const int quarter = n / 8;
        if (bits == 4) return {4 * lane + quarter, k / 16 + 2 * (k % 4)};
        return {8 * lane + 2 * quarter + k / 16, k % 4};
    }
    const int lane = 4 * (n % 8) + (k % 8) / 2;
    const int quarter = n / 16;
    const int upper_half = (n % 16) / 8;
    if (bits == 4) return {4 * lane + quarter, k / 8 + 2 * upper_half + 4 * (k % 2)};
    return {8 * lane + 2 * quarter + upper_half, k / 8 + 2 * (k % 2)};
}

// Inverse: 0 <= word < marlin_tile_words(bits), 0 <= field < 32 / bits.
[[nodiscard]] constexpr MarlinSource marlin_source_in_tile(int word, int field, int bits,
                                                           MarlinTile tile) noexcept {
    const int lane = bits == 4 ? word / 4 : word / 8;
    const int quarter = bits == 4 ? word % 4 : word % 8 / 2;
    if (tile == MarlinTile::kK32N32) {
        const int n = 8 * quarter + lane / 4;
        if (bits == 4) return {4 * (lane % 4) + 16 * (field & 1) + (field >> 1), n};
        return {4 * (lane % 4) + 16 * (word % 2) + field, n};
    }
    const int k = 2 * (lane % 4) + 8 * (field & 1);
    const int n = 16 * quarter + lane / 4;
    if (bits == 4) return {k + (field >> 2), n + 8 * ((field >> 1) & 1)};
    return {k + (field >> 1), n + 8 * (word % 2)};
}

// In the whole matrix of one expert with N outputs.
[[nodiscard]] constexpr MarlinPlace marlin_place(int64_t k, int64_t n, int64_t outputs, int bits,
                                                 MarlinTile tile) noexcept {
    const int tile_k = marlin_tile_inputs(tile);
    const int tile_n = marlin_tile_outputs(tile);
    const int64_t tile_index = (k / tile_k) * (outputs / tile_n) + n / tile_n;
    const MarlinPlace inside = marlin_place_in_tile(static_cast<int>(k % tile_k),
                                                    static_cast<int>(n % tile_n), bits, tile);
    return {tile_index * marlin_tile_words(bits) + inside.word, inside.field};
}

[[nodiscard]] constexpr MarlinSource marlin_source(int64_t word, int field, int64_t outputs,
                                                   int bits, MarlinTile tile) noexcept {
    const int tile_n = marlin_tile_outputs(tile);
    const int64_t tile_index = word / marlin_tile_words(bits);
    const MarlinSource inside =
        marlin_source_in_tile(static_cast<int>(word % marlin_tile_words(bits)), field, bits, tile);
    return {tile_index / (outputs / tile_n) * marlin_tile_inputs(tile) + inside.k,
            tile_index % (outputs / tile_n) * tile_n + inside.n};
}

// ---- Scales and bias -------------------------------------------------------------------------

enum class MarlinScaleOrder : int32_t {
    kGrouped = 0,  // inside blocks of 64 outputs
    kSingle = 1,   // inside blocks of 32 outputs; always the order of a bias
};

// `inputs` is the true K of this very GEMM (w13: H, w2: the local I), `group_size` is K where
// there is one scale a channel.
[[nodiscard]] constexpr MarlinScaleOrder marlin_scale_order(int64_t group_size, int64_t inputs,
                                                            MarlinTile tile) noexcept {
    return group_size < inputs && tile == MarlinTile::kK16N64 ? MarlinScaleOrder::kGrouped
                                                              : MarlinScaleOrder::kSingle;
}

// The output whose scale stands at position `place` of a row.
[[nodiscard]] constexpr int64_t marlin_scale_source(int64_t place,
                                                    MarlinScaleOrder order) noexcept {
    if (order == MarlinScaleOrder::kGrouped) {  // an 8 x 8 transpose: its own inverse
        const int64_t inside = place % 64;
        return place - inside + inside / 8 + 8 * (inside % 8);
    }
    const int64_t inside = place % 32;
    return place - inside + 2 * (inside / 8) + inside % 2 + 8 * (inside % 8 / 2);
}

[[nodiscard]] constexpr int64_t marlin_scale_place(int64_t n, MarlinScaleOrder order) noexcept {
    if (order == MarlinScaleOrder::kGrouped) return marlin_scale_source(n, order);
    const int64_t inside = n % 32;
    return n - inside + 8 * (inside % 8 / 2) + inside % 2 + 2 * (inside / 8);
}

// ---- Zero points -----------------------------------------------------------------------------

// In a row of one group: `word` counts from the row's start. Always inside blocks of 64 outputs,
// whatever the order of the scales. For 16-bit activations fields are interleaved as the codes
// are; for 8-bit ones they stand in plain order.
[[nodiscard]] constexpr MarlinPlace marlin_zero_point_place(int64_t n, int bits,
                                                            MarlinTile tile) noexcept {
    const int64_t block = n / kMarlinBlock;
    const int column = static_cast<int>(n % 8);
    const int eighth = static_cast<int>(n % kMarlinBlock / 8);
    const bool interleaved = tile == MarlinTile::kK16N64;
    if (bits == 4) {
        return {8 * block + column, interleaved ? eighth / 2 + 4 * (eighth % 2) : eighth};
    }
    const int field = eighth % 4;
    return {16 * block + 2 * column + eighth / 4,
            interleaved ? field / 2 + 2 * (field % 2) : field};
}

// Inverse: the output n.
[[nodiscard]] constexpr int64_t marlin_zero_point_source(int64_t word, int field, int bits,
                                                         MarlinTile tile) noexcept {
    const bool interleaved = tile == MarlinTile::kK16N64;
    if (bits == 4) {
        const int eighth = interleaved ? 2 * (field % 4) + field / 4 : field;
        return word / 8 * kMarlinBlock + word % 8 + 8 * eighth;
    }
    const int eighth =
        static_cast<int>(word % 2) * 4 + (interleaved ? 2 * (field % 2) + field / 2 : field);
    return word / 16 * kMarlinBlock + word % 16 / 2 + 8 * eighth;
}

// ---- Proofs ----------------------------------------------------------------------------------

namespace detail {

// Every (k, n) of a tile comes back, hence every field of the tile is used once.
[[nodiscard]] constexpr bool weights_come_back(int bits, MarlinTile tile) noexcept {
    for (int k = 0; k < marlin_tile_inputs(tile); ++k) {
        for (int n = 0; n < marlin_tile_outputs(tile); ++n) {
            const MarlinPlace place = marlin_place_in_tile(k, n, bits, tile);
            if (place.word >= marlin_tile_words(bits) || place.field >= 32 / bits) return false;
            const MarlinSource source =
                marlin_source_in_tile(static_cast<int>(place.word), place.field, bits, tile);
            if (source.k != k || source.n != n) return false;
        }
    }
    return true;
}

[[nodiscard]] constexpr bool scales_come_back(MarlinScaleOrder order) noexcept {
    for (int64_t n = 0; n < 2 * kMarlinBlock; ++n) {
        if (marlin_scale_source(marlin_scale_place(n, order), order) != n) return false;
    }
    return true;
}

[[nodiscard]] constexpr bool zero_points_come_back(int bits, MarlinTile tile) noexcept {
    for (int64_t n = 0; n < 2 * kMarlinBlock; ++n) {
        const MarlinPlace place = marlin_zero_point_place(n, bits, tile);
        if (marlin_zero_point_source(place.word, place.field, bits, tile) != n) return false;
    }
    return true;
}

static_assert(weights_come_back(4, MarlinTile::kK16N64));
static_assert(weights_come_back(8, MarlinTile::kK16N64));
static_assert(weights_come_back(4, MarlinTile::kK32N32));
static_assert(weights_come_back(8, MarlinTile::kK32N32));
static_assert(scales_come_back(MarlinScaleOrder::kGrouped));
static_assert(scales_come_back(MarlinScaleOrder::kSingle));
static_assert(zero_points_come_back(4, MarlinTile::kK16N64));
static_assert(zero_points_come_back(8, MarlinTile::kK16N64));
static_assert(zero_points_come_back(4, MarlinTile::kK32N32));
static_assert(zero_points_come_back(8, MarlinTile::kK32N32));

}  // namespace detail

}  // namespace mmoe::layout
