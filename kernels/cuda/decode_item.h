// SPDX-License-Identifier: Apache-2.0
// One item: every warp multiplies its units of K, the warps' sums meet in shared memory and are
// added in the order of K, then GEMM 1 stores activated columns of the intermediate and GEMM 2
// fp32 results.
#pragma once

#include <cstdint>

#include "cuda/activation.h"
#include "cuda/decode.h"
#include "cuda/decode_multiply.h"
#include "cuda/decode_queue.h"
#include "cuda/decode_ring.h"

namespace mmoe::cuda {

// Sums of one warp, [rows, 128 outputs]; the pitch puts neighbouring rows into other banks.
constexpr int kPartialPitch = 128 + 4;
constexpr int kPartialFloats = kDecodeTokens * kPartialPitch;

struct DecodeShared {
    DecodeTables tables;
    DecodeQueue queue;
    int32_t first_item;  // claimed while the block routes
    int32_t last;        // this block is the last to leave
};

template <int kBlocks>
__device__ __forceinline__ void store_partial(const DecodeSums<kBlocks>& sums, int rows,
                                              float* partial) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int block = 0; block < kBlocks; ++block) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int row = 8 * block + 2 * (lane % 4) + i % 2;
            if (row >= rows) continue;
#pragma unroll
            for (int half = 0; half < 2; ++half) {
#pragma unroll
                for (int slice = 0; slice < 4; ++slice) {
                    partial[row * kPartialPitch + 64 * half + 16 * slice + 8 * (i / 2) + lane / 4] =
                        sums.at[half][slice][block][i];
                }
            }
        }
    }
}

// This warp's units of an item, from `unit` on; returns the first one beyond the item, relative
// to the next item's first.
template <class Type, int kBlocks>
__device__ __forceinline__ int multiply_item(const DecodeArgs& args, const DecodeShared& shared,
                                             const DecodeItem& item, DecodeRing<Type>& ring,
                                             int& place, int unit, float* partials) {
    const DecodeGemm& gemm = args.gemm[item.gemm];
    const DecodeRows<kBlocks> rows(args, shared.tables, item);
    float* partial = partials + unit * kPartialFloats;
    DecodeSums<kBlocks> total;
    total.clear();
#pragma unroll 1
    for (; unit < item.units; unit += kDecodeWarps) {
        const int32_t first = (item.first_unit + unit) * Type::kInputs;
        DecodeX<Type, kBlocks> x;
        if (item.gemm == 0) {
            load_hidden(rows, first, args.x_columns - first, x);
        } else {
            load_intermediate(rows, first, gemm.matrix.inputs - first, x);
        }
        ring.wait();
        multiply_unit(gemm, ring.at(place), x, total);
        __syncwarp();  // all lanes are done with the unit
        ring.issue(place);
        place = (place + 1) % kDecodeDepth;
    }
    store_partial(total, item.rows, partial);
    return unit - item.units;
}

// Sums of two neighbouring outputs of one row over the warps, in the order of K.
__device__ __forceinline__ float2 add_partials(const float* partials, int count, int row,
                                               int column) {
    float2 sum = {0.0F, 0.0F};
#pragma unroll 2
    for (int i = 0; i < count; ++i) {
        const float2 part = *reinterpret_cast<const float2*>(partials + i * kPartialFloats +
                                                             row * kPartialPitch + column);
        sum.x += part.x;
        sum.y += part.y;
    }
    return sum;
}

__device__ __forceinline__ float2 add_bias(const Matrix& matrix, int64_t expert, int column,
                                           float2 sum) {
    if (matrix.bias == nullptr) return sum;
    const float* bias = matrix.bias + expert * matrix.outputs + column;
    return {sum.x + bias[0], sum.y + bias[1]};
}

