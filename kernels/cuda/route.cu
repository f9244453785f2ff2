// SPDX-License-Identifier: Apache-2.0
// Routing of few slots in one launch. Block e reads all ids twice: first it counts the slots of
// experts below e, which is where its rows begin, and its own slots warp by warp; then it writes
// its own slots in rising order. So no block waits for another and the order is stable. The last
// block to finish turns counts into the list of tiles.
#include <cuda_runtime.h>

#include "cuda/choice.h"
#include "cuda/ptx/sync.h"
#include "cuda/route_tiles.h"
#include "cuda/routing.h"

namespace mmoe::cuda {
namespace {

constexpr int kWarps = 16;
constexpr int kThreads = 32 * kWarps;

// The contiguous slots of one warp, a multiple of 32 long but for the end.
struct Segment {
    int64_t begin, end;
};

__device__ __forceinline__ Segment segment_of(const RouteArgs& args, int warp) {
    const int64_t slots = live_tokens(args.tokens, args.token_count) * args.top_k;
    const int64_t per_warp = (slots + kThreads - 1) / kThreads * 32;
    const int64_t begin = warp * per_warp;
    const int64_t end = begin + per_warp;
    return {begin, end < slots ? end : slots};
}

// Slots of lower experts, and of this one.
struct Counts {
    int32_t below, own;
};

__device__ __forceinline__ Counts count(const RouteArgs& args, Segment segment, int expert) {
    Counts counts = {0, 0};
#pragma unroll 4
    for (int64_t slot = segment.begin + threadIdx.x % 32; slot < segment.end; slot += 32) {
        const int32_t chosen = choose(args, slot).expert;
        counts.below += chosen >= 0 && chosen < expert;
        counts.own += chosen == expert;
    }
    return {__reduce_add_sync(kAll, counts.below), __reduce_add_sync(kAll, counts.own)};
}

__device__ __forceinline__ void write_rows(const RouteArgs& args, Segment segment, int expert,
                                           int32_t row) {
    const int lane = threadIdx.x % 32;
#pragma unroll 4
    for (int64_t first = segment.begin; first < segment.end; first += 32) {
        const int64_t slot = first + lane;
        const bool inside = slot < segment.end;
        const Choice choice = inside ? choose(args, slot) : Choice{-1, false};
        const bool own = inside && choice.expert == expert;
        const uint32_t owners = __ballot_sync(kAll, own);
        if (own) {
            const int32_t place = row + __popc(owners & ((1u << lane) - 1));
            args.routing.row_slot[place] = static_cast<int32_t>(slot);
            args.routing.slot_row[slot] = place;
        }
        row += __popc(owners);
        if (expert == 0 && inside && choice.expert < 0) {  // one block answers for the skipped
            args.routing.slot_row[slot] = -1;
            if (choice.out_of_range && args.skipped != nullptr) *args.skipped = 1;
        }
    }
}

__global__ void __launch_bounds__(kThreads) moe_route(const RouteArgs args) {
    __shared__ int32_t below[kWarps];
    __shared__ int32_t own[kWarps];
    __shared__ bool last;
    ptx::griddepcontrol_launch_dependents();
    const int expert = blockIdx.x;
    const int warp = threadIdx.x / 32;
    const Segment segment = segment_of(args, warp);

    const Counts counts = count(args, segment, expert);
    if (threadIdx.x % 32 == 0) {
        below[warp] = counts.below;
        own[warp] = counts.own;
    }
    __syncthreads();
    int32_t begin = 0;
    int32_t before = 0;
    int32_t rows = 0;
    for (int other = 0; other < kWarps; ++other) {
        begin += below[other];
        before += other < warp ? own[other] : 0;
        rows += own[other];
    }
    write_rows(args, segment, expert, begin + before);

    if (expert == 0) clear_queues<kWarps>(args);
    if (threadIdx.x == 0) {
        args.routing.row_begin[expert] = begin;
        if (expert == args.expert_count - 1) args.routing.row_begin[expert + 1] = begin + rows;
        __threadfence();
        last = atomicAdd(args.routing.ticket, 1) == args.expert_count - 1;
    }
    __syncthreads();
    if (!last) return;
    __threadfence();
    write_tiles<kWarps>(args, below);
    if (threadIdx.x == 0) *args.routing.ticket = 0;
}

}  // namespace

const void* route_kernel() noexcept {
    return reinterpret_cast<const void*>(&moe_route);
}

int launch_route(const RouteArgs& args, void* stream) noexcept {
    if (counts_chunks(args.tokens * args.top_k, args.expert_count)) {
        return launch_route_chunks(args, stream);
    }
    const auto blocks = static_cast<unsigned>(args.expert_count);
    moe_route<<<blocks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    return cudaGetLastError();
}

}  // namespace mmoe::cuda
