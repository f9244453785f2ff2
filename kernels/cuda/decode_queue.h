// SPDX-License-Identifier: Apache-2.0
// The items of a block: claimed one by one from all blocks' common list, in order, by a warp that
// does nothing else, and published in shared memory before the others need them.
//
// The list is GEMM 1 of all expert tiles, then GEMM 2 of all expert tiles.
#pragma once

#include <cstdint>

#include "cuda/decode.h"
#include "cuda/decode_route.h"
#include "cuda/ptx/shared.h"
#include "cuda/ptx/sync.h"

namespace mmoe::cuda {

constexpr int kNoGemm = 2;

struct __align__(16) DecodeItem {
    // Of both n64 tiles, from the expert's first unit on.
    const uint8_t* codes[2];
    const uint8_t* scales[2];
    const uint8_t* zeros[2];
    int32_t first_unit, units;  // of K
    int32_t tiles[2];           // n64 tiles
    uint16_t gemm;              // 0, 1, or kNoGemm: there are no more items
    uint16_t tile;              // of the tables
    uint16_t expert, row, rows;
    uint16_t split;
};

struct DecodeQueue {
    // A warp asks for items up to 3 * kDecodeWarps ahead of the one it multiplies, and the
    // finishers are at most two behind: more places than items are in use.
    static constexpr int kPlaces = 32;
    DecodeItem items[kPlaces];
    int32_t wanted;     // items that should be published
    int32_t published;  // items
    int32_t ready;      // items whose x is there

    __device__ __forceinline__ void clear() {
        wanted = 1;
        published = 0;
        ready = 0;
    }
    __device__ __forceinline__ const DecodeItem& at(int item) const {
        return items[item % kPlaces];
    }
    __device__ __forceinline__ void want(int count) {
        if (threadIdx.x % 32 == 0) ptx::red_shared_max(ptx::shared_address(&wanted), count);
    }
};

__device__ __forceinline__ int32_t read_shared(const int32_t& counter) {
    return ptx::ld_acquire_shared(ptx::shared_address(&counter));
}

// Returns when the counter has reached `count`.
__device__ __forceinline__ void await_shared(const int32_t& counter, int count) {
    while (read_shared(counter) < count) {
    }
}

__device__ __forceinline__ void point_at_weights(const DecodeGemm& gemm, DecodeItem& item) {
    const Matrix& matrix = gemm.matrix;
    const int64_t row = static_cast<int64_t>(item.expert) * gemm.groups;
    const auto* codes = static_cast<const uint8_t*>(matrix.codes);
    const auto* scales = static_cast<const uint8_t*>(matrix.scales);
    const auto* zeros = reinterpret_cast<const uint8_t*>(matrix.zero_points);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int32_t tile = item.tiles[half];
        item.codes[half] =
            codes + item.expert * matrix.expert_stride_bytes + tile * matrix.tile_stride_bytes;
        item.scales[half] = scales + row * gemm.scale_row_bytes + tile * 128;
        item.zeros[half] = zeros + row * gemm.zero_row_bytes + tile * 8 * matrix.bits;
    }
}

__device__ __forceinline__ int32_t count_items(const DecodeGemm& gemm, const DecodeTables& tables) {
    return tables.tile_count * gemm.column_blocks * gemm.splits;
}

// Returns when other blocks have brought the counter to `count`, and sees what they stored before.
// Only the last read is one that empties the L1 cache.
__device__ __forceinline__ void await_global(const int32_t& counter, int32_t count) {
    while (ptx::ld_relaxed_gpu(&counter) < count) {
    }
    ptx::ld_acquire_gpu(&counter);
}

// A place in the list, which moves forward without a division.
struct DecodePlace {
    int32_t gemm = 0;
    int32_t tile = 0;
    int32_t inside = 0;  // item of the tile

    __device__ __forceinline__ void advance(const DecodeArgs& args, const DecodeTables& tables,
                                            int32_t items) {
        inside += items;
#pragma unroll 1
        for (; gemm < kNoGemm; ++gemm) {
            const int32_t per_tile = args.gemm[gemm].column_blocks * args.gemm[gemm].splits;
            const int32_t tiles = tables.tile_count;
#pragma unroll 1
            for (; tile < tiles; ++tile) {
                if (inside < per_tile) return;
                inside -= per_tile;
            }
            tile = 0;
        }
    }
};

__device__ __forceinline__ DecodeItem describe_item(const DecodeArgs& args,
                                                    const DecodeTables& tables,
                                                    const DecodePlace& place) {
    DecodeItem item;
    item.gemm = static_cast<uint16_t>(place.gemm);
    item.units = 0;
    if (place.gemm == kNoGemm) return item;
    const DecodeGemm& shape = args.gemm[place.gemm];
    const DecodeTables::Tile tile = tables.tiles[place.tile];
    item.tile = static_cast<uint16_t>(place.tile);
    item.expert = tile.expert;
    item.row = tile.row;
    item.rows = tile.rows;
    const int32_t block = shape.splits == 1 ? place.inside : place.inside / shape.splits;
    item.split = static_cast<uint16_t>(place.inside - block * shape.splits);
    item.first_unit = item.split * shape.split_units;
    item.units = min(shape.split_units, shape.units - item.first_unit);
    const int32_t tile_columns = shape.matrix.outputs / 64;
    const bool gated = place.gemm == 0 && args.gated;
    item.tiles[0] = gated ? block : 2 * block;
    item.tiles[1] = gated ? block + tile_columns / 2 : min(2 * block + 1, tile_columns - 1);
    point_at_weights(shape, item);
    return item;
}

// The claimer, one thread. `claim` is its first, `first` that of the run.
__device__ __forceinline__ void claim_items(const DecodeArgs& args, const DecodeTables& tables,
                                            uint32_t claim, uint32_t first, DecodeQueue& queue) {
    // Where GEMM 2 has few items, no block hoards them while others are at GEMM 1.
    const bool few = count_items(args.gemm[1], tables) < 2 * static_cast<int32_t>(gridDim.x);
    DecodePlace place;
#pragma unroll 1
    for (int item = 0;; ++item) {
        place.advance(args, tables, static_cast<int32_t>(claim - first));
        queue.items[item % DecodeQueue::kPlaces] = describe_item(args, tables, place);
        ptx::st_release_shared(ptx::shared_address(&queue.published), item + 1);
        if (place.gemm == kNoGemm) return;
        while (read_shared(queue.wanted) < item + 2) __nanosleep(20);
        if (few && place.gemm == 1) await_shared(queue.ready, item + 1);
        first = claim;
        claim = atomicAdd(&args.counters->claimed, 1);
    }
}

// The watcher, one thread: publishes items of GEMM 2 as ready when all blocks of columns of their
// intermediate are stored.
__device__ __forceinline__ void watch_items(const DecodeArgs& args, DecodeCounters::Set& counters,
                                            DecodeQueue& queue) {
    const int32_t blocks = args.gemm[0].column_blocks;
    int ready_tile = -1;
#pragma unroll 1
    for (int number = 0;; ++number) {
        while (read_shared(queue.published) <= number) __nanosleep(20);
        const DecodeItem& item = queue.at(number);
        if (item.gemm == kNoGemm) return;
        if (item.gemm == 1 && item.tile != ready_tile) {
            ready_tile = item.tile;
            await_global(counters.ready[ready_tile], blocks);
        }
        ptx::st_release_shared(ptx::shared_address(&queue.ready), number + 1);
    }
}

}  // namespace mmoe::cuda
