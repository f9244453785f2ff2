// SPDX-License-Identifier: Apache-2.0
// What lib/exec sees of the CPU kernels: one row is one way to multiply activations with CPU
// records (layout/cpu_record.h). A row owns its activation format: it packs rows of hidden
// states into it, and multiplies packed rows with one block of 64 outputs.
//
// Arithmetic of every row, for lane n, token t, group q (s scale, z zero point, c codes):
//     out[t][n] = sum over q of  s[q][n] * ( sum over k of c[q][n][k] * x[t][q][k]
//                                            - z[q][n] * sum over k of x[t][q][k] )
// Inner sums run over sum blocks (below), exact or in fp32, in rising order: what a row makes of a
// token depends on nothing but the token's own inputs, not even on the tokens that share its tile.
// Infinity and NaN reach the outputs of their token as infinity or NaN.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cpu/tier.h"
#include "layout/cpu_record.h"
#include "layout/marlin.h"

namespace mmoe::cpu {

// Most tokens that one multiply() call takes: of rows with vector registers, of rows with tiles,
// and of any row.
inline constexpr int kVectorTileTokens = 6;
inline constexpr int kAmxTokens = 64;
inline constexpr int kMaxTileTokens = kAmxTokens;

// Inputs whose products are summed before they are scaled and added to the outputs: at most this
// many, inside one group. It bounds the rounding of long fp32 chains, keeps 32-bit sums of int16
// products exact (128 * 255 * 32767 < 2^31), and is how far one activation scale reaches.
inline constexpr int64_t kSumBlockInputs = 128;

// What one packed row of activations takes: elements of `x`, and floats of `x_sum` and `x_scale`.
[[nodiscard]] constexpr int64_t x_elements(const layout::CpuRecordPlan& plan) noexcept {
    return plan.padded_inputs();
}
[[nodiscard]] constexpr int64_t sum_blocks(const layout::CpuRecordPlan& plan) noexcept {
    return plan.groups() * ((plan.padded_group() + kSumBlockInputs - 1) / kSumBlockInputs);
}
[[nodiscard]] constexpr int64_t x_sum_count(const layout::CpuRecordPlan& plan) noexcept {
    return sum_blocks(plan);
}
[[nodiscard]] constexpr int64_t x_scale_count(const layout::CpuRecordPlan& plan) noexcept {
    return sum_blocks(plan);
}

// How a row holds activations. The element is what `x` of MultiplyArgs points to.
enum class ActivationFormat : int32_t {
    kF32,    // float, exact
    kBf16,   // uint16_t, exact for bf16 inputs but for denormals, which count as 0
    kInt16,  // int16_t block fixed point: x = element * x_scale[sum block]
    // The same in two planes of int8_t, x = (256 * high + low) * x_scale: four high, then four low
    // ones, in the order of layout::cpu_byte_order().
    kInt16Planes,
    kInt8,  // int8_t block fixed point, in the order of layout::cpu_byte_order()
};

[[nodiscard]] constexpr size_t activation_bytes(ActivationFormat format) noexcept {
    switch (format) {
        case ActivationFormat::kF32:
            return 4;
        case ActivationFormat::kInt8:
            return 1;
        default:
            return 2;
    }
}

// Element types of hidden states, intermediates and outputs. Values of mmoe_dtype.
enum class Element : int32_t { kF32 = 1, kF16 = 2, kBf16 = 3 };

[[nodiscard]] constexpr size_t element_bytes(Element element) noexcept {
    return element == Element::kF32 ? 4 : 2;
}

// Packs one row of K inputs into the padded group layout of `plan`.
struct PackArgs {
    const layout::CpuRecordPlan* plan;
    Element source_type;
    const void* source;  // [K]
    void* x;             // [x_elements] = [groups, padded_group] in the row's format
    float* x_sum;        // [x_sum_count]: sum of the elements of `x` of a sum block
    float* x_scale;      // [x_scale_count]: fixed point only, else untouched
};

// Multiplies `tokens` packed rows with one block.
struct MultiplyArgs {
    const layout::CpuRecordPlan* plan;
    const uint8_t* block;         // [groups] records, 64-byte aligned
    const uint8_t* next_block;    // what the thread reads next, prefetched near the end: `block`
                                  // itself if more tokens follow, else its next block; or null
    const void* const* x;         // [tokens] packed rows, each 64-byte aligned
    const float* const* x_sum;    // [tokens] -> [x_sum_count]
    const float* const* x_scale;  // [tokens] -> [x_scale_count]; fixed point only
    float* out;                   // [tokens, 64], 64-byte aligned, overwritten
};

struct Row {
    const char* name;  // op.format.bits.tile.tier, such as "moe_gemm.bf16.int4.n64.avx512bf16"
    Tier tier;
    ActivationFormat format;
    int bits;
    bool exact;  // fp32 products of unrounded activations, whatever their type
    // Null if the row serves matrices of this plan with activations of this type, else a static
    // sentence that says why not.
    const char* (*refuse)(const layout::CpuRecordPlan& plan, Element source_type);
    void (*pack)(const PackArgs& args);
    void (*multiply)(int tokens, const MultiplyArgs& args);
    int most_tokens = kVectorTileTokens;  // of one multiply() call
    // Tokens of an expert from which on it is the better row. Above 1 another row, that packs
    // alike, serves experts of fewer.
    int least_tokens = 1;
};

// The elementwise half of a layer, one set of functions a tier.
enum class Activation : int32_t { kSilu = 0, kGelu = 1, kGeluTanh = 2, kRelu2 = 3 };

struct ActivateArgs {
    Activation activation;
    bool gated;
    float alpha, beta, limit;  // limit is infinity where nothing is clamped
    int64_t outputs;           // outputs of this block that exist: at most outputs_per_block
    const float* values;       // [64]: gated: 32 gate then 32 up; else 64 values
    const float* bias;         // [64] in the same order, or null
    float weight;              // multiplies the values before the bias (router weight on input)
    float* out;                // [outputs]
};

struct CombineArgs {
    int64_t outputs;      // at most 64
    const float* values;  // [64]
    const float* bias;    // [64], or null
    float weight;         // router weight
    float* sum;           // [outputs], added to: sum += weight * (value + bias)
};

struct Elementwise {
    Tier tier;
    void (*activate)(const ActivateArgs& args);
    void (*combine)(const CombineArgs& args);
    // Narrows `count` sums to the output type, to nearest even.
    void (*store)(Element type, int64_t count, const float* sums, void* out);
};

// The codes of consecutive records, from rows of dense codes as unpack/canonical.h has them.
struct PackTilesArgs {
    int bits;               // 4 or 8
    int64_t records;        // groups, one after another in every row
    int64_t record_bytes;   // from the tiles of one record to those of the next
    int64_t tiles;          // of one record: words of every row
    int64_t rows;           // outputs: lanes first_lane .. first_lane + rows - 1 are written
    const uint32_t* codes;  // [rows, row_words], the first records * tiles words of each are read
    int64_t row_words;
    int first_lane;       // a multiple of 16
    uint8_t* tile_bytes;  // [tiles] tiles of the first record; fastest 64-byte aligned
};
using PackTiles = void (*)(const PackTilesArgs& args);

// The fastest routine that `tier` includes.
PackTiles pack_tiles(Tier tier);

// A column of whole Marlin tiles (layout/marlin.h), from rows of dense codes.
struct PackMarlinArgs {
    int bits;                 // 4 or 8
    layout::MarlinTile tile;  // its outputs are the rows that are read
    const uint32_t* codes;    // [tile outputs, row_words]
    int64_t row_words;
    int64_t words;        // of every row that are read: a multiple of kMarlinChunkWords
    uint32_t* tiles;      // tile of the first inputs; fastest 32-byte aligned
    int64_t tile_stride;  // words from a tile to the one of the next inputs
};
inline constexpr int64_t kMarlinChunkWords = 8;
using PackMarlin = void (*)(const PackMarlinArgs& args);

// A matrix of words turned over. Words of a column become a row of `out`.
struct TurnArgs {
    const uint32_t* source;  // [rows, columns]
    int64_t source_stride;
    int64_t rows;     // a multiple of kTurnWordsBlock (words) or kTurnInputs (AWQ)
    int64_t columns;  // a multiple of kTurnWordsBlock (words) or kTurnFileWords (AWQ)
    uint32_t* out;
    int64_t out_stride;
};
// Words: out[column][row] = source[row][column].
// AWQ: a source word holds 4-bit codes of eight columns, its field f that of column kAwqColumn[f];
// an output word holds eight rows, the first in its lowest bits.
inline constexpr int kAwqColumn[8] = {0, 2, 4, 6, 1, 3, 5, 7};
using Turn = void (*)(const TurnArgs& args);
inline constexpr int64_t kTurnWordsBlock = 16;
inline constexpr int64_t kTurnInputs = 64;
inline constexpr int64_t kTurnFileWords = 8;

// Codes as a file has them, from the first output and input of interest on.
enum class CodeOrder : int32_t {
    kWords,  // [inputs * bits / 32, outputs]: a word holds inputs of one output
    kAwq,    // [inputs, outputs / 8]: a word holds 4-bit codes of eight outputs, as kAwqColumn
};
struct FileCodes {
    CodeOrder order;
    const uint32_t* words;
    int64_t stride;  // words, from row to row
};
// What of them is packed: 64 outputs by 8 words of each, or multiples.
struct FileBlocks {
    int64_t outputs;
    int64_t words;
};
inline constexpr int64_t kFileOutputs = 64;
inline constexpr int64_t kFileWords = 8;

// To the tiles of records, as pack_tiles() does.
struct PackFileTilesArgs {
    int bits;
    FileCodes codes;
    FileBlocks blocks;
    int64_t tiles;         // of one record
    int64_t record_bytes;  // from the tiles of one record to those of the next
    int64_t half_bytes;    // from the lanes of outputs 0 to 31 to those of 32 to 63
    int64_t block_bytes;   // from the lanes of 64 outputs to those of the next 64
    uint8_t* tile_bytes;   // lane of the first output in its first tile; fastest 32-byte aligned
};
using PackFileTiles = void (*)(const PackFileTilesArgs& args);

// To Marlin tiles, as pack_marlin() does; those of one row of tiles stand side by side.
struct PackFileMarlinArgs {
    int bits;
    layout::MarlinTile tile;
    FileCodes codes;
    FileBlocks blocks;
    uint32_t* tiles;      // tile of the first inputs and outputs; fastest 32-byte aligned
    int64_t tile_stride;  // words from a tile to the one of the next inputs
};
using PackFileMarlin = void (*)(const PackFileMarlinArgs& args);

// What `tier` does faster than code without its instructions;
// null where it has nothing.
PackMarlin pack_marlin(Tier tier);
Turn turn_words(Tier tier);
Turn turn_awq(Tier tier);
PackFileTiles pack_file_tiles(Tier tier);
PackFileMarlin pack_file_marlin(Tier tier);

// Every row of this build, best first. A row may run only where usable(row.tier).
std::span<const Row> rows();
// The best elementwise functions that `tier` includes.
const Elementwise& elementwise(Tier tier);

}  // namespace mmoe::cpu
