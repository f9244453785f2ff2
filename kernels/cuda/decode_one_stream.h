// SPDX-License-Identifier: Apache-2.0
// The stream of weights of one warp in the kernel for one token: a ring of units in shared memory
// that runs on over the borders of items and GEMMs. A unit is 16 outputs by 128 inputs:
//
//     codes   [2 steps, 4 tiles along K, 128 bytes]: lane l copies, and reads, bytes 16 * l
//     scales  [groups, 16]
//     zeros   [groups, 2 parts, 2 words]
//
// Unit u of an item belongs to warp u % kOneWarps. GEMM 1: u = 2 * (place along K) + (0: gate, 1:
// up), or the place itself where there is no gate. GEMM 2: u = slot * units + place along K.
#pragma once

#include <cstdint>

#include "cuda/choice.h"
#include "cuda/decode_one.h"
#include "cuda/ptx/cp_async.h"
#include "cuda/ptx/shared.h"

namespace mmoe::cuda {

constexpr uint32_t kAllLanes = 0xFFFFFFFF;

// The slots that have an expert here, one a lane, in rising order.
struct OneSlots {
    int count;
    int expert;
    float weight;

    __device__ __forceinline__ explicit OneSlots(const DecodeArgs& args) {
        const int lane = threadIdx.x % 32;
        Choice choice = {-1, false};
        float own = 0.0F;
        if (lane < args.slot_count) {
            own = args.router_weights[lane];
            choice = choose(args, lane);
        }
        if (choice.out_of_range && args.skipped != nullptr && blockIdx.x + threadIdx.x / 32 == 0) {
            *args.skipped = 1;
        }
        const uint32_t here = __ballot_sync(kAllLanes, choice.expert >= 0);
        count = __popc(here);
        int from = lane;
        if ((here & (here + 1)) != 0) {  // the (lane + 1)th bit that is set
            from = lane < count ? static_cast<int>(__fns(here, 0, lane + 1)) : 0;
        }
        expert = __shfl_sync(kAllLanes, choice.expert, from);
        weight = __shfl_sync(kAllLanes, own, from);
    }
    [[nodiscard]] __device__ __forceinline__ int expert_of(int slot) const {
        return __shfl_sync(kAllLanes, expert, slot);
    }
    [[nodiscard]] __device__ __forceinline__ float weight_of(int slot) const {
        return __shfl_sync(kAllLanes, weight, slot);
    }
};

// Items and units of the layer.
struct OneWork {
    int slots;
    int strips[2];   // items of one slot in GEMM 1, of one split in GEMM 2
    int splits;      // parts of the slots in GEMM 2, 1 or 2
    int units[2];    // along K
    int step;        // from a warp's unit of GEMM 1 to its next one, along K
    int first;       // its first one
    int first_tile;  // where its half of the n64 tiles begins: gates or ups

    __device__ __forceinline__ OneWork(const DecodeArgs& args, const OneSlots& here) {
        const int gate = args.gated ? 1 : 0;
        const int warp = threadIdx.x / 32;
        slots = here.count;
        strips[0] = args.gemm[0].matrix.outputs / kOneColumns >> gate;
        strips[1] = args.gemm[1].matrix.outputs / kOneColumns;
        splits = args.one_splits;
        units[0] = args.gemm[0].units;
        units[1] = args.gemm[1].units;
        step = kOneWarps >> gate;
        first = warp >> gate;
        first_tile = tile_of(warp & gate);
    }
    // n64 tile where gates (0) or ups (1) begin.
    [[nodiscard]] __device__ __forceinline__ int tile_of(int half) const {
        return half == 0 ? 0 : strips[0] / kOneParts;
    }
    // The slots of a split of GEMM 2.
    [[nodiscard]] __device__ __forceinline__ int begin(int split) const {
        return splits == 1 || split == 0 ? 0 : slots / 2;
    }
    [[nodiscard]] __device__ __forceinline__ int end(int split) const {
        return splits == 1 || split == 1 ? slots : slots / 2;
    }
};

// Items of one block, in order, a grid's blocks apart. GEMM 1: strips of slots.
struct OneItem {
    int slot, strip;

    // To an item that may be beyond the last slot.
    __device__ __forceinline__ void settle(const OneWork& work) {
#pragma unroll 1
        while (strip >= work.strips[0] && slot < work.slots) {
            strip -= work.strips[0];
            ++slot;
        }
    }
};

// GEMM 2: strips of splits.
struct OneStrip {
    int split, strip;

    // To an item that may be beyond the last split.
    __device__ __forceinline__ void settle(const OneWork& work) {
#pragma unroll 1
        while (strip >= work.strips[1] && split < work.splits) {
            strip -= work.strips[1];
            ++split;
        }
    }
};

// Where the units of one expert's 16 outputs are.
template <class Type>
class OneSource {
    static constexpr int kChunks = 2 * Type::kGroups;  // of scales, 16 bytes each

