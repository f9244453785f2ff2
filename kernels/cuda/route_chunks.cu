// SPDX-License-Identifier: Apache-2.0
// Routing of many slots in two launches. A block counts one chunk of slots, each warp its part of
// it in shared memory, and notes each slot's place among its expert's slots of the chunk; the last
// block to finish turns counts into first rows and tiles. The second launch adds up: first row of
// the expert, its rows in earlier chunks, the place in the chunk. Rising order inside an expert, so
// the order is stable.
#include <cuda_runtime.h>

#include "cuda/choice.h"
#include "cuda/ptx/sync.h"
#include "cuda/route_tiles.h"
#include "cuda/routing.h"

namespace mmoe::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kSteps = kRouteChunk / kThreads;  // slots of one lane

// This lane's slots of a chunk: a warp's are neighbours.
struct Slots {
    int64_t first;  // then every 32nd
    int64_t end;    // of all slots that are there
    Choice choices[kSteps];
    int32_t places[kSteps];  // among the expert's slots of the warp
};

__device__ __forceinline__ void choose_all(const RouteArgs& args, Slots& slots) {
    slots.first =
        int64_t{blockIdx.x} * kRouteChunk + threadIdx.x / 32 * (32 * kSteps) + threadIdx.x % 32;
    slots.end = live_tokens(args.tokens, args.token_count) * args.top_k;
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
        const int64_t slot = slots.first + 32 * step;
        slots.choices[step] = slot < slots.end ? choose(args, slot) : Choice{-1, false};
        if (slots.choices[step].out_of_range && args.skipped != nullptr) *args.skipped = 1;
    }
}

// `counts`: [E] of this warp, zeroed.
__device__ __forceinline__ void count_warp(uint16_t* counts, Slots& slots) {
    const uint32_t lower = (1u << threadIdx.x % 32) - 1;
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
        const int32_t expert = slots.choices[step].expert;
        const uint32_t peers = __match_any_sync(kAll, expert);
        const int32_t before = expert >= 0 ? counts[expert] : 0;
        __syncwarp();
        if (expert >= 0 && (peers & lower) == 0) counts[expert] = before + __popc(peers);
        __syncwarp();
        slots.places[step] = before + __popc(peers & lower);
    }
}

// Counts of the warps become sums over lower warps; the chunk's count is written out.
__device__ __forceinline__ void scan_warps(const RouteArgs& args, uint16_t* counts) {
    for (int32_t expert = threadIdx.x; expert < args.expert_count; expert += kThreads) {
        int32_t sum = 0;
#pragma unroll
        for (int warp = 0; warp < kWarps; ++warp) {
            uint16_t& count = counts[warp * args.expert_count + expert];
            const int32_t own = count;
            count = static_cast<uint16_t>(sum);
            sum += own;
        }
        args.routing.chunk_rows[int64_t{blockIdx.x} * args.expert_count + expert] = sum;
    }
}

__device__ __forceinline__ void write_places(const RouteArgs& args, const uint16_t* counts,
                                             const Slots& slots) {
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
        const int64_t slot = slots.first + 32 * step;
        if (slot >= slots.end) break;
        const int32_t expert = slots.choices[step].expert;
        args.routing.slot_row[slot] = expert >= 0 ? counts[expert] + slots.places[step] : -1;
    }
}

// Counts of one expert by chunk become sums over earlier chunks; returns their total. Batches are
// read at once: their latencies overlap.
__device__ __forceinline__ int32_t scan_chunks(int32_t* counts, int32_t stride, int32_t chunks) {
    constexpr int kBatch = 16;
    int32_t sum = 0;
    for (int32_t first = 0; first < chunks; first += kBatch) {
        int32_t own[kBatch];
#pragma unroll
        for (int i = 0; i < kBatch; ++i) {
            own[i] = first + i < chunks ? __ldcg(counts + int64_t{first + i} * stride) : 0;
        }
#pragma unroll
        for (int i = 0; i < kBatch; ++i) {
            if (first + i < chunks) counts[int64_t{first + i} * stride] = sum;
            sum += own[i];
        }
    }
    return sum;
}

// By the last block: first rows of all experts.
__device__ void write_row_begins(const RouteArgs& args, int32_t (&warp_sums)[kWarps]) {
    const Routing& routing = args.routing;
    int32_t begin = 0;
    for (int32_t first = 0; first < args.expert_count; first += kThreads) {
        const int32_t expert = first + static_cast<int32_t>(threadIdx.x);
        const bool exists = expert < args.expert_count;
        const int32_t rows = exists ? scan_chunks(routing.chunk_rows + expert, args.expert_count,
                                                  static_cast<int32_t>(gridDim.x))
                                    : 0;
        const Scan scan = scan_block<kWarps>(rows, warp_sums);
        if (exists) routing.row_begin[expert] = begin + scan.before;
        begin += scan.total;
    }
    if (threadIdx.x == 0) routing.row_begin[args.expert_count] = begin;
    __threadfence();
    __syncthreads();
}

__global__ void __launch_bounds__(kThreads) moe_route_count(const RouteArgs args) {
    extern __shared__ uint16_t counts[];  // [warps, E]
    __shared__ int32_t warp_sums[kWarps];
    __shared__ bool last;
    uint16_t* own = counts + threadIdx.x / 32 * args.expert_count;
    for (int32_t i = threadIdx.x % 32; i < args.expert_count; i += 32) own[i] = 0;
    Slots slots;
    choose_all(args, slots);
    __syncwarp();
    count_warp(own, slots);
    __syncthreads();
    scan_warps(args, counts);
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) last = atomicAdd(args.routing.ticket, 1) == gridDim.x - 1;
    write_places(args, own, slots);
    __syncthreads();
    if (!last) return;
    __threadfence();
    clear_queues<kWarps>(args);
    write_row_begins(args, warp_sums);
    write_tiles<kWarps>(args, warp_sums);
    if (threadIdx.x == 0) *args.routing.ticket = 0;
}

__global__ void __launch_bounds__(kThreads) moe_route_scatter(const RouteArgs args) {
    ptx::griddepcontrol_launch_dependents();
    const int64_t slot = int64_t{blockIdx.x} * kThreads + threadIdx.x;
    if (slot >= live_tokens(args.tokens, args.token_count) * args.top_k) return;
    const int32_t expert = choose(args, slot).expert;
    if (expert < 0) return;
    const Routing& routing = args.routing;
    const int32_t row = routing.row_begin[expert] +
                        routing.chunk_rows[slot / kRouteChunk * args.expert_count + expert] +
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
    const auto chunks = static_cast<unsigned>((slots + kRouteChunk - 1) / kRouteChunk);
    const auto blocks = static_cast<unsigned>((slots + kThreads - 1) / kThreads);
    const size_t shared_bytes = kWarps * static_cast<size_t>(args.expert_count) * sizeof(uint16_t);
    auto* queue = static_cast<cudaStream_t>(stream);
    moe_route_count<<<chunks, kThreads, shared_bytes, queue>>>(args);
    if (const int status = cudaGetLastError(); status != cudaSuccess) return status;
    moe_route_scatter<<<blocks, kThreads, 0, queue>>>(args);
    return cudaGetLastError();
}

}  // namespace mmoe::cuda
