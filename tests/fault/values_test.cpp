// SPDX-License-Identifier: Apache-2.0
// The table of values on the CPU, in both precisions: what is refused, what is answered, and that
// a bad token harms no other.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "fault/value_cases.h"
#include "oracle/moe_oracle.h"
#include "parity/handles.h"
#include "parity/problem.h"

using namespace mmoe;
using namespace mmoe::fault;
using parity::Error;
using parity::Handle;
using parity::Problem;
using parity::QuantizedLinear;
using parity::sized;

namespace {

struct Mode {
    mmoe_precision precision;
    double tolerance;  // of a token's relative error
};
// The parity tests' bounds for whole layers; a token alone may have twice as much.
constexpr Mode kModes[] = {{MMOE_PRECISION_DEFAULT, 2e-4}, {MMOE_PRECISION_EXACT, 2e-5}};

constexpr int64_t kToken = 1;  // that has the value

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

void set_hidden(Problem& problem, int64_t index, double value) {
    const auto number = static_cast<float>(value);
    problem.hidden.set_bits(index, parity::encode(MMOE_DTYPE_F32, number));
    problem.call.hidden[index] = number;
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
Problem make_problem(const ValueCase& row) {
    Problem problem = parity::make_problem(kValueLayer);
    for (int64_t t = 0; t < kValueLayer.tokens; ++t) {
        problem.call.expert_ids[t * kValueLayer.top_k] = 0;
        problem.call.expert_ids[t * kValueLayer.top_k + 1] = static_cast<int32_t>(1 + t % 3);
    }
    put_value(problem, row);
    problem.want = oracle::run(problem.meaning, problem.call);
    return problem;
}

// ---- Running it ----

Handle<mmoe_context> make_context() {
    auto options = sized<mmoe_context_options>();
    options.device_kind = MMOE_DEVICE_CPU;
    options.thread_count = 2;
    mmoe_context* context = nullptr;
    assert_int_equal(mmoe_context_create(&options, &context, nullptr), MMOE_OK);
    return Handle<mmoe_context>(context);
}

mmoe_status set_linear(mmoe_bundle* bundle, uint32_t expert, mmoe_projection projection,
                       QuantizedLinear& linear, mmoe_error* error) {
    const std::pair<mmoe_role, parity::Array*> parts[] = {
        {MMOE_ROLE_WEIGHT, &linear.weight},
        {MMOE_ROLE_SCALE, &linear.scale},
        {MMOE_ROLE_ZERO_POINT, &linear.zero_point},
        {MMOE_ROLE_BIAS, &linear.bias}};
    for (const auto& [role, array] : parts) {
        const mmoe_tensor tensor = array->tensor();
        const mmoe_status status =
            mmoe_bundle_set(bundle, expert, projection, role, &tensor, error);
        if (status != MMOE_OK) return status;
    }
    return MMOE_OK;
}

mmoe_status fill(mmoe_bundle* bundle, Problem& problem, mmoe_error* error) {
    for (uint32_t e = 0; e < kValueLayer.experts; ++e) {
        parity::QuantizedExpert& expert = problem.experts[e];
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

Handle<mmoe_bundle> make_bundle(mmoe_context* context, const Problem& problem) {
    auto fields = sized<mmoe_quant_fields>();
    fields.bits = kValueLayer.scheme.bits;
    fields.group_size = static_cast<int32_t>(kValueLayer.scheme.group_size);
    fields.symmetry = MMOE_ASYMMETRIC;
    fields.zero_point_form = kValueLayer.scheme.zero_point_form;
    mmoe_quant_config* config = nullptr;
    assert_int_equal(mmoe_quant_config_create(&fields, &config, nullptr), MMOE_OK);
    const Handle<mmoe_quant_config> owned(config);
    mmoe_bundle* bundle = nullptr;
    assert_int_equal(mmoe_bundle_create(context, config, &problem.layer, nullptr, &bundle, nullptr),
                     MMOE_OK);
    return Handle<mmoe_bundle>(bundle);
}

std::vector<float> run(mmoe_context* context, const mmoe_bundle* bundle, Problem& problem,
                       mmoe_precision precision, const char* name) {
    auto options = sized<mmoe_executor_options>();
    options.max_tokens = static_cast<uint32_t>(kValueLayer.tokens);
    options.max_top_k = kValueLayer.top_k;
    options.hidden_dtype = MMOE_DTYPE_F32;
    options.precision = precision;
    mmoe_executor* executor = nullptr;
    Error error{name};
    error.expect_ok(mmoe_executor_create(context, bundle, &options, &executor, &error.value),
                    "executor");
    const Handle<mmoe_executor> owned(executor);
    std::vector<float> output(problem.want.size(), -1.0F);
    const int64_t tokens = kValueLayer.tokens;
    auto args = sized<mmoe_run_args>();
    args.hidden = problem.hidden.tensor();
    args.expert_ids = {
        problem.call.expert_ids.data(), MMOE_DTYPE_I32, 2, {tokens, kValueLayer.top_k}, {}};
    args.expert_weights = {
        problem.call.expert_weights.data(), MMOE_DTYPE_F32, 2, {tokens, kValueLayer.top_k}, {}};
    args.output = {output.data(), MMOE_DTYPE_F32, 2, {tokens, kValueLayer.hidden}, {}};
    error.expect_ok(mmoe_executor_run(executor, bundle, &args, nullptr, &error.value), "run");
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

void check_answer(mmoe_context* context, const mmoe_bundle* bundle, Problem& problem,
                  const ValueCase& row) {
    for (const Mode& mode : kModes) {
        const std::vector<float> output = run(context, bundle, problem, mode.precision, row.name);
        for (int64_t t = 0; t < kValueLayer.tokens; ++t) {
            const std::string wrong =
                judge_token(&output[t * kValueLayer.hidden], &problem.want[t * kValueLayer.hidden],
                            mode.tolerance);
            if (!wrong.empty()) {
                fail_msg("%s, precision %d, token %d: %s\n", row.name, mode.precision,
                         static_cast<int>(t), wrong.c_str());
            }
        }
    }
}

void every_value_has_its_outcome(void** /*state*/) {
    const Handle<mmoe_context> context = make_context();
    for (const ValueCase& row : kValueCases) {
        Problem problem = make_problem(row);
        const Handle<mmoe_bundle> bundle = make_bundle(context.get(), problem);
        mmoe_error error = {};
        const mmoe_status status = fill(bundle.get(), problem, &error);
        const mmoe_status wanted = row.outcome == Outcome::kRefused ? MMOE_ERR_BAD_DATA : MMOE_OK;
        if (status != wanted) fail_msg("%s: got %d: %s", row.name, status, error.message);
        if (status == MMOE_OK) check_answer(context.get(), bundle.get(), problem, row);
    }
    print_message("values that no model should have: %zu, all with their outcome\n",
                  std::size(kValueCases));
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(every_value_has_its_outcome)};
    return cmocka_run_group_tests_name("fault_values", tests, nullptr, nullptr);
}
