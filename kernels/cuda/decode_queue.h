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
    const int64_t row = static_cast<int64_t>(item.expert) * matrix.groups();
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

// Item `number` of the list.
__device__ __forceinline__ DecodeItem locate_item(const DecodeArgs& args,
                                                  const DecodeTables& tables, int32_t number) {
    DecodeItem item;
    item.gemm = kNoGemm;
#pragma unroll 1
    for (int gemm = 0; gemm < 2; ++gemm) {
        const DecodeGemm& shape = args.gemm[gemm];
        const int32_t per_tile = shape.column_blocks * shape.splits;
        const int32_t items = tables.tile_count * per_tile;
        if (number >= items) {
            number -= items;
            continue;
        }
        item.gemm = static_cast<uint16_t>(gemm);
        item.tile = static_cast<uint16_t>(number / per_tile);
        const int32_t inside = number % per_tile;
        const int32_t block = inside / shape.splits;
        item.split = static_cast<uint16_t>(inside % shape.splits);
        const DecodeTables::Tile tile = tables.tiles[item.tile];
        item.expert = tile.expert;
        item.row = tile.row;
        item.rows = tile.rows;
        item.first_unit = item.split * shape.split_units;
        item.units = min(shape.split_units, shape.units - item.first_unit);
        const int32_t tile_columns = shape.matrix.outputs / 64;
        const bool gated = gemm == 0 && args.gated;
        item.tiles[0] = gated ? block : 2 * block;
        item.tiles[1] = gated ? block + tile_columns / 2 : min(2 * block + 1, tile_columns - 1);
        point_at_weights(shape, item);
        break;
    }
    return item;
}

// The claimer, one thread. `first` has been claimed already.
__device__ __forceinline__ void claim_items(const DecodeArgs& args, const DecodeTables& tables,
                                            int32_t first, DecodeCounters::Set& counters,
                                            DecodeQueue& queue) {
    int32_t number = first;
#pragma unroll 1
    for (int item = 0;; ++item) {
        const DecodeItem located = locate_item(args, tables, number);
        queue.items[item % DecodeQueue::kPlaces] = located;
        ptx::st_release_shared(ptx::shared_address(&queue.published), item + 1);
        if (located.gemm == kNoGemm) return;
        while (read_shared(queue.wanted) < item + 2) __nanosleep(20);
        number = atomicAdd(&counters.claimed, 1);
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
            while (ptx::ld_acquire_gpu(&counters.ready[ready_tile]) < blocks) {
            }
        }
        ptx::st_release_shared(ptx::shared_address(&queue.ready), number + 1);
    }
}

}  // namespace mmoe::cuda
