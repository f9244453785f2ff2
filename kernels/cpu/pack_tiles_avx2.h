// SPDX-License-Identifier: Apache-2.0
// pack_tiles() with AVX2: sixteen rows by four tiles at a time. Codes are put into the order of a
// record inside every word, then words are transposed: rows become lanes, and whole cache lines,
// which go past the cache.
#pragma once

#include <immintrin.h>

#include "cpu/dense_words_avx2.h"
#include "cpu/pack_words.h"

namespace mmoe::cpu {
namespace {

// Four words of rows r and r + 4.
inline __m256i load_row_pair(const uint32_t* row, int64_t row_words) {
    const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row));
    return _mm256_inserti128_si256(
        _mm256_castsi128_si256(low),
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + 4 * row_words)), 1);
}

// Four tiles of eight lanes: `dense` is the first row's word of the first tile.
template <int Bits>
inline void transpose_eight_rows(const uint32_t* dense, int64_t row_words, __m256i (&tiles)[4]) {
    const __m256i row0 = record_order<Bits>(load_row_pair(dense, row_words));
    const __m256i row1 = record_order<Bits>(load_row_pair(dense + row_words, row_words));
    const __m256i row2 = record_order<Bits>(load_row_pair(dense + 2 * row_words, row_words));
    const __m256i row3 = record_order<Bits>(load_row_pair(dense + 3 * row_words, row_words));
    const __m256i low01 = _mm256_unpacklo_epi32(row0, row1);
    const __m256i high01 = _mm256_unpackhi_epi32(row0, row1);
    const __m256i low23 = _mm256_unpacklo_epi32(row2, row3);
    const __m256i high23 = _mm256_unpackhi_epi32(row2, row3);
    tiles[0] = _mm256_unpacklo_epi64(low01, low23);
    tiles[1] = _mm256_unpackhi_epi64(low01, low23);
    tiles[2] = _mm256_unpacklo_epi64(high01, high23);
    tiles[3] = _mm256_unpackhi_epi64(high01, high23);
}

// Sixteen rows of four tiles.
template <int Bits>
inline void pack_sixteen_rows(const uint32_t* dense, int64_t row_words, uint8_t* lanes,
                              bool aligned) {
    __m256i first[4];
    __m256i second[4];
    transpose_eight_rows<Bits>(dense, row_words, first);
    transpose_eight_rows<Bits>(dense + 8 * row_words, row_words, second);
    for (int tile = 0; tile < 4; ++tile) {
        auto* line = reinterpret_cast<__m256i*>(lanes + tile * layout::kTileBytes);
        store_past_cache(line, first[tile], aligned);
        store_past_cache(line + 1, second[tile], aligned);
    }
}

// Sixteen rows at a time through all records: as many streams are read.
template <int Bits>
inline void pack_tiles_of(const PackTilesArgs& args) {
    const bool aligned = is_aligned(args.tile_bytes, args.record_bytes);
    const int64_t whole_rows = args.rows / 16 * 16;
    const int64_t whole_tiles = args.tiles / 4 * 4;
    for (int64_t row = 0; row < whole_rows; row += 16) {
        for (int64_t record = 0; record < args.records; ++record) {
            const uint32_t* dense = args.codes + row * args.row_words + record * args.tiles;
            uint8_t* lanes =
                args.tile_bytes + record * args.record_bytes + (args.first_lane + row) * 4;
            for (int64_t tile = 0; tile < whole_tiles; tile += 4) {
                pack_sixteen_rows<Bits>(dense + tile, args.row_words,
                                        lanes + tile * layout::kTileBytes, aligned);
            }
            pack_words(args, record, {row, row + 16, whole_tiles});
        }
    }
    for (int64_t record = 0; record < args.records; ++record) {
        pack_words(args, record, {whole_rows, args.rows, 0});
    }
    _mm_sfence();  // what went past the cache, too, precedes what the caller does next
}

}  // namespace
}  // namespace mmoe::cpu
