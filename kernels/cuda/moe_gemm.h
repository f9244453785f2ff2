// SPDX-License-Identifier: Apache-2.0
// The general grouped GEMM: out[row][n] = sum over k of W[expert of row][n][k] * x[row][k].
//
// Weights are the A operand of m16n8k16 and tokens the B operand, so a tile of 8 tokens wastes
// nothing. A block owns 128 outputs (two n64 Marlin tiles; a gate and an up tile of the same
// outputs where gated) by `kTokens` rows, over all of K: no block waits for another. Warp w owns
// slice w (16 outputs) of both n64 tiles. Codes minus zero points are exact integers; a group's
// fp32 sum is multiplied by its fp32 scale and added to the total.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/activation.h"
#include "cuda/dequant/weight.h"
#include "cuda/launch.h"
#include "cuda/number.h"
#include "cuda/ptx/cp_async.h"
#include "cuda/ptx/shared.h"
#include "cuda/routing.h"

namespace mmoe::cuda {

struct GemmArgs {
    Matrix matrix;
    Routing routing;
    ActivationArgs activation;
    bool gated;
    int32_t block_columns;  // blocks along N

    const void* x;  // 16-bit, rows x_stride elements apart, 16-byte aligned
    int64_t x_stride;
    int32_t x_columns;          // that exist; beyond, x is 0. A multiple of 8
    int32_t x_slots_per_row;    // row of x = slot / this; 0: row of x = row
    const float* slot_weights;  // [slots] multiply the sums before the bias; or null

    void* out;  // 16-bit [rows, out_stride]
    int64_t out_stride;

    // Of rows that claim their items.
    ItemQueue* queue;
    float* partials;      // kPartialBytes for the sums of pieces; null: items are not cut
    bool routed_earlier;  // the kernel before had waited for routing
};

constexpr int64_t kPartialBytes = int64_t{264} * 256 * 128 * 4;  // two pieces a processor

template <class Number_, int kBits, int kTokens_>
struct Tile {
    using Number = Number_;
    using Weight = cuda::Weight<Number, kBits>;

    static constexpr int kTokens = kTokens_;
    static constexpr int kTokenBlocks = kTokens / 8;
    static constexpr int kThreads = 128;
    static constexpr int kInputs = 64;           // of one stage
    static constexpr int kSteps = kInputs / 16;  // MMA steps of one stage
    static constexpr int kStages = kTokens <= 8 ? 8 : kTokens <= 32 ? 5 : 4;
    // Narrow tiles stream weights and want many blocks; wide ones need their registers.
    static constexpr int kBlocks = kTokens <= 16 ? 4 : kTokens == 32 ? 3 : 2;
};

// Byte offsets in shared memory; the output tile takes the place of the stages.
template <class Tile>
struct SharedPlan {
    static constexpr int kRowBytes = Tile::kInputs * 2;
    static constexpr int kHiddenStage = Tile::kTokens * kRowBytes;
    static constexpr int kWeightStage = Tile::kSteps * 2 * Tile::Weight::kTileBytes;
    static constexpr int kHidden = 0;  // [stages, tokens, 64], 16-byte chunks swizzled by token
    static constexpr int kWeights = Tile::kStages * kHiddenStage;  // [stages, steps, 2] tiles
    static constexpr int kStagesEnd = kWeights + Tile::kStages * kWeightStage;

