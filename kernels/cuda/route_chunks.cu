// SPDX-License-Identifier: Apache-2.0
// Routing of many slots in two launches. A warp counts one chunk of slots in shared memory and
// notes each slot's place among its expert's slots of the chunk; the last block to finish turns
// counts into first rows and tiles. The second launch adds up: first row of the expert, its rows in
// earlier chunks, the place in the chunk. Rising order inside an expert, so the order is stable.
#include <cuda_runtime.h>

#include "cuda/choice.h"
#include "cuda/route_tiles.h"
#include "cuda/routing.h"

namespace mmoe::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kSteps = kRouteChunk / 32;  // slots of one lane

struct Chunks {
    int64_t slots;   // that are there
    int32_t count;   // of chunks that the workspace has room for
    int32_t blocks;  // of the first launch
};

__device__ __forceinline__ Chunks chunks_of(const RouteArgs& args) {
    const int64_t most = args.tokens * args.top_k;
    const auto count = static_cast<int32_t>((most + kRouteChunk - 1) / kRouteChunk);
    return {live_tokens(args.tokens, args.token_count) * args.top_k, count,
            (count + kWarps - 1) / kWarps};
}

// `counts`: [E] of this warp, zeroed.
__device__ __forceinline__ void count_chunk(const RouteArgs& args, const Chunks& chunks,
                                            int32_t chunk, uint16_t* counts) {
    const int lane = threadIdx.x % 32;
    const int64_t first = static_cast<int64_t>(chunk) * kRouteChunk + lane;
    Choice choices[kSteps];
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
        const int64_t slot = first + 32 * step;
        choices[step] = slot < chunks.slots ? choose(args, slot) : Choice{-1, false};
    }
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
        const int64_t slot = first + 32 * step;
        const int32_t expert = choices[step].expert;
        const uint32_t peers = __match_any_sync(kAll, expert);
        const int place = __popc(peers & ((1u << lane) - 1));
        const int32_t before = expert >= 0 ? counts[expert] : 0;
        __syncwarp();
        if (expert >= 0 && place == 0) counts[expert] = before + __popc(peers);
        __syncwarp();
        if (slot >= chunks.slots) continue;
        args.routing.slot_row[slot] = expert >= 0 ? before + place : -1;
        if (choices[step].out_of_range && args.skipped != nullptr) *args.skipped = 1;
    }
}

// Counts of one expert by chunk become sums over earlier chunks; returns their total to all lanes.
__device__ __forceinline__ int32_t scan_chunks(int32_t* counts, int32_t chunks) {
    const int lane = threadIdx.x % 32;
    const int32_t own = (chunks + 31) / 32;
    const int32_t begin = min(lane * own, chunks);
    const int32_t end = min(begin + own, chunks);
    int32_t sum = 0;
#pragma unroll 8
    for (int32_t i = begin; i < end; ++i) sum += __ldcg(counts + i);
    int32_t inclusive = sum;
    for (int distance = 1; distance < 32; distance *= 2) {
        const int32_t lower = __shfl_up_sync(kAll, inclusive, distance);
        if (lane >= distance) inclusive += lower;
    }
    int32_t before = inclusive - sum;
#pragma unroll 8
    for (int32_t i = begin; i < end; ++i) {
        const int32_t count = __ldcg(counts + i);
        counts[i] = before;
        before += count;
    }
    return __shfl_sync(kAll, inclusive, 31);
}

