// SPDX-License-Identifier: Apache-2.0
// The loading warp group of the prefill kernel. Three warps gather rows of x by 16-byte copies, in
// the swizzled order that wgmma reads; the fourth brings strips of weights, 8 tiles a copy, and the
// scales and zero points of the groups that begin in the stage. Both run ahead of the multiplying
// warp groups by as many stages as there are.
#pragma once

#include "cuda/prefill_queue.h"
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
    static constexpr bool kReadsEarly = false;  // x is what the kernel before wrote

    __device__ __forceinline__ HiddenLoader(const GemmArgs& args, uint32_t shared)
        : args_(args), shared_(shared), sources_(shared + Plan::kSources) {}

    // Finds the rows of the work that will begin next.
    __device__ __forceinline__ void prepare(uint32_t place_of_work) {
        const PrefillWork work = read_work(place_of_work);
        if (work.rows == 0) return;
        const int lane = threadIdx.x % 32;
        const uint32_t sources = other_sources();
        for (int i = lane / 8; i < kOwnGroups; i += 4) {
            const int place = first_row(i) + lane % 8;
            if (place >= Tile::kTokens) break;
            const int32_t row = work.row + min(place, work.rows - 1);
            const int64_t source = args_.x_slots_per_row != 0
                                       ? args_.routing.row_slot[row] / args_.x_slots_per_row
                                       : row;
            const int even_first = place / 8 * 8 + place % 2 * 4 + place % 8 / 2;
            ptx::st_shared_u64(sources + 8 * even_first,
                               reinterpret_cast<uint64_t>(static_cast<const uint16_t*>(args_.x) +
                                                          source * args_.x_stride));
        }
    }

    __device__ __forceinline__ void begin(const PrefillWork& work, uint32_t /*place*/) {
        rows_ = work.rows;
        sources_ = other_sources();
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
            uint64_t sources[4];  // of rows 0, 2, 4, 6 or of rows 1, 3, 5, 7
            const uint32_t place = sources_ + 8 * first_row(i) + threadIdx.x % 32 / 16 * 32;
            ptx::ld_shared_128(place, sources[0], sources[1]);
            ptx::ld_shared_128(place + 16, sources[2], sources[3]);
#pragma unroll
            for (int pair = 0; pair < 4; ++pair) {
                const int row = first_row(i) + 2 * pair + threadIdx.x % 32 / 16;
                const uint64_t source = sources[pair];
                ptx::cp_async_16(unit + row * Plan::kRowBytes + (chunk % 8 ^ row % 8) * 16,
                                 reinterpret_cast<const uint8_t*>(source) + offset_bytes, bytes);
            }
        }
        ptx::cp_async_mbarrier_arrive_noinc(ring.full());
    }

    __device__ __forceinline__ void end(const Ring<Tile>& ring) const {
        ptx::cp_async_mbarrier_arrive_noinc(ring.full());
    }

  private:
    static __device__ __forceinline__ int first_row(int i) {
        return 8 * (Tile::kHiddenWarps * i + threadIdx.x / 32);
    }

    __device__ __forceinline__ uint32_t other_sources() const {
        return 2 * (shared_ + Plan::kSources) + Plan::kSourceBytes - sources_;
    }

    const GemmArgs& args_;
    uint32_t shared_;
    // [tokens] addresses of the rows of x; of each eight, even ones first
    uint32_t sources_;
    int32_t rows_;
};

// Warp 3: weights, scales, zero points and the item itself. One warp must issue a whole stage while
// the stage before is multiplied, so all addresses are made once an item and advanced by additions.
template <class Tile>
class WeightLoader {
    using Plan = PrefillPlan<Tile>;
    // 16-byte pieces of scales and zero points of one group.
    static constexpr int kScaleChunks = Plan::kScaleBytes / 16;
    static constexpr int kStripChunks = Plan::kStripGroupBytes / 16;
    static constexpr int kChunks = Tile::kStrips * kStripChunks;
    static constexpr int kOwnChunks = (kChunks + 31) / 32;

  public:
    static constexpr int kArrivals = 32 + 1;
    static constexpr bool kReadsEarly = true;  // weights need routing alone

    __device__ __forceinline__ WeightLoader(const GemmArgs& args, uint32_t /*shared*/)
        : args_(args) {}

    __device__ __forceinline__ void prepare(uint32_t /*place_of_work*/) const {}