    static constexpr int kOutputPitch = 2 * 128 + 16;  // 16 bytes more: rows in other banks
    static constexpr int kOutput = 0;                  // [tokens, 128] 16-bit
    static constexpr int kOutputEnd = Tile::kTokens * kOutputPitch;
    static constexpr int kTotal = kStagesEnd > kOutputEnd ? kStagesEnd : kOutputEnd;
};

// One item of the schedule. Items of an expert are adjacent, its token tiles innermost: a column
// of weights is read from memory once and from the L2 cache by the other tiles.
struct Work {
    int32_t expert;
    int32_t row, rows;  // first row and how many
    int32_t tiles[2];   // n64 tiles
    int32_t column;     // first output column of the block
    int32_t columns;    // 64 or 128
};

template <class Tile>
__device__ __forceinline__ Work locate(const GemmArgs& args, int32_t item) {
    const Routing& routing = args.routing;
    Work work;
    work.expert = routing.tile_expert[item / args.block_columns];
    const int32_t begin = routing.row_begin[work.expert];
    const int32_t end = routing.row_begin[work.expert + 1];
    const int32_t tiles = (end - begin + Tile::kTokens - 1) / Tile::kTokens;
    const int32_t local = item - routing.first_tile[work.expert] * args.block_columns;
    const int32_t block = local / tiles;
    work.row = begin + local % tiles * Tile::kTokens;
    work.rows = min(end - work.row, Tile::kTokens);
    const int32_t tile_columns = args.matrix.outputs / 64;
    if (args.gated) {
        work.tiles[0] = block;
        work.tiles[1] = block + tile_columns / 2;
        work.column = 64 * block;
        work.columns = 64;
    } else {
        work.tiles[0] = 2 * block;
        work.tiles[1] = min(2 * block + 1, tile_columns - 1);
        work.column = 128 * block;
        work.columns = 2 * block + 1 < tile_columns ? 128 : 64;
    }
    return work;
}

// Brings stages of weights and rows of x into shared memory.
template <class Tile>
class Loader {
    using Weight = typename Tile::Weight;
    using Plan = SharedPlan<Tile>;
    static constexpr int kChunks = Plan::kHiddenStage / 16;  // of x in one stage
    static constexpr int kHiddenLoads = (kChunks + Tile::kThreads - 1) / Tile::kThreads;
    static constexpr int kTileChunks = Weight::kTileBytes / 16;
    static constexpr int kWeightLoads = Plan::kWeightStage / 16 / Tile::kThreads;

  public:
    __device__ __forceinline__ Loader(const GemmArgs& args, const Work& work, uint32_t shared)
        : args_(args), shared_(shared) {
        const auto* codes = static_cast<const uint8_t*>(args.matrix.codes) +
                            work.expert * args.matrix.expert_stride_bytes;
        tiles_[0] = codes + work.tiles[0] * args.matrix.tile_stride_bytes;
        tiles_[1] = codes + work.tiles[1] * args.matrix.tile_stride_bytes;
#pragma unroll
        for (int load = 0; load < kHiddenLoads; ++load) {
            const int token = (threadIdx.x + load * Tile::kThreads) / 8;
            const int32_t row = work.row + min(token, work.rows - 1);
            const int32_t source =
                args.x_slots_per_row != 0 ? args.routing.row_slot[row] / args.x_slots_per_row : row;
            x_[load] = static_cast<const uint16_t*>(args.x) + source * args.x_stride;
        }
    }

    // Enqueues one stage; past the end of K, an empty one.
    __device__ __forceinline__ void load(int stage) const {
        const int slot = stage % Tile::kStages;
        load_hidden(stage, shared_ + Plan::kHidden + slot * Plan::kHiddenStage);
        load_weights(stage, shared_ + Plan::kWeights + slot * Plan::kWeightStage);
        ptx::cp_async_commit_group();
    }

  private:
    __device__ __forceinline__ void load_hidden(int stage, uint32_t destination) const {
        if (stage * Tile::kInputs >= args_.matrix.inputs) return;
#pragma unroll
        for (int load = 0; load < kHiddenLoads; ++load) {
            const int chunk = threadIdx.x + load * Tile::kThreads;
            if (kChunks % Tile::kThreads != 0 && chunk >= kChunks) break;
            const int token = chunk / 8;
            const int place = chunk % 8 ^ token % 8;
            const int column = stage * Tile::kInputs + chunk % 8 * 8;
            const bool exists = column < args_.x_columns;
            ptx::cp_async_16(destination + token * Plan::kRowBytes + place * 16,
                             x_[load] + (exists ? column : 0), exists ? 16 : 0);
        }
    }

