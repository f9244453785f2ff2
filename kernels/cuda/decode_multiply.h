// SPDX-License-Identifier: Apache-2.0
// What a warp does with one unit of weights: 128 outputs by up to 16 rows of x over kInputs
// inputs. Weights are the A operand, B + code; scale and zero point follow in fp32 on the sums of
// a group; an MMA with ones gives the sums of x (dequant/biased.h).
#pragma once

#include <cstdint>

#include "cuda/decode.h"
#include "cuda/decode_ring.h"
#include "cuda/dequant/biased.h"
#include "cuda/number.h"
#include "cuda/ptx/shared.h"

namespace mmoe::cuda {

// kBlocks blocks of 8 rows of x, as B operands.
template <class Type, int kBlocks>
struct DecodeX {
    uint32_t at[Type::kSteps][kBlocks][2];
};

// fp32 sums of a warp: [n64 tile, m16 slice, block of 8 rows, MMA element].
template <int kBlocks>
struct DecodeSums {
    float at[2][4][kBlocks][4];

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int i = 0; i < 32 * kBlocks; ++i) {
            at[i / 16 / kBlocks][i / 4 / kBlocks % 4][i / 4 % kBlocks][i % 4] = 0.0F;
        }
    }
};

// Where this lane finds its rows of x; lanes beyond the last row follow the last one.
template <int kBlocks>
struct DecodeRows {
    const uint16_t* at[kBlocks];

    __device__ __forceinline__ DecodeRows(const DecodeArgs& args, const DecodeTables& tables,
                                          const DecodeItem& item) {
#pragma unroll
        for (int block = 0; block < kBlocks; ++block) {
            const int inside = 8 * block + static_cast<int>(threadIdx.x % 32 / 4);
            const int32_t row = item.row + min(inside, item.rows - 1);
            at[block] = item.gemm == 0 ? static_cast<const uint16_t*>(args.x) +
                                             tables.row_slot[row] / args.top_k * args.x_stride
                                       : args.intermediate + row * args.intermediate_stride;
        }
    }
};

// Hidden states in their own order; `columns` exist from the unit's first on, a multiple of 8.
template <class Type, int kBlocks>
__device__ __forceinline__ void load_hidden(const DecodeRows<kBlocks>& rows, int32_t first,
                                            int32_t columns, DecodeX<Type, kBlocks>& x) {
    const int lane_column = static_cast<int>(threadIdx.x % 4) * 2;
#pragma unroll
    for (int block = 0; block < kBlocks; ++block) {
        const auto* words = reinterpret_cast<const uint32_t*>(rows.at[block] + first + lane_column);
#pragma unroll
        for (int half = 0; half < 2 * Type::kSteps; ++half) {
            x.at[half / 2][block][half % 2] = 8 * half < columns ? __ldg(words + 4 * half) : 0;
        }
    }
}

// The intermediate, in permuted_column() order; other blocks wrote it in this launch.
template <class Type, int kBlocks>
__device__ __forceinline__ void load_intermediate(const DecodeRows<kBlocks>& rows, int32_t first,
                                                  int32_t columns, DecodeX<Type, kBlocks>& x) {
    const int lane_column = static_cast<int>(threadIdx.x % 4) * 8;
#pragma unroll
    for (int block = 0; block < kBlocks; ++block) {
        const auto* words = reinterpret_cast<const uint4*>(rows.at[block] + first + lane_column);
#pragma unroll
        for (int pair = 0; pair < Type::kSteps / 2; ++pair) {
            const uint4 four =
                32 * pair < columns ? __ldcg(words + 4 * pair) : make_uint4(0, 0, 0, 0);
            const bool second = 32 * pair + 16 < columns;
            x.at[2 * pair][block][0] = four.x;
            x.at[2 * pair][block][1] = four.y;
            x.at[2 * pair + 1][block][0] = second ? four.z : 0;
            x.at[2 * pair + 1][block][1] = second ? four.w : 0;
        }
    }
}

