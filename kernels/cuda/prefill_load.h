// SPDX-License-Identifier: Apache-2.0
// The loading warp group of the prefill kernel. Three warps gather rows of x by 16-byte copies, in
// the swizzled order that wgmma reads; the fourth brings strips of weights, 8 tiles a copy, and the
// scales and zero points of the groups that begin in the stage. Both run ahead of the multiplying
// warp groups by as many stages as there are.
#pragma once

#include "cuda/prefill_tile.h"
#include "cuda/ptx/cp_async.h"

namespace mmoe::cuda {

// Warps 0 to 2: rows of x. Rows are dealt out in groups of eight; where a row lies is kept in
// shared memory, for registers are scarce here.
template <class Tile>
class HiddenLoader {
    using Plan = PrefillPlan<Tile>;
    static constexpr int kRowGroups = Tile::kTokens / 8;
    static constexpr int kOwnGroups = (kRowGroups + Tile::kHiddenWarps - 1) / Tile::kHiddenWarps;

  public:
    static constexpr int kArrivals = 32 * Tile::kHiddenWarps;

    __device__ __forceinline__ HiddenLoader(const GemmArgs& args, uint32_t shared)
        : args_(args), sources_(shared + Plan::kSources) {}

    __device__ __forceinline__ void begin(const PrefillWork& work) {
        rows_ = work.rows;
        const int lane = threadIdx.x % 32;
        __syncwarp();
        for (int i = lane / 8; i < kOwnGroups; i += 4) {
            const int place = first_row(i) + lane % 8;
            if (place >= Tile::kTokens) break;
            const int32_t row = work.row + min(place, work.rows - 1);
            const int64_t source = args_.x_slots_per_row != 0
                                       ? args_.routing.row_slot[row] / args_.x_slots_per_row
                                       : row;
            ptx::st_shared_u64(sources_ + 8 * place,
                               reinterpret_cast<uint64_t>(static_cast<const uint16_t*>(args_.x) +
                                                          source * args_.x_stride));
        }
        __syncwarp();
    }

    // 128 inputs from `input` on, two rows an instruction.
    __device__ __forceinline__ void load(const Ring<Tile>& ring, int32_t input) const {
        const int chunk = threadIdx.x % 16;
        const int32_t column = input + 8 * chunk;
        const uint32_t bytes = column < args_.x_columns ? 16 : 0;
        const int64_t offset_bytes = bytes != 0 ? 2 * column : 0;
        const uint32_t unit = ring.hidden() + chunk / 8 * Plan::kUnitBytes;
#pragma unroll
        for (int i = 0; i < kOwnGroups; ++i) {
            if (first_row(i) >= rows_) break;
#pragma unroll
            for (int pair = 0; pair < 4; ++pair) {
                const int row = first_row(i) + 2 * pair + threadIdx.x % 32 / 16;
                const uint64_t source = ptx::ld_shared_u64(sources_ + 8 * row);
                ptx::cp_async_16(unit + row * Plan::kRowBytes + (chunk % 8 ^ row % 8) * 16,
                                 reinterpret_cast<const uint8_t*>(source) + offset_bytes, bytes);
            }
        }
        ptx::cp_async_mbarrier_arrive_noinc(ring.full());
    }

  private:
    static __device__ __forceinline__ int first_row(int i) {
        return 8 * (Tile::kHiddenWarps * i + threadIdx.x / 32);
    }

    const GemmArgs& args_;
    uint32_t sources_;  // [tokens] addresses of the rows of x
    int32_t rows_;
};

// Warp 3: weights, scales, zero points and the item itself.
template <class Tile>
class WeightLoader {
    using Plan = PrefillPlan<Tile>;

  public:
    static constexpr int kArrivals = 32 + 1;

    __device__ __forceinline__ WeightLoader(const GemmArgs& args, uint32_t /*shared*/)
        : args_(args) {}

    __device__ __forceinline__ void begin(const PrefillWork& work) {
        work_ = work;
        if (lane() < Tile::kStrips) {
            codes_ = static_cast<const uint8_t*>(args_.matrix.codes) +
                     work.expert * args_.matrix.expert_stride_bytes +
                     strip_tile<Tile>(args_, work.block, lane()) * args_.matrix.tile_stride_bytes;
        }
        next_group_ = 0;
    }

    __device__ __forceinline__ void load(const Ring<Tile>& ring, int32_t input) {
        const int32_t inputs = min(args_.matrix.inputs - input, Tile::kInputs);
        const uint32_t strip_bytes = inputs / 16 * Tile::Weight::kTileBytes;
        if (lane() == 0) {
            if (input == 0) {
                ptx::st_shared_128(ring.work(),
                                   make_uint4(work_.expert, work_.row, work_.rows, work_.block));
            }
            ptx::mbarrier_arrive_expect_tx(ring.full(), Tile::kStrips * strip_bytes);
        }
        __syncwarp();
        if (lane() < Tile::kStrips) {
            ptx::cp_async_bulk(ring.weights() + lane() * Plan::kStripBytes,
                               codes_ + input / 16 * Tile::Weight::kTileBytes, strip_bytes,
                               ring.full());
        }
        for (uint32_t place = ring.groups(); next_group_ < args_.matrix.groups() &&
                                             next_group_ * args_.matrix.group_size < input + inputs;
             ++next_group_, place += Plan::kGroupBytes) {
            load_group(place);
        }
        ptx::cp_async_mbarrier_arrive_noinc(ring.full());
    }

  private:
    static __device__ __forceinline__ int lane() { return threadIdx.x % 32; }

    __device__ __forceinline__ void load_group(uint32_t place) const {
        constexpr int kScaleChunks = Plan::kScaleBytes / 16;
        constexpr int kChunks = Plan::kStripGroupBytes / 16;
        const Matrix& matrix = args_.matrix;
        const int64_t row = int64_t{work_.expert} * matrix.groups() + next_group_;
        const auto* scales = static_cast<const uint8_t*>(matrix.scales) + row * matrix.outputs * 2;
        const auto* zeros = reinterpret_cast<const uint8_t*>(matrix.zero_points) +
                            row * matrix.outputs * Tile::kBits / 8;
        for (int i = lane(); i < Tile::kStrips * kChunks; i += 32) {
            const int32_t tile = strip_tile<Tile>(args_, work_.block, i / kChunks);
            const int chunk = i % kChunks;
            const bool scale = chunk < kScaleChunks;
            if (!scale && matrix.zero_points == nullptr) continue;
            const uint8_t* source =
                scale ? scales + tile * Plan::kScaleBytes + chunk * 16
                      : zeros + tile * Plan::kZeroBytes + (chunk - kScaleChunks) * 16;
            ptx::cp_async_16(place + i * 16, source, 16);
        }
    }

    const GemmArgs& args_;
    PrefillWork work_;
    const uint8_t* codes_ = nullptr;  // of this lane's strip
    int32_t next_group_;
};

// All items of this block, through `loader`.
template <class Tile, class Loader>
__device__ __forceinline__ void load_items(const GemmArgs& args, uint32_t shared, int32_t items) {
    Loader loader(args, shared);
    Ring<Tile> ring = {shared};
    for (int32_t item = blockIdx.x; item < items; item += gridDim.x) {
        loader.begin(locate_prefill<Tile>(args, item));
        for (int32_t input = 0; input < args.matrix.inputs; input += Tile::kInputs) {
            ptx::mbarrier_wait(ring.empty(), ring.round ^ 1);  // the first round finds it empty
            loader.load(ring, input);
            ring.advance();
        }
    }
    ptx::cp_async_wait_all();  // no copy outlives its thread
}

}  // namespace mmoe::cuda
