// SPDX-License-Identifier: Apache-2.0
// Memory, counted by the caller's allocator: a load's peak stays within the bundle and 64 MiB
// however large an expert is and however many threads load, the plans made from shapes are what is
// taken, and no file decides how much is asked for.
#include <cstdlib>

#include "marlin_moe.h"
#include "parity/handles.h"
#include "support/counting_allocator.h"
#include "support/sparse_checkpoint.h"

using namespace mmoe::parity;
using namespace mmoe::test;

namespace {

constexpr uint64_t kMaxScratchBytes = uint64_t{64} << 20;

Handle<mmoe_context> make_context(CountingAllocator& allocator, uint32_t threads) {
    auto options = sized<mmoe_context_options>();
    options.device_kind = MMOE_DEVICE_CPU;
    options.thread_count = threads;
    options.host_allocator = allocator.callbacks();
    mmoe_context* context = nullptr;
    Error error{"context"};
    error.expect_ok(mmoe_context_create(&options, &context, &error.value), "create");
    return Handle<mmoe_context>(context);
}

Handle<mmoe_checkpoint> open(const char* name, mmoe_context* context, const std::string& path) {
    mmoe_checkpoint* checkpoint = nullptr;
    Error error{name};
    error.expect_ok(mmoe_checkpoint_open(context, path.c_str(), nullptr, &checkpoint, &error.value),
                    "open");
    return Handle<mmoe_checkpoint>(checkpoint);
}

// ---- Loads ----

struct LoadCase {
    const char* name;
    SparseLayer layer;
    uint32_t threads;
    mmoe_split split;
};
constexpr SparseFormat kPacked = SparseFormat::kCompressedTensors;
constexpr SparseFormat kGptq = SparseFormat::kGptq;
constexpr SparseFormat kAwq = SparseFormat::kAwq;
constexpr LoadCase kLoadCases[] = {
    {"Qwen3-30B-A3B", {kPacked, 128, 2048, 768}, 2, {}},
    {"Qwen3-30B-A3B, 64 threads", {kPacked, 128, 2048, 768}, 64, {}},
    {"DeepSeek-V3's shape, groups of 32", {kPacked, 4, 7168, 2048, 4, 32}, 4, {}},
    {"one large expert", {kPacked, 1, 8192, 32768}, 8, {4, 3, 0, 0}},
    {"one large expert, GPTQ", {kGptq, 1, 8192, 32768}, 8, {4, 1, 0, 0}},
    {"one large expert, AWQ", {kAwq, 1, 8192, 32768}, 8, {4, 2, 0, 0}},
    {"one large expert in activation order",
     {kPacked, 1, 8192, 32768, 4, 128, true},
     8,
     {8, 5, 0, 0}},
    {"large experts, 8 bits, many threads", {kPacked, 3, 8192, 8192, 8}, 64, {8, 7, 0, 0}},
};

mmoe_memory_plan plan_of(const LoadCase& c, const mmoe_context* context,
                         const mmoe_checkpoint* checkpoint, const mmoe_bundle_options& options) {
    auto layer = sized<mmoe_layer>();
    auto plan = sized<mmoe_memory_plan>();
    mmoe_quant_config* config = nullptr;
    Error error{c.name};
    error.expect_ok(
        mmoe_checkpoint_layer_info(checkpoint, 0, &layer, nullptr, &config, &error.value), "layer");
    const Handle<mmoe_quant_config> owned(config);
    error.expect_ok(mmoe_bundle_plan(context, config, &layer, &options, &plan, &error.value),
                    "plan");
    return plan;
}

// The bundle's bytes to the byte, and the scratch as an upper bound that is not far off.
void a_load_takes_what_its_plan_says(void**) {
    const ScratchFolder folder("load_memory");
    for (const LoadCase& c : kLoadCases) {
        const SparseCheckpoint files(folder, c.layer);
        CountingAllocator allocator;
        const auto context = make_context(allocator, c.threads);
        const auto checkpoint = open(c.name, context.get(), folder.path());
        auto options = sized<mmoe_bundle_options>();
        options.split = c.split;
        const mmoe_memory_plan plan = plan_of(c, context.get(), checkpoint.get(), options);
        mmoe_bundle* bundle = nullptr;
        Error error{c.name};
        error.expect_ok(
            mmoe_bundle_load(context.get(), checkpoint.get(), 0, &options, &bundle, &error.value),
            "load");
        const Handle<mmoe_bundle> owned(bundle);
        const uint64_t held = allocator.held_bytes(), peak = allocator.peak_bytes();
        print_message("%s: bundle %.1f MiB, beside it %.1f MiB, planned %.1f MiB\n", c.name,
                      static_cast<double>(held) / 0x1p20, static_cast<double>(peak - held) / 0x1p20,
                      static_cast<double>(plan.scratch_bytes) / 0x1p20);
        if (held != plan.resident_bytes || peak > held + plan.scratch_bytes ||
            plan.scratch_bytes > kMaxScratchBytes) {
            fail_msg("%s: planned %llu + %llu bytes, took %llu, at most %llu", c.name,
                     static_cast<unsigned long long>(plan.resident_bytes),
                     static_cast<unsigned long long>(plan.scratch_bytes),
                     static_cast<unsigned long long>(held), static_cast<unsigned long long>(peak));
        }
    }
}

// Every expert agrees with the first, so only what the layer needs can tell.
void a_file_cannot_ask_for_memory(void**) {
    const ScratchFolder folder("hostile_memory");
    SparseLayer layer{kPacked, 1, 256, 128};
    layer.scale_columns = int64_t{1} << 30;  // of 128 + 128 + 256 rows: 1 TiB
    const SparseCheckpoint files(folder, layer);
    CountingAllocator allocator;
    const auto context = make_context(allocator, 2);
    const auto checkpoint = open("hostile", context.get(), folder.path());
    mmoe_bundle* bundle = nullptr;
    mmoe_error error{};
    assert_int_equal(mmoe_bundle_load(context.get(), checkpoint.get(), 0, nullptr, &bundle, &error),
                     MMOE_ERR_BAD_DATA);
    assert_string_equal(error.message,
                        "layer 0 expert 0 gate_proj: scale: expected [128, 2], got [128, "
                        "1073741824]");
    assert_true(allocator.peak_bytes() < 1 << 20);
}

// ---- Plans of all kinds of layers ----

struct PlanCase {
    const char* name;
    mmoe_quant_fields fields;
    mmoe_layer layer;
    mmoe_bundle_options options;
};

constexpr mmoe_quant_fields fields_of(int32_t bits, int32_t group, mmoe_symmetry symmetry,
                                      mmoe_order order = MMOE_ORDER_NONE,
                                      mmoe_dtype scale = MMOE_DTYPE_BF16) {
    return {sizeof(mmoe_quant_fields),
            MMOE_FORMAT_COMPRESSED_TENSORS,
            bits,
            group,
            symmetry,
            MMOE_ZERO_POINT_PACKED,
            order,
            scale};
}
constexpr mmoe_layer layer_of(uint32_t experts, uint32_t hidden, uint32_t intermediate,
                              mmoe_gate_form gate = MMOE_GATE_SEPARATE, uint32_t flags = 0) {
    return {sizeof(mmoe_layer), experts, hidden, intermediate, 0, gate, 0, 0, 0, flags};
}
constexpr mmoe_bundle_options options_of(uint32_t slots = 0, mmoe_split split = {}) {
    return {sizeof(mmoe_bundle_options), slots, nullptr, nullptr, split};
}

const PlanCase kPlanCases[] = {
    {"4 bits", fields_of(4, 128, MMOE_SYMMETRIC), layer_of(8, 512, 768), options_of()},
    {"4 bits, zero points", fields_of(4, 32, MMOE_ASYMMETRIC), layer_of(8, 512, 768), options_of()},
    {"8 bits, one scale a channel", fields_of(8, -1, MMOE_ASYMMETRIC), layer_of(4, 1024, 352),
     options_of()},
    {"f32 scales", fields_of(4, 64, MMOE_ASYMMETRIC, MMOE_ORDER_NONE, MMOE_DTYPE_F32),
     layer_of(4, 256, 192), options_of()},
    {"activation order", fields_of(4, 64, MMOE_ASYMMETRIC, MMOE_ORDER_GROUP), layer_of(4, 256, 192),
     options_of()},
    {"not gated, biases", fields_of(4, 32, MMOE_SYMMETRIC),
     layer_of(4, 160, 96, MMOE_GATE_NONE, MMOE_LAYER_BIAS), options_of()},
    {"gpt-oss", fields_of(4, 32, MMOE_SYMMETRIC),
     layer_of(4, 2880, 2880, MMOE_GATE_INTERLEAVED, MMOE_LAYER_BIAS), options_of()},
    {"straddling groups, rank 3 of 8", fields_of(4, 128, MMOE_ASYMMETRIC), layer_of(8, 512, 768),
     options_of(0, {8, 3, 0, 0})},
    {"uneven ranks, rank 1 of 3", fields_of(4, 128, MMOE_SYMMETRIC), layer_of(8, 512, 896),
     options_of(0, {3, 1, 0, 0})},
    {"expert rank 2 of 3", fields_of(4, 128, MMOE_SYMMETRIC), layer_of(8, 512, 768),
     options_of(0, {0, 0, 3, 2})},
    {"three slots", fields_of(4, 128, MMOE_SYMMETRIC), layer_of(8, 512, 768), options_of(3)},
    {"896 experts", fields_of(4, 32, MMOE_ASYMMETRIC), layer_of(896, 64, 32), options_of()},
};

// Neither plan may be off by more than 1 %.
void expect_near(const char* name, const char* what, uint64_t planned, uint64_t taken) {
    const uint64_t more = std::max(planned, taken), less = std::min(planned, taken);
    if ((more - less) * 100 <= taken) return;
    fail_msg("%s: %s: planned %llu bytes, took %llu", name, what,
             static_cast<unsigned long long>(planned), static_cast<unsigned long long>(taken));
}

void check_executor_plan(const PlanCase& c, CountingAllocator& allocator, mmoe_context* context,
                         const mmoe_quant_config* config, const mmoe_bundle* bundle) {
    for (const mmoe_dtype dtype : {MMOE_DTYPE_BF16, MMOE_DTYPE_F32}) {
        for (const uint32_t tokens : {1U, 33U, 1024U}) {
            auto options = sized<mmoe_executor_options>();
            options.max_tokens = tokens;
            options.max_top_k = 4;
            options.hidden_dtype = dtype;
            auto plan = sized<mmoe_memory_plan>();
            Error error{c.name};
            error.expect_ok(
                mmoe_executor_plan(context, config, &c.layer, &options, &plan, &error.value),
                "executor plan");
            const uint64_t before = allocator.held_bytes();
            mmoe_executor* executor = nullptr;
            error.expect_ok(
                mmoe_executor_create(context, bundle, &options, &executor, &error.value),
                "executor");
            const Handle<mmoe_executor> owned(executor);
            expect_near(c.name, "executor", plan.resident_bytes, allocator.held_bytes() - before);
        }
    }
}

void plans_are_what_is_taken(void**) {
    for (const PlanCase& c : kPlanCases) {
        CountingAllocator allocator;
        const auto context = make_context(allocator, 3);
        mmoe_quant_config* config = nullptr;
        mmoe_bundle* bundle = nullptr;
        auto plan = sized<mmoe_memory_plan>();
        Error error{c.name};
        error.expect_ok(mmoe_quant_config_create(&c.fields, &config, &error.value), "config");
        const Handle<mmoe_quant_config> owned_config(config);
        error.expect_ok(
            mmoe_bundle_plan(context.get(), config, &c.layer, &c.options, &plan, &error.value),
            "plan");
        error.expect_ok(
            mmoe_bundle_create(context.get(), config, &c.layer, &c.options, &bundle, &error.value),
            "bundle");
        const Handle<mmoe_bundle> owned(bundle);
        expect_near(c.name, "bundle", plan.resident_bytes, allocator.held_bytes());
        // An executor's plan is that of a whole layer.
        if (c.options.split.tensor_ranks > 1) continue;
        check_executor_plan(c, allocator, context.get(), config, bundle);
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_load_takes_what_its_plan_says),
        cmocka_unit_test(a_file_cannot_ask_for_memory),
        cmocka_unit_test(plans_are_what_is_taken),
    };
    return cmocka_run_group_tests_name("unit_load_memory", tests, nullptr, nullptr);
}
