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

// Up to kRows rows of x, as B operands.
template <class Type>
struct DecodeX {
    uint32_t at[Type::kSteps][Type::kBlocks][2];
};

// fp32 sums of a warp: [n64 tile, m16 slice, block of 8 rows, MMA element].
template <class Type>
struct DecodeSums {
    float at[2][4][Type::kBlocks][4];

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
            for (int slice = 0; slice < 4; ++slice)
#pragma unroll
                for (int block = 0; block < Type::kBlocks; ++block)
#pragma unroll
                    for (int i = 0; i < 4; ++i) at[half][slice][block][i] = 0.0F;
    }
};

// Row of x of this lane; lanes beyond the last row follow the last one.
__device__ __forceinline__ int32_t lane_row(const DecodeItem& item, int block) {
    const int inside = 8 * block + static_cast<int>(threadIdx.x % 32 / 4);
    return item.row + min(inside, item.rows - 1);
}

// Hidden states in their own order, from column `first` on.
template <class Type>
__device__ __forceinline__ void load_hidden(const DecodeArgs& args, const DecodeTables& tables,
                                            const DecodeItem& item, int32_t first,
                                            DecodeX<Type>& x) {
    const int32_t columns = args.x_columns - first;  // that exist, a multiple of 8
#pragma unroll
    for (int block = 0; block < Type::kBlocks; ++block) {
        const int32_t token = static_cast<int32_t>(
            quotient(tables.row_slot[lane_row(item, block)], args.token_factor));
        const auto* words =
            reinterpret_cast<const uint32_t*>(static_cast<const uint16_t*>(args.x) +
                                              token * args.x_stride + first + threadIdx.x % 4 * 2);
        if (columns >= Type::kInputs) {
#pragma unroll
            for (int half = 0; half < 2 * Type::kSteps; ++half) {
                x.at[half / 2][block][half % 2] = __ldg(words + 4 * half);
            }
            continue;
        }
#pragma unroll
        for (int half = 0; half < 2 * Type::kSteps; ++half) {
            x.at[half / 2][block][half % 2] = 8 * half < columns ? __ldg(words + 4 * half) : 0;
        }
    }
}

// The intermediate, in permuted_column() order; other blocks wrote it in this launch.
template <class Type>
__device__ __forceinline__ void load_intermediate(const DecodeArgs& args, const DecodeItem& item,
                                                  int32_t first, DecodeX<Type>& x) {
    const int32_t columns = args.gemm[1].matrix.inputs - first;  // that exist, a multiple of 16
#pragma unroll
    for (int block = 0; block < Type::kBlocks; ++block) {
        const auto* words = reinterpret_cast<const uint4*>(
            args.intermediate + lane_row(item, block) * args.intermediate_stride + first +
            threadIdx.x % 4 * 8);
#pragma unroll
        for (int pair = 0; pair < Type::kSteps / 2; ++pair) {
            const uint4 four =
                32 * pair < columns ? __ldcg(words + 4 * pair) : make_uint4(0, 0, 0, 0);
            x.at[2 * pair][block][0] = four.x;
            x.at[2 * pair][block][1] = four.y;
            x.at[2 * pair + 1][block][0] = four.z;
            x.at[2 * pair + 1][block][1] = four.w;
        }
        if (columns % 32 == 0 || columns >= Type::kInputs) continue;
#pragma unroll
        for (int step = 1; step < Type::kSteps; step += 2) {  // half a pair is left
            if (16 * step >= columns) x.at[step][block][0] = x.at[step][block][1] = 0;
        }
    }
}

// Scales and zero points of this lane's rows of one group, as they lie in the ring.
template <class Type>
struct DecodeGroup {
    uint32_t scales[4];  // of outputs 8 * i + g, 16 bits each
    uint32_t zeros[Type::kBits / 4];

    // `shared`: 64 scales, then their zero points.
    __device__ __forceinline__ DecodeGroup(const DecodeScaleForm& form, uint32_t shared) {
        const int row = threadIdx.x % 32 / 4;
        if (!form.single) {
            const uint4 four = ptx::ld_shared_128(shared + row * 16);
            scales[0] = four.x;
            scales[1] = four.y;
            scales[2] = four.z;
            scales[3] = four.w;
        } else {
            const uint4 low = ptx::ld_shared_128(shared + row / 2 * 16);
            const uint4 high = ptx::ld_shared_128(shared + row / 2 * 16 + 64);
            const uint32_t select = row % 2 == 0 ? 0x5410 : 0x7632;
            scales[0] = __byte_perm(low.x, low.y, select);
            scales[1] = __byte_perm(low.z, low.w, select);
            scales[2] = __byte_perm(high.x, high.y, select);
            scales[3] = __byte_perm(high.z, high.w, select);
        }
        load_zeros(form, shared + Type::kScaleBytes);
    }
    // Of rows g and g + 8 of a slice.
    __device__ __forceinline__ void scale_pair(const DecodeScaleForm& form, int slice,
                                               float (&pair)[2]) const {
        if (form.bf16) {
            pair[0] = Bf16::widen_low(scales[slice]);
            pair[1] = Bf16::widen_high(scales[slice]);
        } else {
            pair[0] = F16::widen_low(scales[slice]);
            pair[1] = F16::widen_high(scales[slice]);
        }
    }

