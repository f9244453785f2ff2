// SPDX-License-Identifier: Apache-2.0
// The multiplying warp groups of the prefill kernel. While the tensor cores work on one step of 16
// inputs, the warps turn the codes of the next step into fragments; two sets of fragments take
// turns, and words are read from shared memory two steps before they are converted.
#pragma once

#include <type_traits>

#include "cuda/prefill_tile.h"
#include "cuda/ptx/wgmma.h"

namespace mmoe::cuda {

// fp32 sums of a lane: [m64 block, N / 2].
template <class Tile, int kN>
struct PrefillSums {
    float at[Tile::kM64][kN / 2];

    // Also tells the compiler that nothing is kept from item to item.
    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int m = 0; m < Tile::kM64; ++m) {
#pragma unroll
            for (int i = 0; i < kN / 2; ++i) at[m][i] = 0.0F;
        }
    }
};

// A lane's scales and zero points of one group as they come: pairs (row g, row g + 8) of the
// slices, and the words that hold the zero points of one slice (8 bits: of two) of each part.
template <class Tile>
struct GroupWords {
    static constexpr int kZeroSlices = Tile::kBits == 4 ? 4 : 2;  // slices of one word
    static constexpr int kPartZeros = (Tile::kPartSlices + kZeroSlices - 1) / kZeroSlices;

    uint32_t scales[Tile::kM64];
    uint32_t zeros[Tile::kParts * kPartZeros];
};

// What a lane reads of a stage. A warp owns `kPartSlices` neighbouring slices of 16 outputs in each
// part; they are its 16 rows of as many m64 blocks.
template <class Tile>
class StageReader {
    using Weight = typename Tile::Weight;
    using Plan = PrefillPlan<Tile>;
    using Raw = typename Weight::Raw;
    static constexpr int kZeroSlices = GroupWords<Tile>::kZeroSlices;
    static constexpr int kPartZeros = GroupWords<Tile>::kPartZeros;

  public:
    __device__ __forceinline__ explicit StageReader(const GemmArgs& args) : args_(args) {
        const int warp = threadIdx.x / 32 - 4;
        strip_ = warp * Tile::kPartSlices / 4;
        slice_ = warp * Tile::kPartSlices % 4;
        weights_ = strip_ * Plan::kStripBytes + threadIdx.x % 32 * Weight::kLaneBytes +
                   slice_ * Weight::kSliceBytes;
    }

    // Words of one step, 0 to 7, of a stage.
    __device__ __forceinline__ void words(uint32_t stage_weights, int step,
                                          Raw (&raw)[Tile::kM64]) const {
        const uint32_t address = stage_weights + weights_ + step * Weight::kTileBytes;
#pragma unroll
        for (int part = 0; part < Tile::kParts; ++part) {
            load_slices<Tile::kPartSlices>(address + part * Tile::kPartStrips * Plan::kStripBytes,
                                           &raw[part * Tile::kPartSlices]);
        }
    }

    // Scales and zero points of the group at `place`, as they are.
    __device__ __forceinline__ void group_words(uint32_t place, GroupWords<Tile>& words) const {
        const bool grouped = args_.matrix.scale_order == layout::MarlinScaleOrder::kGrouped;
#pragma unroll
        for (int part = 0; part < Tile::kParts; ++part) {
            const uint32_t base =
                place + (part * Tile::kPartStrips + strip_) * Plan::kStripGroupBytes;
            uint32_t* scales = &words.scales[part * Tile::kPartSlices];
            if (grouped) {  // the pairs of neighbouring slices are neighbours
                load_slices<Tile::kPartSlices>(base + 16 * group_row() + 4 * slice_, scales);
            } else {
                for (int i = 0; i < Tile::kPartSlices; ++i) scales[i] = single_pair(base, i);
            }
            if (args_.matrix.zero_points == nullptr) continue;
#pragma unroll
            for (int i = 0; i < kPartZeros; ++i) {
                const int word = Weight::zero_point_word(group_row(), slice_ + kZeroSlices * i);
                words.zeros[part * kPartZeros + i] =
                    ptx::ld_shared_32(base + Plan::kScaleBytes + 4 * word);
            }
        }
    }

