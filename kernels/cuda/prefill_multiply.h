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
#pragma unroll
        for (int m = 0; m < Tile::kM64; ++m) {
            const int strip = m / Tile::kPartSlices * Tile::kPartStrips + strip_;
            const int slice = slice_ + m % Tile::kPartSlices;
            const uint32_t base = place + strip * Plan::kStripGroupBytes;
            groups[m] =
                Weight::group(zero_pair(base + Plan::kScaleBytes, slice), scale_pair(base, slice));
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
    // Rows g and g + 8 of a slice.
    __device__ __forceinline__ uint32_t scale_pair(uint32_t base, int slice) const {
        const layout::MarlinScaleOrder order = args_.matrix.scale_order;
        const int n = 16 * slice + group_row();
        const auto low = static_cast<uint32_t>(layout::marlin_scale_place(n, order));
        const uint32_t apart = order == layout::MarlinScaleOrder::kGrouped ? 1 : 2;
        const uint32_t address = base + 2 * low;
        return ptx::ld_shared_16(address) | ptx::ld_shared_16(address + 2 * apart) << 16;
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
                                           uint64_t hidden, bool accumulate) {
    ptx::wgmma_fence();
#pragma unroll
    for (int m = 0; m < Tile::kM64; ++m) {
        if constexpr (std::is_same_v<typename Tile::Number, Bf16>) {
            ptx::Wgmma<kN>::bf16(sums.at[m], fragments[m], hidden, accumulate);
        } else {
            ptx::Wgmma<kN>::f16(sums.at[m], fragments[m], hidden, accumulate);
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

// The whole of K for the item that begins at `ring`'s stage, which is full. Leaves the ring at the
// stage after the last.
template <class Tile, int kN>
__device__ __forceinline__ void multiply_item(const GemmArgs& args, const StageReader<Tile>& reader,
                                              Ring<Tile>& ring, PrefillSums<Tile, kN>& sums) {
    using Plan = PrefillPlan<Tile>;
    typename Tile::Weight::Raw raw[2][Tile::kM64];
    uint32_t fragments[2][Tile::kM64][4];
    sums.clear();
    ScaledGroup groups[Tile::kM64];
    const int units = args.matrix.inputs / Tile::kUnit;
    const int units_per_group = args.matrix.group_size / Tile::kUnit;
    int units_in_group = 1;
    uint32_t used = 0;  // barrier of the stage before, while its last step is under way

    reader.words(ring.weights(), 0, raw[0]);
    reader.words(ring.weights(), 1, raw[1]);
    reader.group(ring.groups(), groups);
    convert_step<Tile>(raw[0], groups, fragments[0]);
    reader.words(ring.weights(), 2, raw[0]);
    for (int unit = 0; unit < units; ++unit) {
        const int half = unit % 2;
        const uint32_t weights = ring.weights() + 4 * half * Tile::Weight::kTileBytes;
        const uint64_t hidden = ptx::wgmma_descriptor(ring.hidden() + half * Plan::kUnitBytes);
        uint32_t next = unit + 1 < units ? ring.weights() + 4 * Tile::Weight::kTileBytes : weights;
        uint32_t next_group = ring.groups() + (units_per_group == 1 ? Plan::kGroupBytes : 0);
        const uint32_t own = ring.empty();
#pragma unroll
        for (int step = 0; step < 4; ++step) {
            issue_step<Tile, kN>(sums, fragments[step % 2], hidden + 2 * step, true);
            ptx::wgmma_wait_group<1>();  // the step before: its fragments may be rewritten
            if (step == 0 && used != 0) {
                if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive(used);
                used = 0;
            }
            if (step == 3 && units_in_group == units_per_group) {
                units_in_group = 0;
                if (unit + 1 < units) reader.group(next_group, groups);
            }
            convert_step<Tile>(raw[(step + 1) % 2], groups, fragments[(step + 1) % 2]);
            if (step == 0) reader.words(weights, 3, raw[1]);
            if (step == 1) {
                if (half == 1) {
                    ring.advance();
                    if (unit + 1 < units) {
                        wait_full(ring);
                        next = ring.weights();
                        next_group = ring.groups();
                    }
                }
                reader.words(next, 0, raw[0]);
            }
            if (step == 2) reader.words(next, 1, raw[1]);
            if (step == 3) reader.words(next, 2, raw[0]);
        }
        ++units_in_group;
        if (half == 1 || unit + 1 == units) used = own;
    }
    if (units % 2 != 0) ring.advance();
    ptx::wgmma_wait_group<0>();
    if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive(used);
}

}  // namespace mmoe::cuda
