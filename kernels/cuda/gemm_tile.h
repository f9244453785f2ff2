// SPDX-License-Identifier: Apache-2.0
// The tiles of the general GEMM: who multiplies what, and where it lies in shared memory.
//
// A block owns pairs of n64 Marlin tiles (a gate and an up tile of the same outputs where gated) by
// `kTokens` rows. It has one or two teams of four warps; two split K in halves, so that few blocks
// still keep a device busy. A warp of a team owns `kSlices` m16 slices of both tiles of one pair.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/gemm_args.h"
#include "cuda/ptx/sync.h"

namespace mmoe::cuda {

// Codes minus zero points are exact integers: a group's fp32 sum is multiplied by its fp32 scale
// and added to the total. Any type of scales.
template <class Number_, int kBits_, int kTokens_>
struct ExactTile {
    using Number = Number_;
    static constexpr int kBits = kBits_;
    static constexpr int kTokens = kTokens_;
    static constexpr int kTeams = kTokens <= 8 ? 2 : 1;
    static constexpr bool kScaled = false;
    static constexpr int kPairs = 1;   // of n64 tiles
    static constexpr int kSlices = 1;  // of a warp, of each tile of its pair
    static constexpr int kStages = kTokens <= 8 ? (kBits == 4 ? 6 : 4) : kTokens <= 32 ? 5 : 4;
    // Narrow tiles stream weights and want many warps; wide ones need their registers.
    static constexpr int kBlocks = kTokens == 16 ? 4 : kTokens == 32 ? 3 : 2;
};

// Weights are rounded to 16 bits after scaling, so that one sum is enough and a warp has registers
// for 64 outputs by 64 tokens: each operand read from shared memory is multiplied eight or four
// times. Scales must have the type of x.
template <class Number_, int kBits_>
struct ScaledTile {
    using Number = Number_;
    static constexpr int kBits = kBits_;
    static constexpr int kTokens = 64;
    static constexpr int kTeams = 1;
    static constexpr bool kScaled = true;
    static constexpr int kPairs = 2;
    static constexpr int kSlices = 2;
    static constexpr int kStages = 4;
    static constexpr int kBlocks = 2;
};

// Sizes that follow from a tile, and byte offsets in shared memory.
template <class Tile>
struct GemmPlan {
    static constexpr int kTeamThreads = 128;
    static constexpr int kThreads = kTeamThreads * Tile::kTeams;
    static constexpr int kTokenBlocks = Tile::kTokens / 8;
    static constexpr int kInputs = 64;           // of one stage
    static constexpr int kSteps = kInputs / 16;  // MMA steps of one stage
    static constexpr int kTiles = 2 * Tile::kPairs;
    static constexpr int kTileBytes = 128 * Tile::kBits;

    static constexpr int kRowBytes = kInputs * 2;
    static constexpr int kHiddenBytes = Tile::kTokens * kRowBytes;  // [tokens, 64], 16-byte
                                                                    // chunks swizzled by token
    static constexpr int kStageBytes = kHiddenBytes + kSteps * kTiles * kTileBytes;
    static constexpr int kRingBytes = Tile::kStages * kStageBytes;  // of one team

    static constexpr int kSumCount = 2 * Tile::kSlices * kTokenBlocks * 4;  // of a thread
    static constexpr int kSums = Tile::kTeams * kRingBytes;  // [sums, threads] of a second team
    static constexpr int kScratch = kSums + (Tile::kTeams - 1) * kSumCount * kTeamThreads * 4;
    static constexpr int kTotal = kScratch + 8 * kThreads * 4;  // [8, threads] floats

    static_assert(Tile::kPairs == Tile::kSlices, "four warps share the slices of the pairs");
};

__device__ __forceinline__ int team() {
    return threadIdx.x / 128;
}
__device__ __forceinline__ int team_thread() {
    return threadIdx.x % 128;
}
template <class Tile>
__device__ __forceinline__ void sync_team() {
    if constexpr (Tile::kTeams == 1) {
        __syncthreads();
    } else if (team() == 0) {
        ptx::bar_sync<1, 128>();
    } else {
        ptx::bar_sync<2, 128>();
    }
}

// This warp's part of a block.
template <class Tile>
__device__ __forceinline__ int warp_pair() {
    return team_thread() / 32 * Tile::kSlices / 4;
}
template <class Tile>
__device__ __forceinline__ int warp_slice() {
    return team_thread() / 32 * Tile::kSlices % 4;
}

// The inputs of a team: all, or a half that begins at a stage.
struct InputRange {
    int32_t begin, end;  // an empty one may end before it begins
};

template <class Tile>
__device__ __forceinline__ InputRange team_inputs(int32_t inputs) {
    if constexpr (Tile::kTeams == 1) return {0, inputs};
    constexpr int kInputs = GemmPlan<Tile>::kInputs;
    const int32_t middle = (inputs / 2 + kInputs - 1) / kInputs * kInputs;
    return team() == 0 ? InputRange{0, min(middle, inputs)} : InputRange{middle, inputs};
}

// One item of the schedule. Items of an expert are adjacent, its token tiles innermost: a column
// of weights is read from memory once and from the L2 cache by the other tiles.
struct Work {
    int32_t expert;
    int32_t row, rows;  // first row and how many
    int32_t block;      // of outputs
};

template <class Tile>
__device__ __forceinline__ Work locate(const GemmArgs& args, int32_t item) {
    const Routing& routing = args.routing;
    Work work;
    work.expert = routing.tile_expert[item / args.block_columns];
    const int32_t begin = routing.row_begin[work.expert];
    const int32_t end = routing.row_begin[work.expert + 1];
    const int32_t tiles = (end - begin + Tile::kTokens - 1) / Tile::kTokens;
    const int32_t local = item - routing.first_tile[work.expert] * args.block_columns;
    work.block = local / tiles;
    work.row = begin + local % tiles * Tile::kTokens;
    work.rows = min(end - work.row, Tile::kTokens);
    return work;
}

// The n64 tile of the matrix that is tile `half` of a block's pair; beyond the last one, the last.
template <class Tile>
__device__ __forceinline__ int32_t matrix_tile(const GemmArgs& args, const Work& work, int pair,
                                               int half) {
    const int32_t tiles = args.matrix.outputs / 64;
    if (!args.gated) {
        return min(2 * (Tile::kPairs * work.block + pair) + half, tiles - 1);
    }
    return min(Tile::kPairs * work.block + pair, tiles / 2 - 1) + half * (tiles / 2);
}

}  // namespace mmoe::cuda
