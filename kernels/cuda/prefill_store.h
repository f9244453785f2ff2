// SPDX-License-Identifier: Apache-2.0
// The end of an item of the prefill kernel: router weight, bias, activation, 16 bits, rows.
// A warp holds neighbouring outputs of all tokens, tokens along its lanes' elements; shared memory
// of its own turns them into pieces of rows.
#pragma once

#include "cuda/prefill_pieces.h"

namespace mmoe::cuda {

// Outputs of one warp: where they go and what is added to them.
template <class Tile>
class ItemStore {
    using Number = typename Tile::Number;
    using Plan = PrefillPlan<Tile>;
    static constexpr int kColumns = 16 * Tile::kPartSlices;  // of this warp
    static constexpr int kChunks = kColumns / 8;             // 16 bytes of a row
    static constexpr int kRound = kChunks > 4 ? 8 : 16;      // tokens staged at a time
    static_assert(kRound * kColumns * 2 <= Plan::kStagingBytes);

  public:
    __device__ __forceinline__ ItemStore(const GemmArgs& args, const PrefillWork& work,
                                         uint32_t shared)
        : args_(args), work_(work) {
        const int warp = threadIdx.x / 32 - 4;
        staging_ = shared + Plan::kStaging + warp * Plan::kStagingBytes;
        column_ = work.block * Tile::kPartStrips * 64 + warp * kColumns;
    }

    template <int kN>
    __device__ __forceinline__ void store(PrefillSums<Tile, kN>& sums) const {
        if (column_ >= args_.matrix.outputs / Tile::kParts) return;  // a block's missing strips
        if (args_.slot_weights != nullptr || args_.matrix.bias != nullptr) adjust<kN>(sums);
        const bool silu = args_.activation.activation == Activation::kSilu;
        const bool linear = args_.activation.activation == Activation::kNone;
        if (!linear && !(Tile::kGated && silu)) activate_rarely<kN>(sums);
#pragma unroll
        for (int first = 0; first < kN; first += kRound) {
            if (first >= work_.rows) break;
#pragma unroll
            for (int token = first; token < first + kRound; token += 8) {
                stage<kN>(sums, token / 8, token - first, silu);
            }
            __syncwarp();
            store_round(first);
            __syncwarp();
        }
    }

  private:
    static __device__ __forceinline__ int lane() {
        return threadIdx.x % 32;
    }

    // sums = sums * router weight + bias.
    template <int kN>
    __device__ __forceinline__ void adjust(PrefillSums<Tile, kN>& sums) const {
        float bias[Tile::kM64][2] = {};
        if (args_.matrix.bias != nullptr) {
            const float* expert = args_.matrix.bias + int64_t{work_.expert} * args_.matrix.outputs;
#pragma unroll
            for (int m = 0; m < Tile::kM64; ++m) {
                const int part = m / Tile::kPartSlices;
                const int32_t row = part * (args_.matrix.outputs / Tile::kParts) + column_ +
                                    16 * (m % Tile::kPartSlices) + lane() / 4;
                bias[m][0] = expert[row];
                bias[m][1] = expert[row + 8];
            }
        }
#pragma unroll
        for (int element = 0; element < kN / 4; ++element) {  // two of each block of 8 tokens
            const int token = element / 2 * 8 + 2 * (lane() % 4) + element % 2;
            float weight = 1.0F;
            if (args_.slot_weights != nullptr && token < work_.rows) {
                weight = args_.slot_weights[args_.routing.row_slot[work_.row + token]];
            }
#pragma unroll
            for (int m = 0; m < Tile::kM64; ++m) {
#pragma unroll
                for (int upper = 0; upper < 2; ++upper) {
                    float& sum = sums.at[m][element / 2 * 4 + 2 * upper + element % 2];
                    sum = fmaf(sum, weight, bias[m][upper]);
                }
            }
        }
    }

    // Activations other than the usual one, in place. Registers cannot be indexed by a loop, and
    // unrolled these functions are long: values go through this lane's own column of the staging
    // place.
    template <int kN>
    __device__ __forceinline__ void activate_rarely(PrefillSums<Tile, kN>& sums) const {
        const uint32_t column = staging_ + 4 * lane();
#pragma unroll
        for (int first = 0; first < kN / 2; first += 4) {
#pragma unroll
            for (int slice = 0; slice < Tile::kPartSlices; ++slice) {
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    ptx::st_shared_f32(column + 256 * i, sums.at[slice][first + i]);
                    if constexpr (Tile::kGated) {
                        ptx::st_shared_f32(column + 256 * i + 128,
                                           sums.at[slice + Tile::kPartSlices][first + i]);
                    }
                }
#pragma unroll 1
                for (int i = 0; i < 4; ++i) {
                    const uint32_t place = column + 256 * i;
                    const float gate = ptx::ld_shared_f32(place);
                    const float done = Tile::kGated ? activate(args_.activation, gate,
                                                               ptx::ld_shared_f32(place + 128))
                                                    : activate(args_.activation, gate);
                    ptx::st_shared_f32(place, done);
                }
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    sums.at[slice][first + i] = ptx::ld_shared_f32(column + 256 * i);
                }
            }
        }
        __syncwarp();  // rows are staged across lanes
    }

    // Values of one block of 8 tokens to rows `row` .. `row + 7` of the staging place.
    template <int kN>
    __device__ __forceinline__ void stage(const PrefillSums<Tile, kN>& sums, int block, int row,
                                          bool silu) const {
        uint32_t packed[kChunks];
#pragma unroll
        for (int slice = 0; slice < Tile::kPartSlices; ++slice) {
            float values[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                values[i] = sums.at[slice][4 * block + i];
                if constexpr (Tile::kGated) {
                    const float up = sums.at[slice + Tile::kPartSlices][4 * block + i];
                    if (silu) values[i] = silu_product(args_.activation, values[i], up);
                }
            }
            packed[2 * slice] = Number::pack(values[0], values[1]);
            packed[2 * slice + 1] = Number::pack(values[2], values[3]);
        }
        const int token = row + lane() % 8;
        const int chunk = lane() / 8;
        if constexpr (kChunks == 2) {
            ptx::stmatrix_trans(place(token, chunk % 2), packed);
        } else {
#pragma unroll
            for (int first = 0; first < kChunks; first += 4) {
                const uint32_t four[4] = {packed[first], packed[first + 1], packed[first + 2],
                                          packed[first + 3]};
                ptx::stmatrix_trans(place(token, chunk + first), four);
            }
        }
    }

    // Chunks are swizzled so that eight rows of one chunk lie in different banks.
    __device__ __forceinline__ uint32_t place(int token, int chunk) const {
        const int turn = token % 8 * kChunks / 8;
        return staging_ + token * (2 * kColumns) + ((chunk ^ turn) % kChunks) * 16;
    }

    __device__ __forceinline__ void store_round(int first) const {
#pragma unroll
        for (int i = 0; i < kRound * kChunks / 32; ++i) {
            const int piece = lane() + 32 * i;
            const int token = piece / kChunks;
            const int chunk = piece % kChunks;
            const uint4 value = ptx::ld_shared_128(place(token, chunk));
            if (first + token >= work_.rows) continue;
            auto* row =
                static_cast<uint16_t*>(args_.out) + (work_.row + first + token) * args_.out_stride;
            *reinterpret_cast<uint4*>(row + column_ + 8 * chunk) = value;
        }
    }

    const GemmArgs& args_;
    PrefillWork work_;
    uint32_t staging_;
    int32_t column_;  // first output of this warp
};

}  // namespace mmoe::cuda
