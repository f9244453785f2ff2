// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "cpu/launch.h"
#include "exec/cpu_rows.h"

namespace mmoe {

// The inside of mmoe_executor_options, defaults resolved.
struct ExecutorOptions {
    int64_t max_tokens = 0;
    int64_t max_top_k = 0;
    cpu::Element hidden_type = cpu::Element::kBf16;
    cpu::Element output_type = cpu::Element::kBf16;
    Precision precision = Precision::kDefault;
    bool self_test = true;
    void* workspace = nullptr;  // the caller's memory, or null: the executor's own
    uint64_t workspace_bytes = 0;
    std::string row = {};  // part of the names of the CUDA rows that may serve; empty: all
};

// Of the caller's memory for a workspace, which is there: its alignment and size.
Status check_given_workspace(const ExecutorOptions& options, uint64_t needed_bytes);

}  // namespace mmoe
