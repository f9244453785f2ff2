// SPDX-License-Identifier: Apache-2.0
// The stream of weights of one warp: a ring of units in shared memory that runs on over the
// borders of items. A unit is two n64 tiles by kInputs inputs, with their scales and zero points:
//
//     codes   [2 tiles, steps] Marlin tiles
//     groups  [groups of the unit, 2 tiles] of 64 scales, zero points
//
// Unit u of a block's items, counted over all items, belongs to warp u % kDecodeWarps.
#pragma once

#include <cstdint>

#include "cuda/decode.h"
#include "cuda/decode_queue.h"
#include "cuda/number.h"
#include "cuda/ptx/cp_async.h"

namespace mmoe::cuda {

// kScaleSteps: MMA steps after which the scale changes, or may.
template <class Number_, int kBits_, int kScaleSteps_>
struct DecodeType {
    using Number = Number_;
    static constexpr int kBlocks = 1;          // of 8 rows of x: registers do not hold two
    static constexpr int kRows = 8 * kBlocks;  // of an expert tile
    static constexpr int kBits = kBits_;
    static constexpr int kScaleSteps = kScaleSteps_;
    static constexpr int kSteps = kBits == 4 ? 8 : 4;  // of one unit: 8 KB of codes either way
    static constexpr int kInputs = 16 * kSteps;
    static constexpr int kTileBytes = 128 * kBits;
    static constexpr int kCodeBytes = 2 * kSteps * kTileBytes;
    static constexpr int kScaleBytes = 2 * 64;                        // of 64 outputs
    static constexpr int kGroupBytes = kScaleBytes + 64 * kBits / 8;  // with their zero points
};

[[nodiscard]] constexpr int32_t decode_unit_inputs(int32_t bits) noexcept {
    return bits == 4 ? 128 : 64;
}
[[nodiscard]] constexpr int32_t decode_unit_bytes(int32_t bits, int32_t unit_groups) noexcept {
    return 8192 + unit_groups * 2 * (128 + 8 * bits);
}

template <class Type>
class DecodeRing {
    static constexpr int kStepLoads = Type::kTileBytes / 16 / 32;
    static constexpr int kUnitBytes = Type::kCodeBytes / 2;  // of one n64 tile's codes
    static constexpr int kScaleChunks = Type::kScaleBytes / 16;
    static constexpr int kGroupChunks = Type::kGroupBytes / 16;
    static_assert(2 * kGroupChunks <= 32, "one load a lane brings a group of both tiles");

  public:
    // `shared`: kDecodeDepth units of this warp.
    __device__ __forceinline__ DecodeRing(const DecodeArgs& args, DecodeQueue& queue,
                                          uint32_t shared)
        : args_(args), queue_(queue), shared_(shared), unit_(threadIdx.x / 32) {}

    // Asks for the next unit if none is under way and its item is published; the whole warp must
    // be done with the unit before the one that has arrived. One unit a warp, 64 KB a processor,
    // fills the memory's pipe; more would only queue, and x behind them.
    __device__ __forceinline__ void fill() {
        if (!under_way_ && (unit_ < units_ || find_item())) issue();
    }

    // Waits for the unit that is under way; after this the whole warp sees it.
    __device__ __forceinline__ void wait() {
        ptx::cp_async_wait_group<0>();
        __syncwarp();
        under_way_ = false;
        place_ ^= 1;
    }

    // Where the unit that has arrived is.
    [[nodiscard]] __device__ __forceinline__ uint32_t arrived() const {
        return shared_ + (place_ ^ 1) * args_.ring_unit_bytes;
    }

  private:
    __device__ __forceinline__ void issue() {
        static_assert(kDecodeDepth == 2);
        const uint32_t to = shared_ + place_ * args_.ring_unit_bytes + threadIdx.x % 32 * 16;
        const int32_t unit = first_unit_ + unit_;
        if (unit < whole_units_) {
            copy_whole_codes(unit, to);
        } else {
            copy_codes(unit, to);
        }
        copy_groups(unit, to + Type::kCodeBytes);
        ptx::cp_async_commit_group();
        ask_for_next();
        unit_ += kDecodeWarps;
        under_way_ = true;
    }

    // Moves on to the item that holds the unit; false: it is not published, or there is none.
    __device__ __forceinline__ bool find_item() {
        int published = __shfl_sync(0xFFFFFFFF, read_shared(queue_.published), 0);
#pragma unroll 1
        for (;;) {
            if (item_ + 1 >= published) return false;
            const DecodeItem& item = queue_.at(item_ + 1);
            if (item.gemm == kNoGemm) return false;
            unit_ -= units_;
            units_ = item.units;
            ++item_;
            if (unit_ < units_) break;
            queue_.want(item_ + 2);
        }
        take_item(queue_.at(item_));
        return true;
    }

