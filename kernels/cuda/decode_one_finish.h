// SPDX-License-Identifier: Apache-2.0
// The end of an item: the warps' sums are added in the order of warps, then GEMM 1 gives activated
// columns of the intermediate and GEMM 2 outputs. And the other end of the exchange: the
// intermediate as it comes.
#pragma once

#include <cstdint>

#include "cuda/activation.h"
#include "cuda/decode_combine.h"
#include "cuda/decode_one.h"
#include "cuda/decode_one_multiply.h"
#include "cuda/decode_one_stream.h"
#include "cuda/ptx/sync.h"

namespace mmoe::cuda {

// A pair of columns as a word that is never 0: a pair of NaNs with all bits set becomes another.
[[nodiscard]] __device__ __forceinline__ uint32_t as_present(uint32_t pair) {
    return pair == 0xFFFFFFFF ? ~0x7FFF7FFFu : ~pair;
}

// Of a matrix's output, this lane's.
__device__ __forceinline__ float add_bias(const Matrix& matrix, int expert, int column, float sum) {
    if (matrix.bias == nullptr) return sum;
    return sum + matrix.bias[expert * int64_t{matrix.outputs} + column];
}

// The activated columns of an item of GEMM 1 whose sums lanes have: gates (or all there is) in
// lanes 0 .. 15, ups in the others. `words`: the intermediate of the run.
template <class Number>
__device__ __forceinline__ void store_middle(const DecodeArgs& args, const OneSlots& slots,
                                             const OneItem& item, float sum, uint32_t* words) {
    const Matrix& matrix = args.gemm[0].matrix;
    const int tile = item.strip / kOneParts;
    const int part = item.strip % kOneParts;
    const int lane = threadIdx.x % 32;
    const int second = lane < 16 || !args.gated ? 0 : matrix.outputs / 2;
    const int column = 64 * tile + one_column(part, lane % 16) + second;
    if (args.router_weight_on_input) sum *= slots.weight_of(item.slot);
    sum = add_bias(matrix, slots.expert_of(item.slot), column, sum);
    const float up = __shfl_down_sync(kAllLanes, sum, 16);
    const float value =
        args.gated ? activate(args.activation, sum, up) : activate(args.activation, sum);
    const float right = __shfl_down_sync(kAllLanes, value, 8);
    if (lane >= 8) return;
    const int64_t row = int64_t{item.slot} * (args.intermediate_stride / 2);
    ptx::st_relaxed_gpu(words + row + tile * 32 + part * 8 + lane,
                        as_present(Number::pack(value, right)));
}

// Adds the other half of the slots, or leaves this half to the block that comes second and returns
// false. Of two addends the order makes no difference.
__device__ __forceinline__ bool add_other_half(uint32_t& place, float& sum) {
    const uint32_t bits = __float_as_uint(sum);
    const uint32_t other = atomicExch(&place, as_present(bits));
    if (other == 0) return false;
    place = 0;
    sum += __uint_as_float(~other);
    return true;
}

// `sum`: of lanes 0 .. 15.
__device__ __forceinline__ void store_outputs(const DecodeArgs& args, const OneSlots& slots,
                                              const OneWork& work, const OneStrip& item,
                                              float sum) {
    const Matrix& matrix = args.gemm[1].matrix;
    const int lane = threadIdx.x % 32;
    const int column = item.strip / kOneParts * 64 + one_column(item.strip % kOneParts, lane % 16);
    if (matrix.bias != nullptr && item.split == 0) {
        for (int slot = 0; slot < slots.count; ++slot) {
            const float bias = add_bias(matrix, slots.expert_of(slot), column, 0.0F);
            sum = fmaf(args.router_weight_on_input ? 1.0F : slots.weight_of(slot), bias, sum);
        }
    }
    if (lane >= 16) return;
    if (work.splits > 1 && !add_other_half(args.one->sums[column], sum)) return;
    if (column < args.columns) store_output(args, column, sum);
}

// Sums of warps 0, 2, 4 ... in lanes 0 .. 15, of warps 1, 3, 5 ... in the others.
__device__ __forceinline__ float add_warps(const float* partials) {
    const float* own = partials + threadIdx.x % 32;
    float parts[kOneWarps / 2];
#pragma unroll
    for (int i = 0; i < kOneWarps / 2; ++i) parts[i] = own[i * 2 * kOneColumns];
    float sum = parts[0];
#pragma unroll
    for (int i = 1; i < kOneWarps / 2; ++i) sum += parts[i];
    return sum;
}

// Sixteen outputs' sums over the block's warps, given each warp's. Warps take turns to get them, as
// add_warps() gives them; the others go on.
struct OneSum {
    float* partials;  // [2, warps, 16]
    int number = 0;   // items of this block so far

    // True in one warp, for which `sum` is then the sum of all.
    __device__ __forceinline__ bool add(float& sum) {
        float* own = partials + number % 2 * kOneWarps * kOneColumns;
        const int warp = threadIdx.x / 32;
        const int lane = threadIdx.x % 32;
        sum += __shfl_xor_sync(kAllLanes, sum, 16);
        if (lane < 16) own[warp * kOneColumns + lane] = sum;
        __syncthreads();
        const bool mine = number++ % kOneWarps == warp;
        if (mine) sum = add_warps(own);
        return mine;
    }
};

// Operands of a GEMM in shared memory, and where a warp puts a unit of them: a lane has the pairs
// of inputs k and k + 8 that it will multiply.
struct OneMiddle {
    uint32_t* words;  // in shared memory, [slots, units, 64]
    float* sums;      // [slots, units, 4]

    [[nodiscard]] __device__ __forceinline__ OneX at(int unit) const {
        return {words + unit * (kOneUnitInputs / 2), sums + unit * (kOneUnitInputs / 32)};
    }

    template <class Number>
    __device__ __forceinline__ void put(int unit, uint2 pair) const {
        const int lane = threadIdx.x % 32;
        *reinterpret_cast<uint2*>(words + unit * 64 + 2 * lane) = pair;
        float sum = Number::widen_low(pair.x) + Number::widen_high(pair.x) +
                    (Number::widen_low(pair.y) + Number::widen_high(pair.y));
        sum += __shfl_xor_sync(kAllLanes, sum, 1);
        sum += __shfl_xor_sync(kAllLanes, sum, 4);
        sum += __shfl_xor_sync(kAllLanes, sum, 8);
        if ((lane & 13) == 0) sums[unit * 4 + lane / 16 * 2 + lane / 2 % 2] = sum;
    }
};

}  // namespace mmoe::cuda
