// SPDX-License-Identifier: Apache-2.0
// Routing inside the decode kernel: every block sorts all slots by expert, stably, into tables in
// its own shared memory. Bit sets give counts and ranks without an order between threads.
#pragma once

#include <cstdint>

#include "cuda/choice.h"
#include "cuda/decode.h"
#include "cuda/ptx/sync.h"

namespace mmoe::cuda {

__device__ __forceinline__ void sync_workers() {
    ptx::bar_sync<1, kDecodeWorkers>();
}

struct DecodeTables {
    struct Tile {
        uint16_t expert;
        uint16_t row, rows;  // first row and how many
    };
    int32_t tile_count;
    Tile tiles[kDecodeSlots];
    uint16_t row_slot[kDecodeSlots];
    int16_t slot_row[kDecodeSlots];  // -1: skipped
    uint32_t warp_sums[kDecodeWarps];
};

// Scratch of the routing, in words: one set of slots an expert, and where its rows begin.
[[nodiscard]] constexpr int64_t decode_route_words(int64_t experts, int64_t slots) noexcept {
    return experts * ((slots + 31) / 32 + 1);
}

// Rows in the upper half of a word, tiles in the lower.
struct DecodeScan {
    uint32_t before, total;
};

__device__ __forceinline__ DecodeScan scan_workers(uint32_t value, DecodeTables& tables) {
    constexpr uint32_t kAll = 0xFFFFFFFF;
    const int lane = threadIdx.x % 32;
    const int warp = threadIdx.x / 32;
    uint32_t inclusive = value;
#pragma unroll
    for (int distance = 1; distance < 32; distance *= 2) {
        const uint32_t lower = __shfl_up_sync(kAll, inclusive, distance);
        if (lane >= distance) inclusive += lower;
    }
    if (lane == 31) tables.warp_sums[warp] = inclusive;
    sync_workers();
    DecodeScan scan = {inclusive - value, 0};
#pragma unroll
    for (int other = 0; other < kDecodeWarps; ++other) {
        const uint32_t sum = tables.warp_sums[other];
        if (other < warp) scan.before += sum;
        scan.total += sum;
    }
    return scan;
}

// Counts become the list of tiles; begin[e] is the first row of expert e.
template <int kRows>
__device__ __forceinline__ void write_decode_tiles(const DecodeArgs& args, const uint32_t* sets,
                                                   int set_words, uint32_t* begin,
                                                   DecodeTables& tables) {
    uint32_t done = 0;
#pragma unroll 1
    for (int first = 0; first < args.expert_count; first += kDecodeWorkers) {
        const int expert = first + static_cast<int>(threadIdx.x);
        int rows = 0;
        if (expert < args.expert_count) {
#pragma unroll 4
            for (int word = 0; word < set_words; ++word) {
                rows += __popc(sets[expert * set_words + word]);
            }
        }
        const int tiles = (rows + kRows - 1) / kRows;
        if (first > 0) sync_workers();  // the sums of the scan before this one have been read
        const DecodeScan scan = scan_workers(static_cast<uint32_t>(rows) << 16 | tiles, tables);
        const uint32_t before = done + scan.before;
        if (expert < args.expert_count) begin[expert] = before >> 16;
#pragma unroll 1
        for (int tile = 0; tile < tiles; ++tile) {
            const int row = tile * kRows;
            tables.tiles[(before & 0xFFFF) + tile] = {
                static_cast<uint16_t>(expert), static_cast<uint16_t>((before >> 16) + row),
                static_cast<uint16_t>(min(rows - row, kRows))};
        }
        done += scan.total;
    }
    if (threadIdx.x == 0) tables.tile_count = static_cast<int32_t>(done & 0xFFFF);
}

// Sorts slots by expert, in two steps of the workers: items can be claimed after the first. A
// thread sees to the slots threadIdx.x + i * kDecodeWorkers; between the steps, slot_row has
// their experts.
class DecodeRouter {
  public:
    // `scratch` has decode_route_words() words.
    __device__ __forceinline__ DecodeRouter(const DecodeArgs& args, uint32_t* scratch)
        : args_(args),
          set_words_((args.slot_count + 31) / 32),
          sets_(scratch),
          begin_(scratch + args.expert_count * set_words_) {}

    // The tiles, of up to kRows rows. Ends without a barrier.
    template <int kRows>
    __device__ __forceinline__ void write_tiles(DecodeTables& tables) {
#pragma unroll 2
        for (int slot = threadIdx.x; slot < args_.slot_count; slot += kDecodeWorkers) {
            const Choice choice = choose(args_, slot);
            tables.slot_row[slot] = static_cast<int16_t>(choice.expert);
            if (choice.out_of_range && args_.skipped != nullptr && blockIdx.x == 0) {
                *args_.skipped = 1;
            }
        }
#pragma unroll 1
        for (int word = threadIdx.x; word < args_.expert_count * set_words_;
             word += kDecodeWorkers) {
            sets_[word] = 0;
        }
        sync_workers();
#pragma unroll 1
        for (int slot = threadIdx.x; slot < args_.slot_count; slot += kDecodeWorkers) {
            const int expert = tables.slot_row[slot];
            if (expert >= 0) atomicOr(&sets_[expert * set_words_ + slot / 32], 1u << slot % 32);
        }
        sync_workers();
        write_decode_tiles<kRows>(args_, sets_, set_words_, begin_, tables);
    }

    // The rows, after a barrier. Ends without one.
    __device__ __forceinline__ void write_rows(DecodeTables& tables) const {
#pragma unroll 1
        for (int slot = threadIdx.x; slot < args_.slot_count; slot += kDecodeWorkers) {
            const int expert = tables.slot_row[slot];
            if (expert < 0) continue;
            const uint32_t* set = sets_ + expert * set_words_;
            int row = static_cast<int>(begin_[expert]);
#pragma unroll 4
            for (int word = 0; word < slot / 32; ++word) row += __popc(set[word]);
            row += __popc(set[slot / 32] & ((1u << slot % 32) - 1));
            tables.slot_row[slot] = static_cast<int16_t>(row);
            tables.row_slot[row] = static_cast<uint16_t>(slot);
        }
    }

  private:
    const DecodeArgs& args_;
    int set_words_;
    uint32_t* sets_;   // [E, set_words]
    uint32_t* begin_;  // [E]
};

}  // namespace mmoe::cuda
