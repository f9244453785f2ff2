// SPDX-License-Identifier: Apache-2.0
#include "parity/layer_calls.h"

#include <utility>

namespace mmoe::parity {
namespace {

mmoe_status set_linear(mmoe_bundle* bundle, uint32_t expert, mmoe_projection projection,
                       QuantizedLinear& linear, mmoe_error* error) {
    const std::pair<mmoe_role, Array*> parts[] = {{MMOE_ROLE_WEIGHT, &linear.weight},
                                                  {MMOE_ROLE_SCALE, &linear.scale},
                                                  {MMOE_ROLE_ZERO_POINT, &linear.zero_point},
                                                  {MMOE_ROLE_GROUP_INDEX, &linear.group_index},
                                                  {MMOE_ROLE_BIAS, &linear.bias}};
    for (const auto& [role, array] : parts) {
        if (array->empty()) continue;
        const mmoe_tensor tensor = array->tensor();
        const mmoe_status status =
            mmoe_bundle_set(bundle, expert, projection, role, &tensor, error);
        if (status != MMOE_OK) return status;
    }
    return MMOE_OK;
}

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

Handle<mmoe_bundle> create_bundle(const Problem& problem, mmoe_context* context,
                                  const mmoe_split& split) {
    const Handle<mmoe_quant_config> config = make_config(problem.spec);
    auto options = sized<mmoe_bundle_options>();
    options.split = split;
    mmoe_bundle* bundle = nullptr;
    Error error{problem.spec.name};
    error.expect_ok(
        mmoe_bundle_create(context, config.get(), &problem.layer, &options, &bundle, &error.value),
        "bundle");
    return Handle<mmoe_bundle>(bundle);
}

mmoe_status fill_bundle(mmoe_bundle* bundle, Problem& problem, mmoe_error* error) {
    for (uint32_t e = 0; e < problem.spec.experts; ++e) {
        QuantizedExpert& expert = problem.experts[e];
        const std::pair<mmoe_projection, QuantizedLinear*> linears[] = {
            {MMOE_PROJECTION_GATE, &expert.gate},
            {MMOE_PROJECTION_UP, &expert.up},
            {MMOE_PROJECTION_DOWN, &expert.down}};
        for (const auto& [projection, linear] : linears) {
            const mmoe_status status = set_linear(bundle, e, projection, *linear, error);
            if (status != MMOE_OK) return status;
        }
    }
    return mmoe_bundle_seal(bundle, error);
}

Handle<mmoe_bundle> make_bundle(Problem& problem, mmoe_context* context, const mmoe_split& split) {
    Handle<mmoe_bundle> bundle = create_bundle(problem, context, split);
    Error error{problem.spec.name};
    error.expect_ok(fill_bundle(bundle.get(), problem, &error.value), "fill");
    return bundle;
}

std::shared_ptr<void> place(TestDevice& device, const void* bytes, size_t size_bytes) {
    std::shared_ptr<void> memory(device.allocate(size_bytes),
                                 [&device](void* block) { device.release(block); });
    if (bytes != nullptr) device.upload(memory.get(), bytes, size_bytes);
    return memory;
}

PlacedRun::PlacedRun(Problem& problem, TestDevice& device, mmoe_dtype output_dtype)
    : device_(device), args_(sized<mmoe_run_args>()) {
    const Case& spec = problem.spec;
    const int64_t stride = spec.hidden + spec.row_padding;
    output_bytes_ = static_cast<size_t>(spec.tokens * stride) * size_bytes(output_dtype);
    const auto matrix = [&](mmoe_dtype dtype, int64_t columns, int64_t row_stride) {
        mmoe_tensor tensor{};
        tensor.dtype = dtype;
        tensor.rank = 2;
        tensor.shape[0] = spec.tokens;
        tensor.shape[1] = columns;
        tensor.stride[0] = row_stride;
        tensor.stride[1] = 1;
        return tensor;
    };
    args_.hidden = matrix(spec.hidden_dtype, spec.hidden, stride);
    args_.output = matrix(output_dtype, spec.hidden, stride);
    args_.expert_ids = matrix(MMOE_DTYPE_I32, spec.top_k, spec.top_k);
    args_.expert_weights = matrix(MMOE_DTYPE_F32, spec.top_k, spec.top_k);
    put(args_.hidden, problem.hidden.bytes());
    put(args_.expert_ids, problem.call.expert_ids);
    put(args_.expert_weights, problem.call.expert_weights);
    put(args_.output, std::vector<uint8_t>(output_bytes_, kPoison));
    if (!problem.call.expert_map.empty()) {
        args_.expert_map.dtype = MMOE_DTYPE_I32;
        args_.expert_map.rank = 1;
        args_.expert_map.shape[0] = static_cast<int64_t>(problem.call.expert_map.size());
        put(args_.expert_map, problem.call.expert_map);
    }
}

void PlacedRun::count_tokens(int32_t count) {
    args_.token_count.dtype = MMOE_DTYPE_I32;
    args_.token_count.rank = 1;
    args_.token_count.shape[0] = 1;
    put(args_.token_count, std::vector<int32_t>{count});
}

mmoe_status PlacedRun::enqueue(mmoe_executor* executor, const mmoe_bundle* bundle, void* stream,
                               mmoe_error* error) {
    const std::vector<uint8_t> poison(output_bytes_, kPoison);
    device_.upload(args_.output.data, poison.data(), output_bytes_);
    return mmoe_executor_run(executor, bundle, &args_, stream, error);
}

std::vector<uint8_t> PlacedRun::output() {
    device_.synchronize();
    std::vector<uint8_t> bytes(output_bytes_);
    device_.download(bytes.data(), args_.output.data, output_bytes_);
    return bytes;
}

}  // namespace mmoe::parity
