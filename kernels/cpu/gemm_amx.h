// SPDX-License-Identifier: Apache-2.0
// One block of 64 outputs times many packed rows, in AMX tiles. For each sum block, in this order:
//
//   unpack    codes [inputs, 64] to tiles of numbers, in the L1 cache
//   gather    the tokens' inputs into consecutive rows
//   multiply  units of four tiles of sums: 16 outputs times up to 16 tokens each
//   add       scaled sums to the outputs, as every row does, one unit behind the products
//
// Tokens are shared out evenly among tiles, so that all tiles have one shape. Tile registers are
// in their initial state before and after a call.
//
// A kernel is a type with
//     kBits, Input, kScaled, Vector     as in cpu/gemm.h
//     kNumberBytes    of an activation and of a code in a tile
//     kPlanes         1; or 2: each activation is two numbers, whose sums stand in tiles of
//                     their own, so that a unit is two planes of one tile of tokens, not one
//                     plane of two
//     unpack(words, row_stride, rows)   one tile of the record, sixteen lanes
//     gather(x, inputs, planes)         one token's inputs of one step
//     dot<Row, Sums, A, B>()            tile registers; Row is the second of plane or token tile
//     sums(tiles, x_sum)                sixteen sums of one token
#pragma once

#include <algorithm>
#include <cstring>

#include "cpu/amx.h"
#include "cpu/gemm.h"
#include "cpu/vector_avx512.h"

namespace mmoe::cpu {
namespace {

constexpr int kLaneTiles = kLanes / kAmxRows;
constexpr int64_t kLeastStepInputs = 32;
static_assert(kSumBlockInputs % 64 == 0);

using AmxTile = uint8_t[kAmxRows][kAmxRowBytes];

template <class Kernel>
struct alignas(64) AmxScratch {
    static constexpr int kSteps = kSumBlockInputs / kLeastStepInputs;
    AmxTile codes[kSteps][kLaneTiles];
    uint8_t x[Kernel::kPlanes][kSteps][kAmxTokens][kAmxRowBytes];
    AmxTile sums[2][4];  // of this unit and the one before: [second plane or token tile, lanes]
};

// How a call is cut into tiles: tile i holds tokens i * rows .. (i + 1) * rows - 1, and a step, one
// product of tiles, takes as many inputs as fill a row and divide a group.
template <class Kernel>
struct AmxCut {
    static constexpr int kUnitTiles = 2 / Kernel::kPlanes;

    AmxCut(int token_count, const layout::CpuRecordPlan& plan)
        : tokens(token_count),
          tiles((token_count + kAmxRows - 1) / kAmxRows),
          rows((token_count + tiles - 1) / tiles),
          step_inputs(std::min<int64_t>(kAmxRowBytes / Kernel::kNumberBytes,
                                        plan.padded_group() % 64 == 0 ? 64 : kLeastStepInputs)) {}

    // Tile registers: sums 0 to 3, tokens 4 and 5, codes 6 and 7.
    void configure() const {
        AmxShapes shapes;
        const int64_t step_bytes = step_inputs * Kernel::kNumberBytes;
        for (int tile = 0; tile < 8; ++tile) {
            const bool codes = tile >= 6;
            shapes.rows[tile] = static_cast<uint8_t>(codes ? step_bytes / 4 : rows);
            shapes.row_bytes[tile] =
                static_cast<uint16_t>(tile == 4 || tile == 5 ? step_bytes : kAmxRowBytes);
        }
        amx_configure(shapes);
    }

    int tokens;
    int tiles;
    int rows;
    int64_t step_inputs;
};

// What four tiles of sums hold.
struct AmxUnit {
    int token_tile;
    int lane_tile;  // and the next one
};

template <class Kernel>
class AmxGemm {
  public:
    AmxGemm(int tokens, const MultiplyArgs& args) : args_(args), cut_(tokens, *args.plan) {
        // Rows of the last tile that no token has: read, but their sums are not.
        for (auto& plane : scratch_.x) {
            for (auto& step : plane) {
                for (int row = tokens; row < cut_.tiles * cut_.rows; ++row) {
                    std::memset(step[row], 0, kAmxRowBytes);
                }
            }
        }
    }

    void operator()() {
        const layout::CpuRecordPlan& plan = *args_.plan;
        std::fill_n(args_.out, cut_.tokens * kLanes, 0.0F);
        cut_.configure();
        int64_t input = 0;
        const uint8_t* end = args_.block + plan.block_bytes();
        for (const uint8_t* record = args_.block; record != end; record += plan.record_bytes()) {
            load_factors<Avx512>(plan, record, factors_);
            const uint8_t* tiles = record + plan.tile_offset_bytes();
            for (int64_t k = 0; k < plan.padded_group(); k += kSumBlockInputs, ++sum_block_) {
                const int64_t inputs = std::min(kSumBlockInputs, plan.padded_group() - k);
                unpack(tiles + k / kTileInputs * kTileBytes, inputs);
                gather(input, inputs);
                multiply_block(inputs / cut_.step_inputs);
                input += inputs;
            }
        }
        amx_release();
    }

  private:
    static constexpr int kTileInputs = 32 / Kernel::kBits;
    // Rows of a tile of numbers that one tile of the record fills.
    static constexpr int kTileRows = kTileInputs * Kernel::kNumberBytes / 4;

