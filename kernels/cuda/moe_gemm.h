// SPDX-License-Identifier: Apache-2.0
// The general grouped GEMM, for every architecture from sm_80 and everything that a layer may want:
// out[row][n] = sum over k of W[expert of row][n][k] * x[row][k].
//
// Blocks stay on their processors and walk the items of the schedule (gemm_tile.h). An item is all
// of K for a tile: no block waits for another. Stages come through a ring (gemm_load.h), are
// multiplied (gemm_multiply.h), and rows leave while the next item's first stages come in
// (gemm_store.h).
#pragma once

#include <type_traits>

#include "cuda/gemm_exact.h"
#include "cuda/gemm_scaled.h"
#include "cuda/gemm_store.h"

namespace mmoe::cuda {

template <class Tile>
using GemmGroups = std::conditional_t<Tile::kScaled, ScaledGroups<Tile>, ExactGroups<Tile>>;
template <class Tile>
using GemmSums = std::conditional_t<Tile::kScaled, ScaledSums<Tile>, ExactSums<Tile>>;

// An item whose first stages and scales are on their way.
template <class Tile>
struct GemmItem {
    Work work;
    Loader<Tile> loader;
    GemmGroups<Tile> groups;

    __device__ __forceinline__ GemmItem(const GemmArgs& args, int32_t item, StageRing<Tile>& ring)
        : GemmItem(args, locate<Tile>(args, item), ring) {}

  private:
    __device__ __forceinline__ GemmItem(const GemmArgs& args, const Work& located,
                                        StageRing<Tile>& ring)
        : work(located), loader(args, located), groups(args, located, loader.inputs().begin) {
#pragma unroll
        for (int stage = 0; stage < Tile::kStages - 1; ++stage) {
            loader.load(args, ring, stage);
        }
    }
};

// The end of an expert's rows is often much narrower than a tile.
template <class Tile>
__device__ __forceinline__ void multiply(const GemmArgs& args, const GemmItem<Tile>& item,
                                         StageRing<Tile>& ring, GemmSums<Tile>& sums) {
    constexpr int kBlocks = GemmPlan<Tile>::kTokenBlocks;
    if constexpr (kBlocks > 1) {
        if (item.work.rows <= Tile::kTokens / 2) {
            multiply_stages<Tile, kBlocks / 2>(args, item.loader, ring, sums);
            return;
        }
    }
    multiply_stages<Tile, kBlocks>(args, item.loader, ring, sums);
}

template <class Tile>
__global__ void __launch_bounds__(GemmPlan<Tile>::kThreads, Tile::kBlocks)
    moe_gemm(const __grid_constant__ GemmArgs args) {
    extern __shared__ __align__(128) uint8_t memory[];
    const uint32_t shared = ptx::shared_address(memory);
    const int32_t items = *args.routing.tile_count * args.block_columns;
    if (static_cast<int32_t>(blockIdx.x) >= items) return;
    StageRing<Tile> ring(shared);
    GemmItem<Tile> item(args, blockIdx.x, ring);
    for (int32_t next = blockIdx.x + gridDim.x;; next += gridDim.x) {
        GemmSums<Tile> sums(item.groups);
        multiply(args, item, ring, sums);
        __syncthreads();  // all are done with the last stage, and with the sums before these
        const Work work = item.work;
        if (next < items) item = GemmItem<Tile>(args, next, ring);
        add_teams<Tile>(sums.total, memory);
        if (team() == 0) {
            auto* scratch = reinterpret_cast<float*>(memory + GemmPlan<Tile>::kScratch);
            RowStore<Tile>(args, work, scratch).store(sums.total);
        }
        if (next >= items) break;
    }
}

}  // namespace mmoe::cuda
