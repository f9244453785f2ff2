// SPDX-License-Identifier: Apache-2.0
// The kernel for one token: what decode_one.h describes, step by step.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/decode_one.h"
#include "cuda/decode_one_finish.h"
#include "cuda/decode_one_multiply.h"
#include "cuda/decode_one_stream.h"

namespace mmoe::cuda {

// x of the units that a warp brings to shared memory.
struct OneHidden {
    static constexpr int kUnits = kOneMostInputs / kOneUnitInputs / kOneWarps;
    uint2 pairs[kUnits];

    __device__ __forceinline__ explicit OneHidden(const DecodeArgs& args) {
        const int lane = threadIdx.x % 32;
#pragma unroll
        for (int i = 0; i < kUnits; ++i) {
            const int unit = static_cast<int>(threadIdx.x / 32) + i * kOneWarps;
            const int k =
                unit * kOneUnitInputs + lane / 16 * 64 + lane % 4 * 16 + lane % 16 / 4 * 2;
            const auto* from =
                reinterpret_cast<const uint32_t*>(static_cast<const uint16_t*>(args.x) + k);
            pairs[i].x = k < args.x_columns ? __ldg(from) : 0;
            pairs[i].y = k + 8 < args.x_columns ? __ldg(from + 4) : 0;
        }
    }
    template <class Number>
    __device__ __forceinline__ void put(const OneMiddle& x, int units) const {
#pragma unroll
        for (int i = 0; i < kUnits; ++i) {
            const int unit = static_cast<int>(threadIdx.x / 32) + i * kOneWarps;
            if (unit < units) x.put<Number>(unit, pairs[i]);
        }
    }
};

// Where a warp's share of a run is.
struct OneRun {
    OneMiddle x[2];  // operands of both GEMMs
    OneScratch scratch;
    uint32_t spare;    // a unit in shared memory, beside the ring
    uint32_t* middle;  // the intermediate in global memory
};

// All items of GEMM 1, by one warp alone, as blocks would compute them.
template <class Type>
__device__ __noinline__ void help_out(const DecodeArgs& args, const OneRun run) {
    const OneSlots slots(args);
    const OneWork work(args, slots);
    const DecodeScaleForm form = args.gemm[0].scale_form;
    const int halves = args.gated ? 2 : 1;
    OneSource<Type> source;
#pragma unroll 1
    for (OneItem item = {0, 0}; item.slot < work.slots; ++item.strip, item.settle(work)) {
        const OneLane lane(form, item.strip % kOneParts);
        float sums[2] = {0.0F, 0.0F};  // of even warps, of odd ones
#pragma unroll 1
        for (int warp = 0; warp < kOneWarps; ++warp) {
            source.point(args.gemm[0], item.strip, work.tile_of(warp % halves));
            source.take(slots.expert_of(item.slot));
            float own = 0.0F;
#pragma unroll 1
            for (int unit = warp / halves; unit < work.units[0]; unit += work.step) {
                source.copy(unit, run.spare);
                ptx::cp_async_commit_group();
                ptx::cp_async_wait_group<0>();
                __syncwarp();
                own += multiply_unit<Type>(form, lane, run.spare, run.x[0].at(unit), run.scratch,
                                           [] {});
                __syncwarp();
            }
            own += __shfl_xor_sync(kAllLanes, own, 16);
            const float before = warp % 2 == 0 ? sums[0] : sums[1];
            (warp % 2 == 0 ? sums[0] : sums[1]) = warp < 2 ? own : before + own;
        }
        float sum = threadIdx.x % 32 < 16 ? sums[0] : sums[1];
        if (!args.gated) sum += __shfl_xor_sync(kAllLanes, sum, 16);
        store_middle<typename Type::Number>(args, slots, item, sum, run.middle);
    }
}

// The intermediate that this warp multiplies, as soon as it is there.
template <class Type>
__device__ __forceinline__ void take_middle(const DecodeArgs& args, const OneWork& work,
                                            const OneRun& run) {
    constexpr int kAtOnce = 4;
    constexpr int kPatience = 1000;  // tries, of a microsecond about, before it helps
    const int lane = threadIdx.x % 32;
    const int units = work.slots * work.units[1];
    const auto slot_words = static_cast<int32_t>(args.intermediate_stride / 2);
    const uint32_t factor = args.gemm[1].unit_factor;
#pragma unroll 1
    for (int first = threadIdx.x / 32; first < units; first += kAtOnce * kOneWarps) {
        const uint32_t* from[kAtOnce];
        uint2 pairs[kAtOnce];
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) {
            const int unit = min(first + i * kOneWarps, units - 1);
            const auto slot = static_cast<int>(quotient(static_cast<uint32_t>(unit), factor));
            from[i] =
                run.middle + slot * slot_words + (unit - slot * work.units[1]) * 64 + 2 * lane;
        }
#pragma unroll 1
        for (int tries = 0;; ++tries) {
            bool there = true;
#pragma unroll
            for (int i = 0; i < kAtOnce; ++i) pairs[i] = ptx::ld_relaxed_gpu_64(from[i]);
#pragma unroll
            for (int i = 0; i < kAtOnce; ++i) there &= pairs[i].x != 0 && pairs[i].y != 0;
            if (__all_sync(kAllLanes, there)) break;
            if (tries >= kPatience) help_out<Type>(args, run);
        }
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) {
            const int unit = first + i * kOneWarps;
            if (unit >= units) break;
            run.x[1].template put<typename Type::Number>(unit, {~pairs[i].x, ~pairs[i].y});
        }
    }
    __syncwarp();
}

