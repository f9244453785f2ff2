// SPDX-License-Identifier: Apache-2.0
// The decode rows for one token.
#include <type_traits>

#include "cuda/decode_launch.h"
#include "cuda/decode_one_kernel.h"
#include "cuda/launch.h"

namespace mmoe::cuda {
namespace {

template <class Type>
const char* refuse_decode_one(const Problem& problem) {
    constexpr bool kBf16 = std::is_same_v<typename Type::Number, Bf16>;
    if (problem.device.compute_capability < 90) return "needs compute capability 9.0";
    if (problem.device.shared_memory_bytes < OnePlan<Type>::kTotal) {
        return "needs more shared memory";
    }
    if (problem.tokens != 1) return "serves one token";
    if (problem.compute_type != (kBf16 ? Element::kBf16 : Element::kF16)) {
        return "multiplies another activation type";
    }
    if (problem.bits != 4) return "multiplies another number of bits";
    if (problem.ordered_inputs) return "does not gather hidden states by expert";
    if (problem.counted_tokens) return "wants the token count from the host";
    if (problem.scale_type == layout::ScaleType::kF32) return "scales have 16 bits";
    if (problem.slots > kOneMostSlots) return "serves at most 32 slots";
    if (problem.input_step % kOneUnitInputs != 0) return "inputs are not multiples of 128";
    if (problem.hidden_inputs > kOneMostInputs || problem.hidden_outputs > kOneMostOutputs ||
        problem.slots * problem.intermediate_size > kOneMostIntermediate) {
        return "its shared memory holds fewer inputs";
    }
    for (const int32_t group_size : problem.group_sizes) {
        const bool whole = group_size % kOneUnitInputs == 0;
        const bool parts = group_size == 64 || group_size == 32;
        if (Type::kGroups == 1 ? !whole : !parts) return "multiplies other group sizes";
    }
    return nullptr;
}

template <class Type>
constexpr Row decode_one_row(const char* name) noexcept {
    return {.name = name,
            .refuse = &refuse_decode_one<Type>,
            .first_capability = 90,
            .last_capability = INT32_MAX,
            .tile_tokens = 1,
            .block_tiles = 1,
            .threads = kOneThreads,
            .shared_bytes = OnePlan<Type>::kTotal,
            .blocks_per_processor = 1,
            .rounds_weights = false,
            .gated_kernel = nullptr,
            .kernel = nullptr,
            .layer_kernel = &moe_decode_one<Type>};
}

}  // namespace

std::span<const Row> decode_one_rows() noexcept {
    static constexpr Row kRows[] = {
        decode_one_row<OneType<Bf16, 1>>("moe_decode.bf16.int4.n16m1k128.sm90"),
        decode_one_row<OneType<Bf16, 4>>("moe_decode.bf16.int4.n16m1k32.sm90"),
        decode_one_row<OneType<F16, 1>>("moe_decode.f16.int4.n16m1k128.sm90"),
        decode_one_row<OneType<F16, 4>>("moe_decode.f16.int4.n16m1k32.sm90"),
    };
    return kRows;
}

}  // namespace mmoe::cuda
