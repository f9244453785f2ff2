// SPDX-License-Identifier: Apache-2.0
// Where the pieces of an item meet. Each warp writes its sums to memory; the warp that comes last
// of all that hold the same rows and columns adds them up, in the order of the pieces.
#pragma once

#include "cuda/prefill_multiply.h"

namespace mmoe::cuda {

// [pieces, warps, quads, lanes] float4
template <class Tile>
__device__ __forceinline__ float4* piece_sums(const GemmArgs& args, int32_t piece) {
    constexpr int64_t kPieceQuads = PrefillPlan<Tile>::kPieceBytes / sizeof(float4);
    constexpr int64_t kWarpQuads = kPieceQuads / Tile::kMultiplyWarps;
    return reinterpret_cast<float4*>(args.partials) + piece * kPieceQuads +
           (threadIdx.x / 32 - 4) * kWarpQuads + threadIdx.x % 32;
}

// This warp has written its sums of `work`. Whether it was the last one.
template <class Tile>
__device__ __forceinline__ bool arrive_last(const GemmArgs& args, const PrefillWork& work) {
    static_assert(Tile::kMultiplyWarps <= ItemQueue::kMostWarps);
    const int item = work.piece / work.pieces;
    const int counter = item * Tile::kMultiplyWarps + threadIdx.x / 32 - 4;
    int32_t before = 0;
    __threadfence();
    __syncwarp();
    if (threadIdx.x % 32 == 0) before = atomicAdd(&args.queue->arrived[counter], 1);
    before = __shfl_sync(0xFFFFFFFF, before, 0);
    __threadfence();
    return before == work.pieces - 1;
}

// Whether `sums` are those of the whole item now, so that this warp stores them.
template <class Tile, int kN>
__device__ __forceinline__ bool meet_pieces(const GemmArgs& args, const PrefillWork& work,
                                            PrefillSums<Tile, kN>& sums) {
    if (work.pieces == 1) return true;
    constexpr int kQuads = kN / 8;  // of one m64 block
    float4* own = piece_sums<Tile>(args, work.piece);
#pragma unroll
    for (int m = 0; m < Tile::kM64; ++m) {
#pragma unroll
        for (int i = 0; i < kQuads; ++i) {
            const float* four = &sums.at[m][4 * i];
            own[32 * (m * kQuads + i)] = make_float4(four[0], four[1], four[2], four[3]);
        }
    }
    if (!arrive_last<Tile>(args, work)) return false;
    sums.clear();
    const int32_t first = work.piece / work.pieces * work.pieces;
#pragma unroll 1
    for (int32_t piece = first; piece < first + work.pieces; ++piece) {
        const float4* other = piece_sums<Tile>(args, piece);
#pragma unroll
        for (int m = 0; m < Tile::kM64; ++m) {
#pragma unroll
            for (int i = 0; i < kQuads; ++i) {
                const float4 four = __ldcg(other + 32 * (m * kQuads + i));
                sums.at[m][4 * i] += four.x;
                sums.at[m][4 * i + 1] += four.y;
                sums.at[m][4 * i + 2] += four.z;
                sums.at[m][4 * i + 3] += four.w;
            }
        }
    }
    return true;
}

}  // namespace mmoe::cuda