  private:
    __device__ __forceinline__ void load_zeros(const DecodeScaleForm& form, uint32_t shared) {
        const int row = threadIdx.x % 32 / 4;
        if constexpr (Type::kBits == 4) {
            zeros[0] = ptx::ld_shared_32(shared + row * 4);
        } else {
            const uint2 two = ptx::ld_shared_64(shared + row * 8);
            zeros[0] = two.x;
            zeros[1] = two.y;
        }
        if (!form.symmetric) return;
#pragma unroll
        for (uint32_t& word : zeros) word = Biased<typename Type::Number, Type::kBits>::kSymmetric;
    }
};

// Sums over one run: [plane, m16 slice, block of 8 rows, MMA element].
template <class Type>
struct DecodeRun {
    using Codes = Biased<typename Type::Number, Type::kBits>;
    float at[Codes::kPlanes][4][Type::kBlocks][4] = {};

    // The MMAs of one n64 tile; `codes`: this lane's of the run's first Marlin tile. kSumX: also
    // the sums of x, by MMAs with ones between the others.
    template <bool kSumX>
    __device__ __forceinline__ void multiply(uint32_t codes, const DecodeX<Type>& x, int first_step,
                                             float (&x_sums)[Type::kBlocks][4]) {
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
                multiply_slice<0>(words + slice * Codes::kSliceWords, x.at[first_step + step],
                                  slice);
                if constexpr (Codes::kPlanes == 2) {
                    multiply_slice<1>(words + slice * Codes::kSliceWords, x.at[first_step + step],
                                      slice);
                }
            }
            if constexpr (kSumX) {
                constexpr uint32_t kOne = Type::Number::kOne;
                constexpr uint32_t kOnes[4] = {kOne, kOne, kOne, kOne};
#pragma unroll
                for (int block = 0; block < Type::kBlocks; ++block) {
                    Type::Number::mma(x_sums[block], kOnes, x.at[first_step + step][block]);
                }
            }
        }
    }

    // total += scale * (sum - (B + zero point) * sum of x).
    __device__ __forceinline__ void add_to(float (&total)[4][Type::kBlocks][4],
                                           const DecodeScaleForm& form,
                                           const DecodeGroup<Type>& group,
                                           const float (&x_sums)[Type::kBlocks][4]) const {
#pragma unroll
        for (int slice = 0; slice < 4; ++slice) {
            float scale[2];
            float zero[2];
            group.scale_pair(form, slice, scale);
            Codes::zero_points(group.zeros, slice, zero);
#pragma unroll
            for (int block = 0; block < Type::kBlocks; ++block) {
#pragma unroll
                for (int i = 0; i < 4; ++i) {  // rows g and g + 8, two rows of x each
                    float sum = at[0][slice][block][i];
                    if constexpr (Codes::kPlanes == 2) {
                        sum = fmaf(Codes::kPlaneScale, at[1][slice][block][i], sum);
                    }
                    sum = fmaf(-zero[i / 2], x_sums[block][i % 2], sum);
                    total[slice][block][i] = fmaf(scale[i / 2], sum, total[slice][block][i]);
                }
            }
        }
    }

  private:
    template <int kPlane>
    __device__ __forceinline__ void multiply_slice(const uint32_t* words,
                                                   const uint32_t (&x)[Type::kBlocks][2],
                                                   int slice) {
        uint32_t a[4];
        Codes::template expand<kPlane>(words, a);
#pragma unroll
        for (int block = 0; block < Type::kBlocks; ++block) {
            Type::Number::mma(at[kPlane][slice][block], a, x[block]);
        }
    }
};

// `unit`: its place in the ring.
template <class Type>
__device__ __forceinline__ void multiply_unit(const DecodeScaleForm& form, int unit_groups,
                                              uint32_t unit, const DecodeX<Type>& x,
                                              DecodeSums<Type>& total) {
    constexpr int kRuns = Type::kSteps / Type::kScaleSteps;
    constexpr int kRunBytes = Type::kScaleSteps * Type::kTileBytes;
    const uint32_t codes = unit + threadIdx.x % 32 * (Type::kTileBytes / 32);
    const uint32_t groups = unit + Type::kCodeBytes;
#pragma unroll
    for (int run = 0; run < kRuns; ++run) {
        const int number = kRuns == 1 ? 0 : run * unit_groups / kRuns;
        float x_sums[Type::kBlocks][4] = {};  // elements 0 and 1
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const DecodeGroup<Type> group(form, groups + (2 * number + half) * Type::kGroupBytes);
            const uint32_t run_codes = codes + (half * kRuns + run) * kRunBytes;
            DecodeRun<Type> sums;
            if (half == 0) {
                sums.template multiply<true>(run_codes, x, run * Type::kScaleSteps, x_sums);
            } else {
                sums.template multiply<false>(run_codes, x, run * Type::kScaleSteps, x_sums);
            }
            sums.add_to(total.at[half], form, group, x_sums);
        }
    }
}

}  // namespace mmoe::cuda
