// SPDX-License-Identifier: Apache-2.0
// The operands of one run, proved by the C boundary.
#pragma once

#include <cstdint>

namespace mmoe {

struct RunArgs {
    int64_t tokens = 0;                    // T
    const int32_t* token_count = nullptr;  // [1] tokens of this run; or null: T
    int64_t top_k = 0;
    const void* hidden = nullptr;  // [T, H], rows hidden_stride elements apart
    int64_t hidden_stride = 0;
    const int32_t* expert_ids = nullptr;    // [T, top_k]
    const float* expert_weights = nullptr;  // [T, top_k]
    void* output = nullptr;                 // [T, H], rows output_stride elements apart
    int64_t output_stride = 0;
    const int32_t* expert_map = nullptr;  // [map_size], or null: ids are global experts
    int64_t map_size = 0;
};

}  // namespace mmoe
