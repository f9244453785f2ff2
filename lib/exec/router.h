// SPDX-License-Identifier: Apache-2.0
// From router logits to expert ids and weights.
#pragma once

#include <cstdint>

#include "base/parallel.h"
#include "base/status.h"
#include "cpu/launch.h"

namespace mmoe {

enum class Scoring : int32_t { kSoftmax = 0, kSigmoid = 1 };  // values of mmoe_scoring

struct RouterArgs {
    Scoring scoring = Scoring::kSoftmax;
    int64_t group_count = 1;  // divides expert_count
    int64_t groups_kept = 1;
    bool renormalize = false;
    float scale = 1.0F;
    int64_t tokens = 0;
    int64_t expert_count = 0;
    int64_t top_k = 0;  // at most groups_kept * (expert_count / group_count)
    cpu::Element logits_type = cpu::Element::kF32;
    const void* logits = nullptr;  // [T, E], rows logits_stride elements apart
    int64_t logits_stride = 0;
    const float* correction_bias = nullptr;  // [E], or null
    int32_t* expert_ids = nullptr;           // [T, top_k]
    float* expert_weights = nullptr;         // [T, top_k]
};

Status route(const RouterArgs& args, Parallel& parallel);

}  // namespace mmoe