    __device__ __forceinline__ void begin(const PrefillWork& work, uint32_t place) {
        const Matrix& matrix = args_.matrix;
        place_of_work_ = place;
        codes_ =
            static_cast<const uint8_t*>(matrix.codes) + work.expert * matrix.expert_stride_bytes +
            strip_tile<Tile>(args_, work.block, lane() % Tile::kStrips) * matrix.tile_stride_bytes +
            work.first_input / 16 * Tile::Weight::kTileBytes;
        const int32_t first_group = work.first_input / matrix.group_size;
        group_input_ = first_group * matrix.group_size;
        const int64_t first_row =
            (int64_t{work.expert} * matrix.groups() + first_group) * matrix.outputs;
#pragma unroll
        for (int i = 0; i < kOwnChunks; ++i) {
            const int place = lane() + 32 * i;
            const int chunk = place % kStripChunks;
            const int32_t tile = strip_tile<Tile>(args_, work.block, place / kStripChunks);
            scales_[i] = chunk < kScaleChunks;
            exists_[i] = place < kChunks && (scales_[i] || matrix.zero_points != nullptr);
            chunks_[i] = scales_[i] ? static_cast<const uint8_t*>(matrix.scales) + 2 * first_row +
                                          tile * Plan::kScaleBytes + 16 * chunk
                                    : reinterpret_cast<const uint8_t*>(matrix.zero_points) +
                                          first_row * Tile::kBits / 8 + tile * Plan::kZeroBytes +
                                          16 * (chunk - kScaleChunks);
        }
    }

    __device__ __forceinline__ void load(const Ring<Tile>& ring, int32_t input) {
        const int32_t inputs = min(args_.matrix.inputs - input, Tile::kInputs);
        const uint32_t strip_bytes = inputs / 16 * Tile::Weight::kTileBytes;
        if (lane() == 0) {
            if (place_of_work_ != 0) write_work(ring.work(), read_work(place_of_work_));
            ptx::mbarrier_arrive_expect_tx(ring.full(), Tile::kStrips * strip_bytes);
        }
        place_of_work_ = 0;
        __syncwarp();
        if (lane() < Tile::kStrips) {
            ptx::cp_async_bulk(ring.weights() + lane() * Plan::kStripBytes, codes_, strip_bytes,
                               ring.full());
        }
        codes_ += Plan::kStripBytes;
        uint32_t place = ring.groups() + 16 * lane();
        while (group_input_ < input + inputs) {
            load_group(place);
            group_input_ += args_.matrix.group_size;
            place += Plan::kGroupBytes;
        }
        ptx::cp_async_mbarrier_arrive_noinc(ring.full());
    }

    __device__ __forceinline__ void end(const Ring<Tile>& ring) const {
        if (lane() == 0) {
            write_work(ring.work(), {});
            ptx::mbarrier_arrive(ring.full());
        }
        ptx::cp_async_mbarrier_arrive_noinc(ring.full());
    }

  private:
    static __device__ __forceinline__ int lane() {
        return threadIdx.x % 32;
    }

    __device__ __forceinline__ void load_group(uint32_t place) {
        const int32_t scale_stride = args_.matrix.outputs * 2;
        const int32_t zero_stride = args_.matrix.outputs * Tile::kBits / 8;
#pragma unroll
        for (int i = 0; i < kOwnChunks; ++i) {
            if (exists_[i]) ptx::cp_async_16(place + 512 * i, chunks_[i], 16);
            chunks_[i] += scales_[i] ? scale_stride : zero_stride;
        }
    }

    const GemmArgs& args_;
    uint32_t place_of_work_;  // 0: the multiplying warps have it
    int32_t group_input_;     // first input of the next group
    const uint8_t* codes_;    // of this lane's strip, next stage
    // This lane's chunks of the next group, and what they are.
    const uint8_t* chunks_[kOwnChunks];
    bool scales_[kOwnChunks];
    bool exists_[kOwnChunks];
};

// All that this block claims, through a loader. What comes next is claimed and found while the work
// before it is loaded.
template <class Tile, class Loader>
__device__ __forceinline__ void load_items(const GemmArgs& args, uint32_t shared) {
    if (!Loader::kReadsEarly || !args.routed_earlier) ptx::griddepcontrol_wait();
    if (threadIdx.x == 0) ptx::griddepcontrol_launch_dependents();
    Loader loader(args, shared);
    Claims<Tile> claims(args, shared);
    Ring<Tile> ring = {shared};
    uint32_t next = claims.next();
    loader.prepare(next);
    for (PrefillWork work = read_work(next); work.rows != 0; work = read_work(next)) {
        loader.begin(work, next);
        const int32_t first = work.first_input;
        for (int32_t input = first; input < work.end_input; input += Tile::kInputs) {
            ptx::mbarrier_wait(ring.empty(), ring.round ^ 1);  // the first round finds it empty
            loader.load(ring, input);
            ring.advance();
            if (input != first) continue;
            next = claims.next();
            loader.prepare(next);
        }
    }
    ptx::mbarrier_wait(ring.empty(), ring.round ^ 1);
    loader.end(ring);
    ptx::cp_async_wait_all();  // no copy outlives its thread
}

}  // namespace mmoe::cuda
