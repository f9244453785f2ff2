// SPDX-License-Identifier: Apache-2.0
#include "runner.h"

#include "number.h"
#include "options.h"

namespace mmoe_tool {
namespace {

size_t count(int64_t rows, int64_t columns) {
    return static_cast<size_t>(rows) * static_cast<size_t>(columns);
}

mmoe_tensor matrix(void* data, mmoe_dtype dtype, int64_t rows, int64_t columns) {
    mmoe_tensor tensor{};
    tensor.data = data;
    tensor.dtype = dtype;
    tensor.rank = 2;
    tensor.shape[0] = rows;
    tensor.shape[1] = columns;
    return tensor;
}

struct PrecisionName {
    mmoe_precision value;
    const char* name;
};
constexpr PrecisionName kPrecisionNames[] = {{MMOE_PRECISION_DEFAULT, "default"},
                                             {MMOE_PRECISION_EXACT, "exact"},
                                             {MMOE_PRECISION_INT8, "int8"}};

}  // namespace

mmoe_precision parse_precision(const std::string& text) {
    for (const PrecisionName& known : kPrecisionNames) {
        if (text == known.name) return known.value;
    }
    throw UsageError(std::string("expected ") + kPrecisions + ", got '" + text + "'");
}

const char* precision_name(mmoe_precision precision) {
    for (const PrecisionName& known : kPrecisionNames) {
        if (known.value == precision) return known.name;
    }
    return "other";
}

mmoe_executor_options executor_options(const RunShape& shape) {
    auto options = sized<mmoe_executor_options>();
    options.max_tokens = static_cast<uint32_t>(shape.tokens);
    options.max_top_k = static_cast<uint32_t>(shape.top_k);
    options.hidden_dtype = shape.hidden_dtype;
    options.output_dtype = shape.output_dtype;
    options.precision = shape.precision;
    if (!shape.row.empty()) options.row = shape.row.c_str();
    return options;
}

Runner::Runner(const Device& device, const mmoe_bundle* bundle, const RunShape& shape)
    : device_(device),
      shape_(shape),
      hidden_(device, count(shape.tokens, shape.hidden_size) * element_bytes(shape.hidden_dtype)),
      ids_(device, count(shape.tokens, shape.top_k) * sizeof(int32_t)),
      weights_(device, count(shape.tokens, shape.top_k) * sizeof(float)),
      output_(device, count(shape.tokens, shape.hidden_size) * element_bytes(shape.output_dtype)),
      args_(sized<mmoe_run_args>()) {
    const mmoe_executor_options options = executor_options(shape);
    executor_ = make<mmoe_executor>(mmoe_executor_create, device.context.get(), bundle, &options);
    args_.hidden = matrix(hidden_.data(), shape.hidden_dtype, shape.tokens, shape.hidden_size);
    args_.expert_ids = matrix(ids_.data(), MMOE_DTYPE_I32, shape.tokens, shape.top_k);
    args_.expert_weights = matrix(weights_.data(), MMOE_DTYPE_F32, shape.tokens, shape.top_k);
    args_.output = matrix(output_.data(), shape.output_dtype, shape.tokens, shape.hidden_size);
}

void Runner::set_hidden(const std::vector<uint8_t>& hidden) {
    hidden_.upload(hidden.data(), hidden.size());
}

void Runner::set_experts(const std::vector<int32_t>& ids) {
    ids_.upload(ids.data(), ids.size() * sizeof(int32_t));
}

void Runner::set_router_weights(const std::vector<float>& weights) {
    weights_.upload(weights.data(), weights.size() * sizeof(float));
}

void Runner::run(const mmoe_bundle* bundle) {
    call(mmoe_executor_run, executor_.get(), bundle, &args_, nullptr);
    device_.synchronize();
}

std::vector<double> Runner::output() const {
    return decode(shape_.output_dtype, output_.download());
}

std::string Runner::explain(const mmoe_bundle* bundle) const {
    const auto tokens = static_cast<uint32_t>(shape_.tokens);
    std::string text(mmoe_executor_explain(executor_.get(), bundle, tokens, nullptr, 0), '\0');
    mmoe_executor_explain(executor_.get(), bundle, tokens, text.data(), text.size());
    if (!text.empty()) text.pop_back();  // the NUL
    return text;
}

}  // namespace mmoe_tool
