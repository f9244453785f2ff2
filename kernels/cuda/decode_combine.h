// SPDX-License-Identifier: Apache-2.0
// The end of the decode kernel: when all results are there, every block adds up its share of the
// outputs, over the slots of a token in rising order, and over the parts of K.
#pragma once

#include <cstdint>

#include "cuda/decode.h"
#include "cuda/decode_queue.h"
#include "cuda/decode_route.h"
#include "cuda/number.h"
#include "cuda/ptx/sync.h"

namespace mmoe::cuda {

constexpr int kCombineColumns = 4;  // of one thread
constexpr int kCombineSlots = 8;    // that it reads at a time

__device__ __forceinline__ void store_output(const DecodeArgs& args, int64_t index, float value) {
    switch (args.output_type) {
        case Element::kF32:
            static_cast<float*>(args.output)[index] = value;
            return;
        case Element::kF16:
            static_cast<uint16_t*>(args.output)[index] = F16::narrow(value);
            return;
        case Element::kBf16:
            static_cast<uint16_t*>(args.output)[index] = Bf16::narrow(value);
            return;
    }
}

__device__ __forceinline__ void add_weighted(float weight, float4 part, float4& sum) {
    sum.x = fmaf(weight, part.x, sum.x);
    sum.y = fmaf(weight, part.y, sum.y);
    sum.z = fmaf(weight, part.z, sum.z);
    sum.w = fmaf(weight, part.w, sum.w);
}

// Up to kCombineSlots slots of a token from `slot` on. Their reads do not wait for each other.
__device__ __forceinline__ void add_slots(const DecodeArgs& args, const DecodeTables& tables,
                                          int32_t slot, int32_t count, int32_t column,
                                          float4& sum) {
    const DecodeGemm& gemm = args.gemm[1];
    const float* results[kCombineSlots];
    float weights[kCombineSlots];
#pragma unroll
    for (int j = 0; j < kCombineSlots; ++j) {
        const int64_t row = j < count ? tables.slot_row[slot + j] : -1;
        results[j] =
            row >= 0 ? args.results + row * gemm.splits * gemm.matrix.outputs + column : nullptr;
        weights[j] = 1.0F;
        if (row >= 0 && !args.router_weight_on_input) weights[j] = args.router_weights[slot + j];
    }
#pragma unroll 1
    for (int32_t split = 0; split < gemm.splits; ++split) {
        float4 parts[kCombineSlots];
#pragma unroll
        for (int j = 0; j < kCombineSlots; ++j) {
            parts[j] = {0.0F, 0.0F, 0.0F, 0.0F};
            if (results[j] == nullptr) continue;
            parts[j] = __ldcg(reinterpret_cast<const float4*>(results[j]));
            results[j] += gemm.matrix.outputs;
        }
#pragma unroll
        for (int j = 0; j < kCombineSlots; ++j) add_weighted(weights[j], parts[j], sum);
    }
}

__device__ __forceinline__ float4 add_results(const DecodeArgs& args, const DecodeTables& tables,
                                              int32_t token, int32_t column) {
    float4 sum = {0.0F, 0.0F, 0.0F, 0.0F};
#pragma unroll 1
    for (int32_t j = 0; j < args.top_k; j += kCombineSlots) {
        add_slots(args, tables, token * args.top_k + j, args.top_k - j, column, sum);
    }
    return sum;
}

// By the workers.
__device__ __forceinline__ void combine_decode(const DecodeArgs& args, const DecodeTables& tables,
                                               const DecodeCounters::Set& counters) {
    const DecodeGemm& gemm = args.gemm[1];
    const int32_t token_shares = (args.columns + kCombineColumns - 1) / kCombineColumns;
    const int32_t shares = args.tokens * token_shares;
    int32_t share = static_cast<int32_t>(blockIdx.x * kDecodeWorkers);
    if (share >= shares) return;
    if (threadIdx.x == 0) {
        const int32_t items = count_items(gemm, tables);
        await_global(counters.finished, items);
    }
    sync_workers();
#pragma unroll 1
    for (share += static_cast<int32_t>(threadIdx.x); share < shares;
         share += static_cast<int32_t>(gridDim.x * kDecodeWorkers)) {
        const int32_t token = share / token_shares;
        const int32_t column = share % token_shares * kCombineColumns;
        const float4 sum = add_results(args, tables, token, column);
        const float values[kCombineColumns] = {sum.x, sum.y, sum.z, sum.w};
        const int64_t first = token * args.output_stride + column;
#pragma unroll
        for (int i = 0; i < kCombineColumns; ++i) {
            if (column + i < args.columns) store_output(args, first + i, values[i]);
        }
    }
}

}  // namespace mmoe::cuda
