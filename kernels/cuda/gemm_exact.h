// SPDX-License-Identifier: Apache-2.0
// Sums of the exact tiles: codes minus zero points are integers, which 16 bits hold exactly. A
// group's fp32 sum is multiplied by its fp32 scale and added to the total.
#pragma once

#include <cstdint>

#include "cuda/dequant/weight.h"
#include "cuda/gemm_multiply.h"
#include "cuda/number.h"

namespace mmoe::cuda {

// Scales and zero points of this lane's four outputs, read one group ahead.
template <class Tile>
class ExactGroups {
    using Weight = cuda::Weight<typename Tile::Number, Tile::kBits>;

  public:
    using ZeroPoint = typename Weight::ZeroPoint;

    __device__ __forceinline__ ExactGroups(const GemmArgs& args, const Work& work,
                                           int32_t first_input) {
        const Matrix& matrix = args.matrix;
        const int lane_row = threadIdx.x % 32 / 4;
        const int64_t n = 16 * warp_slice<Tile>() + lane_row;
        first_row_ = static_cast<int64_t>(work.expert) * matrix.groups();
        fetched_ = GroupWalk<Tile>(matrix, first_input).group;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int32_t tile = matrix_tile<Tile>(args, work, warp_pair<Tile>(), half);
            scale_place_[half][0] = 64 * tile + marlin_scale_place(n, matrix.scale_order);
            scale_place_[half][1] = 64 * tile + marlin_scale_place(n + 8, matrix.scale_order);
            zero_place_[half] = tile * (Weight::kLaneBytes / 2) +
                                Weight::zero_point_word(lane_row, warp_slice<Tile>());
        }
        fetch(matrix);
    }

    // Makes the next group the current one.
    __device__ __forceinline__ void advance(const Matrix& matrix) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            scale[half][0] = widen(matrix.scale_type, next_scale_[half][0]);
            scale[half][1] = widen(matrix.scale_type, next_scale_[half][1]);
            const uint32_t pair =
                matrix.zero_points != nullptr
                    ? Weight::zero_point_pair(next_zero_[half], warp_slice<Tile>())
                    : Weight::kSymmetric;
            zero[half] = Weight::zero_point(pair);
        }
        if (++fetched_ < matrix.groups()) fetch(matrix);
    }

    float scale[2][2];  // [tile of the pair, rows g and g + 8]
    ZeroPoint zero[2];

  private:
    __device__ __forceinline__ void fetch(const Matrix& matrix) {
        const int64_t row = first_row_ + fetched_;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
#pragma unroll
            for (int upper = 0; upper < 2; ++upper) {
                const int64_t place = row * matrix.outputs + scale_place_[half][upper];
                next_scale_[half][upper] =
                    matrix.scale_type == layout::ScaleType::kF32
                        ? __ldg(static_cast<const uint32_t*>(matrix.scales) + place)
                        : __ldg(static_cast<const uint16_t*>(matrix.scales) + place);
            }
            if (matrix.zero_points != nullptr) {
                const int64_t words = static_cast<int64_t>(matrix.outputs) * Tile::kBits / 32;
                next_zero_[half] = __ldg(matrix.zero_points + row * words + zero_place_[half]);
            }
        }
    }

    static __device__ __forceinline__ float widen(layout::ScaleType type, uint32_t bits) {
        switch (type) {
            case layout::ScaleType::kF16:
                return F16::widen(static_cast<uint16_t>(bits));
            case layout::ScaleType::kBf16:
                return Bf16::widen(static_cast<uint16_t>(bits));
            case layout::ScaleType::kF32:
                break;
        }
        return __uint_as_float(bits);
    }

    int64_t first_row_;
    int32_t fetched_;
    int32_t scale_place_[2][2];
    int32_t zero_place_[2];
    uint32_t next_scale_[2][2];
    uint32_t next_zero_[2] = {};
};

template <class Tile>
class ExactSums {
    using Weight = cuda::Weight<typename Tile::Number, Tile::kBits>;
    using Plan = GemmPlan<Tile>;

  public:
    __device__ __forceinline__ explicit ExactSums(ExactGroups<Tile>& groups) : groups_(groups) {
        total.clear();
    }

    __device__ __forceinline__ void begin_group(const GemmArgs& args) {
        groups_.advance(args.matrix);
        sum_.clear();
    }
    // Elements 0 and 1 are row g, 2 and 3 are row g + 8.
    __device__ __forceinline__ void end_group() {
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
            for (int block = 0; block < Plan::kTokenBlocks; ++block)
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    total.at[half][0][block][i] =
                        fmaf(groups_.scale[half][i / 2], sum_.at[half][0][block][i],
                             total.at[half][0][block][i]);
    }

    // `kSteps` MMA steps of 16 inputs inside one group and one stage, from `step` on.
    template <int kBlocks, int kSteps>
    __device__ __forceinline__ void multiply(uint32_t slot, int step) {
        const uint32_t weights = slot + Plan::kHiddenBytes + threadIdx.x % 32 * Weight::kLaneBytes +
                                 warp_slice<Tile>() * Weight::kSliceBytes;
        typename Weight::Raw raw[kSteps][2];
#pragma unroll
        for (int i = 0; i < 2 * kSteps; ++i) {
            raw[i / 2][i % 2] = Weight::load(weights + (2 * step + i) * Weight::kTileBytes);
        }
#pragma unroll
        for (int i = 0; i < kSteps; ++i) {
            uint32_t b[kBlocks][2];
            load_tokens<Tile, kBlocks>(slot, step + i, b);
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                uint32_t a[4];
                Weight::convert(raw[i][half], groups_.zero[half], a);
#pragma unroll
                for (int block = 0; block < kBlocks; ++block) {
                    Tile::Number::mma(sum_.at[half][0][block], a, b[block]);
                }
            }
        }
    }

    Accumulator<Tile> total;

  private:
    ExactGroups<Tile>& groups_;
    Accumulator<Tile> sum_;
};

}  // namespace mmoe::cuda