// Scales and B + zero point of this lane's rows: [m16 slice, rows g and g + 8].
template <class Type>
struct DecodeScales {
    float scale[4][2];
    float zero[4][2];

    // `shared`: 64 scales, then their zero points.
    __device__ __forceinline__ DecodeScales(const Matrix& matrix, uint32_t shared) {
        load_scales(matrix, shared);
        load_zeros(matrix, shared + Type::kScaleBytes);
    }

  private:
    __device__ __forceinline__ void load_scales(const Matrix& matrix, uint32_t shared) {
        const int row = threadIdx.x % 32 / 4;
        uint32_t bits[8];  // of outputs 8 * i + row
        if (matrix.scale_order == layout::MarlinScaleOrder::kGrouped) {
            const uint4 four = ptx::ld_shared_128(shared + row * 16);
            const uint32_t words[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
            for (int i = 0; i < 8; ++i) bits[i] = words[i / 2] >> (16 * (i % 2)) & 0xFFFF;
        } else {
            const uint4 low = ptx::ld_shared_128(shared + row / 2 * 16);
            const uint4 high = ptx::ld_shared_128(shared + row / 2 * 16 + 64);
            const uint32_t words[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
            for (int i = 0; i < 8; ++i) bits[i] = words[i] >> (16 * (row % 2)) & 0xFFFF;
        }
        const bool bf16 = matrix.scale_type == layout::ScaleType::kBf16;
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const auto narrow = static_cast<uint16_t>(bits[i]);
            scale[i / 2][i % 2] = bf16 ? Bf16::widen(narrow) : F16::widen(narrow);
        }
    }

    __device__ __forceinline__ void load_zeros(const Matrix& matrix, uint32_t shared) {
        using Codes = Biased<typename Type::Number, Type::kBits>;
        if (matrix.zero_points == nullptr) {
#pragma unroll
            for (int i = 0; i < 8; ++i) {
                zero[i / 2][i % 2] = Codes::bias_and(1u << (Type::kBits - 1));
            }
            return;
        }
        const int row = threadIdx.x % 32 / 4;
        if constexpr (Type::kBits == 4) {
            const uint32_t word = ptx::ld_shared_32(shared + row * 4);
#pragma unroll
            for (int slice = 0; slice < 4; ++slice) {
                zero[slice][0] = Codes::bias_and(word >> (4 * slice) & 0xF);
                zero[slice][1] = Codes::bias_and(word >> (4 * slice + 16) & 0xF);
            }
        } else {
            const uint2 two = ptx::ld_shared_64(shared + row * 8);
#pragma unroll
            for (int slice = 0; slice < 4; ++slice) {
                const uint32_t word = slice < 2 ? two.x : two.y;
                zero[slice][0] = Codes::bias_and(word >> (8 * (slice % 2)) & 0xFF);
                zero[slice][1] = Codes::bias_and(word >> (8 * (slice % 2) + 16) & 0xFF);
            }
        }
    }
};

// Sums of x over each run of kScaleSteps steps, for the two rows of x of this lane's sums.
template <class Type, int kBlocks>
struct DecodeXSums {
    static constexpr int kRuns = Type::kSteps / Type::kScaleSteps;
    float at[kRuns][kBlocks][2];

