// SPDX-License-Identifier: Apache-2.0
// The end of an item of the general GEMM: router weight, bias, activation, 16 bits, rows. A warp
// holds neighbouring outputs, tokens along its lanes' elements; transposed in registers, they are
// pieces of rows.
#pragma once

#include <cstdint>

#include "cuda/activation.h"
#include "cuda/gemm_multiply.h"
#include "cuda/ptx/movmatrix.h"

namespace mmoe::cuda {

// The first team's sums become those of both.
template <class Tile>
__device__ __forceinline__ void add_teams(Accumulator<Tile>& total, uint8_t* memory) {
    if constexpr (Tile::kTeams == 2) {
        using Plan = GemmPlan<Tile>;
        float* sums = reinterpret_cast<float*>(memory + Plan::kSums) + team_thread();
        float* own = &total.at[0][0][0][0];
        if (team() == 1) {
#pragma unroll
            for (int i = 0; i < Plan::kSumCount; ++i) sums[i * Plan::kTeamThreads] = own[i];
        }
        __syncthreads();
        if (team() == 0) {
#pragma unroll
            for (int i = 0; i < Plan::kSumCount; ++i) own[i] += sums[i * Plan::kTeamThreads];
        }
    }
}

// Outputs of one warp: where they go and what is done to them.
template <class Tile>
class RowStore {
    using Number = typename Tile::Number;
    using Plan = GemmPlan<Tile>;
    static constexpr int kChunks = 2 * Tile::kSlices;  // 16 bytes of a row each

  public:
    // `scratch`: eight floats of every thread, kThreads apart.
    __device__ __forceinline__ RowStore(const GemmArgs& args, const Work& work, float* scratch)
        : args_(args), work_(work), scratch_(scratch + threadIdx.x) {}

    __device__ __forceinline__ void store(Accumulator<Tile>& total) const {
        if (args_.slot_weights != nullptr || args_.matrix.bias != nullptr) adjust(total);
        const bool silu = args_.activation.activation == Activation::kSilu;
        const bool linear = args_.activation.activation == Activation::kNone;
        if (!linear && !(args_.gated && silu)) activate_rarely(total);
        const int32_t tiles = args_.matrix.outputs / 64;
        const int32_t pair = Tile::kPairs * work_.block + warp_pair<Tile>();
        if (args_.gated) {
            if (pair >= tiles / 2) return;
            if (silu) multiply_silu(total);
            store_half(total, 0, 64 * pair);
            return;
        }
        if (2 * pair < tiles) store_half(total, 0, 128 * pair);
        if (2 * pair + 1 < tiles) store_half(total, 1, 128 * pair + 64);
    }

  private:
    static __device__ __forceinline__ int lane() { return threadIdx.x % 32; }

    // total = total * router weight + bias.
    __device__ __forceinline__ void adjust(Accumulator<Tile>& total) const {
        const float* bias = args_.matrix.bias;
        if (bias != nullptr) bias += static_cast<int64_t>(work_.expert) * args_.matrix.outputs;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int32_t tile = matrix_tile<Tile>(args_, work_, warp_pair<Tile>(), half);
#pragma unroll
            for (int element = 0; element < 4 * Tile::kSlices * Plan::kTokenBlocks; ++element) {
                const int slice = element / 4 / Plan::kTokenBlocks;
                const int block = element / 4 % Plan::kTokenBlocks;
                const int i = element % 4;  // 0 and 1 are row g, 2 and 3 are row g + 8
                const int token = 8 * block + 2 * (lane() % 4) + i % 2;
                const int row = 16 * (warp_slice<Tile>() + slice) + lane() / 4 + 8 * (i / 2);
                float& sum = total.at[half][slice][block][i];
                if (args_.slot_weights != nullptr && token < work_.rows) {
                    sum *= args_.slot_weights[args_.routing.row_slot[work_.row + token]];
                }
                if (bias != nullptr) sum += bias[64 * tile + row];
            }
        }
    }

    __device__ __forceinline__ void multiply_silu(Accumulator<Tile>& total) const {
#pragma unroll
        for (int slice = 0; slice < Tile::kSlices; ++slice)
#pragma unroll
            for (int block = 0; block < Plan::kTokenBlocks; ++block)
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    total.at[0][slice][block][i] =
                        silu_product(args_.activation, total.at[0][slice][block][i],
                                     total.at[1][slice][block][i]);
    }

