// SPDX-License-Identifier: Apache-2.0
// What the parts of the prefill kernel share: sizes, shared memory, the ring of stages, the
// schedule. A strip is 64 outputs by all of K, one column of Marlin tiles; a block of outputs is
// several strips, half of them gate and half of them up where the layer is gated.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/dequant/scaled_weight.h"
#include "cuda/gemm_args.h"
#include "cuda/ptx/mbarrier.h"

namespace mmoe::cuda {

// kM64: wgmma instructions of 64 outputs that one warp group issues a step.
// kTokens: most slots of a tile; a tile multiplies its own count, rounded up to kTokenStep.
// kFineGroups: groups are multiples of 32 inputs, else of 64.
template <int kM64_, int kTokens_, int kTokenStep_, bool kFineGroups_>
struct PrefillShape {
    static constexpr int kM64 = kM64_;
    static constexpr int kTokens = kTokens_;
    static constexpr int kTokenStep = kTokenStep_;
    static constexpr bool kFineGroups = kFineGroups_;
};

template <class Number_, int kBits_, class Shape, bool kGated_>
struct PrefillTile {
    using Number = Number_;
    using Weight = ScaledWeight<Number, kBits_>;

    static constexpr int kBits = kBits_;
    static constexpr bool kGated = kGated_;
    static constexpr int kM64 = Shape::kM64;
    static constexpr int kTokens = Shape::kTokens;
    static constexpr int kTokenStep = Shape::kTokenStep;
    static constexpr bool kFineGroups = Shape::kFineGroups;

    static constexpr int kThreads = 384;  // one warp group loads, two multiply
    static constexpr int kHiddenWarps = 3;
    static constexpr int kMultiplyWarps = 8;
    static constexpr int kStrips = 2 * kM64;  // of one block
    static constexpr int kParts = kGated ? 2 : 1;
    static constexpr int kPartStrips = kStrips / kParts;
    static constexpr int kPartSlices = kM64 / kParts;  // of 16 outputs, of one warp

    static constexpr int kInputs = 128;  // of one stage
    static constexpr int kUnit = 64;     // inputs between two looks at barriers and groups
    static constexpr int kStages = kBits_ == 4 ? 4 : 3;
    static constexpr int kMostGroups = kFineGroups ? 4 : 2;  // that begin in one stage

    // Registers a thread, after the warp groups have shared them out anew.
    static constexpr int kLoadRegisters = 56;
    static constexpr int kMultiplyRegisters = 224;
};

// Byte offsets in shared memory.
template <class Tile>
struct PrefillPlan {
    static constexpr int kRowBytes = 2 * Tile::kUnit;
    static constexpr int kUnitBytes = Tile::kTokens * kRowBytes;
    static constexpr int kHiddenStage = 2 * kUnitBytes;
    static constexpr int kStripBytes = Tile::kInputs / 16 * Tile::Weight::kTileBytes;
    static constexpr int kWeightStage = Tile::kStrips * kStripBytes;
    static constexpr int kScaleBytes = 64 * 2;  // of one strip and group
    static constexpr int kZeroBytes = 64 * Tile::kBits / 8;
    static constexpr int kStripGroupBytes = kScaleBytes + kZeroBytes;
    static constexpr int kGroupBytes = Tile::kStrips * kStripGroupBytes;
    static constexpr int kGroupStage = Tile::kMostGroups * kGroupBytes;
    static constexpr int kStagingBytes = 1024;  // of one warp

    static constexpr int kHidden = 0;  // [stages, 2 units, tokens, 64], 16-byte chunks swizzled
    static constexpr int kWeights = Tile::kStages * kHiddenStage;  // [stages, strips, 8] tiles
    static constexpr int kGroups = kWeights + Tile::kStages * kWeightStage;
    static constexpr int kStaging = kGroups + Tile::kStages * kGroupStage;
    static constexpr int kWork = kStaging + Tile::kMultiplyWarps * kStagingBytes;  // [stages]
    static constexpr int kSources = kWork + Tile::kStages * 16;  // [tokens] addresses
    static constexpr int kFull = kSources + Tile::kTokens * 8;   // [stages] barriers
    static constexpr int kEmpty = kFull + Tile::kStages * 8;
    static constexpr int kTotal = kEmpty + Tile::kStages * 8;
};

// A place in the ring of stages.
template <class Tile>
struct Ring {
    using Plan = PrefillPlan<Tile>;

    uint32_t shared;  // address of the plan's begin
    int stage = 0;
    uint32_t round = 0;  // parity of how often the ring has been passed

    __device__ __forceinline__ void advance() {
        if (++stage == Tile::kStages) {
            stage = 0;
            round ^= 1;
        }
    }
    __device__ __forceinline__ uint32_t full() const { return shared + Plan::kFull + 8 * stage; }
    __device__ __forceinline__ uint32_t empty() const { return shared + Plan::kEmpty + 8 * stage; }
    __device__ __forceinline__ uint32_t hidden() const {
        return shared + Plan::kHidden + stage * Plan::kHiddenStage;
    }
    __device__ __forceinline__ uint32_t weights() const {
        return shared + Plan::kWeights + stage * Plan::kWeightStage;
    }
    __device__ __forceinline__ uint32_t groups() const {
        return shared + Plan::kGroups + stage * Plan::kGroupStage;
    }
    __device__ __forceinline__ uint32_t work() const { return shared + Plan::kWork + 16 * stage; }
};

// One item: a block of outputs by a tile of slots.
struct PrefillWork {
    int32_t expert;
    int32_t row, rows;  // first row and how many
    int32_t block;
};

// Items of an expert are adjacent, its token tiles innermost: a block of weights is read from
// memory once and from the L2 cache by the other tiles. An expert's tiles are equally wide.
template <class Tile>
__device__ __forceinline__ PrefillWork locate_prefill(const GemmArgs& args, int32_t item) {
    const Routing& routing = args.routing;
    const int32_t expert = routing.tile_expert[item / args.block_columns];
    const int32_t begin = routing.row_begin[expert];
    const int32_t count = routing.row_begin[expert + 1] - begin;
    const int32_t tiles = (count + Tile::kTokens - 1) / Tile::kTokens;
    const int32_t local = item - routing.first_tile[expert] * args.block_columns;
    const int32_t even = (count + tiles - 1) / tiles;
    const int32_t width = (even + Tile::kTokenStep - 1) / Tile::kTokenStep * Tile::kTokenStep;
    const int32_t first = local % tiles * width;
    return {expert, begin + first, min(count - first, width), local / tiles};
}

// The n64 tile that stands in strip `strip` of a block; past the end, the last one there is.
template <class Tile>
__device__ __forceinline__ int32_t strip_tile(const GemmArgs& args, int32_t block, int strip) {
    const int32_t part_tiles = args.matrix.outputs / 64 / Tile::kParts;
    const int part = strip / Tile::kPartStrips;
    const int32_t inside = block * Tile::kPartStrips + strip % Tile::kPartStrips;
    return part * part_tiles + min(inside, part_tiles - 1);
}

}  // namespace mmoe::cuda