    // Early enough that the claim takes no time, not earlier: claims ahead are uneven at the end.
    __device__ __forceinline__ void ask_for_next() {
        if (asked_ || unit_ + 2 * kDecodeWarps < units_) return;
        asked_ = true;
        queue_.want(item_ + 2);
    }

    __device__ __forceinline__ void take_item(const DecodeItem& item) {
        const DecodeGemm& gemm = args_.gemm[item.gemm];
        const int lane = threadIdx.x % 32;
        asked_ = false;
        gemm_ = item.gemm;
        first_unit_ = item.first_unit;
        whole_units_ = gemm.whole_units;
        unit_groups_ = gemm.unit_groups;
        group_factor_ = gemm.group_factor;
        last_group_ = gemm.groups - 1;
        codes_[0] = item.codes[0] + lane * 16;
        codes_[1] = item.codes[1] + lane * 16;
        const int half = lane / kGroupChunks;
        const int chunk = lane % kGroupChunks;
        copies_group_ = half < 2;
        if (!copies_group_) return;
        if (chunk < kScaleChunks) {
            group_ = item.scales[half] + chunk * 16;
            group_row_bytes_ = gemm.scale_row_bytes;
        } else {
            group_ = item.zeros[half] + (chunk - kScaleChunks) * 16;
            group_row_bytes_ = gemm.zero_row_bytes;
            copies_group_ = !gemm.scale_form.symmetric;
        }
    }

    // Marlin tiles along K are neighbours in memory.
    __device__ __forceinline__ void copy_whole_codes(int32_t unit, uint32_t to) const {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const uint8_t* from = codes_[half] + static_cast<int64_t>(unit) * kUnitBytes;
#pragma unroll
            for (int load = 0; load < kUnitBytes / 512; ++load) {
                ptx::cp_async_16(to + half * kUnitBytes + load * 512, from + load * 512, 16);
            }
        }
    }

    // In any order, and up to the end of K.
    __device__ __forceinline__ void copy_codes(int32_t unit, uint32_t to) const {
        const Matrix& matrix = args_.gemm[gemm_].matrix;
        const int64_t stride = matrix.tile_row_stride_bytes;
        const int steps = min(matrix.inputs / 16 - unit * Type::kSteps, Type::kSteps);
#pragma unroll 1
        for (int load = 0; load < 2 * steps * kStepLoads; ++load) {
            const int step = load / kStepLoads % steps;
            const int half = load / kStepLoads / steps;
            const int part = load % kStepLoads * 512;
            ptx::cp_async_16(
                to + half * kUnitBytes + step * Type::kTileBytes + part,
                (half == 0 ? codes_[0] : codes_[1]) + (unit * Type::kSteps + step) * stride + part,
                16);
        }
    }

    __device__ __forceinline__ void copy_groups(int32_t unit, uint32_t to) const {
        if (!copies_group_) return;
        const auto shared_by =
            static_cast<int32_t>(quotient(static_cast<uint32_t>(unit), group_factor_));
        for (int i = 0; i < unit_groups_; ++i) {
            const int32_t group = min(shared_by * unit_groups_ + i, last_group_);
            ptx::cp_async_16(to + i * 2 * Type::kGroupBytes,
                             group_ + static_cast<int64_t>(group) * group_row_bytes_, 16);
            if (Type::kScaleSteps == Type::kSteps) break;
        }
    }

    const DecodeArgs& args_;
    DecodeQueue& queue_;
    uint32_t shared_;
    int place_ = 0;           // for the next unit
    bool under_way_ = false;  // a unit has been asked for and not waited for
    int item_ = -1;
    int32_t unit_;  // the next one to ask for, relative to the item's first
    // Of the item; pointers are this lane's.
    int32_t units_ = 0;
    int32_t first_unit_ = 0;
    int32_t whole_units_ = 0;
    int32_t gemm_ = 0;
    int32_t unit_groups_ = 0;
    uint32_t group_factor_ = 0;
    int32_t last_group_ = 0;
    bool asked_ = false;
    const uint8_t* codes_[2];
    const uint8_t* group_;
    int32_t group_row_bytes_;
    bool copies_group_ = false;
};

}  // namespace mmoe::cuda
