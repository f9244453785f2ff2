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
    int32_t run;
};

// The watcher: the last block to arrive lets the next run begin where this one ends.
__device__ __forceinline__ void arrive(const DecodeArgs& args, const DecodeShared& shared) {
    __threadfence();  // this block has read both numbers
    if (atomicAdd(&args.counters->arrived, 1) != static_cast<int32_t>(gridDim.x) - 1) return;
    args.counters->arrived = 0;
    args.counters->run = shared.run + 1;
    args.counters->first += count_items(args.gemm[0], shared.tables) +
                            count_items(args.gemm[1], shared.tables) + gridDim.x;
}

// One warp a block: the counters of the next run.
__device__ __forceinline__ void clear_counters(DecodeCounters::Set& set) {
    const int lane = threadIdx.x % 32;
    for (int i = static_cast<int>(blockIdx.x) * 32 + lane; i < kDecodeSlots;
         i += static_cast<int>(gridDim.x) * 32) {
        set.ready[i] = 0;
    }
    if (blockIdx.x == 0 && lane == 0) set.finished = 0;
}

template <class Type>
__global__ void __launch_bounds__(kDecodeThreads, 1)
    moe_decode(const __grid_constant__ DecodeArgs args) {
#if __CUDA_ARCH__ >= 900                                 // whose processors have the shared memory
    extern __shared__ __align__(128) uint8_t dynamic[];  // partial sums, rings
    __shared__ DecodeShared shared;
    using Partials = DecodePartials<Type::kRows>;
    const Partials partials = {reinterpret_cast<float*>(dynamic), shared.full, shared.empty};
    uint8_t* rings = dynamic + Partials::kBytes;
    constexpr int kClaimer = kDecodeWorkers + kDecodeFinishers;
    constexpr int kWatcher = kClaimer + 32;
    uint32_t claim = 0;  // the claimer's
    uint32_t first = 0;
    DecodeRouter router(args, reinterpret_cast<uint32_t*>(partials.floats));
    if (threadIdx.x < kDecodeWorkers) {
        router.write_tiles<Type::kRows>(shared.tables);
    } else if (threadIdx.x == kClaimer) {
        claim = atomicAdd(&args.counters->claimed, 1);
        first = __ldcg(&args.counters->first);
        shared.run = __ldcg(&args.counters->run);
    } else if (threadIdx.x == kWatcher) {
        shared.queue.clear();
        partials.initialise();
    }
    __syncthreads();
    DecodeCounters::Set& counters = args.counters->sets[shared.run & 1];
    if (threadIdx.x < kDecodeWorkers) {
        const uint32_t ring_address =
            ptx::shared_address(rings) + threadIdx.x / 32 * kDecodeDepth * args.ring_unit_bytes;
        DecodeRing<Type> ring(args, shared.queue, ring_address);
        multiply_items<Type>(args, router, shared.tables, shared.queue, partials, ring);
        combine_decode(args, shared.tables, counters);
    } else if (threadIdx.x < kClaimer) {
        finish_items<typename Type::Number>(args, shared.tables, shared.queue, counters, partials);
    } else if (threadIdx.x == kClaimer) {
        claim_items(args, shared.tables, claim, first, shared.queue);
    } else if (threadIdx.x >= kWatcher) {
        clear_counters(args.counters->sets[~shared.run & 1]);
        if (threadIdx.x != kWatcher) return;
        arrive(args, shared);
        watch_items(args, counters, shared.queue);
    }
#endif
}

}  // namespace mmoe::cuda
