// SPDX-License-Identifier: Apache-2.0
// The end of an item, by the finishers: the workers' sums are added in the order of K, then GEMM 1
// gives activated columns of the intermediate and GEMM 2 fp32 results.
//
// Workers and finishers share buffers of partial sums. A buffer is full when every worker warp
// has arrived, with or without sums of its own, and empty again when the finishers have read it.
#pragma once

#include <cstdint>

#include "cuda/activation.h"
#include "cuda/decode.h"
#include "cuda/decode_queue.h"
#include "cuda/decode_route.h"
#include "cuda/ptx/sync.h"

namespace mmoe::cuda {

constexpr int kPartialPitch = 128 + 4;  // of a row's outputs; neighbours lie in other banks

template <int kRows>
struct DecodePartials {
    static constexpr int kBuffers = kRows <= 8 ? 2 : 1;
    static constexpr int kWarpFloats = kRows * kPartialPitch;
    static constexpr int kBufferFloats = kDecodeWarps * kWarpFloats;
    static constexpr int kBytes = kBuffers * kBufferFloats * static_cast<int>(sizeof(float));

    float* floats;        // [buffers, parts of K, rows, pitch]
    uint64_t (&full)[2];  // mbarriers
    uint64_t (&empty)[2];

    __device__ __forceinline__ void initialise() const {
        for (int buffer = 0; buffer < kBuffers; ++buffer) {
            ptx::mbarrier_init(ptx::shared_address(&full[buffer]), kDecodeWarps);
            ptx::mbarrier_init(ptx::shared_address(&empty[buffer]), 1);
        }
    }
    [[nodiscard]] __device__ __forceinline__ float* of(int item) const {
        return floats + item % kBuffers * kBufferFloats;
    }
    // A worker may write, or has written, its sums of the item.
    __device__ __forceinline__ void await_empty(int item) const {
        wait(empty[item % kBuffers], ~(item / kBuffers) & 1);
    }
    __device__ __forceinline__ void give(int item) const {
        __syncwarp();
        if (threadIdx.x % 32 == 0) arrive(full[item % kBuffers]);
    }
    __device__ __forceinline__ void await_full(int item) const {
        wait(full[item % kBuffers], item / kBuffers & 1);
    }
    // One thread, for all finishers.
    __device__ __forceinline__ void free(int item) const { arrive(empty[item % kBuffers]); }

  private:
    static __device__ __forceinline__ void wait(uint64_t& barrier, uint32_t parity) {
        ptx::mbarrier_wait(ptx::shared_address(&barrier), parity);
    }
    static __device__ __forceinline__ void arrive(uint64_t& barrier) {
        ptx::mbarrier_arrive(ptx::shared_address(&barrier));
    }
};

// Sums of two neighbouring outputs of one row, in the order of K. `pair`: of the first part. All
// reads are under way before the first addition.
template <int kRows>
__device__ __forceinline__ float2 add_parts(const float* pair, int parts) {
    float2 own[kDecodeWarps];
#pragma unroll
    for (int part = 0; part < kDecodeWarps; ++part) {
        own[part] =
            part < parts
                ? *reinterpret_cast<const float2*>(pair + part * DecodePartials<kRows>::kWarpFloats)
                : float2{0.0F, 0.0F};
    }
    float2 sum = own[0];
#pragma unroll
    for (int part = 1; part < kDecodeWarps; ++part) {
        sum.x += own[part].x;
        sum.y += own[part].y;
    }
    return sum;
}

__device__ __forceinline__ float2 scale_and_bias(const Matrix& matrix, int64_t expert, int column,
                                                 float weight, float2 sum) {
    if (matrix.bias == nullptr) return {sum.x * weight, sum.y * weight};
    const float* bias = matrix.bias + expert * matrix.outputs + column;
    return {fmaf(sum.x, weight, bias[0]), fmaf(sum.y, weight, bias[1])};
}

// A pair of columns of the intermediate; `second` is the up projection's sum where gated.
template <class Number>
__device__ __forceinline__ void store_intermediate(const DecodeArgs& args,
                                                   const DecodeTables& tables,
                                                   const DecodeItem& item, int row, int column,
                                                   float2 first, float2 second) {
    const Matrix& matrix = args.gemm[0].matrix;
    const float weight =
        args.router_weight_on_input ? args.router_weights[tables.row_slot[row]] : 1.0F;
    first = scale_and_bias(matrix, item.expert, 64 * item.tiles[0] + column, weight, first);
    if (args.gated) {
        second = scale_and_bias(matrix, item.expert, 64 * item.tiles[1] + column, weight, second);
    }
    const auto act = [&](float gate, float up) {
        return args.gated ? activate(args.activation, gate, up) : activate(args.activation, gate);
    };
    uint16_t* out = args.intermediate + row * args.intermediate_stride;
    *reinterpret_cast<uint32_t*>(out + permuted_column(64 * item.tiles[0] + column)) =
        Number::pack(act(first.x, second.x), act(first.y, second.y));
}

template <class Number, int kRows>
__device__ __forceinline__ void finish_item(const DecodeArgs& args, const DecodeTables& tables,
                                            const DecodeItem& item, const float* partials) {
    const DecodeGemm& gemm = args.gemm[item.gemm];
    const bool gated = item.gemm == 0 && args.gated;
    const int shift = gated ? 5 : 6;  // 32 or 64 pairs of a row
    const int parts = min(item.units, kDecodeWarps);
#pragma unroll 1
    for (int i = threadIdx.x - kDecodeWorkers; i < item.rows << shift; i += kDecodeFinishers) {
        const int column = (i & ((1 << shift) - 1)) * 2;
        const float* pair = partials + (i >> shift) * kPartialPitch + column;
        if (!gated && 64 * item.tiles[0] + column >= gemm.matrix.outputs) continue;
        const int row = item.row + (i >> shift);
        float2 sum = add_parts<kRows>(pair, parts);
        if (item.gemm == 0) {
            const float2 up = gated ? add_parts<kRows>(pair + 64, parts) : float2{1.0F, 1.0F};
            store_intermediate<Number>(args, tables, item, row, column, sum, up);
            continue;
        }
        const int output = 64 * item.tiles[0] + column;
        if (item.split == 0) sum = scale_and_bias(gemm.matrix, item.expert, output, 1.0F, sum);
        const int64_t part = static_cast<int64_t>(row) * gemm.splits + item.split;
        *reinterpret_cast<float2*>(args.results + part * gemm.matrix.outputs + output) = sum;
    }
}

// All items of this block.
template <class Number, int kRows>
__device__ __forceinline__ void finish_items(const DecodeArgs& args, const DecodeTables& tables,
                                             const DecodeQueue& queue,
                                             DecodeCounters::Set& counters,
                                             const DecodePartials<kRows>& partials) {
#pragma unroll 1
    for (int number = 0;; ++number) {
        await_shared(queue.published, number + 1);
        const DecodeItem item = queue.at(number);
        if (item.gemm == kNoGemm) return;
        partials.await_full(number);
        finish_item<Number, kRows>(args, tables, item, partials.of(number));
        ptx::bar_sync<2, kDecodeFinishers>();  // all have read the sums and stored theirs
        if (threadIdx.x == kDecodeWorkers) {
            partials.free(number);
            ptx::red_release_gpu_add(
                item.gemm == 0 ? &counters.ready[item.tile] : &counters.finished, 1);
        }
    }
}

}  // namespace mmoe::cuda
