// SPDX-License-Identifier: Apache-2.0
// The whole layer, through the public API, against the oracle: every row of the table on every
// CPU tier of the machine, with several teams of threads, in every precision. One row and one
// tier must give the same bits with every team and at every repeat.
#include <cstring>
#include <string>
#include <vector>

#include "marlin_moe.h"
#include "parity/cases.h"
#include "parity/handles.h"
#include "parity/layer_run.h"
#include "parity/problem.h"

using namespace mmoe::parity;

namespace {

constexpr Mode kModes[] = {
    {"default, f32 out", MMOE_PRECISION_DEFAULT, true, 1e-4, 3e-4},  // 16-bit activations
    {"exact, f32 out", MMOE_PRECISION_EXACT, true, 1e-5, 1e-5},  // fp32 sums of some 1000 products
    {"default", MMOE_PRECISION_DEFAULT, false, 3e-3, 3e-3},      // the output's rounding, 2^-9
    // Uniform rounding in steps of 1/127 of a block's largest: largest / (127 * sqrt(12)) of its
    // RMS. Of 128 hidden states N(0, 1) the largest is 2.7: 6e-3, for gate and for up; products of
    // the activation have longer tails, 5.5: 1.3e-2; with one outlier of 20, 3.7e-2.
    {"int8, f32 out", MMOE_PRECISION_INT8, true, 2e-2, 4.5e-2},
};

// Who runs the tasks. 0 threads: the caller's parallel_for.
constexpr uint32_t kTeams[] = {1, 2, 3, 7, 0};

// Last task first, on the calling thread: as unlike the library's own pool as is allowed.
void run_backwards(void* /*user*/, uint32_t task_count, mmoe_task_fn task, void* task_data) {
    for (uint32_t i = task_count; i-- > 0;) task(task_data, i);
}

mmoe_context_options context_options(mmoe_cpu_tier tier) {
    auto options = sized<mmoe_context_options>();
    options.device_kind = MMOE_DEVICE_CPU;
    options.cpu_tier = tier;
    return options;
}

Handle<mmoe_context> make_context(const Case& spec, mmoe_cpu_tier tier, uint32_t team) {
    mmoe_context_options options = context_options(tier);
    options.thread_count = team == 0 ? 4 : team;
    options.parallel_for = team == 0 ? run_backwards : nullptr;
    mmoe_context* context = nullptr;
    Error error{spec.name};
    error.expect_ok(mmoe_context_create(&options, &context, &error.value), "context");
    return Handle<mmoe_context>(context);
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
    const double allowed = spec.outlier_factor > 1 ? mode.with_outliers : mode.tolerance;
    if (!(error <= allowed)) {
        fail_msg("%s: %s: relative error %.3g, allowed %.3g", spec.name, where.c_str(), error,
                 allowed);
    }
    return all_bits;
}

// The support query grants what the table runs and refuses what the table says, and a bundle is
// refused alike.
void check_support(Problem& problem, mmoe_context* context) {
    const Case& spec = problem.spec;
    const mmoe_split split = {spec.tensor_ranks, 0, spec.expert_ranks, 0};
    const Handle<mmoe_quant_config> config = make_config(spec);
    auto support = sized<mmoe_support>();
    Error error{spec.name};
    error.expect_ok(
        mmoe_support_query(context, config.get(), &problem.layer, &split, &support, &error.value),
        "support");
    if (support.reasons != spec.refused || (support.supported != 0) != (spec.refused == 0)) {
        fail_msg("%s: support query answers '%s'", spec.name, support.sentence);
    }
    if (spec.refused == 0) return;
    auto options = sized<mmoe_bundle_options>();
    options.split = split;
    mmoe_bundle* bundle = nullptr;
    assert_int_equal(
        mmoe_bundle_create(context, config.get(), &problem.layer, &options, &bundle, &error.value),
        MMOE_ERR_UNSUPPORTED);
    assert_null(bundle);
    assert_int_not_equal(support.sentence[0], 0);
}

void check_tier(Problem& problem, mmoe_cpu_tier tier) {
    std::vector<uint8_t> first[std::size(kModes)];
    for (const uint32_t team : kTeams) {
        const auto context = make_context(problem.spec, tier, team);
        check_support(problem, context.get());
        if (problem.spec.refused != 0) return;
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

// Every tier of the header that this machine has.
std::vector<mmoe_cpu_tier> usable_tiers() {
    std::vector<mmoe_cpu_tier> tiers;
    for (mmoe_cpu_tier tier = MMOE_CPU_TIER_SCALAR;; ++tier) {
        const mmoe_context_options options = context_options(tier);
        mmoe_context* context = nullptr;
        const mmoe_status status = mmoe_context_create(&options, &context, nullptr);
        const Handle<mmoe_context> owned(context);
        if (status == MMOE_ERR_INVALID_ARGUMENT) return tiers;
        if (status == MMOE_OK) tiers.push_back(tier);
    }
}

void every_case_agrees_with_the_oracle(void** /*state*/) {
    const std::vector<mmoe_cpu_tier> tiers = usable_tiers();
    assert_true(!tiers.empty());
    for (const Case& spec : kCases) {
        Problem problem = make_problem(spec);
        for (const mmoe_cpu_tier tier : tiers) check_tier(problem, tier);
    }
    print_message("%zu cases on %zu tiers\n", std::size(kCases), tiers.size());
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(every_case_agrees_with_the_oracle)};
    return cmocka_run_group_tests_name("parity_layer", tests, nullptr, nullptr);
}