    // Activations other than the usual one, in place. Registers cannot be indexed by a loop, and
    // unrolled these functions are long: values go through this thread's own scratch.
    __device__ __forceinline__ void activate_rarely(Accumulator<Tile>& total) const {
#pragma unroll
        for (int slice = 0; slice < Tile::kSlices; ++slice) {
#pragma unroll
            for (int block = 0; block < Plan::kTokenBlocks; ++block) {
#pragma unroll
                for (int i = 0; i < 8; ++i) {
                    scratch_[i * Plan::kThreads] = total.at[i / 4][slice][block][i % 4];
                }
                activate_scratch();
#pragma unroll
                for (int i = 0; i < 8; ++i) {
                    total.at[i / 4][slice][block][i % 4] = scratch_[i * Plan::kThreads];
                }
            }
        }
    }
    // Four gates and their ups, or eight values.
    __device__ __forceinline__ void activate_scratch() const {
        const int count = args_.gated ? 4 : 8;
#pragma unroll 1
        for (int i = 0; i < count; ++i) {
            float& value = scratch_[i * Plan::kThreads];
            const float done = activate_gate(args_.activation, value);
            value = args_.gated
                        ? done * up_factor(args_.activation, scratch_[(i + 4) * Plan::kThreads])
                        : done;
        }
    }

    // 64 outputs of the matrix from `column` on; this warp has some of them.
    __device__ __forceinline__ void store_half(const Accumulator<Tile>& total, int half,
                                               int32_t column) const {
        const int32_t first = column + 16 * warp_slice<Tile>() + lane_column();
#pragma unroll
        for (int block = 0; block < Plan::kTokenBlocks; ++block) {
            if (8 * block >= work_.rows) break;
            uint32_t words[kChunks];  // of token lane / 4: outputs 2 * (lane % 4) of each chunk
#pragma unroll
            for (int chunk = 0; chunk < kChunks; ++chunk) {
                const float(&sums)[4] = total.at[half][chunk / 2][block];
                words[chunk] = ptx::movmatrix_trans(
                    Number::pack(sums[2 * (chunk % 2)], sums[2 * (chunk % 2) + 1]));
            }
            gather(words);
            const int token = 8 * block + lane() / 4;
            if (token >= work_.rows) continue;
            auto* row = static_cast<uint16_t*>(args_.out) + (work_.row + token) * args_.out_stride;
            put(row + first, words);
        }
    }

    // Four lanes hold the words of a row's chunks; afterwards each holds neighbours: a whole chunk
    // of four, or half of one of two.
    static __device__ __forceinline__ void gather(uint32_t (&words)[4]) {
        trade<1>(words[0], words[1]);
        trade<1>(words[2], words[3]);
        trade<2>(words[0], words[2]);
        trade<2>(words[1], words[3]);
    }
    static __device__ __forceinline__ void gather(uint32_t (&words)[2]) {
        trade<1>(words[0], words[1]);
    }
    [[nodiscard]] static __device__ __forceinline__ int lane_column() {
        return kChunks == 4 ? lane() % 4 * 8 : lane() % 2 * 8 + lane() % 4 / 2 * 4;
    }
    // The lower lane gives its upper word for the upper lane's lower one.
    template <int kDistance>
    static __device__ __forceinline__ void trade(uint32_t& lower, uint32_t& upper) {
        const bool is_upper = (lane() & kDistance) != 0;
        const uint32_t got = __shfl_xor_sync(0xFFFFFFFF, is_upper ? lower : upper, kDistance);
        (is_upper ? lower : upper) = got;
    }
    static __device__ __forceinline__ void put(uint16_t* to, const uint32_t (&words)[4]) {
        *reinterpret_cast<uint4*>(to) = make_uint4(words[0], words[1], words[2], words[3]);
    }
    static __device__ __forceinline__ void put(uint16_t* to, const uint32_t (&words)[2]) {
        *reinterpret_cast<uint2*>(to) = make_uint2(words[0], words[1]);
    }

    const GemmArgs& args_;
    Work work_;
    float* scratch_;
};

}  // namespace mmoe::cuda