    __device__ __forceinline__ void load_weights(int stage, uint32_t destination) const {
#pragma unroll
        for (int load = 0; load < kWeightLoads; ++load) {
            const int chunk = threadIdx.x + load * Tile::kThreads;
            const int tile = chunk / kTileChunks;  // [steps, 2]
            const int step = stage * Tile::kSteps + tile / 2;
            if (step * 16 >= args_.matrix.inputs) break;
            ptx::cp_async_16(destination + chunk * 16,
                             (tile % 2 == 0 ? tiles_[0] : tiles_[1]) +
                                 step * args_.matrix.tile_row_stride_bytes +
                                 chunk % kTileChunks * 16,
                             16);
        }
    }

    const GemmArgs& args_;
    uint32_t shared_;
    const uint8_t* tiles_[2];
    const uint16_t* x_[kHiddenLoads];
};

// Scales and zero points of this lane's four rows, read one group ahead.
template <class Tile>
class Groups {
    using Weight = typename Tile::Weight;

  public:
    using ZeroPoint = typename Weight::ZeroPoint;

    __device__ __forceinline__ Groups(const GemmArgs& args, const Work& work) : args_(args) {
        const Matrix& matrix = args.matrix;
        const int slice = threadIdx.x / 32;
        const int group_row = threadIdx.x % 32 / 4;
        first_row_ = static_cast<int64_t>(work.expert) * matrix.groups();
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int32_t first = 64 * work.tiles[half];
            const int64_t n = 16 * slice + group_row;
            scale_place_[half][0] = first + marlin_scale_place(n, matrix.scale_order);
            scale_place_[half][1] = first + marlin_scale_place(n + 8, matrix.scale_order);
            zero_place_[half] = work.tiles[half] * (Weight::kLaneBytes / 2) +
                                Weight::zero_point_word(group_row, slice);
        }
        fetch();
    }

    // Makes the next group the current one.
    __device__ __forceinline__ void advance() {
        const int slice = threadIdx.x / 32;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            scale[half][0] = widen(next_scale_[half][0]);
            scale[half][1] = widen(next_scale_[half][1]);
            const uint32_t pair = args_.matrix.zero_points != nullptr
                                      ? Weight::zero_point_pair(next_zero_[half], slice)
                                      : Weight::kSymmetric;
            zero[half] = Weight::zero_point(pair);
        }
        if (++fetched_ < args_.matrix.groups()) fetch();
    }

    float scale[2][2];  // [n64 tile, rows g and g + 8]
    ZeroPoint zero[2];

  private:
    __device__ __forceinline__ void fetch() {
        const Matrix& matrix = args_.matrix;
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
                const int64_t words = static_cast<int64_t>(matrix.outputs) * matrix.bits / 32;
                next_zero_[half] = __ldg(matrix.zero_points + row * words + zero_place_[half]);
            }
        }
    }

    __device__ __forceinline__ float widen(uint32_t bits) const {
        switch (args_.matrix.scale_type) {
            case layout::ScaleType::kF16:
                return F16::widen(static_cast<uint16_t>(bits));
            case layout::ScaleType::kBf16:
                return Bf16::widen(static_cast<uint16_t>(bits));
            case layout::ScaleType::kF32:
                break;
        }
        return __uint_as_float(bits);
    }

    const GemmArgs& args_;
    int64_t first_row_;
    int32_t fetched_ = 0;
    int32_t scale_place_[2][2];
    int32_t zero_place_[2];
    uint32_t next_scale_[2][2];
    uint32_t next_zero_[2] = {};
};

// fp32 sums of a warp: [n64 tile, block of 8 tokens, MMA element].
template <class Tile>
struct Accumulator {
    float at[2][Tile::kTokenBlocks][4];

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
            for (int block = 0; block < Tile::kTokenBlocks; ++block)
#pragma unroll
                for (int i = 0; i < 4; ++i) at[half][block][i] = 0.0F;
    }

    // += scale * sum; elements 0 and 1 are row g, 2 and 3 are row g + 8.
    __device__ __forceinline__ void add_scaled(const Accumulator& sum, const float (&scale)[2][2]) {
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
            for (int block = 0; block < Tile::kTokenBlocks; ++block)
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    at[half][block][i] =
                        fmaf(scale[half][i / 2], sum.at[half][block][i], at[half][block][i]);
    }
};

