// SPDX-License-Identifier: Apache-2.0
// The decode kernel (decode.h) and its rows.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <span>
#include <type_traits>

#include "cuda/decode.h"
#include "cuda/decode_combine.h"
#include "cuda/decode_item.h"
#include "cuda/decode_queue.h"
#include "cuda/decode_ring.h"
#include "cuda/decode_route.h"

namespace mmoe::cuda {

// By the whole block, as its last step: the last block clears the counters for the next run.
__device__ __forceinline__ void leave_decode(const DecodeArgs& args, DecodeShared& shared) {
    __syncthreads();
    if (threadIdx.x == 0) {
        shared.last = atomicAdd(&args.counters->left, 1) == static_cast<int32_t>(gridDim.x) - 1;
    }
    __syncthreads();
    if (shared.last == 0) return;
    for (int tile = threadIdx.x; tile < shared.tables.tile_count; tile += kDecodeThreads) {
        args.counters->ready[tile] = 0;
    }
    if (threadIdx.x == 0) {
        args.counters->claimed = 0;
        args.counters->finished = 0;
        args.counters->left = 0;
    }
}

template <class Type>
__global__ void __launch_bounds__(kDecodeThreads, 1)
    moe_decode(const __grid_constant__ DecodeArgs args) {
    extern __shared__ __align__(128) uint8_t dynamic[];  // partial sums, ring
    __shared__ DecodeShared shared;
    auto* partials = reinterpret_cast<float*>(dynamic);
    uint8_t* ring = dynamic + kDecodeWarps * kPartialFloats * sizeof(float);
    const int role = static_cast<int>(threadIdx.x / 32) - kDecodeWarps;
    if (role < 0) {
        route_decode(args, reinterpret_cast<uint32_t*>(ring), shared.tables);
    } else if (threadIdx.x == kDecodeWorkers) {
        shared.first_item = atomicAdd(&args.counters->claimed, 1);
        shared.queue.clear();
    }
    __syncthreads();
    if (role < 0) {
        compute_items<Type>(args, shared, partials, ptx::shared_address(ring));
        combine_decode(args, shared.tables);
    } else if (threadIdx.x == kDecodeWorkers) {
        claim_items(args, shared.tables, shared.first_item, shared.queue);
    } else if (threadIdx.x == kDecodeWorkers + 32) {
        carry_news(args, shared.queue);
    }
    __syncwarp();
    leave_decode(args, shared);
}

}  // namespace mmoe::cuda
