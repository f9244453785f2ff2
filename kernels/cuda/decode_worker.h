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
// yet, unless `wait`.
template <class Type>
__device__ __forceinline__ bool load_unit_x(const DecodeArgs& args, const DecodeTables& tables,
                                            const DecodeQueue& queue, int number, int unit,
                                            bool wait, DecodeX<Type>& x) {
#pragma unroll 1
    for (;; ++number) {
        if (read_shared(queue.published) <= number || queue.at(number).gemm == kNoGemm) {
            return false;
        }
        if (unit < queue.at(number).units) break;
        unit -= queue.at(number).units;
    }
    if (wait) {
        await_shared(queue.ready, number + 1);
    } else if (read_shared(queue.ready) <= number) {
        return false;
    }
    load_x(args, tables, queue.at(number), unit, x);
    return true;
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

// All items of this block. The first copies are on their way before the rows are known.
template <class Type>
__device__ __forceinline__ void multiply_items(const DecodeArgs& args, const DecodeRouter& router,
                                               DecodeTables& tables, const DecodeQueue& queue,
                                               const DecodePartials<Type::kRows>& partials,
                                               DecodeRing<Type>& ring) {
    DecodeX<Type> x;
    DecodeX<Type> next;
    bool have_x = false;
    bool have_rows = false;
    int unit = static_cast<int>(threadIdx.x / 32);  // relative to the item's first
#pragma unroll 1
    for (int number = 0;; ++number) {
        await_shared(queue.published, number + 1);
        const DecodeItem& item = queue.at(number);
        const int units = item.units;  // none beyond the last item
        const int part = unit;
        const DecodeGemm& gemm = args.gemm[item.gemm == 0 ? 0 : 1];
        const DecodeScaleForm form = gemm.scale_form;
        const int unit_groups = gemm.unit_groups;
        DecodeSums<Type> total;
        total.clear();
        ring.fill();
        if (!have_rows) {
            router.write_rows(tables);
            sync_workers();  // the rows are there, and the router's scratch is free
            have_rows = true;
        }
#pragma unroll 1
        for (; unit < units; unit += kDecodeWarps) {
#pragma unroll 1
            for (bool had_x = false; !had_x;) {  // this unit's, if need be, then the next one's
                had_x = have_x;
                have_x = load_unit_x(args, tables, queue, number,
                                     had_x ? unit + kDecodeWarps : unit, !had_x, next);
                if (!had_x) x = next;
            }
            ring.wait();
            ring.fill();
            multiply_unit(form, unit_groups, ring.arrived(), x, total);
            __syncwarp();  // all lanes are done with the unit
            x = next;
        }
        if (item.gemm == kNoGemm) break;
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
