// SPDX-License-Identifier: Apache-2.0
// The decode kernel: what decode.h describes, role by role.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/decode.h"
#include "cuda/decode_combine.h"
#include "cuda/decode_finish.h"
#include "cuda/decode_queue.h"
#include "cuda/decode_ring.h"
#include "cuda/decode_route.h"
#include "cuda/decode_worker.h"

namespace mmoe::cuda {

struct DecodeShared {
    DecodeTables tables;
    DecodeQueue queue;
    uint64_t full[2], empty[2];  // barriers of the partial sums
    int32_t set;                 // of counters
    int32_t first_item;
};

// The claimer, before the block knows its tables.
__device__ __forceinline__ void enter_decode(const DecodeArgs& args, DecodeShared& shared) {
    const int32_t run = ptx::ld_acquire_gpu(&args.counters->run);
    shared.set = run & 1;
    shared.first_item = atomicAdd(&args.counters->sets[run & 1].claimed, 1);
    __threadfence();
    if (atomicAdd(&args.counters->arrived, 1) != static_cast<int32_t>(gridDim.x) - 1) return;
    args.counters->arrived = 0;  // every block knows the set: the next run may take the other
    args.counters->run = run + 1;
}

// One warp a block: the counters of the next run.
__device__ __forceinline__ void clear_counters(DecodeCounters::Set& set) {
    const int lane = threadIdx.x % 32;
    for (int i = static_cast<int>(blockIdx.x) * 32 + lane; i < kDecodeSlots;
         i += static_cast<int>(gridDim.x) * 32) {
        set.ready[i] = 0;
    }
    if (blockIdx.x == 0 && lane == 0) {
        set.claimed = 0;
        set.finished = 0;
    }
}

template <class Type>
__global__ void __launch_bounds__(kDecodeThreads, 1)
    moe_decode(const __grid_constant__ DecodeArgs args) {
    extern __shared__ __align__(128) uint8_t dynamic[];  // partial sums, rings
    __shared__ DecodeShared shared;
    using Partials = DecodePartials<Type::kRows>;
    const Partials partials = {reinterpret_cast<float*>(dynamic), shared.full, shared.empty};
    uint8_t* rings = dynamic + Partials::kBytes;
    constexpr int kClaimer = kDecodeWorkers + kDecodeFinishers;
    constexpr int kWatcher = kClaimer + 32;
    DecodeRouter router(args, reinterpret_cast<uint32_t*>(partials.floats));
    if (threadIdx.x < kDecodeWorkers) {
        router.write_tiles<Type::kRows>(shared.tables);
    } else if (threadIdx.x == kClaimer) {
        enter_decode(args, shared);
    } else if (threadIdx.x == kWatcher) {
        shared.queue.clear();
        partials.initialise();
    }
    __syncthreads();
    DecodeCounters::Set& counters = args.counters->sets[shared.set];
    if (threadIdx.x < kDecodeWorkers) {
        const uint32_t ring_address =
            ptx::shared_address(rings) + threadIdx.x / 32 * kDecodeDepth * args.ring_unit_bytes;
        DecodeRing<Type> ring(args, shared.queue, ring_address);
        ring.fill();
        router.write_rows(shared.tables);
        sync_workers();  // the rows are there, and the router's scratch is free
        multiply_items<Type>(args, shared.tables, shared.queue, partials, ring);
        combine_decode(args, shared.tables, counters);
    } else if (threadIdx.x < kClaimer) {
        finish_items<typename Type::Number>(args, shared.tables, shared.queue, counters, partials);
    } else if (threadIdx.x == kClaimer) {
        claim_items(args, shared.tables, shared.first_item, counters, shared.queue);
    } else if (threadIdx.x >= kWatcher) {
        clear_counters(args.counters->sets[shared.set ^ 1]);
        if (threadIdx.x == kWatcher) watch_items(args, counters, shared.queue);
    }
}

}  // namespace mmoe::cuda