// `kSteps` MMA steps of 16 inputs inside one group and one stage, from `step` on, for the first
// `kBlocks` blocks of 8 tokens. Straight code: the compiler reads ahead of the MMAs.
template <class Tile, int kBlocks, int kSteps>
__device__ __forceinline__ void multiply_steps(Accumulator<Tile>& sum, const Groups<Tile>& groups,
                                               uint32_t weights, uint32_t hidden, int step) {
    using Weight = typename Tile::Weight;
    constexpr int kRowBytes = SharedPlan<Tile>::kRowBytes;
    const int lane = threadIdx.x % 32;
    const int slice = threadIdx.x / 32;
    weights += lane * Weight::kLaneBytes + slice * Weight::kSliceBytes;
    hidden += lane % 8 * kRowBytes;
    typename Weight::Raw raw[kSteps][2];
#pragma unroll
    for (int i = 0; i < 2 * kSteps; ++i) {
        raw[i / 2][i % 2] = Weight::load(weights + (2 * step + i) * Weight::kTileBytes);
    }
#pragma unroll
    for (int i = 0; i < kSteps; ++i) {
        const int chunk = 2 * (step + i) + lane / 8 % 2;
        const uint32_t rows = hidden + (chunk ^ lane % 8) * 16;
        uint32_t b[kBlocks][2];
#pragma unroll
        for (int block = 0; block < kBlocks; ++block) {
            ptx::ldmatrix_x2(b[block], rows + block * 8 * kRowBytes);
        }
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            uint32_t a[4];
            Weight::convert(raw[i][half], groups.zero[half], a);
#pragma unroll
            for (int block = 0; block < kBlocks; ++block) {
                Tile::Number::mma(sum.at[half][block], a, b[block]);
            }
        }
    }
}

// One stage: runs of steps between the borders of groups.
template <class Tile, int kBlocks>
__device__ __forceinline__ void multiply_stage(const GemmArgs& args, Groups<Tile>& groups,
                                               uint32_t weights, uint32_t hidden, int steps,
                                               int& left_in_group, Accumulator<Tile>& sum,
                                               Accumulator<Tile>& total) {
    for (int step = 0; step < steps;) {
        if (left_in_group == 0) {
            left_in_group = args.matrix.group_size / 16;
            groups.advance();
            sum.clear();
        }
        const int run = min(left_in_group, steps - step);
        if (run == Tile::kSteps) {
            multiply_steps<Tile, kBlocks, Tile::kSteps>(sum, groups, weights, hidden, 0);
        } else {
            for (int i = 0; i < run; ++i) {
                multiply_steps<Tile, kBlocks, 1>(sum, groups, weights, hidden, step + i);
            }
        }
        step += run;
        left_in_group -= run;
        if (left_in_group == 0) total.add_scaled(sum, groups.scale);
    }
}

// The whole of K.
template <class Tile, int kBlocks>
__device__ __forceinline__ void multiply(const GemmArgs& args, const Work& work, uint32_t shared,
                                         Accumulator<Tile>& total) {
    using Plan = SharedPlan<Tile>;
    const Loader<Tile> loader(args, work, shared);
#pragma unroll
    for (int stage = 0; stage < Tile::kStages - 1; ++stage) loader.load(stage);

    Groups<Tile> groups(args, work);
    Accumulator<Tile> sum;
    const int steps = args.matrix.inputs / 16;
    int left_in_group = 0;
    for (int stage = 0; stage * Tile::kSteps < steps; ++stage) {
        ptx::cp_async_wait_group<Tile::kStages - 2>();
        __syncthreads();  // this stage is there for all, and all are done with the one before
        loader.load(stage + Tile::kStages - 1);
        const int slot = stage % Tile::kStages;
        multiply_stage<Tile, kBlocks>(
            args, groups, shared + Plan::kWeights + slot * Plan::kWeightStage,
            shared + Plan::kHidden + slot * Plan::kHiddenStage,
            min(steps - stage * Tile::kSteps, Tile::kSteps), left_in_group, sum, total);
    }
    ptx::cp_async_wait_group<0>();
    __syncthreads();
}

