// SPDX-License-Identifier: Apache-2.0
// The workers: a warp multiplies its units one after the other and gives its sums to the
// finishers where an item ends. The x of the next unit is on its way before this unit is
// multiplied, whenever it exists.
#pragma once

#include <cstdint>

#include "cuda/decode.h"
#include "cuda/decode_finish.h"
#include "cuda/decode_multiply.h"
#include "cuda/decode_queue.h"
#include "cuda/decode_ring.h"

namespace mmoe::cuda {

template <class Type>
__device__ __forceinline__ void load_x(const DecodeArgs& args, const DecodeTables& tables,
                                       const DecodeItem& item, int unit, DecodeX<Type>& x) {
    const int32_t first = (item.first_unit + unit) * Type::kInputs;
    if (item.gemm == 0) {
        load_hidden(args, tables, item, first, x);
    } else {
        load_intermediate(args, item, first, x);
    }
}

// Starts to load the x of unit `unit`, counted from item `number` on; false where it is not there
// yet. The ring is ahead, so its item is published.
template <class Type>
__device__ __forceinline__ bool load_x_ahead(const DecodeArgs& args, const DecodeTables& tables,
                                             const DecodeQueue& queue, int number, int unit,
                                             DecodeX<Type>& x) {
#pragma unroll 1
    for (;; ++number) {
        const DecodeItem& item = queue.at(number);
        if (read_shared(queue.ready) <= number) return false;
        if (unit < item.units) {
            load_x(args, tables, item, unit, x);
            return true;
        }
        unit -= item.units;
    }
}

template <class Type>
__device__ __forceinline__ void store_sums(const DecodeSums<Type>& sums, int rows, float* part) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int block = 0; block < Type::kBlocks; ++block) {
#pragma unroll
        for (int right = 0; right < 2; ++right) {
            const int row = 8 * block + 2 * (lane % 4) + right;
            if (row >= rows) continue;
            float* to = part + row * kPartialPitch + lane / 4;
#pragma unroll
            for (int i = 0; i < 16; ++i) {  // eighths of the 128 outputs
                to[8 * i] = sums.at[i / 8][i / 2 % 4][block][2 * (i % 2) + right];
            }
        }
    }
}

// All items of this block; the ring is full.
template <class Type>
__device__ __forceinline__ void multiply_items(const DecodeArgs& args, const DecodeTables& tables,
                                               const DecodeQueue& queue,
                                               const DecodePartials<Type::kRows>& partials,
                                               DecodeRing<Type>& ring) {
    constexpr bool kAhead = Type::kBlocks == 1;  // as registers allow
    DecodeX<Type> x;
    bool have_x = false;
    int place = 0;
    int unit = static_cast<int>(threadIdx.x / 32);  // relative to the item's first
#pragma unroll 1
    for (int number = 0;; ++number) {
        await_shared(queue.published, number + 1);
        const DecodeItem& item = queue.at(number);
        if (item.gemm == kNoGemm) break;
        const int units = item.units;
        const int part = unit;
        const DecodeScaleForm form = args.gemm[item.gemm].scale_form;
        const int unit_groups = args.gemm[item.gemm].unit_groups;
        DecodeSums<Type> total;
        total.clear();
#pragma unroll 1
        for (; unit < units; unit += kDecodeWarps) {
            if (!have_x) {
                await_shared(queue.ready, number + 1);
                load_x(args, tables, item, unit, x);
            }
            DecodeX<Type> next;
            if constexpr (kAhead) {
                have_x = load_x_ahead(args, tables, queue, number, unit + kDecodeWarps, next);
            }
            ring.wait();
            multiply_unit(form, unit_groups, ring.at(place), x, total);
            __syncwarp();  // all lanes are done with the unit
            ring.issue(place);
            place = (place + 1) % kDecodeDepth;
            if constexpr (kAhead) x = next;
        }
        partials.await_empty(number);
        if (part < units) {
            store_sums(total, item.rows,
                       partials.of(number) + part * DecodePartials<Type::kRows>::kWarpFloats);
        }
        partials.give(number);
        unit -= units;
    }
    ptx::cp_async_wait_group<0>();
}

}  // namespace mmoe::cuda
