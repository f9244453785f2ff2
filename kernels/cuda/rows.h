// SPDX-License-Identifier: Apache-2.0
// How rows of the table are made from tiles.
#pragma once

#include <type_traits>

#include "cuda/launch.h"
#include "cuda/moe_gemm.h"

namespace mmoe::cuda {

template <class Tile>
const char* refuse_general(const Problem& problem) {
    constexpr Element kType =
        std::is_same_v<typename Tile::Number, Bf16> ? Element::kBf16 : Element::kF16;
    if (problem.device.compute_capability < 80) return "needs compute capability 8.0";
    if (problem.device.shared_memory_bytes < GemmPlan<Tile>::kTotal) {
        return "needs more shared memory";
    }
    if (problem.compute_type != kType) return "multiplies another activation type";
    if (problem.bits != Tile::kBits) return "multiplies another number of bits";
    if (Tile::kScaled && problem.scale_type != static_cast<layout::ScaleType>(kType)) {
        return "scales must have the type that it multiplies";
    }
    return nullptr;
}

template <class Tile>
constexpr Row general_row(const char* name) noexcept {
    using Plan = GemmPlan<Tile>;
    return {.name = name,
            .refuse = &refuse_general<Tile>,
            .first_capability = 80,
            .last_capability = INT32_MAX,
            .tile_tokens = Tile::kTokens,
            .block_tiles = Plan::kTiles,
            .threads = Plan::kThreads,
            .shared_bytes = Plan::kTotal,
            .blocks_per_processor = Tile::kBlocks,
            .rounds_weights = Tile::kScaled,
            .gated_kernel = &moe_gemm<Tile>,
            .kernel = &moe_gemm<Tile>};
}

std::span<const Row> rows_bf16() noexcept;
std::span<const Row> rows_f16() noexcept;

}  // namespace mmoe::cuda
