// SPDX-License-Identifier: Apache-2.0
// The steps around the GEMMs. All are bound by memory: one block column of 128 threads a token or
// slot, eight columns a thread in the combine.
#include <cuda_runtime.h>

#include "cuda/elementwise.h"
#include "cuda/number.h"
#include "cuda/overlap.h"
#include "cuda/ptx/sync.h"

namespace mmoe::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kLaneColumns = 8;  // 16 bytes of 16-bit results

__device__ __forceinline__ float read(Element type, const void* source, int64_t index) {
    switch (type) {
        case Element::kF16:
            return F16::widen(static_cast<const uint16_t*>(source)[index]);
        case Element::kBf16:
            return Bf16::widen(static_cast<const uint16_t*>(source)[index]);
        case Element::kF32:
            break;
    }
    return static_cast<const float*>(source)[index];
}

__device__ __forceinline__ uint16_t narrow(Element type, float value) {
    return type == Element::kF16 ? F16::narrow(value) : Bf16::narrow(value);
}

__device__ __forceinline__ void write(Element type, void* out, int64_t index, float value) {
    if (type == Element::kF32) {
        static_cast<float*>(out)[index] = value;
    } else {
        static_cast<uint16_t*>(out)[index] = narrow(type, value);
    }
}

__global__ void __launch_bounds__(kThreads) moe_stage(const StageArgs args) {
    const int64_t token = blockIdx.x;
    const int32_t column = static_cast<int32_t>(blockIdx.y * kThreads + threadIdx.x);
    if (column >= args.out_columns || token >= live_tokens(args.tokens, args.token_count)) return;
    const float value = column < args.columns ? read(args.hidden_type, args.hidden,
                                                     token * args.hidden_stride + column)
                                              : 0.0F;
    args.out[token * args.out_columns + column] = narrow(args.compute_type, value);
}

// The last expert whose rows begin at `row` or before: earlier ones that begin there have none.
__device__ __forceinline__ int32_t expert_of_row(const GatherArgs& args, int32_t row) {
    int32_t first = 0;
    int32_t last = args.expert_count - 1;
    while (first < last) {
        const int32_t middle = first + (last - first + 1) / 2;
        if (args.routing.row_begin[middle] <= row) {
            first = middle;
        } else {
            last = middle - 1;
        }
    }
    return first;
}

__global__ void __launch_bounds__(kThreads) moe_gather(const GatherArgs args) {
    const StageArgs& stage = args.stage;
    const int64_t slot = blockIdx.x;
    const int64_t token = slot / args.top_k;
    const int32_t column = static_cast<int32_t>(blockIdx.y * kThreads + threadIdx.x);
    if (column >= stage.out_columns) return;
    if (token >= live_tokens(stage.tokens, stage.token_count)) return;
    const int32_t row = args.routing.slot_row[slot];
    if (row < 0) return;
    const int64_t expert = expert_of_row(args, row);
    const int32_t source = args.order[expert * stage.out_columns + column];
    const float value =
        source >= 0 ? read(stage.hidden_type, stage.hidden, token * stage.hidden_stride + source)
                    : 0.0F;
    stage.out[slot * stage.out_columns + column] = narrow(stage.compute_type, value);
}

__device__ __forceinline__ void add_slot(const CombineArgs& args, int64_t slot, int32_t column,
                                         float (&sum)[kLaneColumns]) {
    const int32_t row = args.slot_row[slot];
    if (row < 0) return;
    const float weight = args.weights != nullptr ? args.weights[slot] : 1.0F;
    const uint4 packed =
        *reinterpret_cast<const uint4*>(args.results + row * args.results_stride + column);
    const uint32_t words[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
    for (int i = 0; i < kLaneColumns; ++i) {
        const auto bits = static_cast<uint16_t>(words[i / 2] >> (16 * (i % 2)));
        const float value =
            args.compute_type == Element::kF16 ? F16::widen(bits) : Bf16::widen(bits);
        sum[i] = fmaf(weight, value, sum[i]);
    }
}

__device__ __forceinline__ void store_sums(const CombineArgs& args, int64_t token, int32_t column,
                                           const float (&sum)[kLaneColumns]) {
    const int64_t first = token * args.output_stride + column;
    auto* out = static_cast<uint16_t*>(args.output) + first;
    const bool whole = column + kLaneColumns <= args.columns;
    if (args.output_type != Element::kF32 && whole && reinterpret_cast<uintptr_t>(out) % 16 == 0) {
        uint32_t words[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            words[i] = args.output_type == Element::kF16 ? F16::pack(sum[2 * i], sum[2 * i + 1])
                                                         : Bf16::pack(sum[2 * i], sum[2 * i + 1]);
        }
        *reinterpret_cast<uint4*>(out) = make_uint4(words[0], words[1], words[2], words[3]);
        return;
    }
#pragma unroll
    for (int i = 0; i < kLaneColumns; ++i) {
        if (column + i < args.columns) write(args.output_type, args.output, first + i, sum[i]);
    }
}

__global__ void __launch_bounds__(kThreads) moe_combine(const CombineArgs args) {
    ptx::griddepcontrol_wait();
    const int64_t token = blockIdx.x;
    const auto column = static_cast<int32_t>((blockIdx.y * kThreads + threadIdx.x) * kLaneColumns);
    if (column >= args.columns || token >= live_tokens(args.tokens, args.token_count)) return;
    float sum[kLaneColumns] = {};
#pragma unroll 4
    for (int32_t j = 0; j < args.top_k; ++j) add_slot(args, token * args.top_k + j, column, sum);
    store_sums(args, token, column, sum);
}

dim3 grid(int64_t rows, int32_t lanes) {
    return {static_cast<unsigned>(rows), static_cast<unsigned>((lanes + kThreads - 1) / kThreads)};
}

}  // namespace

const void* stage_kernel() noexcept {
    return reinterpret_cast<const void*>(&moe_stage);
}
const void* gather_kernel() noexcept {
    return reinterpret_cast<const void*>(&moe_gather);
}
const void* combine_kernel() noexcept {
    return reinterpret_cast<const void*>(&moe_combine);
}

int launch_stage(const StageArgs& args, void* stream) noexcept {
    moe_stage<<<grid(args.tokens, args.out_columns), kThreads, 0,
                static_cast<cudaStream_t>(stream)>>>(args);
    return cudaGetLastError();
}

int launch_gather(const GatherArgs& args, void* stream) noexcept {
    moe_gather<<<grid(args.stage.tokens * args.top_k, args.stage.out_columns), kThreads, 0,
                 static_cast<cudaStream_t>(stream)>>>(args);
    return cudaGetLastError();
}

int launch_combine(const CombineArgs& args, void* stream) noexcept {
    const int32_t lanes = (args.columns + kLaneColumns - 1) / kLaneColumns;
    auto overlap = overlap_attribute();
    const cudaLaunchConfig_t config = {.gridDim = grid(args.tokens, lanes),
                                       .blockDim = dim3(kThreads),
                                       .dynamicSmemBytes = 0,
                                       .stream = static_cast<cudaStream_t>(stream),
                                       .attrs = &overlap,
                                       .numAttrs = args.overlaps ? 1U : 0U};
    return cudaLaunchKernelEx(&config, moe_combine, args);
}

}  // namespace mmoe::cuda
