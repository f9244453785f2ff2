// SPDX-License-Identifier: Apache-2.0
#include "parity/layer_run.h"

#include <cstring>

namespace mmoe::parity {

Handle<mmoe_executor> make_executor(const Case& spec, mmoe_context* context,
                                    const mmoe_bundle* bundle, const Mode& mode) {
    auto options = sized<mmoe_executor_options>();
    options.max_tokens = static_cast<uint32_t>(spec.tokens == 0 ? 1 : spec.tokens);
    options.max_top_k = spec.top_k;
    options.hidden_dtype = spec.hidden_dtype;
    options.output_dtype = mode.wide_output ? MMOE_DTYPE_F32 : spec.hidden_dtype;
    options.precision = mode.precision;
    mmoe_executor* executor = nullptr;
    Error error{spec.name};
    error.expect_ok(mmoe_executor_create(context, bundle, &options, &executor, &error.value),
                    "executor");
    return Handle<mmoe_executor>(executor);
}

std::vector<uint8_t> run_once(Problem& problem, mmoe_executor* executor, const mmoe_bundle* bundle,
                              mmoe_dtype output_dtype) {
    CpuTestDevice device;
    PlacedRun run(problem, device, output_dtype);
    Error error{problem.spec.name};
    error.expect_ok(run.enqueue(executor, bundle, nullptr, &error.value), "run");
    return run.output();
}

void add_rows(const Case& spec, mmoe_dtype dtype, const std::vector<uint8_t>& output,
              std::vector<double>& sum) {
    const size_t size = size_bytes(dtype);
    const int64_t stride = spec.hidden + spec.row_padding;
    for (int64_t t = 0; t < spec.tokens; ++t) {
        for (int64_t h = 0; h < stride; ++h) {
            const uint8_t* element = &output[(t * stride + h) * size];
            uint32_t bits = 0;
            std::memcpy(&bits, element, size);
            if (h < spec.hidden) {
                sum[t * spec.hidden + h] += decode(dtype, bits);
            } else if (*element != kPoison) {
                fail_msg("%s: written between rows", spec.name);
            }
        }
    }
}

std::vector<Handle<mmoe_bundle>> make_ranks(Problem& problem, mmoe_context* context) {
    std::vector<Handle<mmoe_bundle>> ranks;
    for (uint32_t e = 0; e < problem.spec.expert_ranks; ++e) {
        for (uint32_t t = 0; t < problem.spec.tensor_ranks; ++t) {
            const mmoe_split split = {problem.spec.tensor_ranks, t, problem.spec.expert_ranks, e};
            ranks.push_back(make_bundle(problem, context, split));
        }
    }
    return ranks;
}

}  // namespace mmoe::parity
