// SPDX-License-Identifier: Apache-2.0
// The whole layer, through the public API, against the oracle: every row of the table on every
// CPU tier of the machine, with several teams of threads, in every precision. One row and one
// tier must give the same bits with every team and at every repeat.
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "cmocka_cpp.h"
#include "marlin_moe.h"
#include "parity/problem.h"

using namespace mmoe::parity;

namespace {

constexpr Scheme kW4{};
constexpr Scheme kW4Zero{.asymmetric = true};
constexpr Scheme kW8{.bits = 8};
constexpr Scheme kW8Zero{.bits = 8, .asymmetric = true};

constexpr Case kCases[] = {
    {.name = "4 bits, symmetric", .scheme = kW4},
    {.name = "4 bits, zero points", .scheme = kW4Zero},
    {.name = "8 bits, symmetric", .scheme = kW8},
    {.name = "8 bits, zero points", .scheme = kW8Zero},
    {.name = "int8 zero points",
     .scheme = {.asymmetric = true, .zero_point_form = MMOE_ZERO_POINT_INT8}},
    {.name = "8 bits, int8 zero points",
     .scheme = {.bits = 8, .asymmetric = true, .zero_point_form = MMOE_ZERO_POINT_INT8}},
    {.name = "f16 scales, f16 hidden",
     .scheme = {.asymmetric = true, .scale_dtype = MMOE_DTYPE_F16},
     .hidden_dtype = MMOE_DTYPE_F16},
    {.name = "f32 scales, f32 hidden",
     .scheme = {.asymmetric = true, .scale_dtype = MMOE_DTYPE_F32},
     .hidden_dtype = MMOE_DTYPE_F32},
    {.name = "8 bits, f16 scales, f32 hidden",
     .scheme = {.bits = 8, .scale_dtype = MMOE_DTYPE_F16},
     .hidden_dtype = MMOE_DTYPE_F32},
    {.name = "groups of 16", .scheme = {.group_size = 16, .asymmetric = true}},
    {.name = "groups of 64", .intermediate = 192, .scheme = {.group_size = 64, .asymmetric = true}},
    {.name = "groups of 128",
     .hidden = 1024,
     .intermediate = 384,
     .scheme = {.group_size = 128, .asymmetric = true}},
    {.name = "one scale a channel", .scheme = {.group_size = -1}},
    {.name = "one scale a channel, zero points", .scheme = {.group_size = -1, .asymmetric = true}},
    {.name = "8 bits, one scale a channel", .scheme = {.bits = 8, .group_size = -1}},
    {.name = "rows end mid-block", .hidden = 160, .intermediate = 32, .scheme = kW4Zero},
    {.name = "neither H nor I fills a block",
     .hidden = 80,
     .intermediate = 48,
     .scheme = {.group_size = 16, .asymmetric = true}},
    {.name = "no token", .tokens = 0},
    {.name = "one token", .tokens = 1, .scheme = kW4Zero},
    {.name = "tokens end mid-tile", .tokens = 67, .experts = 8, .scheme = kW4Zero},
    {.name = "one expert takes all", .tokens = 33, .top_k = 1, .routing = Routing::kAllOnFirst},
    {.name = "an expert left empty", .tokens = 16, .routing = Routing::kLastEmpty},
    {.name = "skipped ids", .tokens = 16, .routing = Routing::kWithHoles},
    {.name = "no valid id", .routing = Routing::kNobody},
    {.name = "an expert twice", .tokens = 9, .scheme = kW4Zero, .routing = Routing::kDuplicates},
    {.name = "expert map", .tokens = 16, .routing = Routing::kMapped},
    {.name = "all experts at once", .experts = 6, .top_k = 6, .scheme = kW8Zero},
    {.name = "896 experts",
     .tokens = 7,
     .experts = 896,
     .top_k = 8,
     .hidden = 64,
     .intermediate = 32,
     .scheme = kW4Zero},
    {.name = "gelu", .activation = MMOE_ACTIVATION_GELU},
    {.name = "gelu by tanh", .activation = MMOE_ACTIVATION_GELU_TANH},
    {.name = "relu squared", .activation = MMOE_ACTIVATION_RELU2},
    {.name = "relu squared, not gated",
     .activation = MMOE_ACTIVATION_RELU2,
     .gate_form = MMOE_GATE_NONE},
    {.name = "silu, not gated", .scheme = kW4Zero, .gate_form = MMOE_GATE_NONE},
    {.name = "silu with alpha, beta, limit", .alpha = 1.3F, .beta = 0.5F, .limit = 0.7F},
    {.name = "gelu with limit", .activation = MMOE_ACTIVATION_GELU, .limit = 0.7F},
    {.name = "gpt-oss",
     .activation = MMOE_ACTIVATION_SWIGLUOAI,
     .gate_form = MMOE_GATE_INTERLEAVED,
     .flags = MMOE_LAYER_BIAS,
     .hidden_scale = 6},
    {.name = "biases", .scheme = kW4Zero, .flags = MMOE_LAYER_BIAS},
    {.name = "biases, not gated", .gate_form = MMOE_GATE_NONE, .flags = MMOE_LAYER_BIAS},
    {.name = "router weight on input", .flags = MMOE_LAYER_ROUTER_WEIGHT_ON_INPUT},
    {.name = "router weight on input, biases",
     .flags = MMOE_LAYER_ROUTER_WEIGHT_ON_INPUT | MMOE_LAYER_BIAS},
    {.name = "rows apart", .tokens = 9, .scheme = kW4Zero, .row_padding = 24},
    {.name = "two tensor ranks", .intermediate = 192, .scheme = kW4Zero, .tensor_ranks = 2},
    {.name = "two tensor ranks, biases",
     .intermediate = 128,
     .flags = MMOE_LAYER_BIAS,
     .tensor_ranks = 2},
    {.name = "two tensor ranks, one scale a channel",
     .scheme = {.group_size = -1, .asymmetric = true},
     .tensor_ranks = 2},
    {.name = "three expert ranks", .experts = 7, .scheme = kW4Zero, .expert_ranks = 3},
    {.name = "expert and tensor ranks",
     .tokens = 17,
     .intermediate = 64,
     .scheme = kW8Zero,
     .flags = MMOE_LAYER_BIAS,
     .routing = Routing::kWithHoles,
     .tensor_ranks = 2,
     .expert_ranks = 2},
};

struct Mode {
    const char* name;
    mmoe_precision precision;
    bool wide_output;  // f32; else as the hidden states
    double tolerance;
};
constexpr Mode kModes[] = {
    {"default, f32 out", MMOE_PRECISION_DEFAULT, true, 1e-4},  // 16-bit activations
    {"exact, f32 out", MMOE_PRECISION_EXACT, true, 1e-5},      // fp32 sums of some 1000 products
    {"default", MMOE_PRECISION_DEFAULT, false, 3e-3},          // the output's rounding, 2^-9
};

// Who runs the tasks. 0 threads: the caller's parallel_for.
constexpr uint32_t kTeams[] = {1, 2, 3, 7, 0};

struct Destroy {
    void operator()(mmoe_context* p) const { mmoe_context_destroy(p); }
    void operator()(mmoe_quant_config* p) const { mmoe_quant_config_destroy(p); }
    void operator()(mmoe_bundle* p) const { mmoe_bundle_destroy(p); }
    void operator()(mmoe_executor* p) const { mmoe_executor_destroy(p); }
};
template <class T>
using Handle = std::unique_ptr<T, Destroy>;

// Where a call says why it failed; the test then fails with those words.
struct Error {
    const Case& spec;
    mmoe_error value{};

