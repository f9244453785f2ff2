// SPDX-License-Identifier: Apache-2.0
// The grouped GEMM for many tokens an expert, on Hopper (sm_90a): weights are the A operand of
// wgmma, converted in registers, tokens the B operand in shared memory.
//
// One block stays on each processor and claims items (prefill_queue.h). One warp group loads
// (prefill_load.h), two multiply (prefill_multiply.h) and store (prefill_store.h); a ring of stages
// and its barriers are all that they share, so loading runs on through the end of an item.
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

// While a warp multiplies, its work waits where it will stage results: registers are scarce then.
template <class Tile>
__device__ __forceinline__ uint32_t kept_work(const Ring<Tile>& ring) {
    using Plan = PrefillPlan<Tile>;
    return ring.shared + Plan::kStaging + (threadIdx.x / 32 - 4) * Plan::kStagingBytes;
}

template <class Tile, int kN>
__device__ __forceinline__ void compute_work(const GemmArgs& args, const StageReader<Tile>& reader,
                                             const PrefillWork& work, Ring<Tile>& ring) {
    PrefillSums<Tile, kN> sums;
    multiply_item<Tile, kN>(args, reader, work, ring, sums);
    const PrefillWork kept = read_work(kept_work(ring));
    __syncwarp();  // before results take its place
    if (!meet_pieces<Tile, kN>(args, kept, sums)) return;
    ItemStore<Tile>(args, kept, ring.shared).template store<kN>(sums);
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
    compute_work<Tile, kN>(args, reader, work, ring);
}

template <class Tile>
__device__ __forceinline__ void compute_items(const GemmArgs& args, uint32_t shared) {
    const StageReader<Tile> reader(args);
    Ring<Tile> ring = {shared};
    while (true) {
        wait_full(ring);
        const PrefillWork work = read_work(ring.work());
        if (work.rows == 0) break;
        write_work(kept_work(ring), work);
        compute_narrowest<Tile, Tile::kFewestTokens>(args, reader, work, ring);
    }
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    moe_prefill(const __grid_constant__ GemmArgs args) {
    extern __shared__ __align__(1024) uint8_t memory[];
    const uint32_t shared = ptx::shared_address(memory);
    if (threadIdx.x == 0) init_barriers<Tile>(shared);
    __syncthreads();
    if (threadIdx.x < 128) {
        ptx::setmaxnreg_dec<Tile::kLoadRegisters>();
        if (threadIdx.x < 32 * Tile::kHiddenWarps) {
            load_items<Tile, HiddenLoader<Tile>>(args, shared);
        } else {
            load_items<Tile, WeightLoader<Tile>>(args, shared);
        }
    } else {
        ptx::setmaxnreg_inc<Tile::kMultiplyRegisters>();
        compute_items<Tile>(args, shared);
    }
}

}  // namespace mmoe::cuda
