// SPDX-License-Identifier: Apache-2.0
// pack_file_tiles() and pack_file_marlin() with AVX2: codes go from the file into a layout in one
// pass. Blocks of 64 outputs, as high as a tile, go along the outputs first, as the file does. In
// order for each: later lines are asked for, the block is seen as rows of 64 words (for AWQ through
// a buffer in which squares of codes have been turned), and its words are packed.
#pragma once

#include <immintrin.h>

#include "cpu/dense_words_avx2.h"
#include "cpu/launch.h"
#include "cpu/marlin_tiles_avx2.h"
#include "cpu/turn_avx2.h"

namespace mmoe::cpu {
namespace {

// Words of 64 outputs: row w holds the w-th word of each.
struct WordRows {
    const uint32_t* words;
    int64_t stride;  // from row to row

    [[nodiscard]] __m256i load(int row, int first_output) const {
        return load_words(words + row * stride + first_output);
    }
};

inline constexpr int kFileBlockOutputs = 64;

// ---- From the file ------------------------------------------------------------------------------

// A word of the file holds inputs of one output. Blocks have `Rows` words of each output.
template <int Bits, int Rows>
struct WordsOfFile {
    static constexpr int kBits = Bits;
    static constexpr int kLine = 16;  // words

    // The block whose first words are those of `word`, and whose first output is `output`.
    WordRows block(const FileCodes& codes, int64_t word, int64_t output) {
        return {codes.words + word * codes.stride + output, codes.stride};
    }
    [[gnu::always_inline]] static void prefetch(const FileCodes& codes, const FileBlocks& blocks,
                                                int64_t word, int64_t output) {
        const TurnArgs file = {codes.words, codes.stride, blocks.words, blocks.outputs, nullptr, 0};
        const int64_t lines_of_a_row = blocks.outputs / kLine;
        const int64_t ahead = (kAheadLines / lines_of_a_row / Rows + 1) * Rows;
        for (int line = 0; line < kFileBlockOutputs; line += kLine) {
            prefetch_rows(rows_ahead_of(file, word, output + line, ahead), codes.stride, Rows);
        }
    }
};

// A word of the file holds 4-bit codes of eight outputs of one input.
template <int Rows>
struct AwqOfFile {
    static constexpr int kBits = 4;

    WordRows block(const FileCodes& codes, int64_t word, int64_t output) {
        for (int row = 0; row < Rows; ++row) {
            __m256i words[8];
            turn_awq_words(codes.words + 8 * (word + row) * codes.stride + output / 8, codes.stride,
                           words);
            for (int i = 0; i < 8; ++i) store_words(words[i], turned_[row] + 8 * i);
        }
        return {turned_[0], kFileBlockOutputs};
    }
    // For each line of a row of the file, as many lines of the rows of blocks kBlocksAhead
    // below. They are asked for as they lie in memory, not as blocks use them: a block is a column
    // of short runs, whose lines would come from as many pages at once (measured on a Zen 4 core,
    // Marlin tiles from 512 MB beside memcpy's 12.5 GB/s: 10.9 GB/s this way, 5.7 column by
    // column).
    [[gnu::always_inline]] static void prefetch(const FileCodes& codes, const FileBlocks& blocks,
                                                int64_t word, int64_t output) {
        constexpr int64_t kLineOutputs = 2 * kFileBlockOutputs;
        constexpr int64_t kBlockInputs = 8 * Rows;
        if (output % kLineOutputs != 0) return;
        const int64_t lines_of_a_row = (blocks.outputs + kLineOutputs - 1) / kLineOutputs;
        const int64_t first = output / kLineOutputs * kBlockInputs;
        const uintptr_t rows =
            reinterpret_cast<uintptr_t>(codes.words) +
            static_cast<uintptr_t>((8 * word + kBlocksAhead * kBlockInputs) * codes.stride) * 4;
        int64_t row = first / lines_of_a_row;
        int64_t line = first % lines_of_a_row;
        for (int64_t i = 0; i < kBlockInputs; ++i) {
            prefetch_line(rows + static_cast<uintptr_t>(row * codes.stride + line * 16) * 4);
            if (++line == lines_of_a_row) {
                line = 0;
                ++row;
            }
        }
    }

  private:
    static constexpr int64_t kBlocksAhead = 2;

