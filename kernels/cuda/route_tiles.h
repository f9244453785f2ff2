// SPDX-License-Identifier: Apache-2.0
// The end of routing, by one block: from the rows of each expert to the list of tiles.
#pragma once

#include <cstdint>

#include "cuda/routing.h"

namespace mmoe::cuda {

constexpr uint32_t kAll = 0xFFFFFFFF;

// Sum of `value` over lower threads of the block, and over all of them.
struct Scan {
    int32_t before, total;
};

template <int kWarps>
__device__ __forceinline__ Scan scan_block(int32_t value, int32_t (&warp_sums)[kWarps]) {
    const int lane = threadIdx.x % 32;
    const int warp = threadIdx.x / 32;
    int32_t inclusive = value;
    for (int distance = 1; distance < 32; distance *= 2) {
        const int32_t lower = __shfl_up_sync(kAll, inclusive, distance);
        if (lane >= distance) inclusive += lower;
    }
    __syncthreads();  // the sums of the scan before this one have been read
    if (lane == 31) warp_sums[warp] = inclusive;
    __syncthreads();
    Scan scan = {inclusive - value, 0};
    for (int other = 0; other < kWarps; ++other) {
        if (other < warp) scan.before += warp_sums[other];
        scan.total += warp_sums[other];
    }
    return scan;
}

template <int kWarps>
__device__ void clear_queues(const RouteArgs& args) {
    auto* words = reinterpret_cast<int32_t*>(args.routing.queues);
    for (size_t i = threadIdx.x; i < 2 * sizeof(ItemQueue) / sizeof(int32_t); i += 32 * kWarps) {
        words[i] = 0;
    }
}

template <int kWarps>
__device__ void write_tiles(const RouteArgs& args, int32_t (&warp_sums)[kWarps]) {
    constexpr int kThreads = 32 * kWarps;
    const Routing& routing = args.routing;
    int32_t tile_count = 0;
    for (int32_t first = 0; first < args.expert_count; first += kThreads) {
        const int32_t expert = first + static_cast<int32_t>(threadIdx.x);
        int32_t tiles = 0;
        if (expert < args.expert_count) {  // past L1: other blocks wrote these
            const int32_t rows =
                __ldcg(&routing.row_begin[expert + 1]) - __ldcg(&routing.row_begin[expert]);
            tiles = (rows + args.tile_tokens - 1) / args.tile_tokens;
        }
        const Scan scan = scan_block(tiles, warp_sums);
        const int32_t first_tile = tile_count + scan.before;
        if (expert < args.expert_count) routing.first_tile[expert] = first_tile;
        for (int32_t tile = 0; tile < tiles; ++tile) {
            routing.tile_expert[first_tile + tile] = expert;
        }
        tile_count += scan.total;
    }
    if (threadIdx.x == 0) *routing.tile_count = tile_count;
}

}  // namespace mmoe::cuda
