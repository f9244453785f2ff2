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

// kScaleSteps: MMA steps after which the scale changes, or may. kBlocks: blocks of 8 rows of x.
template <class Number_, int kBits_, int kScaleSteps_, int kBlocks_>
struct DecodeType {
    using Number = Number_;
    static constexpr int kBlocks = kBlocks_;
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
    static constexpr int kCodeLoads = Type::kCodeBytes / 16 / 32;
    static constexpr int kStepLoads = Type::kTileBytes / 16 / 32;
    static constexpr int kGroupChunks = Type::kGroupBytes / 16;

  public:
    // `shared`: kDecodeDepth units of this warp.
    __device__ __forceinline__ DecodeRing(const DecodeArgs& args, DecodeQueue& queue,
                                          uint32_t shared)
        : args_(args), queue_(queue), shared_(shared), unit_(threadIdx.x / 32) {}

    // Enqueues the copies of this warp's next unit into place `place`.
    __device__ __forceinline__ void issue(int place) {
        if (find_unit()) {
            const DecodeItem& item = queue_.at(item_);
            const uint32_t to = shared_ + place * args_.ring_unit_bytes;
            copy_codes(item, item.first_unit + unit_, to);
            copy_groups(item, item.first_unit + unit_, to + Type::kCodeBytes);
            unit_ += kDecodeWarps;
        }
        ptx::cp_async_commit_group();
    }

    // Waits for the oldest unit; after this the whole warp sees it.
    __device__ __forceinline__ void wait() const {
        ptx::cp_async_wait_group<kDecodeDepth - 1>();
        __syncwarp();
    }

    [[nodiscard]] __device__ __forceinline__ uint32_t at(int place) const {
        return shared_ + place * args_.ring_unit_bytes;
    }

  private:
    // Moves on to the item that holds the unit; false: there is none.
    __device__ __forceinline__ bool find_unit() {
#pragma unroll 1
        for (;; ++item_) {
            await_shared(queue_.published, item_ + 1);
            const DecodeItem& item = queue_.at(item_);
            if (item.gemm == kNoGemm) return false;
            const int32_t units = item.units;
            if (unit_ + 2 * kDecodeWarps >= units) queue_.want(item_ + 2);
            if (unit_ < units) return true;
            unit_ -= units;
        }
    }

    __device__ __forceinline__ void copy_codes(const DecodeItem& item, int32_t unit,
                                               uint32_t to) const {
        const Matrix& matrix = args_.gemm[item.gemm].matrix;
        const int lane = threadIdx.x % 32;
        const auto* expert = static_cast<const uint8_t*>(matrix.codes) +
                             item.expert * matrix.expert_stride_bytes +
                             unit * Type::kSteps * matrix.tile_row_stride_bytes + lane * 16;
        const int steps = matrix.inputs / 16 - unit * Type::kSteps;  // that are left
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const uint8_t* from = expert + item.tiles[half] * matrix.tile_stride_bytes;
#pragma unroll
            for (int step = 0; step < Type::kSteps; ++step) {
                if (step >= steps) break;
#pragma unroll
                for (int load = 0; load < kStepLoads; ++load) {
                    ptx::cp_async_16(
                        to + ((half * Type::kSteps + step) * kStepLoads + load) * 512 + lane * 16,
                        from + load * 512, 16);
                }
                from += matrix.tile_row_stride_bytes;
            }
        }
    }

    // 16-byte chunks of [groups of the unit, 2 tiles] of 64 scales, zero points.
    __device__ __forceinline__ void copy_groups(const DecodeItem& item, int32_t unit,
                                                uint32_t to) const {
        const DecodeGemm& gemm = args_.gemm[item.gemm];
        const Matrix& matrix = gemm.matrix;
        const int32_t groups = matrix.groups();
        const int32_t first = unit * Type::kInputs / matrix.group_size;
        const int chunks = gemm.unit_groups * 2 * kGroupChunks;
#pragma unroll 1
        for (int chunk = threadIdx.x % 32; chunk < chunks; chunk += 32) {
            const int block = chunk / kGroupChunks;
            const int inside = chunk % kGroupChunks;
            const int32_t group = min(first + block / 2, groups - 1);
            const int64_t row = static_cast<int64_t>(item.expert) * groups + group;
            const int64_t n = row * matrix.outputs + 64 * item.tiles[block % 2];
            const uint8_t* from;
            if (inside < Type::kScaleBytes / 16) {
                from = static_cast<const uint8_t*>(matrix.scales) + n * 2 + inside * 16;
            } else {
                if (matrix.zero_points == nullptr) continue;
                from = reinterpret_cast<const uint8_t*>(matrix.zero_points) + n * Type::kBits / 8 +
                       (inside - Type::kScaleBytes / 16) * 16;
            }
            ptx::cp_async_16(to + chunk * 16, from, 16);
        }
    }

    const DecodeArgs& args_;
    DecodeQueue& queue_;
    uint32_t shared_;
    int item_ = 0;
    int32_t unit_;  // relative to the item's first
};

}  // namespace mmoe::cuda