    alignas(32) uint32_t turned_[Rows][kFileBlockOutputs];
};

// ---- To records ---------------------------------------------------------------------------------

// Tiles of one record follow one another, records are record_bytes apart.
inline uint8_t* tile_of_word(const PackFileTilesArgs& args, int64_t word) {
    return args.tile_bytes + word / args.tiles * args.record_bytes +
           word % args.tiles * layout::kTileBytes;
}

template <class File>
inline void pack_file_tiles_of(const PackFileTilesArgs& args) {
    File file;
    const bool aligned =
        is_aligned(args.tile_bytes, args.record_bytes | args.half_bytes | args.block_bytes);
    for (int64_t word = 0; word < args.blocks.words; ++word) {
        for (int64_t output = 0; output < args.blocks.outputs; output += kFileBlockOutputs) {
            File::prefetch(args.codes, args.blocks, word, output);
            const WordRows rows = file.block(args.codes, word, output);
            uint8_t* tile =
                tile_of_word(args, word) + output / kFileBlockOutputs * args.block_bytes;
            for (int n = 0; n < kFileBlockOutputs; n += 8) {
                uint8_t* lanes = tile + n / 32 * args.half_bytes + n % 32 * 4;
                store_past_cache(reinterpret_cast<__m256i*>(lanes),
                                 record_order<File::kBits>(rows.load(0, n)), aligned);
            }
        }
    }
    _mm_sfence();  // what went past the cache, too, precedes what the caller does next
}

// ---- To Marlin tiles ----------------------------------------------------------------------------

// One tile of a block, from its output `output` on. Lanes of a register are outputs n and n + 4 of
// the same quarter or eighth.
template <int Bits, MarlinTile Tile>
struct MarlinOfRows;

// The lines of two outputs, from four joined quarters.
inline void store_two_lines(const __m256i (&quarters)[4], uint32_t* low, uint32_t* high,
                            bool aligned) {
    __m256i words[4];
    transpose_lanes(quarters, words);
    for (int i = 0; i < 4; i += 2) {
        store_past_cache(reinterpret_cast<__m256i*>(low + 4 * i),
                         _mm256_permute2x128_si256(words[i], words[i + 1], 0x20), aligned);
        store_past_cache(reinterpret_cast<__m256i*>(high + 4 * i),
                         _mm256_permute2x128_si256(words[i], words[i + 1], 0x31), aligned);
    }
}

// The same of two outputs whose lines have eight words of each of four kinds.
inline void store_two_octets(const __m256i (&first)[4], const __m256i (&second)[4], uint32_t* low,
                             uint32_t* high, bool aligned) {
    for (int i = 0; i < 4; ++i) {
        store_past_cache(reinterpret_cast<__m256i*>(low + 8 * i),
                         _mm256_permute2x128_si256(first[i], second[i], 0x20), aligned);
        store_past_cache(reinterpret_cast<__m256i*>(high + 8 * i),
                         _mm256_permute2x128_si256(first[i], second[i], 0x31), aligned);
    }
}

template <>
struct MarlinOfRows<4, MarlinTile::kK16N64> {
    static void pack(const WordRows& rows, int output, uint32_t* tile, bool aligned) {
        __m256i joined[4][4];  // [output % 4, quarter]
        for (int quarter = 0; quarter < 4; ++quarter) {
            const int n = output + 16 * quarter;
            __m256i lanes[4];
            transpose_lanes(
                {rows.load(0, n), rows.load(1, n), rows.load(0, n + 8), rows.load(1, n + 8)},
                lanes);
            for (int i = 0; i < 4; ++i) {
                joined[i][quarter] = MarlinChunk<4, MarlinTile::kK16N64>::join(lanes[i]);
            }
        }
        for (int i = 0; i < 4; ++i) {
            store_two_lines(joined[i], tile + 16 * i, tile + 16 * (i + 4), aligned);
        }
    }
};

template <>
struct MarlinOfRows<4, MarlinTile::kK32N32> {
    static void pack(const WordRows& rows, int output, uint32_t* tile, bool aligned) {
        __m256i joined[4][4];  // [output % 4, quarter]
        for (int quarter = 0; quarter < 4; ++quarter) {
            const int n = output + 8 * quarter;
            __m256i lanes[4];
            transpose_lanes({rows.load(0, n), rows.load(1, n), rows.load(2, n), rows.load(3, n)},
                            lanes);
            for (int i = 0; i < 4; ++i) {
                joined[i][quarter] = MarlinChunk<4, MarlinTile::kK32N32>::join(lanes[i]);
            }
        }
        for (int i = 0; i < 4; ++i) {
            store_two_lines(joined[i], tile + 16 * i, tile + 16 * (i + 4), aligned);
        }
    }
};

template <>
struct MarlinOfRows<8, MarlinTile::kK16N64> {
    static void pack(const WordRows& rows, int output, uint32_t* tile, bool aligned) {
        __m256i joined[4][8];  // [output % 4, eighth]
        for (int eighth = 0; eighth < 8; ++eighth) {
            const int n = output + 8 * eighth;
            __m256i lanes[4];
            transpose_lanes({rows.load(0, n), rows.load(1, n), rows.load(2, n), rows.load(3, n)},
                            lanes);
            for (int i = 0; i < 4; ++i) joined[i][eighth] = join_halves(lanes[i]);
        }
        for (int i = 0; i < 4; ++i) {
            const __m256i(&j)[8] = joined[i];
            __m256i first[4];
            __m256i second[4];
            transpose_lanes({j[0], j[1], j[2], j[3]}, first);
            transpose_lanes({j[4], j[5], j[6], j[7]}, second);
            store_two_octets(first, second, tile + 32 * i, tile + 32 * (i + 4), aligned);
        }
    }
};

template <>
struct MarlinOfRows<8, MarlinTile::kK32N32> {
    static void pack(const WordRows& rows, int output, uint32_t* tile, bool aligned) {
        for (int i = 0; i < 4; ++i) {  // words i and i + 4 of a row share a line
            __m256i first[4];
            __m256i second[4];
            transpose_lanes({rows.load(i, output), rows.load(i + 4, output),
                             rows.load(i, output + 8), rows.load(i + 4, output + 8)},
                            first);
            transpose_lanes({rows.load(i, output + 16), rows.load(i + 4, output + 16),
                             rows.load(i, output + 24), rows.load(i + 4, output + 24)},
                            second);
            for (int n = 0; n < 4; ++n) {
                auto* low = reinterpret_cast<__m256i*>(tile + 32 * n + 8 * i);
                auto* high = reinterpret_cast<__m256i*>(tile + 32 * (n + 4) + 8 * i);
                store_past_cache(low, _mm256_permute2x128_si256(first[n], second[n], 0x20),
                                 aligned);
                store_past_cache(high, _mm256_permute2x128_si256(first[n], second[n], 0x31),
                                 aligned);
            }
        }
    }
};

template <int Bits, MarlinTile Tile>
inline constexpr int kTileRows = layout::marlin_tile_inputs(Tile) * Bits /
                                 32;  // words of an output

template <class File, MarlinTile Tile>
inline void pack_file_marlin_of(const PackFileMarlinArgs& args) {
    constexpr int kOutputs = layout::marlin_tile_outputs(Tile);
    constexpr int kRows = kTileRows<File::kBits, Tile>;
    File file;
    const bool aligned = is_aligned(args.tiles, args.tile_stride * 4);
    for (int64_t word = 0; word < args.blocks.words; word += kRows) {
        uint32_t* tile = args.tiles + word / kRows * args.tile_stride;
        for (int64_t output = 0; output < args.blocks.outputs; output += kFileBlockOutputs) {
            File::prefetch(args.codes, args.blocks, word, output);
            const WordRows rows = file.block(args.codes, word, output);
            for (int n = 0; n < kFileBlockOutputs; n += kOutputs) {
                MarlinOfRows<File::kBits, Tile>::pack(rows, n, tile, aligned);
                tile += layout::marlin_tile_words(File::kBits);
            }
        }
    }
    _mm_sfence();  // what went past the cache, too, precedes what the caller does next
}

inline void pack_file_into_tiles(const PackFileTilesArgs& args) {
    if (args.codes.order == CodeOrder::kAwq) return pack_file_tiles_of<AwqOfFile<1>>(args);
    if (args.bits == 4) return pack_file_tiles_of<WordsOfFile<4, 1>>(args);
    pack_file_tiles_of<WordsOfFile<8, 1>>(args);
}

template <MarlinTile Tile>
inline void pack_file_into_marlin(const PackFileMarlinArgs& args) {
    constexpr int kRows4 = kTileRows<4, Tile>;
    constexpr int kRows8 = kTileRows<8, Tile>;
    if (args.codes.order == CodeOrder::kAwq) {
        pack_file_marlin_of<AwqOfFile<kRows4>, Tile>(args);
    } else if (args.bits == 4) {
        pack_file_marlin_of<WordsOfFile<4, kRows4>, Tile>(args);
    } else {
        pack_file_marlin_of<WordsOfFile<8, kRows8>, Tile>(args);
    }
}

}  // namespace
}  // namespace mmoe::cpu
