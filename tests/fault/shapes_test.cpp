// SPDX-License-Identifier: Apache-2.0
// Dimensions that nobody has: around 2^31, 2^32, 2^63 and 2^64, and zero, through every public
// function that takes one as a number; tensors_test.cpp has those of tensors. The answer is a
// status; a plan that is made is as large as its weights.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "fault/shapes_world.h"

using namespace mmoe;
using namespace mmoe::fault;

namespace {

// ---- Layers ----

constexpr uint32_t kTwo24 = 1U << 24;

struct LayerRow {
    const char* name;
    uint32_t experts, hidden, intermediate;
    bool supported;
};
constexpr LayerRow kLayers[] = {
    {"no expert", 0, 64, 32, false},
    {"no hidden size", 3, 0, 32, false},
    {"no intermediate size", 3, 64, 0, false},
    {"the smallest", 1, 32, 32, true},
    {"2^31 - weights", 4, 1U << 14, (1U << 15) - 32, true},
    {"2^31 weights", 4, 1U << 14, 1U << 15, true},
    {"2^32 weights", 8, 1U << 14, 1U << 15, true},
    {"2^32 + weights", 8, 1U << 14, (1U << 15) + 32, true},
    {"2^40 weights", 1024, 1U << 15, 1U << 15, true},
    {"2^48 weights", 1, kTwo24, kTwo24, true},
    {"2^55 weights", 128, kTwo24, kTwo24, true},
    {"2^56 weights", 256, kTwo24, kTwo24, false},
    {"2^63 weights", 1U << 15, kTwo24, kTwo24, false},
    {"2^64 weights", 1U << 16, kTwo24, kTwo24, false},
    {"a wide axis", 1, kTwo24 + 32, 32, false},
    {"2^31 - 1 experts", INT32_MAX, 32, 32, false},
    {"2^31 of each", 1U << 31, 1U << 31, 1U << 31, false},
    {"2^32 - 1 of each", UINT32_MAX, UINT32_MAX, UINT32_MAX, false},
    {"2^32 - 32 along both", 1, UINT32_MAX - 31, UINT32_MAX - 31, false},
};

void any_layer_has_an_answer(void** /*state*/) {
    World w;
    for (const LayerRow& row : kLayers) {
        mmoe_layer layer = small_layer();
        layer.expert_count = row.experts;
        layer.hidden_size = row.hidden;
        layer.intermediate_size = row.intermediate;
        auto support = sized<mmoe_support>();
        auto plan = sized<mmoe_memory_plan>();
        mmoe_error error = {};
        expect(
            row.name,
            mmoe_support_query(w.context.get(), w.config.get(), &layer, nullptr, &support, &error),
            {MMOE_OK}, error);
        if ((support.supported != 0) != row.supported) {
            fail_msg("%s: supported %d: %s", row.name, support.supported, support.sentence);
        }
        const mmoe_status planned =
            mmoe_bundle_plan(w.context.get(), w.config.get(), &layer, nullptr, &plan, &error);
        expect(row.name, planned, {row.supported ? MMOE_OK : MMOE_ERR_UNSUPPORTED}, error);
        // Three matrices, half a byte a weight.
        const double weights = 3.0 * row.experts * row.hidden * row.intermediate;
        if (row.supported && !(static_cast<double>(plan.resident_bytes) >= weights / 2)) {
            fail_msg("%s: planned %.0f bytes for %.0f weights", row.name,
                     static_cast<double>(plan.resident_bytes), weights);
        }
        mmoe_bundle* bundle = nullptr;
        const mmoe_status made =
            mmoe_bundle_create(w.context.get(), w.config.get(), &layer, nullptr, &bundle, &error);
        const bool fits = row.supported && plan.resident_bytes < kBudgetBytes / 2;
        expect(row.name, made,
               {!row.supported ? MMOE_ERR_UNSUPPORTED
                : fits         ? MMOE_OK
                               : MMOE_ERR_MEMORY_BUDGET},
               error);
        mmoe_bundle_destroy(bundle);
    }
}

// Ranks by the thousand million are refused at once: nothing counts down to them.
void any_split_has_an_answer(void** /*state*/) {
    World w;
    const uint32_t counts[] = {0, 1, 2, 3, kTwo24, INT32_MAX, 1U << 31, UINT32_MAX};
    mmoe_layer layer = small_layer();
    for (const int32_t group_size : {32, -1}) {
        auto fields = sized<mmoe_quant_fields>();
        fields.bits = 4;
        fields.group_size = group_size;
        mmoe_quant_config* made = nullptr;
        assert_int_equal(mmoe_quant_config_create(&fields, &made, nullptr), MMOE_OK);
        const Handle<mmoe_quant_config> config(made);
        for (const uint32_t ranks : counts) {
            for (const uint32_t rank : counts) {
                for (const bool tensor : {true, false}) {
                    mmoe_split split = {};
                    (tensor ? split.tensor_ranks : split.expert_ranks) = ranks;
                    (tensor ? split.tensor_rank : split.expert_rank) = rank;
                    auto support = sized<mmoe_support>();
                    mmoe_error error = {};
                    expect("split",
                           mmoe_support_query(w.context.get(), config.get(), &layer, &split,
                                              &support, &error),
                           {MMOE_OK}, error);
                    if (support.supported != 0) assert_true(ranks <= 3 && rank < 3);
                }
            }
        }
    }
}

void any_group_size_has_an_answer(void** /*state*/) {
    World w;
    const mmoe_layer layer = small_layer();
    for (const int32_t size : {INT32_MIN, -2, -1, 0, 1, 7, 32, 64, 1 << 24, INT32_MAX}) {
        auto fields = sized<mmoe_quant_fields>();
        fields.bits = 4;
        fields.group_size = size;
        mmoe_quant_config* made = nullptr;
        mmoe_error error = {};
        const mmoe_status status = mmoe_quant_config_create(&fields, &made, &error);
        const Handle<mmoe_quant_config> config(made);
        const bool exists = size == -1 || size > 0;
        expect("group size", status, {exists ? MMOE_OK : MMOE_ERR_INVALID_ARGUMENT}, error);
        if (!exists) continue;
        auto plan = sized<mmoe_memory_plan>();
        expect("plan",
               mmoe_bundle_plan(w.context.get(), config.get(), &layer, nullptr, &plan, &error),
               {32 % size == 0 ? MMOE_OK : MMOE_ERR_UNSUPPORTED}, error);
    }
}

// ---- Executors ----

void any_workspace_has_an_answer(void** /*state*/) {
    World w;
    const mmoe_layer layer = small_layer();
    const uint32_t counts[] = {0, 1, 3, 1U << 16, INT32_MAX, 1U << 31, UINT32_MAX};
    for (const uint32_t tokens : counts) {
        for (const uint32_t top_k : counts) {
            mmoe_executor_options options = executor_options();
            options.max_tokens = tokens;
            options.max_top_k = top_k;
            auto plan = sized<mmoe_memory_plan>();
            mmoe_error error = {};
            const mmoe_status planned = mmoe_executor_plan(w.context.get(), w.config.get(), &layer,
                                                           &options, &plan, &error);
            const uint64_t slots = uint64_t{tokens} * top_k;
            const bool possible = slots != 0 && slots <= INT32_MAX;
            expect("plan", planned, {possible ? MMOE_OK : MMOE_ERR_INVALID_ARGUMENT}, error);
            // At least the fp32 sums of every token.
            if (possible) assert_true(plan.resident_bytes >= uint64_t{tokens} * test::kHidden * 4);
            mmoe_executor* executor = nullptr;
            const mmoe_status made =
                mmoe_executor_create(w.context.get(), w.bundle.get(), &options, &executor, &error);
            const bool fits = possible && plan.resident_bytes < kBudgetBytes / 2;
            expect("create", made,
                   {!possible ? MMOE_ERR_INVALID_ARGUMENT
                    : fits    ? MMOE_OK
                              : MMOE_ERR_MEMORY_BUDGET},
                   error);
            mmoe_executor_destroy(executor);
        }
    }
    for (const uint32_t tokens : counts) {
        char text[16];
        assert_true(mmoe_executor_explain(w.executor.get(), w.bundle.get(), tokens, text,
                                          sizeof text) > sizeof text);
    }
}

// A count of the caller's own that is out of range is taken for the nearest that is not.
void any_token_count_has_an_answer(void** /*state*/) {
    World w;
    mmoe_run_args args = w.call.args();
    int32_t count = 0;
    args.token_count = {&count, MMOE_DTYPE_I32, 1, {1}, {}};
    const struct {
        int32_t count;
        int64_t written;  // tokens
    } rows[] = {{INT32_MIN, 0}, {-1, 0}, {0, 0}, {1, 1}, {3, 3}, {4, 3}, {INT32_MAX, 3}};
    for (const auto& row : rows) {
        mmoe_error error = {};
        count = row.count;
        std::fill(w.call.output.begin(), w.call.output.end(), -7.0F);
        expect("token count",
               mmoe_executor_run(w.executor.get(), w.bundle.get(), &args, nullptr, &error),
               {MMOE_OK}, error);
        for (int64_t i = 0; i < Call::kTokens * test::kHidden; ++i) {
            const bool kept = w.call.output[static_cast<size_t>(i)] == -7.0F;
            assert_true(kept == (i >= row.written * test::kHidden));
        }
    }
}

// ---- Indices and counts ----

void any_index_has_an_answer(void** /*state*/) {
    World w;
    const mmoe_checkpoint* checkpoint = w.checkpoint.get();
    std::vector<float> weights(test::kHidden * test::kIntermediate);
    auto info = sized<mmoe_tensor_info>();
    mmoe_error error = {};
    for (const uint64_t index : {mmoe_checkpoint_tensor_count(checkpoint), uint64_t{1} << 31,
                                 uint64_t{1} << 32, uint64_t{1} << 63, UINT64_MAX}) {
        expect("tensor", mmoe_checkpoint_tensor_at(checkpoint, index, &info, &error),
               {MMOE_ERR_INVALID_ARGUMENT}, error);
        const auto layer = static_cast<uint32_t>(index | 1);
        expect("layer",
               mmoe_checkpoint_layer_info(checkpoint, layer, nullptr, nullptr, nullptr, &error),
               {MMOE_ERR_INVALID_ARGUMENT}, error);
        expect("weight count",
               mmoe_checkpoint_dequantize(checkpoint, 0, 0, MMOE_PROJECTION_UP, weights.data(),
                                          index, &error),
               {MMOE_ERR_INVALID_ARGUMENT}, error);
    }
    for (const uint32_t expert : {3U, 1U << 31, UINT32_MAX}) {
        expect("dequantize",
               mmoe_checkpoint_dequantize(checkpoint, 0, expert, MMOE_PROJECTION_UP, weights.data(),
                                          weights.size(), &error),
               {MMOE_ERR_INVALID_ARGUMENT}, error);
        expect("evict", mmoe_bundle_evict(w.bundle.get(), expert, &error),
               {MMOE_ERR_INVALID_ARGUMENT}, error);
        expect("put from", mmoe_bundle_put_from(w.bundle.get(), checkpoint, 0, expert, &error),
               {MMOE_ERR_INVALID_ARGUMENT}, error);
    }
    for (const uint32_t threads : {1025U, 1U << 31, UINT32_MAX}) {
        auto options = sized<mmoe_context_options>();
        options.device_kind = MMOE_DEVICE_CPU;
        options.thread_count = threads;
        mmoe_context* context = nullptr;
        expect("threads", mmoe_context_create(&options, &context, &error),
               {MMOE_ERR_INVALID_ARGUMENT}, error);
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(any_layer_has_an_answer),
        cmocka_unit_test(any_split_has_an_answer),
        cmocka_unit_test(any_group_size_has_an_answer),
        cmocka_unit_test(any_workspace_has_an_answer),
        cmocka_unit_test(any_token_count_has_an_answer),
        cmocka_unit_test(any_index_has_an_answer),
    };
    return cmocka_run_group_tests_name("fault_shapes", tests, nullptr, nullptr);
}