    __device__ __forceinline__ void make_groups(const GroupWords<Tile>& words,
                                                ScaledGroup (&groups)[Tile::kM64]) const {
        const bool symmetric = args_.matrix.zero_points == nullptr;
#pragma unroll
        for (int m = 0; m < Tile::kM64; ++m) {
            const int i = m % Tile::kPartSlices;
            const uint32_t word = words.zeros[m / Tile::kPartSlices * kPartZeros + i / kZeroSlices];
            const uint32_t zeros = Weight::zero_point_pair(word, slice_ + i);
            groups[m] = Weight::group(symmetric ? Weight::kSymmetric : zeros, words.scales[m]);
        }
    }

  private:
    template <int kCount>
    static __device__ __forceinline__ void load_slices(uint32_t address, uint32_t* raw) {
        if constexpr (kCount == 1) {
            raw[0] = ptx::ld_shared_32(address);
        } else if constexpr (kCount == 2) {
            const uint2 both = ptx::ld_shared_64(address);
            raw[0] = both.x;
            raw[1] = both.y;
        } else {
            const uint4 four = ptx::ld_shared_128(address);
            raw[0] = four.x;
            raw[1] = four.y;
            raw[2] = four.z;
            raw[3] = four.w;
        }
    }
    template <int kCount>
    static __device__ __forceinline__ void load_slices(uint32_t address, uint2* raw) {
        if constexpr (kCount == 1) {
            raw[0] = ptx::ld_shared_64(address);
        } else {
#pragma unroll
            for (int i = 0; i < kCount; i += 2) {
                const uint4 two = ptx::ld_shared_128(address + 8 * i);
                raw[i] = make_uint2(two.x, two.y);
                raw[i + 1] = make_uint2(two.z, two.w);
            }
        }
    }

    // Rows g and g + 8 of a slice in the single order.
    __device__ __forceinline__ uint32_t single_pair(uint32_t base, int slice) const {
        const int n = 16 * (slice_ + slice) + group_row();
        const auto order = layout::MarlinScaleOrder::kSingle;
        const auto place = static_cast<uint32_t>(layout::marlin_scale_place(n, order));
        return ptx::ld_shared_16(base + 2 * place) | ptx::ld_shared_16(base + 2 * place + 4) << 16;
    }
    static __device__ __forceinline__ int group_row() {
        return threadIdx.x % 32 / 4;
    }

    const GemmArgs& args_;
    int strip_;         // of each part
    int slice_;         // in the strip: the first one
    uint32_t weights_;  // byte in a stage's weights
};

// One MMA step of all m64 blocks, enqueued.
template <class Tile, int kN>
__device__ __forceinline__ void issue_step(PrefillSums<Tile, kN>& sums,
                                           const uint32_t (&fragments)[Tile::kM64][4],
                                           uint64_t hidden) {
    ptx::wgmma_fence();
#pragma unroll
    for (int m = 0; m < Tile::kM64; ++m) {
        if constexpr (std::is_same_v<typename Tile::Number, Bf16>) {
            ptx::Wgmma<kN>::bf16(sums.at[m], fragments[m], hidden);
        } else {
            ptx::Wgmma<kN>::f16(sums.at[m], fragments[m], hidden);
        }
    }
    ptx::wgmma_commit_group();
}

template <class Tile>
__device__ __forceinline__ void convert_step(const typename Tile::Weight::Raw (&raw)[Tile::kM64],
                                             const ScaledGroup (&groups)[Tile::kM64],
                                             uint32_t (&fragments)[Tile::kM64][4]) {
#pragma unroll
    for (int m = 0; m < Tile::kM64; ++m) {
        Tile::Weight::convert(raw[m], groups[m], fragments[m]);
    }
}

template <class Tile>
__device__ __forceinline__ void wait_full(const Ring<Tile>& ring) {
    ptx::mbarrier_wait(ring.full(), ring.round);
    ptx::fence_proxy_async();  // rows of x came by ordinary copies, wgmma reads them
}

// What the multiplying loop carries from step to step.
template <class Tile>
struct StepState {
    typename Tile::Weight::Raw raw[2][Tile::kM64];
    uint32_t fragments[2][Tile::kM64][4];
    ScaledGroup groups[Tile::kM64];
    GroupWords<Tile> next_group;
    uint32_t group_place;  // of the group under way, or of the one before the first of a stage
    int32_t steps_left;    // of this group, the one under way included
};

