// SPDX-License-Identifier: Apache-2.0
#include "parity/executor_contract.h"

#include <algorithm>
#include <vector>

#include "parity/layer_calls.h"

namespace mmoe::parity {
namespace {

constexpr Case kCase = {
    .name = "contract", .tokens = 33, .scheme = {.asymmetric = true}, .row_padding = 8};

Handle<mmoe_context> make_context(const TestDevice& device, uint64_t memory_budget_bytes) {
    auto options = sized<mmoe_context_options>();
    options.device_kind = device.kind();
    options.thread_count = 2;
    options.memory_budget_bytes = memory_budget_bytes;
    mmoe_context* context = nullptr;
    Error error{kCase.name};
    error.expect_ok(mmoe_context_create(&options, &context, &error.value), "context");
    return Handle<mmoe_context>(context);
}

mmoe_executor_options executor_options() {
    auto options = sized<mmoe_executor_options>();
    options.max_tokens = static_cast<uint32_t>(kCase.tokens);
    options.max_top_k = kCase.top_k;
    return options;
}

// One problem, ready to run.
struct Ready {
    Problem problem;
    Handle<mmoe_context> context;
    Handle<mmoe_bundle> bundle;
    Handle<mmoe_executor> executor;

    Ready(TestDevice& device, const Case& spec)
        : problem(make_problem(spec)),
          context(make_context(device, 0)),
          bundle(make_bundle(problem, context.get(), {})) {
        const mmoe_executor_options options = executor_options();
        mmoe_executor* made = nullptr;
        Error error{spec.name};
        error.expect_ok(
            mmoe_executor_create(context.get(), bundle.get(), &options, &made, &error.value),
            "executor");
        executor.reset(made);
    }
};

std::vector<uint8_t> run(PlacedRun& placed, mmoe_executor* executor, const mmoe_bundle* bundle) {
    Error error{kCase.name};
    error.expect_ok(placed.enqueue(executor, bundle, nullptr, &error.value), "run");
    return placed.output();
}

bool poll(mmoe_executor* executor) {
    auto findings = sized<mmoe_executor_findings>();
    Error error{kCase.name};
    error.expect_ok(mmoe_executor_poll(executor, &findings, &error.value), "poll");
    return findings.ids_out_of_range != 0;
}

}  // namespace

void check_token_count(TestDevice& device) {
    Ready ready(device, kCase);
    PlacedRun placed(ready.problem, device, MMOE_DTYPE_BF16);
    // Kernels that want the count from the host do not serve here: bits are compared with the same.
    placed.count_tokens(static_cast<int32_t>(kCase.tokens));
    const std::vector<uint8_t> all = run(placed, ready.executor.get(), ready.bundle.get());
    const size_t row_bytes = all.size() / static_cast<size_t>(kCase.tokens);
    for (const int32_t count : {0, 1, 20, 33, 1000, -5}) {
        placed.count_tokens(count);
        const auto live = static_cast<size_t>(std::clamp<int64_t>(count, 0, kCase.tokens));
        std::vector<uint8_t> expected(all.size(), kPoison);
        std::copy_n(all.begin(), live * row_bytes, expected.begin());
        if (run(placed, ready.executor.get(), ready.bundle.get()) != expected) {
            fail_msg("a count of %d tokens: other rows than those were written", count);
        }
    }
    placed.args().token_count.dtype = MMOE_DTYPE_I64;
    assert_int_equal(placed.enqueue(ready.executor.get(), ready.bundle.get(), nullptr, nullptr),
                     MMOE_ERR_DTYPE);
}

void check_given_workspace(TestDevice& device) {
    Ready ready(device, kCase);
    PlacedRun placed(ready.problem, device, MMOE_DTYPE_BF16);
    const std::vector<uint8_t> expected = run(placed, ready.executor.get(), ready.bundle.get());

    mmoe_executor_options options = executor_options();
    auto plan = sized<mmoe_memory_plan>();
    Error error{kCase.name};
    const Handle<mmoe_quant_config> config = make_config(kCase);
    error.expect_ok(mmoe_executor_plan(ready.context.get(), config.get(), &ready.problem.layer,
                                       &options, &plan, &error.value),
                    "plan");
    auto described = sized<mmoe_bundle_description>();
    error.expect_ok(mmoe_bundle_info(ready.bundle.get(), nullptr, &described, &error.value),
                    "info");
    // No budget for a workspace of the library's own.
    const Handle<mmoe_context> tight = make_context(device, described.resident_bytes);
    const Handle<mmoe_bundle> bundle = make_bundle(ready.problem, tight.get(), {});
    mmoe_executor* executor = nullptr;
    assert_int_equal(mmoe_executor_create(tight.get(), bundle.get(), &options, &executor, nullptr),
                     MMOE_ERR_MEMORY_BUDGET);
    const std::shared_ptr<void> memory = place(device, nullptr, plan.resident_bytes + 64);
    options.workspace = memory.get();
    options.workspace_bytes = plan.resident_bytes - 1;
    assert_int_equal(mmoe_executor_create(tight.get(), bundle.get(), &options, &executor, nullptr),
                     MMOE_ERR_INVALID_ARGUMENT);
    options.workspace = static_cast<uint8_t*>(memory.get()) + 64;
    options.workspace_bytes = plan.resident_bytes;
    assert_int_equal(mmoe_executor_create(tight.get(), bundle.get(), &options, &executor, nullptr),
                     MMOE_ERR_INVALID_ARGUMENT);
    options.workspace = memory.get();
    error.expect_ok(
        mmoe_executor_create(tight.get(), bundle.get(), &options, &executor, &error.value),
        "executor");
    const Handle<mmoe_executor> owned(executor);
    if (run(placed, executor, bundle.get()) != expected) {
        fail_msg("the caller's workspace: other bits than with the executor's own");
    }
}

void check_asked_rows(TestDevice& device) {
    Ready ready(device, kCase);
    PlacedRun placed(ready.problem, device, MMOE_DTYPE_BF16);
    const auto create = [&](const char* row, mmoe_executor** out) {
        mmoe_executor_options options = executor_options();
        options.row = row;
        return mmoe_executor_create(ready.context.get(), ready.bundle.get(), &options, out,
                                    nullptr);
    };
    mmoe_executor* executor = nullptr;
    if (device.kind() == MMOE_DEVICE_CPU) {
        assert_int_equal(create("moe_gemm", &executor), MMOE_ERR_INVALID_ARGUMENT);
        return;
    }
    assert_int_equal(create("no such row", &executor), MMOE_ERR_UNSUPPORTED);
    assert_int_equal(create("sm80", &executor), MMOE_OK);
    const Handle<mmoe_executor> general(executor);
    run(placed, general.get(), ready.bundle.get());
    if (create("moe_decode", &executor) != MMOE_OK) return;  // none on this chip
    const Handle<mmoe_executor> decode(executor);
    run(placed, decode.get(), ready.bundle.get());
    placed.count_tokens(1);  // which decode rows do not read
    assert_int_equal(placed.enqueue(decode.get(), ready.bundle.get(), nullptr, nullptr),
                     MMOE_ERR_UNSUPPORTED);
}

void check_poll(TestDevice& device) {
    Case spec = kCase;
    spec.routing = Routing::kDistinct;
    Ready good(device, spec);
    PlacedRun placed(good.problem, device, MMOE_DTYPE_BF16);
    run(placed, good.executor.get(), good.bundle.get());
    assert_false(poll(good.executor.get()));

    spec.routing = Routing::kWithHoles;
    Problem holes = make_problem(spec);
    PlacedRun out_of_range(holes, device, MMOE_DTYPE_BF16);
    run(out_of_range, good.executor.get(), good.bundle.get());
    run(placed, good.executor.get(), good.bundle.get());  // does not take it back
    assert_true(poll(good.executor.get()));
    assert_false(poll(good.executor.get()));
}

}  // namespace mmoe::parity