    __device__ __forceinline__ explicit DecodeXSums(const DecodeX<Type, kBlocks>& x) {
        constexpr uint32_t kOne = Type::Number::kOne;
        constexpr uint32_t kOnes[4] = {kOne, kOne, kOne, kOne};
#pragma unroll
        for (int run = 0; run < kRuns; ++run) {
#pragma unroll
            for (int block = 0; block < kBlocks; ++block) {
                float sums[4] = {};
#pragma unroll
                for (int step = 0; step < Type::kScaleSteps; ++step) {
                    Type::Number::mma(sums, kOnes, x.at[run * Type::kScaleSteps + step][block]);
                }
                at[run][block][0] = sums[0];
                at[run][block][1] = sums[1];
            }
        }
    }
};

// The MMAs of one n64 tile over one run; `codes`: this lane's of the run's first Marlin tile.
template <class Type, int kBlocks, int kPlanes>
__device__ __forceinline__ void multiply_run(uint32_t codes, const DecodeX<Type, kBlocks>& x,
                                             int first_step,
                                             float (&sums)[kPlanes][4][kBlocks][4]) {
    using Codes = Biased<typename Type::Number, Type::kBits>;
    constexpr int kWords = 4 * Codes::kSliceWords;
#pragma unroll
    for (int step = 0; step < Type::kScaleSteps; ++step) {
        uint32_t words[kWords];
#pragma unroll
        for (int i = 0; i < kWords; i += 4) {
            const uint4 four = ptx::ld_shared_128(codes + step * Type::kTileBytes + 4 * i);
            words[i] = four.x;
            words[i + 1] = four.y;
            words[i + 2] = four.z;
            words[i + 3] = four.w;
        }
#pragma unroll
        for (int slice = 0; slice < 4; ++slice) {
            uint32_t a[4];
            Codes::template expand<0>(words + slice * Codes::kSliceWords, a);
#pragma unroll
            for (int block = 0; block < kBlocks; ++block) {
                Type::Number::mma(sums[0][slice][block], a, x.at[first_step + step][block]);
            }
            if constexpr (kPlanes == 2) {
                Codes::template expand<1>(words + slice * Codes::kSliceWords, a);
#pragma unroll
                for (int block = 0; block < kBlocks; ++block) {
                    Type::Number::mma(sums[1][slice][block], a, x.at[first_step + step][block]);
                }
            }
        }
    }
}

// total += scale * (sum - (B + zero point) * sum of x).
template <class Type, int kBlocks, int kPlanes>
__device__ __forceinline__ void add_scaled(const float (&sums)[kPlanes][4][kBlocks][4],
                                           const DecodeScales<Type>& scales,
                                           const float (&x_sums)[kBlocks][2],
                                           float (&total)[4][kBlocks][4]) {
#pragma unroll
    for (int slice = 0; slice < 4; ++slice) {
#pragma unroll
        for (int block = 0; block < kBlocks; ++block) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                float sum = sums[0][slice][block][i];
                if constexpr (kPlanes == 2) {
                    using Codes = Biased<typename Type::Number, Type::kBits>;
                    sum = fmaf(Codes::kPlaneScale, sums[1][slice][block][i], sum);
                }
                sum = fmaf(-scales.zero[slice][i / 2], x_sums[block][i % 2], sum);
                total[slice][block][i] =
                    fmaf(scales.scale[slice][i / 2], sum, total[slice][block][i]);
            }
        }
    }
}

// `unit`: its place in the ring.
template <class Type, int kBlocks>
__device__ __forceinline__ void multiply_unit(const DecodeGemm& gemm, uint32_t unit,
                                              const DecodeX<Type, kBlocks>& x,
                                              DecodeSums<kBlocks>& total) {
    using Codes = Biased<typename Type::Number, Type::kBits>;
    constexpr int kRuns = Type::kSteps / Type::kScaleSteps;
    const DecodeXSums<Type, kBlocks> x_sums(x);
    const uint32_t codes = unit + threadIdx.x % 32 * 16 * Codes::kSliceWords;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
        for (int run = 0; run < kRuns; ++run) {
            constexpr int kRunBytes = Type::kScaleSteps * Type::kTileBytes;
            float sums[Codes::kPlanes][4][kBlocks][4] = {};
            multiply_run<Type, kBlocks, Codes::kPlanes>(codes + (half * kRuns + run) * kRunBytes, x,
                                                        run * Type::kScaleSteps, sums);
            const int group = kRuns == 1 ? 0 : run * gemm.unit_groups / kRuns;
            const DecodeScales<Type> scales(
                gemm.matrix, unit + Type::kCodeBytes + (2 * group + half) * Type::kGroupBytes);
            add_scaled<Type, kBlocks, Codes::kPlanes>(sums, scales, x_sums.at[run], total.at[half]);
        }
    }
}

}  // namespace mmoe::cuda
