// SPDX-License-Identifier: Apache-2.0
// The grouped GEMM for many tokens an expert, on Hopper (sm_90a): weights are the A operand of
// wgmma, converted in registers, tokens the B operand in shared memory.
//
// One block stays on each processor and walks the items. One warp group loads (prefill_load.h), two
// multiply (prefill_multiply.h) and store (prefill_store.h); a ring of stages and its barriers are
// all that they share, so loading runs on through the end of an item.
#pragma once

#include "cuda/prefill_load.h"
#include "cuda/prefill_store.h"

namespace mmoe::cuda {

template <class Tile>
__device__ __forceinline__ void init_barriers(uint32_t shared) {
    Ring<Tile> ring = {shared};
    for (; ring.round == 0; ring.advance()) {
        ptx::mbarrier_init(ring.full(),
                           HiddenLoader<Tile>::kArrivals + WeightLoader<Tile>::kArrivals);
        ptx::mbarrier_init(ring.empty(), Tile::kMultiplyWarps);
    }
    ptx::fence_mbarrier_init();
}

template <class Tile, int kN>
__device__ __forceinline__ void compute_item(const GemmArgs& args, const StageReader<Tile>& reader,
                                             const PrefillWork& work, Ring<Tile>& ring) {
    PrefillSums<Tile, kN> sums;
    multiply_item<Tile, kN>(args, reader, ring, sums);
    ItemStore<Tile>(args, work, ring.shared).template store<kN>(sums);
}

// Every width is code of its own, the narrowest that holds the item's rows is run.
template <class Tile, int kN>
__device__ __forceinline__ void compute_narrowest(const GemmArgs& args,
                                                  const StageReader<Tile>& reader,
                                                  const PrefillWork& work, Ring<Tile>& ring) {
    if constexpr (kN < Tile::kTokens) {
        if (work.rows > kN) {
            compute_narrowest<Tile, kN + Tile::kTokenStep>(args, reader, work, ring);
            return;
        }
    }
    compute_item<Tile, kN>(args, reader, work, ring);
}

template <class Tile>
__device__ __forceinline__ void compute_items(const GemmArgs& args, uint32_t shared,
                                              int32_t items) {
    const StageReader<Tile> reader(args);
    Ring<Tile> ring = {shared};
    for (int32_t item = blockIdx.x; item < items; item += gridDim.x) {
        wait_full(ring);
        const uint4 work = ptx::ld_shared_128(ring.work());
        compute_narrowest<Tile, Tile::kTokenStep>(
            args, reader,
            {static_cast<int32_t>(work.x), static_cast<int32_t>(work.y),
             static_cast<int32_t>(work.z), static_cast<int32_t>(work.w)},
            ring);
    }
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    moe_prefill(const __grid_constant__ GemmArgs args) {
    extern __shared__ __align__(1024) uint8_t memory[];
    const uint32_t shared = ptx::shared_address(memory);
    if (threadIdx.x == 0) init_barriers<Tile>(shared);
    __syncthreads();
    const int32_t items = *args.routing.tile_count * args.block_columns;
    if (threadIdx.x < 128) {
        ptx::setmaxnreg_dec<Tile::kLoadRegisters>();
        if (threadIdx.x < 32 * Tile::kHiddenWarps) {
            load_items<Tile, HiddenLoader<Tile>>(args, shared, items);
        } else {
            load_items<Tile, WeightLoader<Tile>>(args, shared, items);
        }
    } else {
        ptx::setmaxnreg_inc<Tile::kMultiplyRegisters>();
        compute_items<Tile>(args, shared, items);
    }
}

}  // namespace mmoe::cuda
