// SPDX-License-Identifier: Apache-2.0
// Which block of the prefill kernel does what. Blocks claim items in their order, so that those
// under way at a time are neighbours and share what they read. Items that would leave blocks idle
// in the last round are cut along K: their pieces meet in memory (prefill_pieces.h).
//
// What is cut depends on routing and on the number of blocks, not on who claims what: the same
// inputs give the same bits.
#pragma once

#include "cuda/prefill_tile.h"
#include "cuda/ptx/sync.h"

namespace mmoe::cuda {

// What there is to claim: whole items first, then the pieces of the others.
struct PrefillSchedule {
    int32_t whole;
    int32_t pieces;  // of each item that is cut
    int32_t claims;  // in all
};

template <class Tile>
__device__ __forceinline__ PrefillSchedule plan_schedule(const GemmArgs& args) {
    constexpr int32_t kMostPieces = 8;   // of one item
    constexpr int32_t kPieceStages = 3;  // what it takes to write and to add a piece, in stages
    constexpr auto kPartials = static_cast<int32_t>(kPartialBytes / PrefillPlan<Tile>::kPieceBytes);
    const int32_t items = __ldcg(args.routing.tile_count) * args.block_columns;
    const auto blocks = static_cast<int32_t>(gridDim.x);
    const int32_t stages = (args.matrix.inputs + Tile::kInputs - 1) / Tile::kInputs;
    const int32_t rest = items % blocks;
    PrefillSchedule best = {items, 1, items};
    if (args.partials == nullptr || rest > ItemQueue::kMostCut) return best;
    int32_t best_stages = rest > 0 ? stages : 0;
    for (int32_t pieces = 2; pieces <= kMostPieces; ++pieces) {
        if (rest * pieces > kPartials || pieces * kPieceStages > stages) break;
        const int32_t rounds = (rest * pieces + blocks - 1) / blocks;
        const int32_t needed = rounds * ((stages + pieces - 1) / pieces + kPieceStages);
        if (needed >= best_stages) continue;
        best_stages = needed;
        best = {items - rest, pieces, items - rest + rest * pieces};
    }
    return best;
}

// Items of an expert are adjacent, its token tiles innermost: a block of weights is read from
// memory once and from the L2 cache by the other tiles. An expert's tiles are equally wide.
template <class Tile>
__device__ __forceinline__ PrefillWork locate_prefill(const GemmArgs& args,
                                                      const PrefillSchedule& schedule,
                                                      int32_t claim) {
    const Routing& routing = args.routing;
    PrefillWork work;
    work.piece = claim - schedule.whole;
    work.pieces = work.piece < 0 ? 1 : schedule.pieces;
    const int32_t item = work.piece < 0 ? claim : schedule.whole + work.piece / schedule.pieces;

    // By the second cache: a block may be here before the kernel that routed is known to have
    // ended.
    work.expert = __ldcg(routing.tile_expert + item / args.block_columns);
    const int32_t begin = __ldcg(routing.row_begin + work.expert);
    const int32_t count = __ldcg(routing.row_begin + work.expert + 1) - begin;
    const int32_t tiles = (count + Tile::kTokens - 1) / Tile::kTokens;
    const int32_t local = item - __ldcg(routing.first_tile + work.expert) * args.block_columns;
    const int32_t even = (count + tiles - 1) / tiles;
    const int32_t width = (even + 7) / 8 * 8;
    const int32_t first = local % tiles * width;
    work.row = begin + first;
    work.rows = min(count - first, width);
    work.block = local / tiles;

    work.first_input = 0;
    work.end_input = args.matrix.inputs;
    if (work.pieces > 1) {
        const int32_t stages = (args.matrix.inputs + Tile::kInputs - 1) / Tile::kInputs;
        const int32_t place = work.piece % schedule.pieces;
        work.first_input = stages * place / schedule.pieces * Tile::kInputs;
        work.end_input =
            min(stages * (place + 1) / schedule.pieces * Tile::kInputs, args.matrix.inputs);
    }
    return work;
}

// The claims of a block. One thread makes and locates them, and tells the other loading threads.
// The next claim is asked for when the one before is located: its answer is there when it is
// needed.
template <class Tile>
class Claims {
    using Plan = PrefillPlan<Tile>;
    static constexpr int kClaimer = 32 * Tile::kHiddenWarps;

  public:
    __device__ __forceinline__ Claims(const GemmArgs& args, uint32_t shared)
        : args_(args), place_(shared + Plan::kClaims), other_(place_ + Plan::kWorkBytes) {
        if (threadIdx.x != kClaimer) return;
        schedule_ = plan_schedule<Tile>(args);
        claimed_ = static_cast<int32_t>(blockIdx.x - gridDim.x);
    }

    // The place in shared memory of the next work. It stays until there has been another one.
    __device__ __forceinline__ uint32_t next() {
        if (threadIdx.x == kClaimer) {
            const auto claim = static_cast<int32_t>(gridDim.x) + claimed_;
            PrefillWork work = {};
            if (claim < schedule_.claims) {
                work = locate_prefill<Tile>(args_, schedule_, claim);
                claimed_ = atomicAdd(&args_.queue->claimed, 1);
            }
            write_work(place_, work);
        }
        ptx::bar_sync<1, 128>();
        const uint32_t place = place_;
        place_ = other_;
        other_ = place;
        return place;
    }

  private:
    const GemmArgs& args_;
    uint32_t place_, other_;
    PrefillSchedule schedule_;
    int32_t claimed_;
};

}  // namespace mmoe::cuda
