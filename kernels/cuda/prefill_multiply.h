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

// What a lane reads of a stage. A warp owns `kPartSlices` neighbouring slices of 16 outputs in each
// part; they are its 16 rows of as many m64 blocks.
template <class Tile>
class StageReader {
    using Weight = typename Tile::Weight;
    using Plan = PrefillPlan<Tile>;
    using Raw = typename Weight::Raw;

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

    // Scales and zero points of the group at `place`.
    __device__ __forceinline__ void group(uint32_t place, ScaledGroup (&groups)[Tile::kM64]) const {
        const bool grouped = args_.matrix.scale_order == layout::MarlinScaleOrder::kGrouped;
#pragma unroll
        for (int part = 0; part < Tile::kParts; ++part) {
            const uint32_t base =
                place + (part * Tile::kPartStrips + strip_) * Plan::kStripGroupBytes;
            uint32_t scales[Tile::kPartSlices];
            if (grouped) {  // the pairs of neighbouring slices are neighbours
                load_slices<Tile::kPartSlices>(base + 16 * group_row() + 4 * slice_, scales);
            } else {
#pragma unroll
                for (int i = 0; i < Tile::kPartSlices; ++i) scales[i] = single_pair(base, i);
            }
#pragma unroll
            for (int i = 0; i < Tile::kPartSlices; ++i) {
                groups[part * Tile::kPartSlices + i] =
                    Weight::group(zero_pair(base + Plan::kScaleBytes, slice_ + i), scales[i]);
            }
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

    __device__ __forceinline__ uint32_t zero_pair(uint32_t base, int slice) const {
        if (args_.matrix.zero_points == nullptr) return Weight::kSymmetric;
        const int word = Weight::zero_point_word(group_row(), slice);
        return Weight::zero_point_pair(ptx::ld_shared_32(base + 4 * word), slice);
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
    for (int m = 0; m < Tile::kM64; ++m) Tile::Weight::convert(raw[m], groups[m], fragments[m]);
}

template <class Tile>
__device__ __forceinline__ void wait_full(const Ring<Tile>& ring) {
    ptx::mbarrier_wait(ring.full(), ring.round);
    ptx::fence_proxy_async();  // rows of x came by ordinary copies, wgmma reads them
}

// Groups of scales and zero points, as a lane's multiplying loop meets them.
template <class Tile>
struct StageGroups {
    static constexpr int kSteps = Tile::kFineGroups ? 2 : 4;  // between two looks

    ScaledGroup groups[Tile::kM64];
    uint32_t place;      // of the group under way, or of the one before the first of a stage
    int32_t steps_left;  // of this group, the ones under way included

    __device__ __forceinline__ void begin(const GemmArgs& args, const StageReader<Tile>& reader,
                                          const Ring<Tile>& ring, int32_t first_input) {
        place = ring.groups();
        reader.group(place, groups);
        const int32_t group_size = args.matrix.group_size;
        steps_left = (group_size - first_input % group_size) / 16;
    }
    __device__ __forceinline__ void enter(const Ring<Tile>& ring) {
        place = ring.groups() - PrefillPlan<Tile>::kGroupBytes;
    }
    // `last`: there is no group after this one.
    __device__ __forceinline__ void pass(const GemmArgs& args, const StageReader<Tile>& reader,
                                         bool last) {
        steps_left -= kSteps;
        if (steps_left != 0 || last) return;
        place += PrefillPlan<Tile>::kGroupBytes;
        reader.group(place, groups);
        steps_left = args.matrix.group_size / 16;
    }
};

// The stage before `ring`'s is no longer read by this warp.
template <class Tile>
__device__ __forceinline__ void release_before(const Ring<Tile>& ring) {
    const int stage = ring.stage == 0 ? Tile::kStages - 1 : ring.stage - 1;
    const uint32_t barrier = ring.shared + PrefillPlan<Tile>::kEmpty + 8 * stage;
    __syncwarp();  // one lane answers for what all have read
    if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive(barrier);
}

// The inputs of the work that begins at `ring`'s stage, which is full. Leaves the ring at the stage
// after the last. Words are read three steps before they are multiplied. The code of a stage is
// straight where it can be: the compiler then converts while it enqueues. So a last half stage is
// multiplied whole: what codes its second half holds does not matter, for x is 0 there.
template <class Tile, int kN>
__device__ __forceinline__ void multiply_item(const GemmArgs& args, const StageReader<Tile>& reader,
                                              const PrefillWork& work, Ring<Tile>& ring,
                                              PrefillSums<Tile, kN>& sums) {
    using Plan = PrefillPlan<Tile>;
    constexpr int kSteps = Tile::kInputs / 16;
    constexpr int kUnitSteps = Tile::kUnit / 16;
    typename Tile::Weight::Raw raw[2][Tile::kM64];
    uint32_t fragments[2][Tile::kM64][4];
    StageGroups<Tile> walk;
    sums.clear();
    walk.begin(args, reader, ring, work.first_input);
    reader.words(ring.weights(), 0, raw[0]);
    convert_step<Tile>(raw[0], walk.groups, fragments[0]);
    reader.words(ring.weights(), 1, raw[1]);
    reader.words(ring.weights(), 2, raw[0]);
    int32_t inputs = work.end_input - work.first_input;  // that are left
    for (bool first = true; inputs > 0; first = false) {
        const bool last = inputs <= Tile::kInputs;
        const uint32_t weights = ring.weights();
        const uint32_t hidden = ring.hidden();
        uint32_t next = weights;  // past K, words are not used
#pragma unroll
        for (int step = 0; step < kSteps; ++step) {
            issue_step<Tile, kN>(
                sums, fragments[step % 2],
                ptx::wgmma_descriptor(
                    hidden, step / kUnitSteps * Plan::kUnitBytes + step % kUnitSteps * 32));
            ptx::wgmma_wait_group<1>();  // the step before: its fragments may be rewritten
            if (step == 0 && !first) release_before(ring);
            if (step % walk.kSteps == walk.kSteps - 1) {
                walk.pass(args, reader, inputs <= 16 * (step + 1));
            }
            convert_step<Tile>(raw[(step + 1) % 2], walk.groups, fragments[(step + 1) % 2]);
            if (step == kSteps - 3) {
                ring.advance();
                if (!last) {
                    wait_full(ring);
                    next = ring.weights();
                }
                walk.enter(ring);
            }
            reader.words(step < kSteps - 3 ? weights : next, (step + 3) % kSteps,
                         raw[(step + 1) % 2]);
        }
        inputs -= Tile::kInputs;
    }
    ptx::wgmma_wait_group<0>();
    release_before(ring);
}

}  // namespace mmoe::cuda