    void expect_ok(mmoe_status status, const char* step) {
        if (status != MMOE_OK) fail_msg("%s: %s: %s", spec.name, step, value.message);
    }
};

// Last task first, on the calling thread: as unlike the library's own pool as is allowed.
void run_backwards(void* /*user*/, uint32_t task_count, mmoe_task_fn task, void* task_data) {
    for (uint32_t i = task_count; i-- > 0;) task(task_data, i);
}

Handle<mmoe_context> make_context(const Case& spec, mmoe_cpu_tier tier, uint32_t team) {
    mmoe_context_options options{};
    options.struct_size = sizeof options;
    options.device_kind = MMOE_DEVICE_CPU;
    options.cpu_tier = tier;
    options.thread_count = team == 0 ? 4 : team;
    options.parallel_for = team == 0 ? run_backwards : nullptr;
    mmoe_context* context = nullptr;
    Error error{spec};
    error.expect_ok(mmoe_context_create(&options, &context, &error.value), "context");
    return Handle<mmoe_context>(context);
}

Handle<mmoe_quant_config> make_config(const Case& spec) {
    mmoe_quant_fields fields{};
    fields.struct_size = sizeof fields;
    fields.bits = spec.scheme.bits;
    fields.group_size = static_cast<int32_t>(spec.scheme.group_size);
    fields.symmetry = spec.scheme.asymmetric ? MMOE_ASYMMETRIC : MMOE_SYMMETRIC;
    fields.zero_point_form = spec.scheme.zero_point_form;
    fields.scale_dtype = spec.scheme.scale_dtype;
    mmoe_quant_config* config = nullptr;
    Error error{spec};
    error.expect_ok(mmoe_quant_config_create(&fields, &config, &error.value), "config");
    return Handle<mmoe_quant_config>(config);
}

void set_linear(const Case& spec, mmoe_bundle* bundle, uint32_t expert, mmoe_projection projection,
                QuantizedLinear& linear) {
    const std::pair<mmoe_role, Array*> parts[] = {{MMOE_ROLE_WEIGHT, &linear.weight},
                                                  {MMOE_ROLE_SCALE, &linear.scale},
                                                  {MMOE_ROLE_ZERO_POINT, &linear.zero_point},
                                                  {MMOE_ROLE_BIAS, &linear.bias}};
    Error error{spec};
    for (const auto& [role, array] : parts) {
        if (array->empty()) continue;
        const mmoe_tensor tensor = array->tensor();
        error.expect_ok(mmoe_bundle_set(bundle, expert, projection, role, &tensor, &error.value),
                        "set");
    }
}

Handle<mmoe_bundle> make_bundle(Problem& problem, mmoe_context* context, const mmoe_split& split) {
    const Case& spec = problem.spec;
    const Handle<mmoe_quant_config> config = make_config(spec);
    mmoe_bundle_options options{};
    options.struct_size = sizeof options;
    options.split = split;
    mmoe_bundle* bundle = nullptr;
    Error error{spec};
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
    mmoe_executor_options options{};
    options.struct_size = sizeof options;
    options.max_tokens = static_cast<uint32_t>(spec.tokens == 0 ? 1 : spec.tokens);
    options.max_top_k = spec.top_k;
    options.hidden_dtype = spec.hidden_dtype;
    options.output_dtype = mode.wide_output ? MMOE_DTYPE_F32 : spec.hidden_dtype;
    options.precision = mode.precision;
    mmoe_executor* executor = nullptr;
    Error error{spec};
    error.expect_ok(mmoe_executor_create(context, bundle, &options, &executor, &error.value),
                    "executor");
    return Handle<mmoe_executor>(executor);
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

// [T, H + row_padding] of the output type, poisoned before the run.
std::vector<uint8_t> run_once(Problem& problem, mmoe_executor* executor, const mmoe_bundle* bundle,
                              mmoe_dtype output_dtype) {
    const Case& spec = problem.spec;
    const int64_t stride = spec.hidden + spec.row_padding;
    std::vector<uint8_t> output(spec.tokens * stride * size_bytes(output_dtype), kPoison);
    mmoe_run_args args{};
    args.struct_size = sizeof args;
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
    Error error{spec};
    error.expect_ok(mmoe_executor_run(executor, bundle, &args, nullptr, &error.value), "run");
    return output;
}

// Adds the rows of one rank's output to `sum` and checks that nothing between rows was written.
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

// Every rank's bundle on one context.
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

// Bits of all ranks, after the checks that need one team only.
std::vector<uint8_t> run_mode(Problem& problem, mmoe_context* context,
                              const std::vector<Handle<mmoe_bundle>>& ranks, const Mode& mode,
                              const std::string& where) {
    const Case& spec = problem.spec;
    const mmoe_dtype dtype = mode.wide_output ? MMOE_DTYPE_F32 : spec.hidden_dtype;
    std::vector<uint8_t> all_bits;
    std::vector<double> sum(problem.want.size(), 0.0);
    for (const Handle<mmoe_bundle>& bundle : ranks) {
        const auto executor = make_executor(spec, context, bundle.get(), mode);
        const std::vector<uint8_t> bits = run_once(problem, executor.get(), bundle.get(), dtype);
        if (run_once(problem, executor.get(), bundle.get(), dtype) != bits) {
            fail_msg("%s: %s: the second run gave other bits", spec.name, where.c_str());
        }
        add_rows(spec, dtype, bits, sum);
        all_bits.insert(all_bits.end(), bits.begin(), bits.end());
    }
    const double error = mmoe::oracle::relative_error(sum, problem.want);
    if (!(error <= mode.tolerance)) {
        fail_msg("%s: %s: relative error %.3g, allowed %.3g", spec.name, where.c_str(), error,
                 mode.tolerance);
    }
    return all_bits;
}

void check_tier(Problem& problem, mmoe_cpu_tier tier) {
    std::vector<uint8_t> first[std::size(kModes)];
    for (const uint32_t team : kTeams) {
        const auto context = make_context(problem.spec, tier, team);
        const auto ranks = make_ranks(problem, context.get());
        for (size_t m = 0; m < std::size(kModes); ++m) {
            const std::string where = std::string(kModes[m].name) + ", tier " +
                                      std::to_string(tier) + ", team " + std::to_string(team);
            const auto bits = run_mode(problem, context.get(), ranks, kModes[m], where);
            if (team == kTeams[0]) first[m] = bits;
            if (bits != first[m]) {
                fail_msg("%s: %s: bits differ from those of one thread", problem.spec.name,
                         where.c_str());
            }
        }
    }
}

mmoe_cpu_tier best_tier() {
    mmoe_device_description description{};
    description.struct_size = sizeof description;
    assert_int_equal(mmoe_device_info(MMOE_DEVICE_CPU, 0, &description, nullptr), MMOE_OK);
    return description.cpu_tier;
}

void every_case_agrees_with_the_oracle(void** /*state*/) {
    const mmoe_cpu_tier best = best_tier();
    for (const Case& spec : kCases) {
        Problem problem = make_problem(spec);
        for (mmoe_cpu_tier tier = MMOE_CPU_TIER_SCALAR; tier <= best; ++tier) {
            check_tier(problem, tier);
        }
    }
    print_message("%zu cases on %d tiers\n", std::size(kCases), best);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(every_case_agrees_with_the_oracle)};
    return cmocka_run_group_tests_name("parity_layer", tests, nullptr, nullptr);
}
