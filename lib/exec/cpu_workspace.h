// SPDX-License-Identifier: Apache-2.0
// Where everything of a run lies in the workspace. Pure: the same plan sizes the allocation and
// carves it.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "bundle/cpu_plan.h"
#include "exec/cpu_rows.h"
#include "exec/route.h"

namespace mmoe {

// Packed activation rows of one GEMM.
struct PackedRows {
    int64_t x_offset = 0;      // [rows, x_bytes]
    int64_t sum_offset = 0;    // [rows, sum_count] f32
    int64_t scale_offset = 0;  // [rows, scale_count] f32
    int64_t x_bytes = 0;       // of one row; a multiple of 64
    int64_t sum_count = 0;
    int64_t scale_count = 0;
};

// Byte offsets into one block; every array starts on a multiple of 64.
struct CpuWorkspacePlan {
    int64_t tokens = 0;               // T
    int64_t slots = 0;                // T * top_k
    int64_t first_offset = 0;         // [E + 1] i32
    int64_t token_offset = 0;         // [slots] i32
    int64_t weight_offset = 0;        // [slots] f32
    int64_t active_offset = 0;        // [E] i32
    PackedRows hidden;                // [T]; with activation order [slots]
    int64_t gather_offset = 0;        // [tasks, H] hidden elements; only with activation order
    PackedRows intermediate;          // [slots]
    int64_t intermediate_offset = 0;  // [slots, I] f32, before packing
    int64_t sums_offset = 0;          // [T, H] f32
    int64_t total_bytes = 0;
};

// What a workspace is sized for.
struct CpuWorkspaceNeed {
    int64_t tokens = 0;
    int64_t top_k = 0;
    int64_t expert_count = 0;  // E
    int64_t thread_count = 0;
    cpu::Element hidden_type = cpu::Element::kBf16;
};

Result<CpuWorkspacePlan> plan_cpu_workspace(const CpuBundlePlan& bundle, const CpuRows& rows,
                                            const CpuWorkspaceNeed& need);

}  // namespace mmoe
