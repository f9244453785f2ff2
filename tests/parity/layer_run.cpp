// SPDX-License-Identifier: Apache-2.0
#include "parity/layer_run.h"

#include <algorithm>
#include <cstring>

namespace mmoe::parity {
namespace {

void set_linear(const Case& spec, mmoe_bundle* bundle, uint32_t expert, mmoe_projection projection,
                QuantizedLinear& linear) {
    const std::pair<mmoe_role, Array*> parts[] = {{MMOE_ROLE_WEIGHT, &linear.weight},
                                                  {MMOE_ROLE_SCALE, &linear.scale},
                                                  {MMOE_ROLE_ZERO_POINT, &linear.zero_point},
                                                  {MMOE_ROLE_GROUP_INDEX, &linear.group_index},
                                                  {MMOE_ROLE_BIAS, &linear.bias}};
    Error error{spec.name};
    for (const auto& [role, array] : parts) {
        if (array->empty()) continue;
        const mmoe_tensor tensor = array->tensor();
        error.expect_ok(mmoe_bundle_set(bundle, expert, projection, role, &tensor, &error.value),
                        "set");
    }
}

template <class T>
mmoe_tensor view(std::vector<T>& data, mmoe_dtype dtype, std::initializer_list<int64_t> shape) {
    static T nothing{};  // a valid address for tensors of no elements
    mmoe_tensor tensor{};
    tensor.data = data.empty() ? &nothing : data.data();
    tensor.dtype = dtype;
    tensor.rank = static_cast<int32_t>(shape.size());
    std::copy(shape.begin(), shape.end(), tensor.shape);
    return tensor;
}

constexpr uint8_t kPoison = 0xFF;  // NaN in every type

}  // namespace

Handle<mmoe_quant_config> make_config(const Case& spec) {
    auto fields = sized<mmoe_quant_fields>();
    fields.bits = spec.scheme.bits;
    fields.group_size = static_cast<int32_t>(spec.scheme.group_size);
    fields.symmetry = spec.scheme.asymmetric ? MMOE_ASYMMETRIC : MMOE_SYMMETRIC;
    fields.zero_point_form = spec.scheme.zero_point_form;
    fields.scale_dtype = spec.scheme.scale_dtype;
    fields.order = spec.scheme.ordered ? MMOE_ORDER_GROUP : MMOE_ORDER_NONE;
    mmoe_quant_config* config = nullptr;
    Error error{spec.name};
    error.expect_ok(mmoe_quant_config_create(&fields, &config, &error.value), "config");
    return Handle<mmoe_quant_config>(config);
}

Handle<mmoe_bundle> make_bundle(Problem& problem, mmoe_context* context, const mmoe_split& split) {
    const Case& spec = problem.spec;
    const Handle<mmoe_quant_config> config = make_config(spec);
    auto options = sized<mmoe_bundle_options>();
    options.split = split;
    mmoe_bundle* bundle = nullptr;
    Error error{spec.name};
    error.expect_ok(
        mmoe_bundle_create(context, config.get(), &problem.layer, &options, &bundle, &error.value),
        "bundle");
    for (uint32_t e = 0; e < spec.experts; ++e) {
        QuantizedExpert& expert = problem.experts[e];
        set_linear(spec, bundle, e, MMOE_PROJECTION_GATE, expert.gate);
        set_linear(spec, bundle, e, MMOE_PROJECTION_UP, expert.up);
        set_linear(spec, bundle, e, MMOE_PROJECTION_DOWN, expert.down);
    }
    error.expect_ok(mmoe_bundle_seal(bundle, &error.value), "seal");
    return Handle<mmoe_bundle>(bundle);
}

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
    const Case& spec = problem.spec;
    const int64_t stride = spec.hidden + spec.row_padding;
    std::vector<uint8_t> output(spec.tokens * stride * size_bytes(output_dtype), kPoison);
    auto args = sized<mmoe_run_args>();
    args.hidden = view(problem.hidden.bytes(), spec.hidden_dtype, {spec.tokens, spec.hidden});
    args.output = view(output, output_dtype, {spec.tokens, spec.hidden});
    if (spec.row_padding != 0) {
        for (mmoe_tensor* tensor : {&args.hidden, &args.output}) {
            tensor->stride[0] = stride;
            tensor->stride[1] = 1;
        }
    }
    args.expert_ids = view(problem.call.expert_ids, MMOE_DTYPE_I32, {spec.tokens, spec.top_k});
    args.expert_weights =
        view(problem.call.expert_weights, MMOE_DTYPE_F32, {spec.tokens, spec.top_k});
    if (!problem.call.expert_map.empty()) {
        const auto entries = static_cast<int64_t>(problem.call.expert_map.size());
        args.expert_map = view(problem.call.expert_map, MMOE_DTYPE_I32, {entries});
    }
    Error error{spec.name};
    error.expect_ok(mmoe_executor_run(executor, bundle, &args, nullptr, &error.value), "run");
    return output;
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
