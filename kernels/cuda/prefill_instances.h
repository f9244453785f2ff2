// SPDX-License-Identifier: Apache-2.0
// How rows of the table are made from prefill tiles. Instances are spread over sources, one a type
// and number of bits, for they take long to compile.
#pragma once

#include <type_traits>

#include "cuda/launch.h"
#include "cuda/prefill.h"

namespace mmoe::cuda {

// Four multiplying warp groups hide each other's latencies where conversion is most of the work.
using PrefillThin = PrefillShape<4, 2, 32, 32, false>;
using PrefillNarrow = PrefillShape<2, 4, 64, 32, false>;
using PrefillWide = PrefillShape<2, 2, 128, 32, false>;
// Experts that have a little more than 128 tokens need one such tile.
using PrefillWidest = PrefillShape<2, 2, 160, 128, false>;
using PrefillWideFine = PrefillShape<2, 2, 128, 32, true>;

template <class Number, int kBits, class Shape>
const char* refuse_prefill(const Problem& problem) {
    constexpr Element kType = std::is_same_v<Number, Bf16> ? Element::kBf16 : Element::kF16;
    using Plan = PrefillPlan<PrefillTile<Number, kBits, Shape, true>>;
    if (problem.device.compute_capability != 90) return "needs compute capability 9.0";
    if (problem.device.shared_memory_bytes < Plan::kTotal) return "needs more shared memory";
    if (problem.compute_type != kType) return "multiplies another activation type";
    if (problem.bits != kBits) return "multiplies another number of bits";
    if (problem.scale_type != static_cast<layout::ScaleType>(kType)) {
        return "scales must have the type that it multiplies";
    }
    if (!problem.strips) return "needs the tiles of an output next to each other";
    if (problem.input_step % 64 != 0) return "inputs must be a multiple of 64";
    if (problem.group_step % (Shape::kFineGroups ? 32 : 64) != 0) {
        return Shape::kFineGroups ? "groups must be a multiple of 32 inputs"
                                  : "groups must be a multiple of 64 inputs";
    }
    return nullptr;
}

template <class Number, int kBits, class Shape>
constexpr Row prefill_row(const char* name) noexcept {
    using Gated = PrefillTile<Number, kBits, Shape, true>;
    return {.name = name,
            .refuse = &refuse_prefill<Number, kBits, Shape>,
            .first_capability = 90,
            .last_capability = 90,
            .tile_tokens = Shape::kTokens,
            .block_tiles = Gated::kStrips,
            .threads = Gated::kThreads,
            .shared_bytes = PrefillPlan<Gated>::kTotal,
            .blocks_per_processor = 1,
            .claims_items = true,
            .rounds_weights = true,
            .gated_kernel = &moe_prefill<Gated>,
            .kernel = &moe_prefill<PrefillTile<Number, kBits, Shape, false>>};
}

// Of one source each, best first.
std::span<const Row> rows_prefill_bf16_int4() noexcept;
std::span<const Row> rows_prefill_bf16_int8() noexcept;
std::span<const Row> rows_prefill_f16_int4() noexcept;
std::span<const Row> rows_prefill_f16_int8() noexcept;

}  // namespace mmoe::cuda
