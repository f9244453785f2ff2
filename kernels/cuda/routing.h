// SPDX-License-Identifier: Apache-2.0
// What routing leaves in the workspace for the GEMMs and the combine.
//
// A slot is one (token, chosen expert) pair: slot = token * top_k + j. Valid slots are sorted by
// expert, in rising order inside an expert; a slot's place in that order is its row in the
// intermediate and in the slot results. A tile is up to `tile_tokens` rows of one expert.
#pragma once

#include <cstdint>

namespace mmoe::cuda {

// Counters of one GEMM whose blocks claim their items; routing sets them to 0.
struct ItemQueue {
    static constexpr int32_t kMostCut = 132;  // items that several blocks share
    static constexpr int32_t kMostWarps = 16;

    int32_t claimed;                         // beyond the first item of each block
    int32_t arrived[kMostCut * kMostWarps];  // pieces of an item that this warp has written
};

struct Routing {
    int32_t* ticket;       // [1] blocks that are done; 0 between runs
    int32_t* tile_count;   // [1]
    int32_t* row_begin;    // [E + 1] first row of each expert
    int32_t* first_tile;   // [E] its first tile
    int32_t* tile_expert;  // [tiles] expert of each tile
    int32_t* row_slot;     // [slots] slot of each row
    int32_t* slot_row;     // [slots] row of each slot; -1: skipped
    int32_t* chunk_rows;   // [chunks, E] rows of each expert before a chunk of slots
    ItemQueue* queues;     // [2] one a GEMM
};

constexpr int32_t kRouteChunk = 2048;  // slots that one block counts

// Whether routing counts chunks of slots; else every block reads all of them, in one launch.
constexpr bool counts_chunks(int64_t slots, int64_t experts) noexcept {
    constexpr int64_t kFewSlots = 4096;
    constexpr int64_t kMostExperts = 2048;  // counted in shared memory by every warp
    return slots > kFewSlots && experts <= kMostExperts;
}

struct RouteArgs {
    Routing routing;
    const int32_t* expert_ids;  // [slots]
    const int32_t* expert_map;  // [map_size] or null
    int64_t map_size;
    int64_t tokens;
    const int32_t* token_count;  // [1] or null: `tokens`
    int32_t top_k;
    int32_t expert_count;
    const int32_t* slot_map;  // [global_expert_count], or null: first_expert counts
    int32_t first_expert;
    int32_t global_expert_count;
    int32_t tile_tokens;
    int32_t* skipped;  // or null
};

// Tokens that are there: the host's number, or the device's, never more than that.
__device__ __forceinline__ int64_t live_tokens(int64_t tokens, const int32_t* token_count) {
    if (token_count == nullptr) return tokens;
    const int32_t count = *token_count;
    return count < 0 ? 0 : count < tokens ? count : tokens;
}

// Returns a cudaError_t, as every launch here.
int launch_route(const RouteArgs& args, void* stream) noexcept;
int launch_route_chunks(const RouteArgs& args, void* stream) noexcept;  // of many slots
const void* route_kernel() noexcept;
const void* route_count_kernel() noexcept;
const void* route_scatter_kernel() noexcept;

}  // namespace mmoe::cuda
