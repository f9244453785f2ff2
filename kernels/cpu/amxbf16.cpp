// SPDX-License-Identifier: Apache-2.0
// The AMX-BF16 tier, for experts of several tokens: bf16 hidden states meet 4-bit codes that are
// turned into bf16 once a call. For each sum block, in this order:
//
//   unpack    codes [inputs, 64] to bf16 tiles, in the L1 cache
//   gather    the tokens' inputs into consecutive rows
//   multiply  16 outputs times up to 16 tokens a tile of sums, 2 x 2 tiles at a time
//   add       scaled sums to the outputs, as every row does
//
// Tokens are shared out evenly among tiles, so that all tiles have one shape. Tile registers are
// in their initial state before and after a call.
#include <algorithm>
#include <cstring>

#include "cpu/amx.h"
#include "cpu/codes_bf16.h"
#include "cpu/gemm.h"
#include "cpu/tiers.h"

namespace mmoe::cpu {
namespace {

constexpr int kStepInputs = 32;  // inputs of one product of tiles
constexpr int64_t kSteps = kSumBlockInputs / kStepInputs;
constexpr int kStepTiles = kStepInputs / 8;  // tiles of the record
constexpr int kLaneTiles = kLanes / kAmxRows;
static_assert(kSumBlockInputs % kStepInputs == 0);

struct alignas(64) Scratch {
    uint8_t codes[kSteps][kLaneTiles][kAmxRows][kAmxRowBytes];  // [.., pair of inputs, 16 outputs]
    uint8_t x[kSteps][kAmxTokens][kAmxRowBytes];
    float sums[2][2][kAmxRows][kAmxRows];  // [token tile, lane tile, token, output]
};

// How tokens are shared out: tile i holds tokens i * rows .. (i + 1) * rows - 1.
struct TokenTiles {
    explicit TokenTiles(int token_count)
        : tokens(token_count),
          count((token_count + kAmxRows - 1) / kAmxRows),
          rows((token_count + count - 1) / count) {}
    int tokens;
    int count;
    int rows;
};

// Tile registers: sums 0 to 3, tokens 4 and 5, codes 6 and 7.
void configure(int token_rows) {
    AmxShapes shapes;
    for (int tile = 0; tile < 8; ++tile) {
        shapes.row_bytes[tile] = kAmxRowBytes;
        shapes.rows[tile] = static_cast<uint8_t>(tile < 6 ? token_rows : kAmxRows);
    }
    amx_configure(shapes);
}

void unpack(const uint8_t* tiles, int64_t steps, Scratch& scratch) {
    const __m512i table = _mm512_load_si512(kCentredCodes);
    for (int64_t step = 0; step < steps; ++step) {
        for (int tile = 0; tile < kStepTiles; ++tile, tiles += kTileBytes) {
            MMOE_UNROLL
            for (int lanes = 0; lanes < kLaneTiles; ++lanes) {
                const __m512i words = _mm512_load_si512(tiles + lanes * 64);
                __builtin_prefetch(tiles + lanes * 64 + kPrefetchBytes);
                MMOE_UNROLL
                for (int pair = 0; pair < 4; ++pair) {
                    _mm512_store_si512(scratch.codes[step][lanes][tile * 4 + pair],
                                       centred_pairs(words, pair, table));
                }
            }
        }
    }
}

void gather(const MultiplyArgs& args, int tokens, int64_t input, int64_t steps, Scratch& scratch) {
    for (int token = 0; token < tokens; ++token) {
        const auto* x = static_cast<const uint16_t*>(args.x[token]) + input;
        for (int64_t step = 0; step < steps; ++step) {
            _mm512_store_si512(scratch.x[step][token], _mm512_loadu_si512(x + step * kStepInputs));
        }
    }
}

// Sums of one or two tiles of tokens from `first` on and 32 outputs.
template <int Tiles>
void multiply_tiles(int first, int rows, int lane_tile, int64_t steps, Scratch& scratch) {
    amx_zero<0>();
    amx_zero<1>();
    if constexpr (Tiles == 2) {
        amx_zero<2>();
        amx_zero<3>();
    }
    for (int64_t step = 0; step < steps; ++step) {
        amx_load<6>(scratch.codes[step][lane_tile]);
        amx_load<7>(scratch.codes[step][lane_tile + 1]);
        amx_load<4>(scratch.x[step][first]);
        amx_dot_bf16<0, 4, 6>();
        amx_dot_bf16<1, 4, 7>();
        if constexpr (Tiles == 2) {
            amx_load<5>(scratch.x[step][first + rows]);
            amx_dot_bf16<2, 5, 6>();
            amx_dot_bf16<3, 5, 7>();
        }
    }
    amx_store<0>(scratch.sums[0][0]);
    amx_store<1>(scratch.sums[0][1]);
    if constexpr (Tiles == 2) {
        amx_store<2>(scratch.sums[1][0]);
        amx_store<3>(scratch.sums[1][1]);
    }
}

struct Sums {  // what add_to_outputs() asks of a kernel
    using Vector = Avx512;
    static constexpr bool kScaled = false;
};

void add(const MultiplyArgs& args, const TokenTiles& tiles, int first_tile, int lane_tile,
         int64_t sum_block, const GroupFactors& factors, const Scratch& scratch) {
    const int begin = first_tile * tiles.rows;
    const int end = std::min(tiles.tokens, begin + 2 * tiles.rows);
    for (int token = begin; token < end; ++token) {
        const int tile = (token - begin) / tiles.rows;
        const int row = (token - begin) % tiles.rows;
        const __m512 sums[2][1] = {{_mm512_load_ps(scratch.sums[tile][0][row])},
                                   {_mm512_load_ps(scratch.sums[tile][1][row])}};
        const float x_sum[1] = {args.x_sum[token][sum_block]};
        const float x_scale[1] = {};
        add_to_outputs<Sums, 1, 2>(sums, x_sum, x_scale, args.plan->asymmetric, factors,
                                   lane_tile * kAmxRows, args.out + token * kLanes);
    }
}

// One sum block whose codes and inputs are in the scratch.
void multiply_block(const MultiplyArgs& args, const TokenTiles& tiles, int64_t steps,
                    int64_t sum_block, const GroupFactors& factors, Scratch& scratch) {
    for (int tile = 0; tile < tiles.count; tile += 2) {
        for (int lane_tile = 0; lane_tile < kLaneTiles; lane_tile += 2) {
            const int first = tile * tiles.rows;
            if (tile + 1 < tiles.count) {
                multiply_tiles<2>(first, tiles.rows, lane_tile, steps, scratch);
            } else {
                multiply_tiles<1>(first, tiles.rows, lane_tile, steps, scratch);
            }
            add(args, tiles, tile, lane_tile, sum_block, factors, scratch);
        }
    }
}

}  // namespace

namespace amxbf16 {

void multiply_bf16_int4(int tokens, const MultiplyArgs& args) {
    const layout::CpuRecordPlan& plan = *args.plan;
    const TokenTiles tiles(tokens);
    Scratch scratch;
    // Rows of the last tile that no token has: read, but their sums are not.
    for (auto& step : scratch.x) {
        for (int row = tokens; row < tiles.count * tiles.rows; ++row) {
            std::memset(step[row], 0, kAmxRowBytes);
        }
    }
    GroupFactors factors = {};
    std::fill_n(args.out, tokens * kLanes, 0.0F);
    configure(tiles.rows);
    int64_t input = 0;
    int64_t sum_block = 0;
    const uint8_t* end = args.block + plan.block_bytes();
    for (const uint8_t* record = args.block; record != end; record += plan.record_bytes()) {
        load_factors<Avx512>(plan, record, factors);
        const uint8_t* codes = record + plan.tile_offset_bytes();
        for (int64_t k = 0; k < plan.padded_group(); k += kSumBlockInputs, ++sum_block) {
            const int64_t steps = std::min(kSumBlockInputs, plan.padded_group() - k) / kStepInputs;
            unpack(codes + k / 8 * kTileBytes, steps, scratch);
            gather(args, tokens, input, steps, scratch);
            multiply_block(args, tiles, steps, sum_block, factors, scratch);
            input += steps * kStepInputs;
        }
    }
    amx_release();
}

}  // namespace amxbf16
}  // namespace mmoe::cpu
