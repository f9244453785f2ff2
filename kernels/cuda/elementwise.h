// SPDX-License-Identifier: Apache-2.0
// The steps around the GEMMs: bringing hidden states into the form that a GEMM reads, and adding
// up the slots of a token.
#pragma once

#include <cstdint>

#include "cuda/launch.h"
#include "cuda/routing.h"

namespace mmoe::cuda {

// out[t][k] = hidden[t][k], 0 where there is no such column.
struct StageArgs {
    Element hidden_type;
    Element compute_type;
    const void* hidden;  // [T, columns], rows hidden_stride apart
    int64_t hidden_stride;
    int32_t columns;
    uint16_t* out;  // [T, out_columns]
    int32_t out_columns;
    int64_t tokens;
    const int32_t* token_count;  // [1] or null: `tokens`
};

// out[s][k] = hidden[token of slot s][order of its expert [k]], 0 where the order is -1; rows of
// skipped slots are left alone.
struct GatherArgs {
    StageArgs stage;  // out: [T * top_k, out_columns]
    Routing routing;
    int32_t expert_count;
    int32_t top_k;
    const int32_t* order;  // [E, out_columns]
};

// output[t] = sum over j of weight[t][j] * results[row of slot (t, j)], j rising.
struct CombineArgs {
    Element compute_type;
    Element output_type;
    const uint16_t* results;  // [rows, results_stride]
    int64_t results_stride;
    const int32_t* slot_row;  // [T, top_k]
    const float* weights;     // [T, top_k]; null: 1
    int32_t top_k;
    void* output;  // [T, columns], rows output_stride apart
    int64_t output_stride;
    int32_t columns;
    int64_t tokens;
    const int32_t* token_count;  // [1] or null: `tokens`
    bool overlaps;               // may start while the launch before it ends
};

int launch_stage(const StageArgs& args, void* stream) noexcept;
int launch_gather(const GatherArgs& args, void* stream) noexcept;
int launch_combine(const CombineArgs& args, void* stream) noexcept;
const void* stage_kernel() noexcept;
const void* gather_kernel() noexcept;
const void* combine_kernel() noexcept;

}  // namespace mmoe::cuda