template <class Number>
__device__ __forceinline__ void finish_gated(const DecodeArgs& args, const DecodeTables& tables,
                                             const DecodeItem& item, const float* partials) {
    const Matrix& matrix = args.gemm[0].matrix;
    const int count = min(item.units, kDecodeWarps);
#pragma unroll 1
    for (int i = threadIdx.x; i < item.rows * 32; i += kDecodeWorkers) {
        const int row = i / 32;
        const int column = i % 32 * 2;
        float2 gate = add_partials(partials, count, row, column);
        float2 up = add_partials(partials, count, row, column + 64);
        if (args.router_weight_on_input) {
            const float weight = args.router_weights[tables.row_slot[item.row + row]];
            gate = {gate.x * weight, gate.y * weight};
            up = {up.x * weight, up.y * weight};
        }
        gate = add_bias(matrix, item.expert, 64 * item.tiles[0] + column, gate);
        up = add_bias(matrix, item.expert, 64 * item.tiles[1] + column, up);
        const int out = permuted_column(64 * item.block + column);
        *reinterpret_cast<uint32_t*>(args.intermediate +
                                     (item.row + row) * args.intermediate_stride + out) =
            Number::pack(activate(args.activation, gate.x, up.x),
                         activate(args.activation, gate.y, up.y));
    }
}

// Calls store(row, column, sums) for the pairs of outputs of an item that is not gated.
template <class Store>
__device__ __forceinline__ void finish_plain(const DecodeGemm& gemm, const DecodeItem& item,
                                             const float* partials, const Store& store) {
    const int count = min(item.units, kDecodeWarps);
#pragma unroll 1
    for (int i = threadIdx.x; i < item.rows * 64; i += kDecodeWorkers) {
        const int row = i / 64;
        const int column = i % 64 * 2;
        if (128 * item.block + column >= gemm.matrix.outputs) continue;
        store(row, 128 * item.block + column, add_partials(partials, count, row, column));
    }
}

template <class Number>
__device__ __forceinline__ void finish_item(const DecodeArgs& args, const DecodeTables& tables,
                                            const DecodeItem& item, const float* partials) {
    const DecodeGemm& gemm = args.gemm[item.gemm];
    if (item.gemm == 1) {
        finish_plain(gemm, item, partials, [&](int row, int column, float2 sum) {
            if (item.split == 0) sum = add_bias(gemm.matrix, item.expert, column, sum);
            const int64_t part = static_cast<int64_t>(item.row + row) * gemm.splits + item.split;
            *reinterpret_cast<float2*>(args.results + part * gemm.matrix.outputs + column) = sum;
        });
    } else if (args.gated) {
        finish_gated<Number>(args, tables, item, partials);
    } else {
        finish_plain(gemm, item, partials, [&](int row, int column, float2 sum) {
            if (args.router_weight_on_input) {
                const float weight = args.router_weights[tables.row_slot[item.row + row]];
                sum = {sum.x * weight, sum.y * weight};
            }
            sum = add_bias(gemm.matrix, item.expert, column, sum);
            *reinterpret_cast<uint32_t*>(
                args.intermediate + (item.row + row) * args.intermediate_stride +
                permuted_column(column)) = Number::pack(activate(args.activation, sum.x, 1.0F),
                                                        activate(args.activation, sum.y, 1.0F));
        });
    }
}

// All items of this block, by its workers.
template <class Type>
__device__ __forceinline__ void compute_items(const DecodeArgs& args, DecodeShared& shared,
                                              float* partials, uint32_t ring_address) {
    const int warp = threadIdx.x / 32;
    DecodeQueue& queue = shared.queue;
    DecodeRing<Type> ring(args, queue, ring_address + warp * kDecodeDepth * args.ring_unit_bytes);
#pragma unroll 1
    for (int place = 0; place < kDecodeDepth; ++place) ring.issue(place);
    int place = 0;
    int unit = warp;
#pragma unroll 1
    for (int number = 0;; ++number) {
        await_shared(queue.published, number + 1);
        const DecodeItem item = queue.at(number);
        if (item.gemm == kNoGemm) break;
        if (unit < item.units) {
            await_shared(queue.ready, number + 1);
            if (item.rows <= 8) {
                unit = multiply_item<Type, 1>(args, shared, item, ring, place, unit, partials);
            } else {
                unit = multiply_item<Type, 2>(args, shared, item, ring, place, unit, partials);
            }
        } else {
            unit -= item.units;
        }
        sync_workers();  // all partial sums are there
        finish_item<typename Type::Number>(args, shared.tables, item, partials);
        sync_workers();  // and have been read; the results are stored
        if (threadIdx.x == 0) {
            ptx::st_release_shared(ptx::shared_address(&queue.finished), number + 1);
        }
    }
    ptx::cp_async_wait_group<0>();
}

}  // namespace mmoe::cuda
