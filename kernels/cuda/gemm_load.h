// SPDX-License-Identifier: Apache-2.0
// Brings stages of weights and rows of x into a team's ring. The ring runs on over the borders of
// items: the first stages of the next one are under way while results leave.
#pragma once

#include <cstdint>

#include "cuda/gemm_tile.h"
#include "cuda/ptx/cp_async.h"
#include "cuda/ptx/shared.h"

namespace mmoe::cuda {

// Slots of stages; loading and use come to the same slot where an item ends.
template <class Tile>
class StageRing {
    using Plan = GemmPlan<Tile>;

  public:
    __device__ __forceinline__ explicit StageRing(uint32_t shared)
        : shared_(shared + team() * Plan::kRingBytes) {}

    // The slot's address; moves on.
    __device__ __forceinline__ uint32_t take_to_load() { return take(loaded_); }
    __device__ __forceinline__ uint32_t take_to_use() { return take(used_); }

  private:
    __device__ __forceinline__ uint32_t take(int& slot) {
        const uint32_t address = shared_ + slot * Plan::kStageBytes;
        slot = slot + 1 == Tile::kStages ? 0 : slot + 1;
        return address;
    }

    uint32_t shared_;
    int loaded_ = 0;
    int used_ = 0;
};

template <class Tile>
class Loader {
    using Plan = GemmPlan<Tile>;
    static constexpr int kRowChunks = Plan::kRowBytes / 16;
    static constexpr int kChunks = Plan::kHiddenBytes / 16;  // of x in one stage
    static constexpr int kHiddenLoads = (kChunks + Plan::kTeamThreads - 1) / Plan::kTeamThreads;
    static constexpr int kLoadTokens = Plan::kTeamThreads / kRowChunks;  // of one load
    static constexpr int kTileChunks = Plan::kTileBytes / 16;
    static constexpr int kStepChunks = Plan::kTiles * kTileChunks;
    static constexpr int kWeightLoads = Plan::kSteps * kStepChunks / Plan::kTeamThreads;
    // Tiles of a step that one thread copies from.
    static constexpr int kOwnTiles =
        kStepChunks > Plan::kTeamThreads ? kStepChunks / Plan::kTeamThreads : 1;

  public:
    __device__ __forceinline__ Loader(const GemmArgs& args, const Work& work)
        : inputs_(team_inputs<Tile>(args.matrix.inputs)), rows_(work.rows) {
        const auto* codes = static_cast<const uint8_t*>(args.matrix.codes) +
                            work.expert * args.matrix.expert_stride_bytes;
#pragma unroll
        for (int own = 0; own < kOwnTiles; ++own) {
            const int chunk = team_thread() + own * Plan::kTeamThreads;
            const int tile = chunk / kTileChunks % Plan::kTiles;
            tiles_[own] =
                codes + chunk % kTileChunks * 16 +
                matrix_tile<Tile>(args, work, tile / 2, tile % 2) * args.matrix.tile_stride_bytes;
        }
#pragma unroll
        for (int load = 0; load < kHiddenLoads; ++load) {
            const int token = team_thread() / kRowChunks + load * kLoadTokens;
            const int32_t row = work.row + min(token, work.rows - 1);
            const int32_t source =
                args.x_slots_per_row != 0 ? args.routing.row_slot[row] / args.x_slots_per_row : row;
            x_[load] = static_cast<const uint16_t*>(args.x) + source * args.x_stride;
        }
    }

    [[nodiscard]] __device__ __forceinline__ int stages() const {
        return (inputs_.end - inputs_.begin + Plan::kInputs - 1) / Plan::kInputs;
    }
    [[nodiscard]] __device__ __forceinline__ InputRange inputs() const {
        return inputs_;
    }

    // Enqueues one stage; past the end of the inputs, an empty one.
    __device__ __forceinline__ void load(const GemmArgs& args, StageRing<Tile>& ring,
                                         int stage) const {
        const int32_t first = inputs_.begin + stage * Plan::kInputs;
        if (first < inputs_.end) {
            const uint32_t slot = ring.take_to_load();
            load_hidden(args, first, slot);
            load_weights(args, first / 16, slot + Plan::kHiddenBytes);
        }
        ptx::cp_async_commit_group();
    }

  private:
    __device__ __forceinline__ void load_hidden(const GemmArgs& args, int32_t first,
                                                uint32_t destination) const {
        const int place = team_thread() % kRowChunks;
        const int32_t column = first + place * 8;
        const bool exists = column < args.x_columns;
#pragma unroll
        for (int load = 0; load < kHiddenLoads; ++load) {
            const int token = team_thread() / kRowChunks + load * kLoadTokens;
            if (kChunks % Plan::kTeamThreads != 0 && token >= Tile::kTokens) break;
            if (load > 0 && load * kLoadTokens >= rows_) break;  // no row there is wanted
            ptx::cp_async_16(destination + token * Plan::kRowBytes + (place ^ token % 8) * 16,
                             x_[load] + (exists ? column : 0), exists ? 16 : 0);
        }
    }

    // Chunks [steps, tiles, chunks of a tile].
    __device__ __forceinline__ void load_weights(const GemmArgs& args, int32_t first_step,
                                                 uint32_t destination) const {
#pragma unroll
        for (int load = 0; load < kWeightLoads; ++load) {
            const int chunk = team_thread() + load * Plan::kTeamThreads;
            const int32_t step = first_step + chunk / kStepChunks;
            if (step * 16 >= inputs_.end) break;
            ptx::cp_async_16(destination + chunk * 16,
                             tiles_[load % kOwnTiles] + step * args.matrix.tile_row_stride_bytes,
                             16);
        }
    }

    InputRange inputs_;
    int32_t rows_;
    const uint8_t* tiles_[kOwnTiles];
    const uint16_t* x_[kHiddenLoads];
};

}  // namespace mmoe::cuda