    void unpack(const uint8_t* tiles, int64_t inputs) {
        const auto step_tiles = static_cast<int>(cut_.step_inputs / kTileInputs);
        for (int64_t step = 0; step < inputs / cut_.step_inputs; ++step) {
            for (int tile = 0; tile < step_tiles; ++tile, tiles += kTileBytes) {
                MMOE_UNROLL
                for (int lanes = 0; lanes < kLaneTiles; ++lanes) {
                    const uint8_t* words = tiles + lanes * kAmxRowBytes;
                    __builtin_prefetch(words + kPrefetchBytes);
                    Kernel::unpack(_mm512_load_si512(words),
                                   scratch_.codes[step][lanes] + tile * kTileRows);
                }
            }
        }
    }

    void gather(int64_t input, int64_t inputs) {
        using Input = typename Kernel::Input;
        for (int token = 0; token < cut_.tokens; ++token) {
            const auto* x = static_cast<const Input*>(args_.x[token]) + input;
            for (int64_t step = 0; step < inputs / cut_.step_inputs; ++step) {
                uint8_t* planes[Kernel::kPlanes];
                for (int p = 0; p < Kernel::kPlanes; ++p) planes[p] = scratch_.x[p][step][token];
                Kernel::gather(x + step * cut_.step_inputs, cut_.step_inputs, planes);
            }
        }
    }

    void multiply_block(int64_t steps) {
        AmxUnit before = {};
        int units = 0;
        for (int tile = 0; tile < cut_.tiles; tile += cut_.kUnitTiles) {
            for (int lane_tile = 0; lane_tile < kLaneTiles; lane_tile += 2, ++units) {
                const AmxUnit unit = {tile, lane_tile};
                if (tile + 2 > cut_.tiles && Kernel::kPlanes == 1) {
                    multiply_unit<1>(unit, steps, scratch_.sums[units % 2]);
                } else {
                    multiply_unit<2>(unit, steps, scratch_.sums[units % 2]);
                }
                if (units > 0) add(before, scratch_.sums[(units - 1) % 2]);
                before = unit;
            }
        }
        add(before, scratch_.sums[(units - 1) % 2]);
    }

    // Rows: of tiles of sums, 2 but where no second tile of tokens is left.
    template <int Rows>
    void multiply_unit(AmxUnit unit, int64_t steps, AmxTile (&sums)[4]) {
        constexpr bool kTwoPlanes = Kernel::kPlanes == 2;
        const int first = unit.token_tile * cut_.rows;
        const int second = kTwoPlanes ? first : first + cut_.rows;
        amx_zero<0>();
        amx_zero<1>();
        if constexpr (Rows == 2) {
            amx_zero<2>();
            amx_zero<3>();
        }
        for (int64_t step = 0; step < steps; ++step) {
            amx_load<6>(scratch_.codes[step][unit.lane_tile]);
            amx_load<7>(scratch_.codes[step][unit.lane_tile + 1]);
            amx_load<4>(scratch_.x[0][step][first]);
            Kernel::template dot<0, 0, 4, 6>();
            Kernel::template dot<0, 1, 4, 7>();
            if constexpr (Rows == 2) {
                amx_load<5>(scratch_.x[kTwoPlanes ? 1 : 0][step][second]);
                Kernel::template dot<1, 2, 5, 6>();
                Kernel::template dot<1, 3, 5, 7>();
            }
        }
        amx_store<0>(sums[0]);
        amx_store<1>(sums[1]);
        if constexpr (Rows == 2) {
            amx_store<2>(sums[2]);
            amx_store<3>(sums[3]);
        }
    }

    void add(AmxUnit unit, const AmxTile (&sums)[4]) {
        const int lane = unit.lane_tile * kAmxRows;
        const LaneFactors<Avx512> lanes[2] = {{factors_, lane}, {factors_, lane + kAmxRows}};
        const int begin = unit.token_tile * cut_.rows;
        const int end = std::min(cut_.tokens, begin + cut_.kUnitTiles * cut_.rows);
        const AmxTile* tiles = sums;
        for (int token = begin, row = 0; token < end; ++token, ++row) {
            if (row == cut_.rows) {  // the second tile of tokens
                tiles = sums + 2;
                row = 0;
            }
            TokenFactors factors = {args_.x_sum[token][sum_block_], 0};
            if constexpr (Kernel::kScaled) factors.x_scale = args_.x_scale[token][sum_block_];
            float* out = args_.out + token * kLanes + lane;
            MMOE_UNROLL
            for (int v = 0; v < 2; ++v) {
                add_to_output<Kernel>(Kernel::sums(tiles, v, row, factors.x_sum), lanes[v], factors,
                                      args_.plan->asymmetric, out + v * kAmxRows);
            }
        }
    }

    AmxScratch<Kernel> scratch_;
    GroupFactors factors_ = {};
    const MultiplyArgs& args_;
    AmxCut<Kernel> cut_;
    int64_t sum_block_ = 0;
};

template <class Kernel>
void multiply_in_tiles(int tokens, const MultiplyArgs& args) {
    AmxGemm<Kernel>(tokens, args)();
}

}  // namespace
}  // namespace mmoe::cpu
