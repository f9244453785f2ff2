// SPDX-License-Identifier: Apache-2.0
// CUDA through the public API: the parity table of the CPU against the oracle, the contract of an
// executor, and the router against the CPU's.
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "cuda_device.h"
#include "parity/cases.h"
#include "parity/executor_contract.h"
#include "parity/layer_calls.h"

namespace {

using namespace mmoe::parity;
using mmoe::test::CudaTestDevice;

// As in cuda_parity_test.cpp: 16-bit hidden states, intermediates, slot results and outputs.
constexpr double kTolerance = 5e-3;

Handle<mmoe_context> make_context(mmoe_device_kind kind) {
    auto options = sized<mmoe_context_options>();
    options.device_kind = kind;
    mmoe_context* context = nullptr;
    Error error{"context"};
    error.expect_ok(mmoe_context_create(&options, &context, &error.value), "create");
    return Handle<mmoe_context>(context);
}

// Adds one rank's output to `sum`.
void add_rank(Problem& problem, mmoe_context* context, const mmoe_split& split,
              std::vector<double>& sum) {
    const Case& spec = problem.spec;
    const Handle<mmoe_bundle> bundle = make_bundle(problem, context, split);
    auto options = sized<mmoe_executor_options>();
    options.max_tokens = static_cast<uint32_t>(spec.tokens == 0 ? 1 : spec.tokens);
    options.max_top_k = spec.top_k;
    options.hidden_dtype = spec.hidden_dtype;
    options.output_dtype = MMOE_DTYPE_F32;
    mmoe_executor* executor = nullptr;
    Error error{spec.name};
    error.expect_ok(mmoe_executor_create(context, bundle.get(), &options, &executor, &error.value),
                    "executor");
    const Handle<mmoe_executor> owned(executor);
    CudaTestDevice device;
    PlacedRun run(problem, device, MMOE_DTYPE_F32);
    error.expect_ok(run.enqueue(executor, bundle.get(), nullptr, &error.value), "run");
    const std::vector<uint8_t> bytes = run.output();
    const int64_t stride = spec.hidden + spec.row_padding;
    for (int64_t t = 0; t < spec.tokens; ++t) {
        for (int64_t h = 0; h < spec.hidden; ++h) {
            float value = 0;
            std::memcpy(&value, &bytes[static_cast<size_t>(t * stride + h) * sizeof value],
                        sizeof value);
            sum[static_cast<size_t>(t * spec.hidden + h)] += value;
        }
    }
}

void check_case(const Case& spec, mmoe_context* context) {
    Problem problem = make_problem(spec);
    std::vector<double> sum(problem.want.size(), 0.0);
    for (uint32_t e = 0; e < spec.expert_ranks; ++e) {
        for (uint32_t t = 0; t < spec.tensor_ranks; ++t) {
            add_rank(problem, context, {spec.tensor_ranks, t, spec.expert_ranks, e}, sum);
        }
    }
    const double error = mmoe::oracle::relative_error(sum, problem.want);
    if (!(error <= kTolerance)) fail_msg("%s: relative error %.3g", spec.name, error);
}

void every_case_agrees_with_the_oracle(void** /*state*/) {
    const auto context = make_context(MMOE_DEVICE_CUDA);
    for (const Case& spec : kCases) {
        if (spec.refused == 0) check_case(spec, context.get());
    }
}

void token_counts_are_read_by_the_device(void** /*state*/) {
    CudaTestDevice device;
    check_token_count(device);
}

void workspaces_may_be_the_callers(void** /*state*/) {
    CudaTestDevice device;
    check_given_workspace(device);
}

void kernels_may_be_asked_for(void** /*state*/) {
    CudaTestDevice device;
    check_asked_rows(device);
}

void poll_tells_of_ids_out_of_range(void** /*state*/) {
    CudaTestDevice device;
    check_poll(device);
}

// ---- Router --------------------------------------------------------------------------------

struct RouterCase {
    const char* name;
    mmoe_scoring scoring;
    int64_t tokens, experts, top_k;
    uint32_t groups, kept;
    bool renormalize, bias;
    float scale;
    mmoe_dtype dtype;
};

constexpr RouterCase kRouterCases[] = {
    {"softmax, renormalised", MMOE_SCORING_SOFTMAX, 33, 128, 8, 1, 1, true, false, 1.0F,
     MMOE_DTYPE_F32},
    {"softmax, f16", MMOE_SCORING_SOFTMAX, 5, 60, 4, 1, 1, false, false, 1.0F, MMOE_DTYPE_F16},
    {"sigmoid, bias, 4 of 8 groups", MMOE_SCORING_SIGMOID, 40, 256, 8, 8, 4, true, true, 2.5F,
     MMOE_DTYPE_F32},
    {"softmax, 3 of 8 groups, bf16", MMOE_SCORING_SOFTMAX, 9, 160, 6, 8, 3, false, false, 16.0F,
     MMOE_DTYPE_BF16},
    {"sigmoid, top 1", MMOE_SCORING_SIGMOID, 11, 16, 1, 1, 1, false, false, 1.0F, MMOE_DTYPE_BF16},
    {"every expert", MMOE_SCORING_SOFTMAX, 3, 5, 5, 1, 1, true, false, 1.0F, MMOE_DTYPE_F32},
    {"groups of one", MMOE_SCORING_SIGMOID, 3, 8, 4, 8, 4, true, true, 1.0F, MMOE_DTYPE_F32},
    {"896 experts", MMOE_SCORING_SIGMOID, 4, 896, 16, 1, 1, true, true, 1.0F, MMOE_DTYPE_F32},
    {"20,000 experts", MMOE_SCORING_SOFTMAX, 2, 20000, 8, 1, 1, true, false, 1.0F, MMOE_DTYPE_F32},
    {"one expert", MMOE_SCORING_SOFTMAX, 3, 1, 1, 1, 1, true, false, 1.0F, MMOE_DTYPE_F32},
};

// Random logits, some of them equal, infinite or NaN.
Array make_logits(const RouterCase& c, std::mt19937& random) {
    Array logits(c.dtype, {c.tokens, c.experts});
    std::normal_distribution<float> normal(0, 2);
    for (int64_t i = 0; i < c.tokens * c.experts; ++i) {
        float value = std::round(normal(random) * 8) / 8;
        if (random() % 97 == 0) value = -INFINITY;
        logits.set_bits(i, encode(c.dtype, value));
        if (random() % 131 == 0)
            logits.set_bits(i, c.dtype == MMOE_DTYPE_F32 ? 0x7FC00000 : 0x7FFF);
    }
    return logits;
}

struct Routed {
    std::vector<int32_t> ids;
    std::vector<float> weights;
};

Routed route(const RouterCase& c, mmoe::TestDevice& device, Array& logits,
             const std::vector<float>& bias) {
    const auto context = make_context(device.kind());
    const auto slots = static_cast<size_t>(c.tokens * c.top_k);
    Routed routed{std::vector<int32_t>(slots, -7), std::vector<float>(slots)};
    const auto matrix = [&](const std::shared_ptr<void>& memory, mmoe_dtype dtype,
                            int64_t columns) {
        mmoe_tensor tensor{};
        tensor.data = memory.get();
        tensor.dtype = dtype;
        tensor.rank = 2;
        tensor.shape[0] = c.tokens;
        tensor.shape[1] = columns;
        return tensor;
    };
    const auto placed_logits = place(device, logits.bytes().data(), logits.bytes().size());
    const auto placed_bias = place(device, bias.data(), bias.size() * sizeof(float));
    const auto ids = place(device, nullptr, slots * sizeof(int32_t));
    const auto weights = place(device, nullptr, slots * sizeof(float));
    auto args = sized<mmoe_route_args>();
    args.scoring = c.scoring;
    args.group_count = c.groups;
    args.groups_kept = c.kept;
    args.renormalize = c.renormalize ? 1 : 0;
    args.scale = c.scale;
    args.logits = matrix(placed_logits, c.dtype, c.experts);
    args.expert_ids = matrix(ids, MMOE_DTYPE_I32, c.top_k);
    args.expert_weights = matrix(weights, MMOE_DTYPE_F32, c.top_k);
    if (c.bias) {
        args.correction_bias.data = placed_bias.get();
        args.correction_bias.dtype = MMOE_DTYPE_F32;
        args.correction_bias.rank = 1;
        args.correction_bias.shape[0] = c.experts;
    }
    Error error{c.name};
    error.expect_ok(mmoe_route(context.get(), &args, nullptr, &error.value), "route");
    device.synchronize();
    device.download(routed.ids.data(), ids.get(), slots * sizeof(int32_t));
    device.download(routed.weights.data(), weights.get(), slots * sizeof(float));
    return routed;
}

// Sums of exponentials in another order differ in the last bits of a double, which may turn one
// rounding to float.
bool same_weight(float a, float b) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
    return a == b || std::nextafter(a, b) == b;
}