  public:
    // `strip`: an item's outputs of the GEMM; `first_tile`: n64 tile where its half begins.
    __device__ __forceinline__ void point(const DecodeGemm& gemm, int strip, int first_tile) {
        const Matrix& matrix = gemm.matrix;
        const int lane = threadIdx.x % 32;
        const int part = strip % kOneParts;
        const int tile = strip / kOneParts + first_tile;
        const auto row_bytes = static_cast<int32_t>(matrix.tile_row_stride_bytes);
        step_bytes_ = 4 * row_bytes;
        expert_bytes_ = matrix.expert_stride_bytes;
        strip_codes_ = static_cast<const uint8_t*>(matrix.codes) + tile * matrix.tile_stride_bytes +
                       lane / 8 * row_bytes + part * 128 + lane % 8 * 16;
        group_factor_ = gemm.group_factor;
        group_shift_ = gemm.unit_groups == Type::kGroups ? 0 : 1;
        copies_ = lane < kChunks + (gemm.scale_form.symmetric ? 0 : Type::kGroups);
        if (lane < kChunks) {
            const int chunk = lane % 2;
            row_bytes_ = gemm.scale_row_bytes;
            strip_groups_ =
                static_cast<const uint8_t*>(matrix.scales) + tile * 128 +
                (gemm.scale_form.single ? part * 16 + chunk * 64 : part * 32 + chunk * 16);
        } else {
            row_bytes_ = gemm.zero_row_bytes;
            strip_groups_ =
                reinterpret_cast<const uint8_t*>(matrix.zero_points) + tile * 32 + part / 2 * 16;
        }
        expert_group_bytes_ = gemm.groups * row_bytes_;
    }
    __device__ __forceinline__ void take(int expert) {
        codes_ = strip_codes_ + expert * expert_bytes_;
        groups_ = strip_groups_ + int64_t{expert} * expert_group_bytes_;
    }

    // Enqueues the copies of unit `unit` along K to shared memory.
    __device__ __forceinline__ void copy(int unit, uint32_t to) const {
        const int lane = threadIdx.x % 32;
        const uint8_t* codes = codes_ + int64_t{2 * unit} * step_bytes_;
        ptx::cp_async_16(to + lane * 16, codes, 16);
        ptx::cp_async_16(to + 512 + lane * 16, codes + step_bytes_, 16);
        if (!copies_) return;
        const int set = lane < kChunks ? lane / 2 : lane - kChunks;
        const auto group = static_cast<int32_t>(
            Type::kGroups == 1 ? quotient(static_cast<uint32_t>(unit), group_factor_)
                               : static_cast<uint32_t>(unit * Type::kGroups + set) >> group_shift_);
        ptx::cp_async_16(to + Type::kCodeBytes + lane * 16, groups_ + int64_t{group} * row_bytes_,
                         16);
    }

  private:
    // This lane's; of expert 0, then of the expert in hand.
    const uint8_t* strip_codes_;
    const uint8_t* strip_groups_;  // scales or zero points of group 0
    const uint8_t* codes_;
    const uint8_t* groups_;
    int64_t expert_bytes_;  // of codes
    int32_t expert_group_bytes_;
    int32_t step_bytes_;  // of codes, from 64 inputs to the next
    int32_t row_bytes_;   // of scales or zero points
    uint32_t group_factor_;
    int group_shift_;
    bool copies_;  // scales or zero points
};

template <class Type>
class OneStream {
  public:
    // `shared`: kOneDepth units of this warp. Asks for as many.
    __device__ __forceinline__ OneStream(const DecodeArgs& args, const OneSlots& slots,
                                         const OneWork& work, uint32_t shared)
        : args_(args), slots_(slots), work_(work), shared_(shared) {
        item_ = {0, static_cast<int>(blockIdx.x)};
        unit_ = work.first;
        advance();
#pragma unroll 1
        for (int i = 0; i < kOneDepth; ++i) ask();
    }

    // The oldest unit that has not been replaced, when the whole warp can see it.
    [[nodiscard]] __device__ __forceinline__ uint32_t wait() const {
        ptx::cp_async_wait_group<kOneDepth - 1>();
        __syncwarp();
        return shared_ + place_ * Type::kUnitBytes;
    }
    // Asks for the next unit in place of the oldest one, once the whole warp is done with it.
    __device__ __forceinline__ void ask() {
        if (gemm_ < kNoGemm) {
            source_.copy(unit_, shared_ + place_ * Type::kUnitBytes);
            unit_ += gemm_ == 0 ? work_.step : kOneWarps;
            if (unit_ >= (gemm_ == 0 ? work_.units[0] : work_.units[1])) advance();
        }
        ptx::cp_async_commit_group();
        place_ = place_ == kOneDepth - 1 ? 0 : place_ + 1;
    }

  private:
    // To the next unit there is, from one that may not be there. GEMM 1: slots, strips, units; GEMM
    // 2: splits, strips, slots, units.
    __device__ __forceinline__ void advance() {
        if (gemm_ == 0) {
            if (unit_ >= work_.units[0]) {
                item_.strip += static_cast<int>(gridDim.x);
                unit_ = work_.first;
            }
            item_.settle(work_);
            if (item_.slot < work_.slots && unit_ < work_.units[0]) {
                source_.point(args_.gemm[0], item_.strip, work_.first_tile);
                return source_.take(slots_.expert_of(item_.slot));
            }
            gemm_ = 1;
            begin_strip({0, static_cast<int>(blockIdx.x)});
        }
#pragma unroll 1
        while (split_ < work_.splits) {
#pragma unroll 1
            for (; unit_ >= work_.units[1]; ++item_.slot) unit_ -= work_.units[1];
            if (item_.slot < work_.end(split_)) {
                return source_.take(slots_.expert_of(item_.slot));
            }
            begin_strip({split_, item_.strip + static_cast<int>(gridDim.x)});
        }
        gemm_ = kNoGemm;
    }
    __device__ __forceinline__ void begin_strip(OneStrip next) {
        next.settle(work_);
        split_ = next.split;
        item_ = {work_.begin(split_), next.strip};
        unit_ = static_cast<int>(threadIdx.x / 32);
        source_.point(args_.gemm[1], item_.strip, 0);
    }

    const DecodeArgs& args_;
    const OneSlots& slots_;
    const OneWork& work_;
    uint32_t shared_;
    int place_ = 0;
    int gemm_ = 0;
    OneItem item_;
    int split_ = 0;  // of GEMM 2
    int unit_;       // along K
    OneSource<Type> source_;
};

}  // namespace mmoe::cuda