// By the last block: first rows of all experts. `totals`: [E].
__device__ void write_row_begins(const RouteArgs& args, const Chunks& chunks, int32_t* totals,
                                 int32_t (&warp_sums)[kWarps]) {
    const Routing& routing = args.routing;
    for (int32_t expert = threadIdx.x / 32; expert < args.expert_count; expert += kWarps) {
        const int32_t total =
            scan_chunks(routing.chunk_rows + int64_t{expert} * chunks.count, chunks.count);
        if (threadIdx.x % 32 == 0) totals[expert] = total;
    }
    __syncthreads();
    int32_t begin = 0;
    for (int32_t first = 0; first < args.expert_count; first += kThreads) {
        const int32_t expert = first + static_cast<int32_t>(threadIdx.x);
        const bool exists = expert < args.expert_count;
        const Scan scan = scan_block<kWarps>(exists ? totals[expert] : 0, warp_sums);
        if (exists) routing.row_begin[expert] = begin + scan.before;
        begin += scan.total;
    }
    if (threadIdx.x == 0) routing.row_begin[args.expert_count] = begin;
    __threadfence();
    __syncthreads();
}

__global__ void __launch_bounds__(kThreads) moe_route_count(const RouteArgs args) {
    extern __shared__ int32_t shared[];  // [warps, E] 16-bit counts, then [E] totals
    __shared__ int32_t warp_sums[kWarps];
    __shared__ bool last;
    const Chunks chunks = chunks_of(args);
    const int warp = threadIdx.x / 32;
    const int32_t chunk = blockIdx.x * kWarps + warp;
    auto* counts = reinterpret_cast<uint16_t*>(shared) + warp * args.expert_count;
    for (int32_t i = threadIdx.x % 32; i < args.expert_count; i += 32) counts[i] = 0;
    __syncwarp();
    if (chunk < chunks.count) {
        count_chunk(args, chunks, chunk, counts);
        for (int32_t i = threadIdx.x % 32; i < args.expert_count; i += 32) {
            args.routing.chunk_rows[int64_t{i} * chunks.count + chunk] = counts[i];
        }
    }
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) last = atomicAdd(args.routing.ticket, 1) == chunks.blocks - 1;
    __syncthreads();
    if (!last) return;
    __threadfence();
    write_row_begins(args, chunks, shared, warp_sums);
    write_tiles<kWarps>(args, warp_sums);
    if (threadIdx.x == 0) *args.routing.ticket = 0;
}

__global__ void __launch_bounds__(kThreads) moe_route_scatter(const RouteArgs args) {
    const Chunks chunks = chunks_of(args);
    const int64_t slot = int64_t{blockIdx.x} * kThreads + threadIdx.x;
    if (slot >= chunks.slots) return;
    const int32_t expert = choose(args, slot).expert;
    if (expert < 0) return;
    const Routing& routing = args.routing;
    const int32_t row = routing.row_begin[expert] +
                        routing.chunk_rows[int64_t{expert} * chunks.count + slot / kRouteChunk] +
                        routing.slot_row[slot];
    routing.slot_row[slot] = row;
    routing.row_slot[row] = static_cast<int32_t>(slot);
}

}  // namespace

const void* route_count_kernel() noexcept {
    return reinterpret_cast<const void*>(&moe_route_count);
}
const void* route_scatter_kernel() noexcept {
    return reinterpret_cast<const void*>(&moe_route_scatter);
}

int launch_route_chunks(const RouteArgs& args, void* stream) noexcept {
    const int64_t slots = args.tokens * args.top_k;
    const int64_t chunks = (slots + kRouteChunk - 1) / kRouteChunk;
    const auto count_blocks = static_cast<unsigned>((chunks + kWarps - 1) / kWarps);
    const auto scatter_blocks = static_cast<unsigned>((slots + kThreads - 1) / kThreads);
    const size_t experts = static_cast<size_t>(args.expert_count);
    // Totals take the place of counts that have been written out.
    const size_t shared_bytes = kWarps * experts * sizeof(uint16_t);
    auto* queue = static_cast<cudaStream_t>(stream);
    moe_route_count<<<count_blocks, kThreads, shared_bytes, queue>>>(args);
    if (const int status = cudaGetLastError(); status != cudaSuccess) return status;
    moe_route_scatter<<<scatter_blocks, kThreads, 0, queue>>>(args);
    return cudaGetLastError();
}

}  // namespace mmoe::cuda