void the_router_agrees_with_the_cpu(void** /*state*/) {
    std::mt19937 random(11);
    for (const RouterCase& c : kRouterCases) {
        Array logits = make_logits(c, random);
        std::vector<float> bias(static_cast<size_t>(c.experts));
        for (float& value : bias) value = static_cast<float>(random() % 1000) / 2000.0F;
        mmoe::CpuTestDevice cpu;
        CudaTestDevice cuda;
        const Routed want = route(c, cpu, logits, bias);
        const Routed got = route(c, cuda, logits, bias);
        if (got.ids != want.ids) fail_msg("%s: other experts", c.name);
        for (size_t i = 0; i < want.weights.size(); ++i) {
            if (!same_weight(got.weights[i], want.weights[i])) {
                fail_msg("%s: weight %zu: %.9g, the CPU has %.9g", c.name, i, got.weights[i],
                         want.weights[i]);
            }
        }
    }
}

}  // namespace

int main() {
    if (const int skip = mmoe::test::skip_without_device()) return skip;
    const CMUnitTest tests[] = {
        cmocka_unit_test(every_case_agrees_with_the_oracle),
        cmocka_unit_test(token_counts_are_read_by_the_device),
        cmocka_unit_test(workspaces_may_be_the_callers),
        cmocka_unit_test(kernels_may_be_asked_for),
        cmocka_unit_test(poll_tells_of_ids_out_of_range),
        cmocka_unit_test(the_router_agrees_with_the_cpu),
    };
    return cmocka_run_group_tests_name("cuda_layer", tests, nullptr, nullptr);
}
