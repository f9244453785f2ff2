// SPDX-License-Identifier: Apache-2.0
// The rows of the prefill kernel.
#include "cuda/prefill_rows.h"

#include <type_traits>

#include "cuda/prefill.h"

namespace mmoe::cuda {
namespace {

using Wide = PrefillShape<2, 128, 32>;
using Narrow = PrefillShape<4, 64, 32>;

// Below, the general rows stream weights faster.
constexpr int32_t kLeastMeanTokens = 9;
// Tiles of `kTokens` are meant for experts with up to this many tokens; routing is uneven.
template <class Shape>
constexpr int32_t kMostMeanTokens = Shape::kTokens >= 128 ? INT32_MAX : Shape::kTokens * 3 / 4;

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
    if (problem.input_step % 64 != 0) return "needs groups of a multiple of 64 inputs";
    return nullptr;
}

template <class Number, int kBits, class Shape>
constexpr Row prefill_row(const char* name) noexcept {
    using Gated = PrefillTile<Number, kBits, Shape, true>;
    return {.name = name,
            .refuse = &refuse_prefill<Number, kBits, Shape>,
            .least_mean_tokens = kLeastMeanTokens,
            .most_mean_tokens = kMostMeanTokens<Shape>,
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

}  // namespace

std::span<const Row> rows_prefill() noexcept {
    static constexpr Row kRows[] = {
        prefill_row<Bf16, 4, Narrow>("moe_gemm.bf16.int4.n512m64k128.sm90a"),
        prefill_row<Bf16, 4, Wide>("moe_gemm.bf16.int4.n256m128k128.sm90a"),
#ifdef PREFILL_ALL
        prefill_row<F16, 4, Narrow>("moe_gemm.f16.int4.n512m64k128.sm90a"),
        prefill_row<F16, 4, Wide>("moe_gemm.f16.int4.n256m128k128.sm90a"),
#endif
    };
    return kRows;
}

}  // namespace mmoe::cuda
