// SPDX-License-Identifier: Apache-2.0
// Sums of the scaled tiles: a weight is rounded to 16 bits after scaling (dequant/scaled_weight.h),
// so groups leave no trace in the sums.
#pragma once

#include <cstdint>

#include "cuda/dequant/scaled_weight.h"
#include "cuda/gemm_multiply.h"

namespace mmoe::cuda {

// Scales and zero points of this lane's eight outputs, read one group ahead.
template <class Tile>
class ScaledGroups {
    using Weight = ScaledWeight<typename Tile::Number, Tile::kBits>;
    static_assert(Tile::kSlices == 2, "two slices of one half of a tile");

  public:
    __device__ __forceinline__ ScaledGroups(const GemmArgs& args, const Work& work,
                                            int32_t first_input) {
        const Matrix& matrix = args.matrix;
        fetched_ = GroupWalk<Tile>(matrix, first_input).group;
        const int64_t row = static_cast<int64_t>(work.expert) * matrix.groups() + fetched_;
        const int lane_row = threadIdx.x % 32 / 4;
        const int zero_word = Weight::zero_point_word(lane_row, warp_slice<Tile>());
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int32_t tile = matrix_tile<Tile>(args, work, warp_pair<Tile>(), half);
            scales_[half] = static_cast<const uint16_t*>(matrix.scales) + row * matrix.outputs +
                            64 * tile + first_place(matrix.scale_order);
            if (matrix.zero_points != nullptr) {
                zeros_[half] = matrix.zero_points +
                               (row * matrix.outputs + 64 * tile) * Tile::kBits / 32 + zero_word;
            }
        }
        fetch(matrix);
    }

    // Makes the next group the current one.
    __device__ __forceinline__ void advance(const Matrix& matrix) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
#pragma unroll
            for (int slice = 0; slice < 2; ++slice) {
                const uint32_t zero_pair =
                    matrix.zero_points != nullptr
                        ? Weight::zero_point_pair(next_zero_[half], warp_slice<Tile>() + slice)
                        : Weight::kSymmetric;
                current[half][slice] = Weight::group(zero_pair, next_scale_[half][slice]);
            }
            scales_[half] += matrix.outputs;
            zeros_[half] += matrix.outputs * Tile::kBits / 32;
        }
        if (++fetched_ < matrix.groups()) fetch(matrix);
    }

    ScaledGroup current[2][2];  // [tile of the pair, slice]

  private:
    // Where this lane's first scale is in 64 of them (layout/marlin.h): rows g and g + 8 of both
    // slices follow each other in the grouped order; in the single one they are 2 apart.
    static __device__ __forceinline__ int first_place(layout::MarlinScaleOrder order) {
        return static_cast<int>(
            marlin_scale_place(16 * warp_slice<Tile>() + threadIdx.x % 32 / 4, order));
    }

    __device__ __forceinline__ void fetch(const Matrix& matrix) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            if (matrix.scale_order == layout::MarlinScaleOrder::kGrouped) {
                const uint2 four = __ldg(reinterpret_cast<const uint2*>(scales_[half]));
                next_scale_[half][0] = four.x;
                next_scale_[half][1] = four.y;
            } else {
#pragma unroll
                for (int slice = 0; slice < 2; ++slice) {
                    const uint32_t low = __ldg(scales_[half] + 4 * slice);
                    const uint32_t high = __ldg(scales_[half] + 4 * slice + 2);
                    next_scale_[half][slice] = low | high << 16;
                }
            }
            if (matrix.zero_points != nullptr) next_zero_[half] = __ldg(zeros_[half]);
        }
    }

    int32_t fetched_;
    const uint16_t* scales_[2];
    const uint32_t* zeros_[2] = {};
    uint32_t next_scale_[2][2];
    uint32_t next_zero_[2] = {};
};

template <class Tile>
class ScaledSums {
    using Weight = ScaledWeight<typename Tile::Number, Tile::kBits>;
    using Plan = GemmPlan<Tile>;

  public:
    __device__ __forceinline__ explicit ScaledSums(ScaledGroups<Tile>& groups) : groups_(groups) {
        total.clear();
    }

    __device__ __forceinline__ void begin_group(const GemmArgs& args) {
        groups_.advance(args.matrix);
    }
    __device__ __forceinline__ void end_group() const {}

    // `kSteps` MMA steps of 16 inputs inside one group and one stage, from `step` on.
    template <int kBlocks, int kSteps>
    __device__ __forceinline__ void multiply(uint32_t slot, int step) {
        const uint32_t weights = slot + Plan::kHiddenBytes + threadIdx.x % 32 * Weight::kLaneBytes +
                                 warp_slice<Tile>() * Weight::kSliceBytes +
                                 2 * warp_pair<Tile>() * Plan::kTileBytes;
#pragma unroll
        for (int i = 0; i < kSteps; ++i) {
            uint32_t b[kBlocks][2];
            load_tokens<Tile, kBlocks>(slot, step + i, b);
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                typename Weight::Raw raw[2];
                load_two(weights + (Plan::kTiles * (step + i) + half) * Plan::kTileBytes, raw);
#pragma unroll
                for (int slice = 0; slice < 2; ++slice) {
                    uint32_t a[4];
                    Weight::convert(raw[slice], groups_.current[half][slice], a);
#pragma unroll
                    for (int block = 0; block < kBlocks; ++block) {
                        Tile::Number::mma(total.at[half][slice][block], a, b[block]);
                    }
                }
            }
        }
    }

    Accumulator<Tile> total;

  private:
    // Codes of neighbouring slices are neighbours.
    static __device__ __forceinline__ void load_two(uint32_t address, uint32_t (&raw)[2]) {
        const uint2 two = ptx::ld_shared_64(address);
        raw[0] = two.x;
        raw[1] = two.y;
    }
    static __device__ __forceinline__ void load_two(uint32_t address, uint2 (&raw)[2]) {
        const uint4 four = ptx::ld_shared_128(address);
        raw[0] = make_uint2(four.x, four.y);
        raw[1] = make_uint2(four.z, four.w);
    }

    ScaledGroups<Tile>& groups_;
};

}  // namespace mmoe::cuda
