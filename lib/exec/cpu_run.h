// SPDX-License-Identifier: Apache-2.0
// One MoE layer on the CPU.
#pragma once

#include <cstdint>

#include "bundle/bundle.h"
#include "exec/cpu_workspace.h"
#include "exec/run_args.h"

namespace mmoe {

struct CpuRun {
    const Bundle& bundle;
    const CpuRows& rows;
    const CpuWorkspacePlan& plan;
    uint8_t* workspace;  // [plan.total_bytes]
    cpu::Element hidden_type;
    cpu::Element output_type;
    const RunArgs& args;
};

// Allocates nothing; equal inputs give equal bits at any number of threads. Returns whether an id
// was out of range.
bool run_cpu_layer(const CpuRun& run);

}  // namespace mmoe
