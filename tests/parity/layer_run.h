// SPDX-License-Identifier: Apache-2.0
// A problem on the CPU: bundles of all ranks, executors, one run, and the sum of what ranks give.
#pragma once

#include <cstdint>
#include <vector>

#include "marlin_moe.h"
#include "parity/handles.h"
#include "parity/layer_calls.h"
#include "parity/problem.h"

namespace mmoe::parity {

struct Mode {
    const char* name;
    mmoe_precision precision;
    bool wide_output;  // f32; else as the hidden states
    double tolerance;
    double with_outliers;  // tolerance where an outlier sets the fixed-point step of its group
};

// Every rank's bundle on one context.
std::vector<Handle<mmoe_bundle>> make_ranks(Problem& problem, mmoe_context* context);

Handle<mmoe_executor> make_executor(const Case& spec, mmoe_context* context,
                                    const mmoe_bundle* bundle, const Mode& mode);

// [T, H + row_padding] of the output type, poisoned before the run.
std::vector<uint8_t> run_once(Problem& problem, mmoe_executor* executor, const mmoe_bundle* bundle,
                              mmoe_dtype output_dtype);

// Adds the rows of one rank's output to `sum` and checks that nothing between rows was written.
void add_rows(const Case& spec, mmoe_dtype dtype, const std::vector<uint8_t>& output,
              std::vector<double>& sum);

}  // namespace mmoe::parity
