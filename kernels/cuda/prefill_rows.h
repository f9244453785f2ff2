// SPDX-License-Identifier: Apache-2.0
// How rows of the table are made from prefill tiles. Instances are spread over sources, one a type
// and number of bits, for they take long to compile.
#pragma once

#include "cuda/prefill.h"
#include "cuda/rows.h"

namespace mmoe::cuda {

using PrefillWide = PrefillShape<2, 128, PF_STEP, false>;
using PrefillNarrow = PrefillShape<4, 64, 32, false>;

// Measured on an H100: with fewer tokens an expert the general rows stream weights faster, and
// from `kWideMeanTokens` on the wide tile reads x seldom enough to make up for its narrow blocks.
constexpr int32_t kPrefillMeanTokens = 9;
constexpr int32_t kWideMeanTokens = 37;

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
    if (problem.group_step % 32 != 0) return "groups must be a multiple of 32 inputs";
    return nullptr;
}

template <class Number, int kBits, class Shape>
constexpr Row prefill_row(const char* name, int32_t least_mean_tokens,
                          int32_t most_mean_tokens) noexcept {
    using Gated = PrefillTile<Number, kBits, Shape, true>;
    return {.name = name,
            .refuse = &refuse_prefill<Number, kBits, Shape>,
            .least_mean_tokens = least_mean_tokens,
            .most_mean_tokens = most_mean_tokens,
            .first_capability = 90,
            .last_capability = 90,
            .tile_tokens = Shape::kTokens,
            .block_tiles = Gated::kStrips,
            .threads = Gated::kThreads,
            .shared_bytes = PrefillPlan<Gated>::kTotal,
            .blocks_per_processor = 1,
            .rounds_weights = true,
            .gated_kernel = &moe_prefill<Gated>,
            .kernel = &moe_prefill<PrefillTile<Number, kBits, Shape, false>>};
}

}  // namespace mmoe::cuda
