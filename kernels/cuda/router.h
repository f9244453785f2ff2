// SPDX-License-Identifier: Apache-2.0
// From router logits to expert ids and weights, on the device: the arithmetic of
// lib/exec/router.cpp in double, one warp a token.
#pragma once

#include <cstdint>

#include "cuda/launch.h"

namespace mmoe::cuda {

enum class Scoring : int32_t { kSoftmax = 0, kSigmoid = 1 };  // values of mmoe_scoring

// Device memory. `top_k` is at most groups_kept * (expert_count / group_count).
struct RouterArgs {
    Scoring scoring;
    int32_t group_count;  // divides expert_count
    int32_t groups_kept;
    bool renormalize;
    float scale;
    int64_t tokens;
    int32_t expert_count;
    int32_t top_k;
    Element logits_type;
    const void* logits;  // [T, E], rows logits_stride elements apart
    int64_t logits_stride;
    const float* correction_bias;  // [E], or null
    int32_t* expert_ids;           // [T, top_k]
    float* expert_weights;         // [T, top_k]
};

// Shared memory of one token, in bytes: what a block of the device must be able to have.
[[nodiscard]] constexpr int64_t router_shared_bytes(int64_t expert_count,
                                                    int64_t group_count) noexcept {
    return (expert_count + group_count) * int64_t{sizeof(double)};
}

// Returns a cudaError_t. A first launch loads the kernel: warm up before a capture.
int launch_router(const RouterArgs& args, void* stream) noexcept;

}  // namespace mmoe::cuda
