// SPDX-License-Identifier: Apache-2.0
// How rows of the table are made from prefill tiles. Instances are spread over sources, one a type
// and number of bits, for they take long to compile.
#pragma once

#include <type_traits>

#include "cuda/launch.h"
#include "cuda/prefill.h"

namespace mmoe::cuda {

using PrefillNarrow = PrefillShape<4, 64, 32, false>;
using PrefillWide = PrefillShape<2, 128, 32, false>;
using PrefillWideFine = PrefillShape<2, 128, 32, true>;

// The border between rows on an H100, in mean tokens of an expert. From two on, these rows stream
// weights faster than the general ones; up to 36, blocks of 512 outputs read x seldom enough to
// beat tiles of 128 tokens.
constexpr int32_t kPrefillMeanTokens = 2;
constexpr int32_t kNarrowMeanTokens = 36;

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
    constexpr bool kNarrow = Shape::kTokens < 128;
    return {.name = name,
            .refuse = &refuse_prefill<Number, kBits, Shape>,
            .least_mean_tokens = kPrefillMeanTokens,
            .most_mean_tokens = kNarrow ? kNarrowMeanTokens : INT32_MAX,
            .fills_device = kNarrow,
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

// Of one source each, best first.
std::span<const Row> rows_prefill_bf16_int4() noexcept;
std::span<const Row> rows_prefill_bf16_int8() noexcept;
std::span<const Row> rows_prefill_f16_int4() noexcept;
std::span<const Row> rows_prefill_f16_int8() noexcept;

}  // namespace mmoe::cuda
