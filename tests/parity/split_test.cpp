// SPDX-License-Identifier: Apache-2.0
// Parallel ranks through the public API: what the ranks of a split give adds up to what one rank
// gives, on layers of real width, for whole, cut and uneven groups, in activation order, over
// experts too. A split that would leave a rank empty is refused, and the one that it names works.
#include <cmath>
#include <cstring>
#include <string>

#include "oracle/moe_oracle.h"
#include "parity/layer_run.h"

using namespace mmoe::parity;

namespace {

constexpr Mode kExact = {"exact", MMOE_PRECISION_EXACT, true, 1e-5, 1e-5};
constexpr Mode kDefault = {"default", MMOE_PRECISION_DEFAULT, true, 1e-4, 3e-4};

struct Ranks {
    uint32_t tensor, expert;
};
constexpr Ranks kRanks[] = {{2, 1}, {4, 1}, {8, 1}, {1, 2}, {1, 3}, {4, 2}};

constexpr Case layer(const char* name, uint32_t intermediate, int64_t group, bool asymmetric,
                     bool ordered = false, uint32_t flags = 0) {
    Case c{.name = name};
    c.tokens = 3;
    c.experts = 3;
    c.hidden = 256;
    c.intermediate = intermediate;
    c.scheme.group_size = group;
    c.scheme.asymmetric = asymmetric;
    c.scheme.ordered = ordered;
    c.flags = flags;
    return c;
}

// With 2, 4 and 8 ranks: groups stay whole or are cut into 64 or 32 channels.
constexpr Case kLayers[] = {
    layer("I 2048, g32", 2048, 32, false),
    layer("I 2048, g32, zero points", 2048, 32, true),
    layer("I 2048, g128", 2048, 128, false),
    layer("I 2048, g128, zero points", 2048, 128, true),
    layer("I 768, g32", 768, 32, false),
    layer("I 768, g32, zero points", 768, 32, true),
    layer("I 768, g128", 768, 128, false),
    layer("I 768, g128, zero points", 768, 128, true),
    layer("I 1024, one group a rank of 8", 1024, 128, true),
    layer("I 512, half a group a rank of 8", 512, 128, true),
    layer("I 768, one scale a channel", 768, -1, true),
    layer("I 768, g128, activation order", 768, 128, false, true),
    layer("I 768, g128, activation order, zero points, biases", 768, 128, true, true,
          MMOE_LAYER_BIAS),
    layer("I 768, g128, biases", 768, 128, true, false, MMOE_LAYER_BIAS),
};

struct UnevenCase {
    Case layer;
    Ranks ranks;
};
constexpr UnevenCase kUnevenCases[] = {
    {layer("I 768, g128 over 5", 768, 128, true), {5, 1}},
    {layer("I 1408, g128 over 8", 1408, 128, true), {8, 1}},
    {layer("I 1408, g128 over 8, activation order", 1408, 128, true, true), {8, 1}},
    {layer("I 1408, g32 over 16", 1408, 32, false), {16, 1}},
    {layer("I 200, one scale a channel over 3", 200, -1, false), {3, 1}},
    {layer("I 96, g32 over 2 and experts over 2", 96, 32, true), {2, 2}},
};

Handle<mmoe_context> make_context(const char* name) {
    auto options = sized<mmoe_context_options>();
    options.device_kind = MMOE_DEVICE_CPU;
    options.thread_count = 2;
    mmoe_context* context = nullptr;
    Error error{name};
    error.expect_ok(mmoe_context_create(&options, &context, &error.value), "context");
    return Handle<mmoe_context>(context);
}

// The outputs of all ranks, added up.
std::vector<double> sum_of(Problem& problem, mmoe_context* context, const Ranks& ranks,
                           const Mode& mode) {
    problem.spec.tensor_ranks = ranks.tensor;
    problem.spec.expert_ranks = ranks.expert;
    std::vector<double> sum(problem.want.size(), 0.0);
    for (const Handle<mmoe_bundle>& bundle : make_ranks(problem, context)) {
        const auto executor = make_executor(problem.spec, context, bundle.get(), mode);
        add_rows(problem.spec, MMOE_DTYPE_F32,
                 run_once(problem, executor.get(), bundle.get(), MMOE_DTYPE_F32), sum);
    }
    return sum;
}

void expect_close(const Problem& problem, const Ranks& ranks, const char* what, double error,
                  double allowed) {
    if (error <= allowed) return;
    fail_msg("%s, %u tensor and %u expert ranks, %s: relative error %.3g, allowed %.3g",
             problem.spec.name, ranks.tensor, ranks.expert, what, error, allowed);
}

void check_split(Problem& problem, mmoe_context* context, const std::vector<double>& whole,
                 const Ranks& ranks) {
    const std::vector<double> sum = sum_of(problem, context, ranks, kExact);
    // An output is an fp32 sum of I products in both, but in another order: each of the I additions
    // rounds by up to 2^-24, at random.
    const double rounding = std::sqrt(static_cast<double>(problem.spec.intermediate)) * 0x1p-24;
    expect_close(problem, ranks, "against one rank", mmoe::oracle::relative_error(sum, whole),
                 rounding);
    expect_close(problem, ranks, "exact", mmoe::oracle::relative_error(sum, problem.want),
                 kExact.tolerance);
    expect_close(
        problem, ranks, "default",
        mmoe::oracle::relative_error(sum_of(problem, context, ranks, kDefault), problem.want),
        kDefault.tolerance);
}

void ranks_add_up(void**) {
    for (const Case& spec : kLayers) {
        print_message("%s\n", spec.name);
        Problem problem = make_problem(spec);
        const auto context = make_context(spec.name);
        const std::vector<double> whole = sum_of(problem, context.get(), {1, 1}, kExact);
        for (const Ranks& ranks : kRanks) check_split(problem, context.get(), whole, ranks);
    }
}

void uneven_ranks_add_up(void**) {
    for (const UnevenCase& c : kUnevenCases) {
        print_message("%s\n", c.layer.name);
        Problem problem = make_problem(c.layer);
        const auto context = make_context(c.layer.name);
        const std::vector<double> whole = sum_of(problem, context.get(), {1, 1}, kExact);
        check_split(problem, context.get(), whole, c.ranks);
    }
}

struct EmptyRankCase {
    Case layer;
    uint32_t ranks;
    uint32_t works;
    const char* words;
};
constexpr EmptyRankCase kEmptyRankCases[] = {
    {layer("I 768, g128", 768, 128, true), 16, 12, "remedy: use 12 tensor ranks"},
    {layer("I 1408, g128", 1408, 128, true), 16, 11, "remedy: use 11 tensor ranks"},
    {layer("I 64, g32", 64, 32, false), 8, 2, "remedy: use 2 tensor ranks"},
};

void an_empty_rank_is_refused_with_the_split_that_works(void**) {
    for (const EmptyRankCase& c : kEmptyRankCases) {
        Problem problem = make_problem(c.layer);
        const auto context = make_context(c.layer.name);
        const auto config = make_config(c.layer);
        auto options = sized<mmoe_bundle_options>();
        options.split.tensor_ranks = c.ranks;
        mmoe_bundle* bundle = nullptr;
        mmoe_error error{};
        assert_int_equal(mmoe_bundle_create(context.get(), config.get(), &problem.layer, &options,
                                            &bundle, &error),
                         MMOE_ERR_UNSUPPORTED);
        if (std::strstr(error.message, c.words) == nullptr) {
            fail_msg("%s: '%s'", c.layer.name, error.message);
        }
        const std::vector<double> whole = sum_of(problem, context.get(), {1, 1}, kExact);
        check_split(problem, context.get(), whole, {c.works, 1});
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(ranks_add_up),
        cmocka_unit_test(uneven_ranks_add_up),
        cmocka_unit_test(an_empty_rank_is_refused_with_the_split_that_works),
    };
    return cmocka_run_group_tests_name("parity_split", tests, nullptr, nullptr);
}
