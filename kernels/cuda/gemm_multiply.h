// SPDX-License-Identifier: Apache-2.0
// What the general GEMM does with the stages of an item. Weights are the A operand of m16n8k16 and
// tokens the B operand, so a tile of 8 tokens wastes nothing. Two kinds of sums (gemm_exact.h,
// gemm_scaled.h) share the walk over stages and groups.
#pragma once

#include <cstdint>

#include "cuda/gemm_load.h"
#include "cuda/gemm_tile.h"
#include "cuda/ptx/shared.h"

namespace mmoe::cuda {

// fp32 sums of a warp: [tile of the pair, m16 slice, block of 8 tokens, MMA element].
template <class Tile>
struct Accumulator {
    float at[2][Tile::kSlices][GemmPlan<Tile>::kTokenBlocks][4];

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
            for (int slice = 0; slice < Tile::kSlices; ++slice)
#pragma unroll
                for (int block = 0; block < GemmPlan<Tile>::kTokenBlocks; ++block)
#pragma unroll
                    for (int i = 0; i < 4; ++i) at[half][slice][block][i] = 0.0F;
    }
};

// The groups of scales that a team meets.
template <class Tile>
struct GroupWalk {
    int32_t group;        // the first one, of the expert
    int32_t first_steps;  // MMA steps of it that are the team's
    int32_t steps;        // of a whole group

    __device__ __forceinline__ GroupWalk(const Matrix& matrix, int32_t first_input)
        : group(min(first_input / matrix.group_size, matrix.groups() - 1)),
          first_steps((matrix.group_size - first_input % matrix.group_size) / 16),
          steps(matrix.group_size / 16) {}
};

// Rows of x of one step as B operands, from the place of a stage's hidden states.
template <class Tile, int kBlocks>
__device__ __forceinline__ void load_tokens(uint32_t hidden, int step, uint32_t (&b)[kBlocks][2]) {
    constexpr int kRowBytes = GemmPlan<Tile>::kRowBytes;
    const int lane = threadIdx.x % 32;
    const int chunk = (2 * step + lane / 8 % 2) ^ lane % 8;
    const uint32_t row = hidden + lane % 8 * kRowBytes + chunk * 16;
#pragma unroll
    for (int block = 0; block + 1 < kBlocks; block += 2) {
        ptx::ldmatrix_x4(b[block], b[block + 1], row + (block + lane / 16) * 8 * kRowBytes);
    }
    if constexpr (kBlocks % 2 == 1) {
        ptx::ldmatrix_x2(b[kBlocks - 1], row + (kBlocks - 1) * 8 * kRowBytes);
    }
}

// One stage: runs of steps between the borders of groups.
template <class Tile, int kBlocks, class Sums>
__device__ __forceinline__ void multiply_stage(const GemmArgs& args, Sums& sums, uint32_t slot,
                                               int steps, int group_steps, int& left_in_group) {
    constexpr int kSteps = GemmPlan<Tile>::kSteps;
    for (int step = 0; step < steps;) {
        if (left_in_group == 0) {
            left_in_group = group_steps;
            sums.end_group();
            sums.begin_group(args);
        }
        const int run = min(left_in_group, steps - step);
        if (run == kSteps) {  // straight code: the compiler reads ahead of the MMAs
            sums.template multiply<kBlocks, kSteps>(slot, 0);
        } else {
            for (int i = 0; i < run; ++i) sums.template multiply<kBlocks, 1>(slot, step + i);
        }
        step += run;
        left_in_group -= run;
    }
}

// All of the team's inputs, for the first `kBlocks` blocks of 8 tokens. All stages but one are on
// their way.
template <class Tile, int kBlocks, class Sums>
__device__ __forceinline__ void multiply_stages(const GemmArgs& args, const Loader<Tile>& loader,
                                                StageRing<Tile>& ring, Sums& sums) {
    using Plan = GemmPlan<Tile>;
    const InputRange inputs = loader.inputs();
    const GroupWalk<Tile> walk(args.matrix, inputs.begin);
    int left_in_group = walk.first_steps;
    sums.begin_group(args);
    for (int stage = 0; stage < loader.stages(); ++stage) {
        ptx::cp_async_wait_group<Tile::kStages - 2>();
        sync_team<Tile>();  // this stage is there for all, and all are done with the one before
        loader.load(args, ring, stage + Tile::kStages - 1);
        const int steps = (inputs.end - inputs.begin) / 16 - stage * Plan::kSteps;
        multiply_stage<Tile, kBlocks>(args, sums, ring.take_to_use(), min(steps, Plan::kSteps),
                                      walk.steps, left_in_group);
    }
    sums.end_group();
}

}  // namespace mmoe::cuda