// Step `kStep` of a unit: enqueues it and converts the step after it. Groups are whole pairs of
// steps; their scales are read one step before they are needed.
template <class Tile, int kN, int kStep>
__device__ __forceinline__ void multiply_step(const GemmArgs& args, const StageReader<Tile>& reader,
                                              uint64_t hidden, bool last, StepState<Tile>& state,
                                              PrefillSums<Tile, kN>& sums) {
    issue_step<Tile, kN>(sums, state.fragments[kStep % 2], hidden + 2 * kStep);
    ptx::wgmma_wait_group<1>();  // the step before: its fragments may be rewritten
    if (kStep % 2 == 0 && state.steps_left == 2 && !last) {
        state.group_place += PrefillPlan<Tile>::kGroupBytes;
        reader.group_words(state.group_place, state.next_group);
    }
    if (kStep % 2 == 1) {
        state.steps_left -= 2;
        if (state.steps_left == 0) {
            reader.make_groups(state.next_group, state.groups);
            state.steps_left = args.matrix.group_size / 16;
        }
    }
    convert_step<Tile>(state.raw[(kStep + 1) % 2], state.groups, state.fragments[(kStep + 1) % 2]);
}

// Reads what the first steps of an item need and converts the first one.
template <class Tile>
__device__ __forceinline__ void begin_steps(const GemmArgs& args, const StageReader<Tile>& reader,
                                            const Ring<Tile>& ring, StepState<Tile>& state) {
    reader.words(ring.weights(), 0, state.raw[0]);
    reader.words(ring.weights(), 1, state.raw[1]);
    reader.group_words(ring.groups(), state.next_group);
    reader.make_groups(state.next_group, state.groups);
    convert_step<Tile>(state.raw[0], state.groups, state.fragments[0]);
    reader.words(ring.weights(), 2, state.raw[0]);
    state.group_place = ring.groups();
    state.steps_left = args.matrix.group_size / 16;
}

// The stage before `ring`'s is no longer read by this warp.
template <class Tile>
__device__ __forceinline__ void release_before(const Ring<Tile>& ring) {
    const int stage = ring.stage == 0 ? Tile::kStages - 1 : ring.stage - 1;
    const uint32_t barrier = ring.shared + PrefillPlan<Tile>::kEmpty + 8 * stage;
    if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive(barrier);
}

// The whole of K for the item that begins at `ring`'s stage, which is full. Leaves the ring at the
// stage after the last. Words are read three steps before they are multiplied.
template <class Tile, int kN>
__device__ __forceinline__ void multiply_item(const GemmArgs& args, const StageReader<Tile>& reader,
                                              Ring<Tile>& ring, PrefillSums<Tile, kN>& sums) {
    using Plan = PrefillPlan<Tile>;
    constexpr uint32_t kUnitTiles = Tile::kUnit / 16 * Tile::Weight::kTileBytes;
    StepState<Tile> state;
    sums.clear();
    begin_steps(args, reader, ring, state);
    const int32_t units = args.matrix.inputs / Tile::kUnit;
    for (int32_t unit = 0; unit < units; ++unit) {
        const bool second = unit % 2 != 0;  // of its stage
        const bool last = unit + 1 == units;
        const uint32_t weights = ring.weights() + (second ? kUnitTiles : 0);
        const uint64_t hidden =
            ptx::wgmma_descriptor(ring.hidden() + (second ? Plan::kUnitBytes : 0));

        multiply_step<Tile, kN, 0>(args, reader, hidden, false, state, sums);
        if (!second && unit != 0) release_before(ring);  // its last step is done
        reader.words(weights, 3, state.raw[1]);

        multiply_step<Tile, kN, 1>(args, reader, hidden, false, state, sums);
        if (second || last) {
            ring.advance();
            if (!last) wait_full(ring);
            state.group_place = ring.groups() - Plan::kGroupBytes;
        }
        // Past the end of K words are read once more, and not used.
        const uint32_t next = last ? weights : second ? ring.weights() : weights + kUnitTiles;
        reader.words(next, 0, state.raw[0]);

        multiply_step<Tile, kN, 2>(args, reader, hidden, last, state, sums);
        reader.words(next, 1, state.raw[1]);

        multiply_step<Tile, kN, 3>(args, reader, hidden, last, state, sums);
        reader.words(next, 2, state.raw[0]);
    }
    ptx::wgmma_wait_group<0>();
    release_before(ring);
}

}  // namespace mmoe::cuda
