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

// kWarpGroups: how many multiply; one more loads.
// kM64: wgmma instructions of 64 outputs that one warp group issues a step.
// kTokens: most slots of a tile. A tile multiplies as many as it has, rounded up to kFewestTokens
// or to kTokenStep more: each width is code of its own, and ptxas runs wgmma instructions one after
// the other where wide tiles have more than two. kFineGroups: groups are multiples of 32 inputs,
// else of 64.
template <int kWarpGroups_, int kM64_, int kTokens_, int kFewestTokens_, bool kFineGroups_>
struct PrefillShape {
    static constexpr int kWarpGroups = kWarpGroups_;
    static constexpr int kM64 = kM64_;
    static constexpr int kTokens = kTokens_;
    static constexpr int kFewestTokens = kFewestTokens_;
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
    static constexpr int kFewestTokens = Shape::kFewestTokens;
    static constexpr int kTokenStep = 32;
    static constexpr bool kFineGroups = Shape::kFineGroups;

    static constexpr int kThreads = 128 * (1 + Shape::kWarpGroups);
    static constexpr int kHiddenWarps = 3;
    static constexpr int kMultiplyWarps = 4 * Shape::kWarpGroups;
    static constexpr int kStrips = Shape::kWarpGroups * kM64;  // of one block
    static constexpr int kParts = kGated ? 2 : 1;
    static constexpr int kPartStrips = kStrips / kParts;
    static constexpr int kPartSlices = kM64 / kParts;  // of 16 outputs, of one warp

    static constexpr int kInputs = 128;  // of one stage
    static constexpr int kUnit = 64;     // of a row of x in shared memory
    static constexpr int kStages = kBits_ == 4 && kTokens <= 128 ? 4 : 3;
    static constexpr int kMostGroups = kFineGroups ? 4 : 2;  // that begin in one stage

    // Registers a thread, after the warp groups have shared them out anew.
    static constexpr int kLoadRegisters = Shape::kWarpGroups == 4 ? 64 : 56;
    static constexpr int kMultiplyRegisters = Shape::kWarpGroups == 4 ? 104 : 224;
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
    static constexpr int kWorkBytes = 32;

    static constexpr int kHidden = 0;  // [stages, 2 units, tokens, 64], 16-byte chunks swizzled
    static constexpr int kWeights = Tile::kStages * kHiddenStage;  // [stages, strips, 8] tiles
    static constexpr int kGroups = kWeights + Tile::kStages * kWeightStage;
    static constexpr int kStaging = kGroups + Tile::kStages * kGroupStage;
    static constexpr int kWork = kStaging + Tile::kMultiplyWarps * kStagingBytes;  // [stages]
    static constexpr int kClaims = kWork + Tile::kStages * kWorkBytes;             // [2]
    static constexpr int kSources = kClaims + 2 * kWorkBytes;  // [2, tokens] addresses
    static constexpr int kSourceBytes = Tile::kTokens * 8;
    static constexpr int kFull = kSources + 2 * kSourceBytes;  // [stages] barriers
    static constexpr int kEmpty = kFull + Tile::kStages * 8;
    static constexpr int kTotal = kEmpty + Tile::kStages * 8;

    static constexpr int64_t kPieceBytes = 64 * Tile::kStrips * Tile::kTokens * 4;  // fp32 sums
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
    __device__ __forceinline__ uint32_t work() const {
        return shared + Plan::kWork + Plan::kWorkBytes * stage;
    }
};

// What a block claims: an item, which is a block of outputs by a tile of slots, or a piece of one
// along K.
struct PrefillWork {
    int32_t expert;
    int32_t row, rows;  // first row and how many; none: the end of all work
    int32_t block;
    int32_t first_input, end_input;  // first_input is that of a stage
    int32_t piece, pieces;           // this one of all pieces of cut items; pieces of this item
};

__device__ __forceinline__ void write_work(uint32_t place, const PrefillWork& work) {
    ptx::st_shared_128(place, make_uint4(work.expert, work.row, work.rows, work.block));
    ptx::st_shared_128(place + 16,
                       make_uint4(work.first_input, work.end_input, work.piece, work.pieces));
}

__device__ __forceinline__ PrefillWork read_work(uint32_t place) {
    const uint4 low = ptx::ld_shared_128(place);
    const uint4 high = ptx::ld_shared_128(place + 16);
    return {static_cast<int32_t>(low.x),  static_cast<int32_t>(low.y),
            static_cast<int32_t>(low.z),  static_cast<int32_t>(low.w),
            static_cast<int32_t>(high.x), static_cast<int32_t>(high.y),
            static_cast<int32_t>(high.z), static_cast<int32_t>(high.w)};
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
