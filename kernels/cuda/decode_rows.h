// SPDX-License-Identifier: Apache-2.0
// How decode rows are made; one source file a type and number of bits has some.
#pragma once

#include <algorithm>
#include <type_traits>

#include "cuda/decode_kernel.h"
#include "cuda/launch.h"

namespace mmoe::cuda {

template <class Type>
struct DecodePlan {
    static constexpr int32_t kUnitGroups = Type::kSteps / Type::kScaleSteps;  // at most
    static constexpr int32_t kRingBytes =
        kDecodeWarps * kDecodeDepth * decode_unit_bytes(Type::kBits, kUnitGroups);
    static constexpr int32_t kSharedBytes = DecodePartials<Type::kRows>::kBytes + kRingBytes;
};

// Whether the scales of a unit are one an output, or one a run of its `kUnitGroups` equal runs.
[[nodiscard]] constexpr bool scale_lasts(int32_t group_size, int32_t unit, int32_t run) noexcept {
    return group_size % unit == 0 || (unit % group_size == 0 && group_size % run == 0);
}

template <class Type>
const char* refuse_decode(const Problem& problem) {
    using Plan = DecodePlan<Type>;
    constexpr bool kBf16 = std::is_same_v<typename Type::Number, Bf16>;
    constexpr auto kFixedBytes = static_cast<int32_t>(sizeof(DecodeShared));
    if (problem.device.compute_capability < 90) return "needs compute capability 9.0";
    if (problem.device.shared_memory_bytes < Plan::kSharedBytes + kFixedBytes) {
        return "needs more shared memory";
    }
    if (problem.compute_type != (kBf16 ? Element::kBf16 : Element::kF16)) {
        return "multiplies another activation type";
    }
    if (problem.bits != Type::kBits) return "multiplies another number of bits";
    if (problem.ordered_inputs) return "does not gather hidden states by expert";
    if (problem.counted_tokens) return "wants the token count from the host";
    if (problem.slots > kDecodeSlots) return "serves at most 1024 slots";
    if (problem.scale_type == layout::ScaleType::kF32) return "scales have 16 bits";
    const auto lasts_a_unit = [](int32_t group_size) { return group_size % Type::kInputs == 0; };
    if (Plan::kUnitGroups > 1 && std::ranges::all_of(problem.group_sizes, lasts_a_unit)) {
        return "a row of fewer scales is faster for these groups";
    }
    for (const int32_t group_size : problem.group_sizes) {
        if (!scale_lasts(group_size, Type::kInputs, Type::kInputs / Plan::kUnitGroups)) {
            return "multiplies other group sizes";
        }
    }
    if (problem.expert_count > INT16_MAX ||
        4 * decode_route_words(problem.expert_count, problem.slots) >
            DecodePartials<Type::kRows>::kBytes) {
        return "sorts slots of fewer experts";
    }
    return nullptr;
}

template <class Type>
constexpr Row decode_row(const char* name) noexcept {
    return {.name = name,
            .refuse = &refuse_decode<Type>,
            .first_capability = 90,
            .last_capability = INT32_MAX,
            .tile_tokens = Type::kRows,
            .block_tiles = 2,
            .threads = kDecodeThreads,
            .shared_bytes = DecodePlan<Type>::kSharedBytes,
            .blocks_per_processor = 1,
            .rounds_weights = false,
            .gated_kernel = nullptr,
            .kernel = nullptr,
            .layer_kernel = &moe_decode<Type>};
}

}  // namespace mmoe::cuda
