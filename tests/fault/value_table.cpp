// SPDX-License-Identifier: Apache-2.0
// In this order for every row: the ordinary layer with the value in its place and the oracle's
// answer, the bundle, the run, the judgement of each token.
#include "fault/value_table.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "oracle/moe_oracle.h"
#include "parity/layer_calls.h"

namespace mmoe::fault {
namespace {

using parity::Error;
using parity::Handle;
using parity::Problem;
using parity::QuantizedLinear;
using parity::sized;

constexpr int64_t kToken = 1;  // that has the value
constexpr mmoe_split kWhole = {};

// ---- Putting the value in ----

// The scale of output `n`, and what the weights under it mean then.
void set_scale(QuantizedLinear& linear, oracle::Linear& meaning, int64_t n, double value) {
    const int64_t groups = meaning.inputs / kValueLayer.scheme.group_size;
    for (int64_t g = 0; g < groups; ++g) {
        const double old = linear.scale.value(n * groups + g);
        linear.scale.set_bits(n * groups + g,
                              parity::encode(MMOE_DTYPE_BF16, static_cast<float>(value)));
        for (int64_t k = 0; k < kValueLayer.scheme.group_size; ++k) {
            double& weight =
                meaning.weights[n * meaning.inputs + g * kValueLayer.scheme.group_size + k];
            weight = weight / old * value;
        }
    }
}

void multiply_scales(QuantizedLinear& linear, oracle::Linear& meaning, double factor) {
    const int64_t count = meaning.outputs * meaning.inputs / kValueLayer.scheme.group_size;
    for (int64_t i = 0; i < count; ++i) {
        const auto scale = static_cast<float>(linear.scale.value(i) * factor);
        linear.scale.set_bits(i, parity::encode(MMOE_DTYPE_BF16, scale));
    }
    for (double& weight : meaning.weights) weight *= factor;
}

void set_zero_point(QuantizedLinear& linear, oracle::Linear& meaning, double value) {
    const double scale = linear.scale.value(0);
    const auto old = static_cast<int8_t>(linear.zero_point.bytes()[0]);
    linear.zero_point.set_bits(0, static_cast<uint32_t>(static_cast<int32_t>(value)));
    for (int64_t k = 0; k < kValueLayer.scheme.group_size; ++k) {
        meaning.weights[k] += (old - value) * scale;
    }
}

// As near as the type of the hidden states comes.
void set_hidden(Problem& problem, int64_t index, double value) {
    problem.hidden.set_bits(index,
                            parity::encode(problem.spec.hidden_dtype, static_cast<float>(value)));
    problem.call.hidden[index] = problem.hidden.value(index);
}

void put_value(Problem& problem, const ValueCase& row) {
    parity::QuantizedExpert& expert = problem.experts[0];
    oracle::Expert& meaning = problem.meaning.experts[0];
    const int64_t place = kToken * kValueLayer.top_k;
    switch (row.where) {
        case Where::kGateScale:
            return set_scale(expert.gate, meaning.gate, 5, row.value);
        case Where::kDownScale:
            return set_scale(expert.down, meaning.down, 5, row.value);
        case Where::kAllScales:
            for (size_t e = 0; e < problem.experts.size(); ++e) {
                multiply_scales(problem.experts[e].gate, problem.meaning.experts[e].gate,
                                row.value);
                multiply_scales(problem.experts[e].up, problem.meaning.experts[e].up, row.value);
                multiply_scales(problem.experts[e].down, problem.meaning.experts[e].down,
                                row.value);
            }
            return;
        case Where::kBias:
            expert.up.bias.set_bits(7,
                                    parity::encode(MMOE_DTYPE_BF16, static_cast<float>(row.value)));
            meaning.up.bias[7] = row.value;
            return;
        case Where::kZeroPoint:
            return set_zero_point(expert.up, meaning.up, row.value);
        case Where::kHidden:
            return set_hidden(problem, kToken * kValueLayer.hidden + 9, row.value);
        case Where::kAllHidden:
            for (size_t i = 0; i < problem.call.hidden.size(); ++i) {
                set_hidden(problem, static_cast<int64_t>(i), problem.call.hidden[i] * row.value);
            }
            return;
        case Where::kRouterWeight:
            problem.call.expert_weights[place] = static_cast<float>(row.value);
            return;
        case Where::kId:
            problem.call.expert_ids[place] = static_cast<int32_t>(row.value);
            return;
        case Where::kNothing:
            return;
    }
}

// Expert 0 first everywhere, so that every token meets its values.
Problem make_problem(const ValueCase& row, mmoe_dtype hidden_dtype) {
    parity::Case spec = kValueLayer;
    spec.name = row.name;
    spec.hidden_dtype = hidden_dtype;
    Problem problem = parity::make_problem(spec);
    for (int64_t t = 0; t < kValueLayer.tokens; ++t) {
        problem.call.expert_ids[t * kValueLayer.top_k] = 0;
        problem.call.expert_ids[t * kValueLayer.top_k + 1] = static_cast<int32_t>(1 + t % 3);
    }
    put_value(problem, row);
    problem.want = oracle::run(problem.meaning, problem.call);
    return problem;
}

// ---- Running it ----

Handle<mmoe_context> make_context(mmoe_device_kind kind) {
    auto options = sized<mmoe_context_options>();
    options.device_kind = kind;
    options.thread_count = 2;
    mmoe_context* context = nullptr;
    Error error{"context"};
    error.expect_ok(mmoe_context_create(&options, &context, &error.value), "create");
    return Handle<mmoe_context>(context);
}

// [T, H]
std::vector<float> run(TestDevice& device, mmoe_context* context, const mmoe_bundle* bundle,
                       Problem& problem, mmoe_precision precision) {
    auto options = sized<mmoe_executor_options>();
    options.max_tokens = static_cast<uint32_t>(problem.spec.tokens);
    options.max_top_k = problem.spec.top_k;
    options.hidden_dtype = problem.spec.hidden_dtype;
    options.output_dtype = MMOE_DTYPE_F32;
    options.precision = precision;
    mmoe_executor* executor = nullptr;
    Error error{problem.spec.name};
    error.expect_ok(mmoe_executor_create(context, bundle, &options, &executor, &error.value),
                    "executor");
    const Handle<mmoe_executor> owned(executor);
    parity::PlacedRun placed(problem, device, MMOE_DTYPE_F32);
    error.expect_ok(placed.enqueue(executor, bundle, nullptr, &error.value), "run");
    const std::vector<uint8_t> bytes = placed.output();
    std::vector<float> output(problem.want.size());
    std::memcpy(output.data(), bytes.data(), bytes.size());
    return output;
}

// ---- Judging it ----

bool is_float(double value) {
    return std::abs(value) <= std::numeric_limits<float>::max();
}

// A token of the output against the oracle's; empty if it is right.
std::string judge_token(const float* got, const double* want, double tolerance) {
    double difference = 0;
    double norm = 0;
    for (int64_t h = 0; h < kValueLayer.hidden; ++h) {
        if (!is_float(want[h])) {
            if (std::isfinite(got[h])) return "finite where the oracle is not";
            continue;
        }
        if (!std::isfinite(got[h])) return "not finite where the oracle is";
        difference += (got[h] - want[h]) * (got[h] - want[h]);
        norm += want[h] * want[h];
    }
    if (!(std::sqrt(difference) <= tolerance * std::sqrt(norm))) {
        return "relative error " + std::to_string(std::sqrt(difference / norm));
    }
    return {};
}

void check_row(TestDevice& device, mmoe_context* context, const ValueMode& mode,
               const ValueCase& row) {
    Problem problem = make_problem(row, mode.hidden_dtype);
    const Handle<mmoe_bundle> bundle = parity::create_bundle(problem, context, kWhole);
    mmoe_error error = {};
    const mmoe_status status = parity::fill_bundle(bundle.get(), problem, &error);
    const mmoe_status wanted = row.outcome == Outcome::kRefused ? MMOE_ERR_BAD_DATA : MMOE_OK;
    if (status != wanted) fail_msg("%s: got %d: %s", row.name, status, error.message);
    if (status != MMOE_OK) return;
    const std::vector<float> output = run(device, context, bundle.get(), problem, mode.precision);
    for (int64_t t = 0; t < kValueLayer.tokens; ++t) {
        const std::string wrong = judge_token(
            &output[t * kValueLayer.hidden], &problem.want[t * kValueLayer.hidden], mode.tolerance);
        if (!wrong.empty()) {
            fail_msg("%s, precision %d, token %d: %s", row.name, mode.precision,
                     static_cast<int>(t), wrong.c_str());
        }
    }
}

}  // namespace

void check_value_table(TestDevice& device, std::span<const ValueMode> modes) {
    const Handle<mmoe_context> context = make_context(device.kind());
    for (const ValueMode& mode : modes) {
        for (const ValueCase& row : kValueCases) check_row(device, context.get(), mode, row);
    }
    print_message("values that no model should have: %zu, all with their outcome\n",
                  std::size(kValueCases));
}

}  // namespace mmoe::fault
