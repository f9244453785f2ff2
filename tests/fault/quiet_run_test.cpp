// SPDX-License-Identifier: Apache-2.0
// What one token costs beside arithmetic, on a layer of the shape of Qwen3-30B-A3B: no
// allocation at all, and no more parallel loops than the two GEMMs need.
#include <atomic>
#include <cstdint>
#include <vector>

#include "fault/fault_point.h"
#include "fault/small_world.h"

using namespace mmoe;
using namespace mmoe::fault;

namespace {

constexpr int64_t kHidden = 2048;
constexpr int64_t kIntermediate = 768;
constexpr int64_t kGroup = 128;
constexpr uint32_t kExperts = 8;  // all of them run: what the others hold costs nothing
constexpr int64_t kTopK = 8;
constexpr int kMostLoops = 2;  // gate and up, down

// The caller's loop, as an engine would hand it in; loops of one task never come here.
std::atomic<int> loops{0};
void count_loop(void* /*user*/, uint32_t task_count, mmoe_task_fn task, void* task_data) {
    loops.fetch_add(1);
    for (uint32_t i = 0; i < task_count; ++i) task(task_data, i);
}

mmoe_tensor tensor_of(void* data, mmoe_dtype dtype, int64_t rows, int64_t columns) {
    mmoe_tensor tensor{};
    tensor.data = data;
    tensor.dtype = dtype;
    tensor.rank = 2;
    tensor.shape[0] = rows;
    tensor.shape[1] = columns;
    return tensor;
}

// All codes 0, zero points 0, scales 0: what they are changes no work.
Handle<mmoe_bundle> make_zero_bundle(mmoe_context* context) {
    auto fields = sized<mmoe_quant_fields>();
    fields.bits = 4;
    fields.group_size = kGroup;
    fields.symmetry = MMOE_ASYMMETRIC;
    auto layer = sized<mmoe_layer>();
    layer.expert_count = kExperts;
    layer.hidden_size = kHidden;
    layer.intermediate_size = kIntermediate;
    Error error{"zero bundle"};
    mmoe_quant_config* config = nullptr;
    error.expect_ok(mmoe_quant_config_create(&fields, &config, &error.value), "config");
    const Handle<mmoe_quant_config> owned(config);
    mmoe_bundle* bundle = nullptr;
    error.expect_ok(mmoe_bundle_create(context, config, &layer, nullptr, &bundle, &error.value),
                    "create");
    Handle<mmoe_bundle> result(bundle);
    std::vector<uint32_t> zeros(kHidden * kIntermediate / 8);
    for (uint32_t expert = 0; expert < kExperts; ++expert) {
        for (const mmoe_projection projection :
             {MMOE_PROJECTION_GATE, MMOE_PROJECTION_UP, MMOE_PROJECTION_DOWN}) {
            const bool down = projection == MMOE_PROJECTION_DOWN;
            const int64_t n = down ? kHidden : kIntermediate;
            const int64_t k = down ? kIntermediate : kHidden;
            const std::pair<mmoe_role, mmoe_tensor> parts[] = {
                {MMOE_ROLE_WEIGHT, tensor_of(zeros.data(), MMOE_DTYPE_I32, n, k / 8)},
                {MMOE_ROLE_SCALE, tensor_of(zeros.data(), MMOE_DTYPE_BF16, n, k / kGroup)},
                {MMOE_ROLE_ZERO_POINT, tensor_of(zeros.data(), MMOE_DTYPE_I32, n / 8, k / kGroup)}};
            for (const auto& [role, tensor] : parts) {
                error.expect_ok(
                    mmoe_bundle_set(bundle, expert, projection, role, &tensor, &error.value),
                    "set");
            }
        }
    }
    error.expect_ok(mmoe_bundle_seal(bundle, &error.value), "seal");
    return result;
}

// One token through every expert.
struct OneToken {
    std::vector<uint16_t> hidden = std::vector<uint16_t>(kHidden);
    std::vector<uint16_t> output = std::vector<uint16_t>(kHidden);
    std::vector<int32_t> ids = {0, 1, 2, 3, 4, 5, 6, 7};
    std::vector<float> weights = std::vector<float>(kTopK, 0.125F);

    mmoe_run_args args() {
        auto args = sized<mmoe_run_args>();
        args.hidden = tensor_of(hidden.data(), MMOE_DTYPE_BF16, 1, kHidden);
        args.output = tensor_of(output.data(), MMOE_DTYPE_BF16, 1, kHidden);
        args.expert_ids = tensor_of(ids.data(), MMOE_DTYPE_I32, 1, kTopK);
        args.expert_weights = tensor_of(weights.data(), MMOE_DTYPE_F32, 1, kTopK);
        return args;
    }
};

// Runs the token with every allocation refused; returns the number of parallel loops.
int run_refused(mmoe_parallel_for_fn hook) {
    auto options = sized<mmoe_context_options>();
    options.device_kind = MMOE_DEVICE_CPU;
    options.thread_count = 2;
    options.parallel_for = hook;
    const Handle<mmoe_context> context = make_context(options);
    const Handle<mmoe_bundle> bundle = make_zero_bundle(context.get());
    auto wanted = sized<mmoe_executor_options>();
    wanted.max_tokens = 1;
    wanted.max_top_k = kTopK;
    wanted.hidden_dtype = wanted.output_dtype = MMOE_DTYPE_BF16;
    Error error{"one token"};
    mmoe_executor* executor = nullptr;
    error.expect_ok(
        mmoe_executor_create(context.get(), bundle.get(), &wanted, &executor, &error.value),
        "executor");
    const Handle<mmoe_executor> owned(executor);
    OneToken token;
    const mmoe_run_args args = token.args();
    loops.store(0);
    allocations.arm(0, Mode::kFromThenOn);
    const mmoe_status status =
        mmoe_executor_run(executor, bundle.get(), &args, nullptr, &error.value);
    const bool asked = allocations.stop();
    error.expect_ok(status, "run");
    if (asked) fail_msg("one token: the run asked for memory");
    return loops.load();
}

void own_pool_allocates_nothing(void** /*state*/) {
    run_refused(nullptr);
}

void callers_loop_is_called_twice(void** /*state*/) {
    const int count = run_refused(&count_loop);
    if (count > kMostLoops)
        fail_msg("one token: %d parallel loops, wanted at most %d", count, kMostLoops);
    assert_true(count > 0);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(own_pool_allocates_nothing),
        cmocka_unit_test(callers_loop_is_called_twice),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