// Router weight on input, bias and activation of one pair of sums; the pair becomes one value
// where gated.
struct Pair {
    float first, second;
};

__device__ __forceinline__ Pair finish(const GemmArgs& args, Pair sums, float weight, Pair bias) {
    const float first = fmaf(sums.first, weight, bias.first);
    const float second = fmaf(sums.second, weight, bias.second);
    if (args.gated) return {activate(args.activation, first, second), 0.0F};
    return {activate(args.activation, first), activate(args.activation, second)};
}

// Sums to 16-bit results in shared memory, [tokens, 64 or 128].
template <class Tile>
__device__ __forceinline__ void stage_rows(const GemmArgs& args, const Work& work,
                                           const Accumulator<Tile>& total, uint8_t* shared) {
    const int lane = threadIdx.x % 32;
    const int first_column = threadIdx.x / 32 * 16 + lane / 4;
    const float* bias = args.matrix.bias;
    if (bias != nullptr) bias += static_cast<int64_t>(work.expert) * args.matrix.outputs;
#pragma unroll
    for (int block = 0; block < Tile::kTokenBlocks; ++block) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int token = 8 * block + 2 * (lane % 4) + i % 2;
            const int column = first_column + 8 * (i / 2);
            if (token >= work.rows) continue;
            const float weight = args.slot_weights != nullptr
                                     ? args.slot_weights[args.routing.row_slot[work.row + token]]
                                     : 1.0F;
            Pair added = {0.0F, 0.0F};
            if (bias != nullptr) {
                added = {bias[64 * work.tiles[0] + column], bias[64 * work.tiles[1] + column]};
            }
            const Pair done =
                finish(args, {total.at[0][block][i], total.at[1][block][i]}, weight, added);
            auto* row =
                reinterpret_cast<uint16_t*>(shared + token * SharedPlan<Tile>::kOutputPitch);
            row[column] = Tile::Number::narrow(done.first);
            if (!args.gated) row[column + 64] = Tile::Number::narrow(done.second);
        }
    }
    __syncthreads();
}

// 16 bytes a thread, whole rows.
template <class Tile>
__device__ __forceinline__ void store_rows(const GemmArgs& args, const Work& work,
                                           const uint8_t* shared) {
    const int row_chunks = work.columns / 8;
    for (int chunk = threadIdx.x; chunk < work.rows * row_chunks; chunk += Tile::kThreads) {
        const int token = chunk / row_chunks;
        const int column = chunk % row_chunks * 8;
        const auto* source = shared + token * SharedPlan<Tile>::kOutputPitch + column * 2;
        auto* row = static_cast<uint16_t*>(args.out) + (work.row + token) * args.out_stride;
        *reinterpret_cast<uint4*>(row + work.column + column) =
            *reinterpret_cast<const uint4*>(source);
    }
    __syncthreads();
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    moe_gemm(const __grid_constant__ GemmArgs args) {
    extern __shared__ __align__(128) uint8_t shared[];
    const int32_t items = *args.routing.tile_count * args.block_columns;
    for (int32_t item = blockIdx.x; item < items; item += gridDim.x) {
        const Work work = locate<Tile>(args, item);
        Accumulator<Tile> total;
        total.clear();
        // The end of an expert's rows is often much narrower than a tile.
        if (Tile::kTokenBlocks > 1 && work.rows <= Tile::kTokens / 2) {
            constexpr int kHalf = Tile::kTokenBlocks > 1 ? Tile::kTokenBlocks / 2 : 1;
            multiply<Tile, kHalf>(args, work, ptx::shared_address(shared), total);
        } else {
            multiply<Tile, Tile::kTokenBlocks>(args, work, ptx::shared_address(shared), total);
        }
        stage_rows<Tile>(args, work, total, shared);
        store_rows<Tile>(args, work, shared);
    }
}

}  // namespace mmoe::cuda