template <class Type>
__device__ __forceinline__ void multiply_first(const DecodeArgs& args, const OneSlots& slots,
                                               const OneWork& work, const OneRun& run,
                                               OneStream<Type>& stream, OneSum& total) {
    const DecodeScaleForm form = args.gemm[0].scale_form;
    OneItem item = {0, static_cast<int>(blockIdx.x)};
#pragma unroll 1
    for (item.settle(work); item.slot < work.slots; item.settle(work)) {
        const OneLane lane(form, item.strip % kOneParts);
        float sum = 0.0F;
#pragma unroll 1
        for (int unit = work.first; unit < work.units[0]; unit += work.step) {
            const uint32_t codes = stream.wait();
            sum += multiply_unit<Type>(form, lane, codes, run.x[0].at(unit), run.scratch,
                                       [&] { stream.ask(); });
        }
        if (total.add(sum)) {
            if (!args.gated) sum += __shfl_xor_sync(kAllLanes, sum, 16);
            store_middle<typename Type::Number>(args, slots, item, sum, run.middle);
        }
        item.strip += static_cast<int>(gridDim.x);
    }
}

template <class Type>
__device__ __forceinline__ void multiply_second(const DecodeArgs& args, const OneSlots& slots,
                                                const OneWork& work, const OneRun& run,
                                                OneStream<Type>& stream, OneSum& total) {
    const DecodeScaleForm form = args.gemm[1].scale_form;
    const uint32_t factor = args.gemm[1].unit_factor;
    OneStrip item = {0, static_cast<int>(blockIdx.x)};
#pragma unroll 1
    for (item.settle(work); item.split < work.splits; item.settle(work)) {
        const int end = work.end(item.split) * work.units[1];
        int unit = work.begin(item.split) * work.units[1] + static_cast<int>(threadIdx.x / 32);
        const OneLane lane(form, item.strip % kOneParts);
        float sum = 0.0F;
#pragma unroll 1
        for (; unit < end; unit += kOneWarps) {
            const auto slot = static_cast<int>(quotient(static_cast<uint32_t>(unit), factor));
            const float weight = slots.weight_of(slot);
            const uint32_t codes = stream.wait();
            const float part = multiply_unit<Type>(form, lane, codes, run.x[1].at(unit),
                                                   run.scratch, [&] { stream.ask(); });
            sum = fmaf(args.router_weight_on_input ? 1.0F : weight, part, sum);
        }
        if (total.add(sum)) {
            sum += __shfl_xor_sync(kAllLanes, sum, 16);
            store_outputs(args, slots, work, item, sum);
        }
        item.strip += static_cast<int>(gridDim.x);
    }
}

// Clears the buffer that the next run will use.
__device__ __forceinline__ void clear_words(DecodeOneState& state, int run, int dirty) {
#pragma unroll 1
    for (int i = static_cast<int>(blockIdx.x * kOneThreads + threadIdx.x); i < dirty;
         i += static_cast<int>(gridDim.x * kOneThreads)) {
        state.words[~run & 1][i] = 0;
    }
}

// One thread a block, when the block has read the state: the last block moves it on.
__device__ __forceinline__ void leave(DecodeOneState& state, int run, int words) {
    __threadfence();
    if (atomicAdd(&state.arrived, 1) != static_cast<int32_t>(gridDim.x) - 1) return;
    state.arrived = 0;
    state.used[~run & 1] = 0;
    state.used[run & 1] = words;
    state.run = run + 1;
}

template <class Type>
__global__ void __launch_bounds__(kOneThreads, 1)
    moe_decode_one(const __grid_constant__ DecodeArgs args) {
#if __CUDA_ARCH__ >= 900  // whose processors have the shared memory
    using Plan = OnePlan<Type>;
    extern __shared__ __align__(128) uint8_t dynamic[];
    const int warp = threadIdx.x / 32;
    const OneHidden hidden(args);
    const int number = __ldcg(&args.one->run);
    const int dirty = __ldcg(&args.one->used[~number & 1]);
    const OneSlots slots(args);
    const OneWork work(args, slots);
    const uint32_t ring =
        ptx::shared_address(dynamic + Plan::kRing) + warp * (kOneDepth + 1) * Type::kUnitBytes;
    OneStream<Type> stream(args, slots, work, ring);
    const OneRun run = {
        {{reinterpret_cast<uint32_t*>(dynamic + Plan::kX),
          reinterpret_cast<float*>(dynamic + Plan::kXSums)},
         {reinterpret_cast<uint32_t*>(dynamic + Plan::kMiddle),
          reinterpret_cast<float*>(dynamic + Plan::kMiddleSums)}},
        {reinterpret_cast<float*>(dynamic + Plan::kGroupSums) + warp * Plan::kGroupFloats},
        ring + kOneDepth * Type::kUnitBytes,
        args.one->words[number & 1]};
    OneSum total = {reinterpret_cast<float*>(dynamic + Plan::kPartials)};
    hidden.put<typename Type::Number>(run.x[0], work.units[0]);
    __syncthreads();
    multiply_first(args, slots, work, run, stream, total);
    clear_words(*args.one, number, dirty);
    // Not the warp that is storing the last item.
    if (threadIdx.x == static_cast<unsigned>((total.number + 8) % kOneWarps * 32)) {
        leave(*args.one, number, work.slots * static_cast<int32_t>(args.intermediate_stride / 2));
    }
    take_middle<Type>(args, work, run);
    if (work.splits > 1) __syncthreads();  // another warp may have what this one multiplies
    multiply_second(args, slots, work, run, stream, total);
    ptx::cp_async_wait_group<0>();
#endif
}

}  // namespace mmoe::cuda
