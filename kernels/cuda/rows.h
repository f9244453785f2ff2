// SPDX-License-Identifier: Apache-2.0
// How rows of the table are made from tiles.
#pragma once

#include <type_traits>

#include "cuda/launch.h"
#include "cuda/moe_gemm.h"

namespace mmoe::cuda {

template <class Number, int kBits, int kTokens>
const char* refuse_general(const Problem& problem) {
    constexpr Element kType = std::is_same_v<Number, Bf16> ? Element::kBf16 : Element::kF16;
    using Plan = SharedPlan<Tile<Number, kBits, kTokens>>;
    if (problem.device.compute_capability < 80) return "needs compute capability 8.0";
    if (problem.device.shared_memory_bytes < Plan::kTotal) return "needs more shared memory";
    if (problem.compute_type != kType) return "multiplies another activation type";
    if (problem.bits != kBits) return "multiplies another number of bits";
    return nullptr;
}

template <class Number, int kBits, int kTokens>
constexpr Row general_row(const char* name) noexcept {
    using RowTile = Tile<Number, kBits, kTokens>;
    return {.name = name,
            .refuse = &refuse_general<Number, kBits, kTokens>,
            .first_capability = 80,
            .last_capability = INT32_MAX,
            .tile_tokens = kTokens,
            .block_tiles = 2,
            .threads = RowTile::kThreads,
            .shared_bytes = SharedPlan<RowTile>::kTotal,
            .blocks_per_processor = RowTile::kBlocks,
            .rounds_weights = false,
            .gated_kernel = &moe_gemm<RowTile>,
            .kernel = &moe_gemm<RowTile>};
}

std::span<const Row> rows_bf16() noexcept;
std::span<const Row> rows_f16() noexcept;

}  // namespace mmoe::cuda
