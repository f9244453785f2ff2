// SPDX-License-Identifier: Apache-2.0
// pack_marlin() with AVX2. In order, for each eighth of the outputs of a tile (those that are equal
// modulo 8) and 32 bytes of every row: the fields of a word come together inside 128-bit lanes,
// words of different quarters are transposed, and whole cache lines go past the cache.
//
// A lane holds one tile where a row has 16 bytes in it or less, so a register works at two tiles.
// layout/marlin.h is the formula; tests compare with it.
#pragma once

#include <immintrin.h>

#include "cpu/dense_words_avx2.h"
#include "cpu/launch.h"

namespace mmoe::cpu {
namespace {

using layout::MarlinTile;

inline constexpr int kChunkWords = 8;  // of one row: a register

// Four dwords of every lane: out[i] has the i-th dword of in[0], in[1], in[2], in[3].
inline void transpose_lanes(const __m256i (&in)[4], __m256i (&out)[4]) {
    const __m256i low01 = _mm256_unpacklo_epi32(in[0], in[1]);
    const __m256i high01 = _mm256_unpackhi_epi32(in[0], in[1]);
    const __m256i low23 = _mm256_unpacklo_epi32(in[2], in[3]);
    const __m256i high23 = _mm256_unpackhi_epi32(in[2], in[3]);
    out[0] = _mm256_unpacklo_epi64(low01, low23);
    out[1] = _mm256_unpackhi_epi64(low01, low23);
    out[2] = _mm256_unpacklo_epi64(high01, high23);
    out[3] = _mm256_unpackhi_epi64(high01, high23);
}

// Bytes 2i, 8 + 2i, 2i + 1, 9 + 2i of a lane become dword i.
inline __m256i join_halves(__m256i words) {
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15));
    return _mm256_shuffle_epi8(words, order);
}

// Where a chunk's tiles go, and how.
struct ChunkTarget {
    uint32_t* first;      // tile of the chunk's first words
    int64_t tile_stride;  // words, to the next tile along the inputs
    bool aligned;         // to 32 bytes, as stores past the cache need

    void store(int tile, int word, __m256i words) const {
        store_past_cache(reinterpret_cast<__m256i*>(first + tile * tile_stride + word), words,
                         aligned);
    }
    // Sixteen words of two tiles, one in the low and one in the high lanes.
    void store_line(int low_tile, int high_tile, int word, const __m256i (&words)[4]) const {
        for (int i = 0; i < 4; i += 2) {
            store(low_tile, word + 4 * i, _mm256_permute2x128_si256(words[i], words[i + 1], 0x20));
            store(high_tile, word + 4 * i, _mm256_permute2x128_si256(words[i], words[i + 1], 0x31));
        }
    }
};

inline __m256i load_chunk(const uint32_t* row) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row));
}

// Eight words of each row of a tile's outputs, `column` = output % 8.
template <int Bits, MarlinTile Tile>
struct MarlinChunk;

