// SPDX-License-Identifier: Apache-2.0
// The decode family for one token: the whole layer in one launch, by blocks that own whole columns.
//
// An item is 16 outputs (of GEMM 1: 16 gates and their 16 ups) over all of K, in GEMM 2 over all
// chosen experts as well. One block computes it alone, so that no sums travel between blocks and
// the only exchange is the intermediate. Items are dealt out in turn: one token gives every block
// the same work. In order of work, every block
//   asks for its first weights, then for x                              decode_one_stream.h
//   multiplies, each warp its units of an item                          decode_one_multiply.h
//   adds up the warps, stores the intermediate                          decode_one_finish.h
//   takes the intermediate as it comes, multiplies it, stores outputs   decode_one_kernel.h
//
// Weights of GEMM 2 are under way while the last items of GEMM 1 are computed.
//
// The 16 outputs are a quarter of an n64 tile: n % 8 is 2 * part or 2 * part + 1, which is 128
// contiguous bytes of a Marlin tile, what 8 of an MMA's lanes hold. A warp takes four tiles along K
// at once, so the A operand's rows are (tile, n % 2) and each row's sum stands in the column of B
// that holds its own tile's x. The other columns are never looked at.
//
// The intermediate's words say themselves whether they are there: 0 is "not yet". A block that
// waits in vain computes what it misses itself, to the same bits: the kernel ends however many
// blocks run at a time. Buffers alternate from run to run; a run clears the other one.
#pragma once

#include <cstdint>

#include "cuda/decode.h"
#include "cuda/dequant/biased.h"
#include "cuda/number.h"

namespace mmoe::cuda {

constexpr int kOneWarps = 16;
constexpr int kOneThreads = 32 * kOneWarps;
constexpr int kOneDepth = 3;         // units of a warp's ring: 48 KB a block fill the memory's pipe
constexpr int kOneUnitInputs = 128;  // of a unit
constexpr int kOneColumns = 16;      // of an item
constexpr int kOneParts = 64 / kOneColumns;
constexpr int kOneMostSlots = 32;            // a lane each
constexpr int kOneMostInputs = 4096;         // of GEMM 1; from there on wider items are faster
constexpr int kOneMostOutputs = 16384;       // of GEMM 2
constexpr int kOneMostIntermediate = 32768;  // of all slots together

// kGroups: scales of an output in one unit.
template <class Number_, int kGroups_>
struct OneType {
    using Number = Number_;
    using Codes = Biased<Number, 4>;
    static constexpr int kGroups = kGroups_;
    static_assert(kGroups == 1 || kGroups == 4, "one of 128 inputs, or one a quarter");
    static constexpr int kCodeBytes = kOneUnitInputs * kOneColumns / 2;
    static constexpr int kScaleBytes = 2 * kOneColumns;  // of one group
    static constexpr int kZeroBytes = kOneColumns;  // with those of a neighbouring item: 16 bytes
    static constexpr int kZeroOffset = kCodeBytes + kGroups * kScaleBytes;
    static constexpr int kUnitBytes = (kZeroOffset + kGroups * kZeroBytes + 15) / 16 * 16;
};

// Shared memory, byte offsets.
template <class Type>
struct OnePlan {
    static constexpr int kRing = 0;  // [warps, depth] units, then one more a warp
    static constexpr int kX = kRing + kOneWarps * (kOneDepth + 1) * Type::kUnitBytes;
    static constexpr int kXSums = kX + 2 * kOneMostInputs;  // [inputs / 32] float
    static constexpr int kMiddle = kXSums + kOneMostInputs / 8;
    static constexpr int kMiddleSums = kMiddle + 2 * kOneMostIntermediate;
    static constexpr int kGroupSums = kMiddleSums + kOneMostIntermediate / 8;
    static constexpr int kGroupFloats = 2 * 64;  // of a warp
    static constexpr int kPartials = kGroupSums + kOneWarps * kGroupFloats * 4;
    static constexpr int kPartialFloats = kOneWarps * kOneColumns;
    static constexpr int kTotal = kPartials + 2 * kPartialFloats * 4;
};

// What runs leave to each other; zero at first.
struct DecodeOneState {
    static constexpr int kWords = kOneMostIntermediate / 2;
    int32_t run;      // its lowest bit is the buffer in use
    int32_t arrived;  // blocks that have read `run` and `used`
    int32_t used[2];  // words of the buffers that are not clear
    uint32_t words[2][kWords];
    uint32_t sums[kOneMostOutputs];  // of the half of an output that came first, as words
};

// Where output v of an item stands in its n64 tile, 0 <= v < 16: rows of the MMA's A operand for
// one tile along K, as scales lie in the grouped order.
[[nodiscard]] constexpr int one_column(int part, int v) noexcept {
    return 8 * (v % 8) + 2 * part + v / 8;
}

// Inputs of 64 lie so that a lane's B operands of a step, pairs (k, k + 1) and (k + 8, k + 9) of
// tile `t` of four, are neighbours: word of the pair that begins at input k.
[[nodiscard]] constexpr int one_word(int k) noexcept {
    return k % 8 / 2 * 8 + k / 16 * 2 + k % 16 / 8;
}

}  // namespace mmoe::cuda
