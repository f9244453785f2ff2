// SPDX-License-Identifier: Apache-2.0
// Dimensions that nobody has: around 2^31, 2^32, 2^63 and 2^64, zero, negative, of another rank
// or stride, through every public function that takes one. The answer is a status; a plan that is
// made is as large as its weights.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "fault/small_world.h"

using namespace mmoe;
using namespace mmoe::fault;

namespace {

constexpr uint64_t kBudgetBytes = 1 << 20;  // nothing larger is ever allocated

struct World {
    World() : folder("shapes"), expert(3) {
        write_model(folder, false);
        auto options = sized<mmoe_context_options>();
        options.thread_count = 1;
        options.memory_budget_bytes = kBudgetBytes;
        context = make_context(options);
        config = make_config();
        checkpoint = open_checkpoint(context.get(), folder.path());
        bundle = load_bundle(context.get(), checkpoint.get());
        executor = make_executor(context.get(), bundle.get());
    }

    test::ScratchFolder folder;
    ExpertMemory expert;
    Handle<mmoe_context> context;
    Handle<mmoe_quant_config> config;
    Handle<mmoe_checkpoint> checkpoint;
    Handle<mmoe_bundle> bundle;
    Handle<mmoe_executor> executor;
    Call call;
};

void expect(const char* name, mmoe_status got, std::initializer_list<mmoe_status> allowed,
            const mmoe_error& error) {
    for (const mmoe_status status : allowed) {
        if (got == status) return;
    }
    fail_msg("%s: got %d: %s", name, got, error.message);
}

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

// ---- Tensors ----

// Wrong in an axis; `stride` tells that it is the stride, else the extent.
struct Spoilt {
    int axis;
    bool stride;
    int64_t value;
};

// Every value is refused whatever memory stands behind it.
std::vector<Spoilt> spoilt_axes(const mmoe_tensor& right) {
    std::vector<Spoilt> all;
    for (int axis = 0; axis < right.rank; ++axis) {
        const int64_t extent = right.shape[axis];
        for (const int64_t value :
             {INT64_MIN, -(int64_t{1} << 32) + extent, int64_t{-1}, extent + 1, int64_t{1} << 31,
              (int64_t{1} << 32) + extent, int64_t{1} << 61, INT64_MAX - 1, INT64_MAX}) {
            all.push_back({axis, false, value});
        }
        for (const int64_t value : {INT64_MIN, int64_t{-1}, int64_t{1} << 61, INT64_MAX}) {
            if (value > 0 && extent == 1) continue;  // nothing is ever that far away
            all.push_back({axis, true, value});
        }
    }
    return all;
}

void contiguous_strides(mmoe_tensor* tensor) {
    int64_t stride = 1;
    for (int axis = tensor->rank - 1; axis >= 0; --axis) {
        tensor->stride[axis] = stride;
        stride *= tensor->shape[axis];
    }
}

// Spoils one tensor of a call in every way; `ask` calls.
template <class Ask>
int expect_refused(const char* name, mmoe_tensor* tensor, Ask&& ask) {
    const mmoe_tensor right = *tensor;
    int count = 0;
    const auto refused = [&](const char* how) {
        mmoe_error error = {};
        const std::string full = std::string(name) + ", " + how;
        expect(full.c_str(), ask(&error), {MMOE_ERR_SHAPE}, error);
        *tensor = right;
        ++count;
    };
    for (const Spoilt& spoilt : spoilt_axes(right)) {
        if (spoilt.stride) contiguous_strides(tensor);
        (spoilt.stride ? tensor->stride : tensor->shape)[spoilt.axis] = spoilt.value;
        refused(spoilt.stride ? "stride" : "extent");
    }
    for (const int32_t rank : {INT32_MIN, -1, 0, right.rank + 1, 5, INT32_MAX}) {
        tensor->rank = rank;
        refused("rank");
    }
    tensor->shape[0] = tensor->shape[1] = INT64_MAX;  // a product past 2^64
    refused("product");
    return count;
}

void any_tensor_of_a_bundle_has_an_answer(void** /*state*/) {
    World w;
    const mmoe_layer layer = small_layer();
    mmoe_bundle* made = nullptr;
    assert_int_equal(
        mmoe_bundle_create(w.context.get(), w.config.get(), &layer, nullptr, &made, nullptr),
        MMOE_OK);
    const Handle<mmoe_bundle> filling(made);
    int count = 0;
    for (mmoe_expert_tensor& part : w.expert.tensors) {
        count += expect_refused("set", &part.tensor, [&](mmoe_error* error) {
            return mmoe_bundle_set(filling.get(), 0, part.projection, part.role, &part.tensor,
                                   error);
        });
        count += expect_refused("put", &part.tensor, [&](mmoe_error* error) {
            return mmoe_bundle_put(w.bundle.get(), 0, w.expert.tensors.data(),
                                   static_cast<uint32_t>(w.expert.tensors.size()), error);
        });
    }
    print_message("tensors of bundles refused: %d\n", count);
}

void any_tensor_of_a_run_has_an_answer(void** /*state*/) {
    World w;
    mmoe_run_args args = w.call.args();
    std::vector<int32_t> map(test::kExperts);
    const auto run = [&](mmoe_error* error) {
        return mmoe_executor_run(w.executor.get(), w.bundle.get(), &args, nullptr, error);
    };
    int count = 0;
    count += expect_refused("hidden", &args.hidden, run);
    count += expect_refused("expert_ids", &args.expert_ids, run);
    count += expect_refused("expert_weights", &args.expert_weights, run);
    count += expect_refused("output", &args.output, run);
    int32_t token_count = 1;
    args.token_count = {&token_count, MMOE_DTYPE_I32, 1, {1}, {}};
    count += expect_refused("token_count", &args.token_count, run);
    // A map may have any length that memory can have.
    args.expert_map = {map.data(), MMOE_DTYPE_I32, 1, {0}, {}};
    mmoe_error error = {};
    for (const int64_t length : {INT64_MIN, int64_t{-1}, int64_t{0}}) {
        args.expert_map.shape[0] = length;
        expect("expert_map", run(&error), {MMOE_ERR_SHAPE}, error);
    }
    print_message("tensors of runs refused: %d\n", count);
}

void any_tensor_of_a_router_has_an_answer(void** /*state*/) {
    World w;
    float logits[2][4] = {};
    float bias[4] = {};
    int32_t ids[2][2] = {};
    float weights[2][2] = {};
    auto args = sized<mmoe_route_args>();
    args.logits = {logits, MMOE_DTYPE_F32, 2, {2, 4}, {}};
    args.correction_bias = {bias, MMOE_DTYPE_F32, 1, {4}, {}};
    args.expert_ids = {ids, MMOE_DTYPE_I32, 2, {2, 2}, {}};
    args.expert_weights = {weights, MMOE_DTYPE_F32, 2, {2, 2}, {}};
    const auto route = [&](mmoe_error* error) {
        return mmoe_route(w.context.get(), &args, nullptr, error);
    };
    int count = 0;
    count += expect_refused("logits", &args.logits, route);
    count += expect_refused("correction_bias", &args.correction_bias, route);
    count += expect_refused("expert_ids", &args.expert_ids, route);
    count += expect_refused("expert_weights", &args.expert_weights, route);
    for (const uint32_t groups : {3U, 5U, 1U << 31, UINT32_MAX}) {
        mmoe_error error = {};
        args.group_count = groups;
        expect("group_count", route(&error), {MMOE_ERR_INVALID_ARGUMENT}, error);
        args.group_count = 1;
        args.groups_kept = groups;
        expect("groups_kept", route(&error), {MMOE_ERR_INVALID_ARGUMENT}, error);
        args.groups_kept = 0;
    }
    print_message("tensors of routers refused: %d\n", count);
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
        cmocka_unit_test(any_tensor_of_a_bundle_has_an_answer),
        cmocka_unit_test(any_tensor_of_a_run_has_an_answer),
        cmocka_unit_test(any_tensor_of_a_router_has_an_answer),
        cmocka_unit_test(any_index_has_an_answer),
    };
    return cmocka_run_group_tests_name("fault_shapes", tests, nullptr, nullptr);
}