// A row has two words in a tile; outputs n and n + 8 share words.
template <>
struct MarlinChunk<4, MarlinTile::kK16N64> {
    static __m256i join(__m256i two_rows) {
        const __m256i order = _mm256_broadcastsi128_si256(
            _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
        return record_order<4>(_mm256_shuffle_epi8(two_rows, order));
    }
    static void pack(const uint32_t* rows, int64_t row_words, int column, const ChunkTarget& to) {
        __m256i even[4];
        __m256i odd[4];
        for (int quarter = 0; quarter < 4; ++quarter) {
            const uint32_t* row = rows + (16 * quarter + column) * row_words;
            const __m256i upper = load_chunk(row);
            const __m256i lower = load_chunk(row + 8 * row_words);
            even[quarter] = join(_mm256_unpacklo_epi64(upper, lower));
            odd[quarter] = join(_mm256_unpackhi_epi64(upper, lower));
        }
        __m256i lines[4];
        transpose_lanes(even, lines);
        to.store_line(0, 2, 16 * column, lines);
        transpose_lanes(odd, lines);
        to.store_line(1, 3, 16 * column, lines);
    }
};

// A row has four words in a tile; inputs k and k + 16 share words.
template <>
struct MarlinChunk<4, MarlinTile::kK32N32> {
    static __m256i join(__m256i row) {
        const __m256i nibble = _mm256_set1_epi8(0x0F);
        const __m256i one_and_sixteen = _mm256_set1_epi16(0x1001);
        const __m256i halves = join_halves(row);
        const __m256i even = _mm256_and_si256(halves, nibble);
        const __m256i odd = _mm256_and_si256(_mm256_srli_epi16(halves, 4), nibble);
        return _mm256_or_si256(_mm256_maddubs_epi16(even, one_and_sixteen),
                               _mm256_slli_epi16(_mm256_maddubs_epi16(odd, one_and_sixteen), 8));
    }
    static void pack(const uint32_t* rows, int64_t row_words, int column, const ChunkTarget& to) {
        __m256i joined[4];
        for (int quarter = 0; quarter < 4; ++quarter) {
            joined[quarter] = join(load_chunk(rows + (8 * quarter + column) * row_words));
        }
        __m256i lines[4];
        transpose_lanes(joined, lines);
        to.store_line(0, 1, 16 * column, lines);
    }
};

// A row has four words in a tile; inputs k and k + 8 share words, and eight outputs a line.
template <>
struct MarlinChunk<8, MarlinTile::kK16N64> {
    static void pack(const uint32_t* rows, int64_t row_words, int column, const ChunkTarget& to) {
        __m256i halves[2][4];
        for (int half = 0; half < 2; ++half) {
            __m256i joined[4];
            for (int i = 0; i < 4; ++i) {
                const int output = 8 * (4 * half + i) + column;
                joined[i] = join_halves(load_chunk(rows + output * row_words));
            }
            transpose_lanes(joined, halves[half]);
        }
        for (int i = 0; i < 4; ++i) {
            const int word = 32 * column + 8 * i;
            to.store(0, word, _mm256_permute2x128_si256(halves[0][i], halves[1][i], 0x20));
            to.store(1, word, _mm256_permute2x128_si256(halves[0][i], halves[1][i], 0x31));
        }
    }
};

// A row has eight words in a tile; no word changes.
template <>
struct MarlinChunk<8, MarlinTile::kK32N32> {
    static void pack(const uint32_t* rows, int64_t row_words, int column, const ChunkTarget& to) {
        const __m256i lanes_together = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        __m256i words[4];
        for (int quarter = 0; quarter < 4; ++quarter) {
            words[quarter] = load_chunk(rows + (8 * quarter + column) * row_words);
        }
        __m256i lines[4];
        transpose_lanes(words, lines);
        for (int i = 0; i < 4; ++i) {
            to.store(0, 32 * column + 8 * i, _mm256_permutevar8x32_epi32(lines[i], lanes_together));
        }
    }
};

// Address of the line that is read kAheadLines after the one at `word`, in the first row of a tile;
// past the end of the rows, those of the next tile follow.
template <int Outputs>
inline uintptr_t line_ahead(const PackMarlinArgs& args, int64_t word) {
    const int64_t ahead = word + kAheadLines / Outputs * 16;
    const bool next_tile = ahead >= args.words;
    const int64_t offset = next_tile ? Outputs * args.row_words + ahead - args.words : ahead;
    return reinterpret_cast<uintptr_t>(args.codes) + static_cast<uintptr_t>(offset) * 4;
}

template <int Bits, MarlinTile Tile>
inline void pack_marlin_of(const PackMarlinArgs& args) {
    constexpr int kOutputs = layout::marlin_tile_outputs(Tile);
    constexpr int kRowWords = layout::marlin_tile_inputs(Tile) * Bits / 32;
    const bool aligned = is_aligned(args.tiles, args.tile_stride * 4);
    for (int64_t word = 0; word < args.words; word += kChunkWords) {
        const uint32_t* rows = args.codes + word;
        const uintptr_t ahead = line_ahead<kOutputs>(args, word);
        const ChunkTarget to{args.tiles + word / kRowWords * args.tile_stride, args.tile_stride,
                             aligned};
        for (int column = 0; column < 8; ++column) {
            constexpr int kRows = kOutputs / 8;
            if (word % 16 == 0) {
                prefetch_rows(ahead + static_cast<uintptr_t>(column * kRows * args.row_words) * 4,
                              args.row_words, kRows);
            }
            MarlinChunk<Bits, Tile>::pack(rows, args.row_words, column, to);
        }
    }
    _mm_sfence();  // what went past the cache, too, precedes what the caller does next
}

inline void pack_marlin_tiles(const PackMarlinArgs& args) {
    const bool wide = args.tile == MarlinTile::kK16N64;
    if (args.bits == 4) {
        wide ? pack_marlin_of<4, MarlinTile::kK16N64>(args)
             : pack_marlin_of<4, MarlinTile::kK32N32>(args);
    } else {
        wide ? pack_marlin_of<8, MarlinTile::kK16N64>(args)
             : pack_marlin_of<8, MarlinTile::kK32N32>(args);
    }
}

}  // namespace
}  // namespace mmoe::cpu
