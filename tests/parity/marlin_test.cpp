// SPDX-License-Identifier: Apache-2.0
// Bundles exported as Marlin matrices and imported again are the same bytes, whatever the layer,
// the split, the activations and the padding; then what the two refuse.
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "parity/cases.h"
#include "parity/layer_calls.h"
#include "support/marlin_experts.h"
#include "support/test_device.h"

#include "cmocka_cpp.h"

using namespace mmoe::parity;
using mmoe::test::OwnedExperts;
using mmoe::test::tensors_of;

namespace {

// More zeros: `padding` hidden elements and intermediate channels.
void widen(mmoe_marlin_experts& experts, int64_t padding, int64_t shards, const Case& spec) {
    const int64_t fields = 32 / spec.scheme.bits;
    const int64_t groups =
        spec.scheme.group_size > 0 ? padding / spec.scheme.group_size : int64_t{0};
    const auto grow = [&](mmoe_marlin_operand& operand, int64_t outputs) {
        operand.weight.shape[1] += padding / 16;
        operand.weight.shape[2] += outputs * 16 / fields;
        operand.scale.shape[1] += groups;
        operand.scale.shape[2] += outputs;
        if (operand.zero_point.rank != 0) {
            operand.zero_point.shape[1] += groups;
            operand.zero_point.shape[2] += outputs / fields;
        }
        if (operand.bias.rank != 0) operand.bias.shape[1] += outputs;
    };
    grow(experts.w13, shards * padding);
    grow(experts.w2, padding);
}

// Memory for the experts of a rank.
OwnedExperts make_experts(const Case& spec, const mmoe_layer& layer, const mmoe_split& split,
                          mmoe_marlin_activation activation, int64_t padding = 0) {
    auto experts = sized<mmoe_marlin_experts>();
    Error error{spec.name};
    error.expect_ok(mmoe_marlin_describe_experts(make_config(spec).get(), &layer, &split,
                                                 activation, &experts, &error.value),
                    "describe");
    if (padding != 0) widen(experts, padding, layer.gate_form == MMOE_GATE_NONE ? 1 : 2, spec);
    return OwnedExperts(experts);
}

Handle<mmoe_context> make_context() {
    auto options = sized<mmoe_context_options>();
    options.device_kind = mmoe::chosen_device_kind();
    options.thread_count = 2;
    mmoe_context* context = nullptr;
    Error error{"context"};
    error.expect_ok(mmoe_context_create(&options, &context, &error.value), "create");
    return Handle<mmoe_context>(context);
}

std::vector<char> saved(const mmoe_bundle* bundle, const std::string& name) {
    std::filesystem::create_directories(MMOE_TEST_SCRATCH);  // the build may be of another machine
    const std::string path = std::string(MMOE_TEST_SCRATCH) + "/marlin_experts.bundle";
    Error error{name};
    error.expect_ok(mmoe_bundle_save(bundle, path.c_str(), &error.value), "save");
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

uint32_t first_expert(const mmoe_bundle* bundle) {
    auto description = sized<mmoe_bundle_description>();
    Error error{"info"};
    error.expect_ok(mmoe_bundle_info(bundle, nullptr, &description, &error.value), "info");
    return description.first_expert;
}

void expect_round(Problem& problem, mmoe_context* context, const mmoe_split& split,
                  mmoe_marlin_activation activation, int64_t padding) {
    const Case& spec = problem.spec;
    const Handle<mmoe_bundle> bundle = make_bundle(problem, context, split);
    OwnedExperts experts = make_experts(spec, problem.layer, split, activation, padding);
    Error error{spec.name};
    error.expect_ok(mmoe_marlin_export(bundle.get(), first_expert(bundle.get()), &experts.value(),
                                       &error.value),
                    "export");
    mmoe_bundle* imported = nullptr;
    error.expect_ok(mmoe_marlin_import(context, make_config(spec).get(), &problem.layer, &split,
                                       &experts.value(), &imported, &error.value),
                    "import");
    const Handle<mmoe_bundle> owner(imported);
    if (saved(bundle.get(), spec.name) != saved(imported, spec.name)) {
        fail_msg("%s: the imported bundle differs", spec.name);
    }
}

bool has_many_experts(const Case& spec) {
    return spec.experts > 64;
}

void bundles_come_back(void**) {
    const Handle<mmoe_context> context = make_context();
    for (const Case& spec : kCases) {
        if (spec.refused != 0 || has_many_experts(spec)) continue;
        Problem problem = make_problem(spec);
        for (uint32_t rank = 0; rank < spec.tensor_ranks; ++rank) {
            const mmoe_split split = {spec.tensor_ranks, rank, spec.expert_ranks,
                                      spec.expert_ranks - 1};
            expect_round(problem, context.get(), split, MMOE_MARLIN_16_BIT, 0);
            expect_round(problem, context.get(), split, MMOE_MARLIN_8_BIT, 0);
        }
    }
}

constexpr Case kPadded[] = {
    {.name = "padded more than needed", .scheme = {.asymmetric = true}},
    {.name = "padded, not gated, a channel",
     .scheme = {.bits = 8, .group_size = -1},
     .gate_form = MMOE_GATE_NONE},
    {.name = "padded, biases and order",
     .scheme = {.asymmetric = true, .ordered = true},
     .flags = MMOE_LAYER_BIAS},
};

void padding_of_the_callers_comes_back(void**) {
    const Handle<mmoe_context> context = make_context();
    for (const Case& spec : kPadded) {
        Problem problem = make_problem(spec);
        expect_round(problem, context.get(), {}, MMOE_MARLIN_16_BIT, 128);
    }
}

// One expert after another is what all of them at once are.
void single_experts_are_parts_of_the_batch(void**) {
    const Case spec = {.name = "one by one", .scheme = {.asymmetric = true}};
    const Handle<mmoe_context> context = make_context();
    Problem problem = make_problem(spec);
    const Handle<mmoe_bundle> bundle = make_bundle(problem, context.get(), {});
    OwnedExperts all = make_experts(spec, problem.layer, {}, MMOE_MARLIN_16_BIT);
    Error error{spec.name};
    error.expect_ok(mmoe_marlin_export(bundle.get(), 0, &all.value(), &error.value), "all");
    const std::vector<std::vector<uint8_t>> want = all.bytes();
    for (uint32_t expert = 0; expert < spec.experts; ++expert) {
        OwnedExperts one = make_experts(spec, problem.layer, {}, MMOE_MARLIN_16_BIT);
        for (mmoe_tensor* tensor : tensors_of(one.value())) {
            if (tensor->rank != 0) tensor->shape[0] = 1;
        }
        error.expect_ok(mmoe_marlin_export(bundle.get(), expert, &one.value(), &error.value),
                        "one");
        for (size_t i = 0; i < want.size(); ++i) {
            const size_t bytes = want[i].size() / spec.experts;
            assert_memory_equal(one.bytes()[i].data(), want[i].data() + expert * bytes, bytes);
        }
    }
}

// ---- Refusals -----------------------------------------------------------------------------------

struct Refusal {
    const char* name;
    void (*spoil)(mmoe_marlin_experts&);
    mmoe_status exported, imported;
};

const Refusal kRefusals[] = {
    {"activation that is none", [](mmoe_marlin_experts& e) { e.activation = 2; },
     MMOE_ERR_INVALID_ARGUMENT, MMOE_ERR_INVALID_ARGUMENT},
    {"no weight", [](mmoe_marlin_experts& e) { e.w13.weight = {}; }, MMOE_ERR_NULL_POINTER,
     MMOE_ERR_NULL_POINTER},
    {"no zero points", [](mmoe_marlin_experts& e) { e.w2.zero_point = {}; }, MMOE_ERR_NULL_POINTER,
     MMOE_ERR_NULL_POINTER},
    {"a bias too many", [](mmoe_marlin_experts& e) { e.w2.bias = e.w2.scale; },
     MMOE_ERR_INVALID_ARGUMENT, MMOE_ERR_INVALID_ARGUMENT},
    {"a tile short of inputs", [](mmoe_marlin_experts& e) { e.w13.weight.shape[1] -= 1; },
     MMOE_ERR_SHAPE, MMOE_ERR_SHAPE},
    {"more inputs than memory counts",
     [](mmoe_marlin_experts& e) { e.w2.weight.shape[1] = INT64_MAX; }, MMOE_ERR_SHAPE,
     MMOE_ERR_SHAPE},
    {"scales of another group size", [](mmoe_marlin_experts& e) { e.w2.scale.shape[1] += 1; },
     MMOE_ERR_SHAPE, MMOE_ERR_SHAPE},
    {"more experts than there are",
     [](mmoe_marlin_experts& e) {
         for (mmoe_marlin_operand* operand : {&e.w13, &e.w2}) {
             for (mmoe_tensor* tensor : {&operand->weight, &operand->scale, &operand->zero_point}) {
                 tensor->shape[0] += 1;
             }
         }
     },
     MMOE_ERR_SHAPE, MMOE_ERR_SHAPE},
    {"codes of another type", [](mmoe_marlin_experts& e) { e.w13.weight.dtype = MMOE_DTYPE_F32; },
     MMOE_ERR_DTYPE, MMOE_ERR_DTYPE},
    {"scales of two types", [](mmoe_marlin_experts& e) { e.w2.scale.dtype = MMOE_DTYPE_F16; },
     MMOE_OK, MMOE_ERR_DTYPE},
    {"an address between elements",
     [](mmoe_marlin_experts& e) {
         e.w13.zero_point.data = static_cast<uint8_t*>(e.w13.zero_point.data) + 2;
     },
     MMOE_ERR_INVALID_ARGUMENT, MMOE_ERR_INVALID_ARGUMENT},
    {"an infinite scale",
     [](mmoe_marlin_experts& e) { static_cast<uint16_t*>(e.w2.scale.data)[3] = 0x7F80; }, MMOE_OK,
     MMOE_ERR_BAD_DATA},
};

void what_cannot_be_is_refused(void**) {
    const Case spec = {.name = "refusals", .scheme = {.asymmetric = true}};
    const Handle<mmoe_context> context = make_context();
    const Handle<mmoe_quant_config> config = make_config(spec);
    Problem problem = make_problem(spec);
    const Handle<mmoe_bundle> bundle = make_bundle(problem, context.get(), {});
    for (const Refusal& c : kRefusals) {
        print_message("%s\n", c.name);
        OwnedExperts experts = make_experts(spec, problem.layer, {}, MMOE_MARLIN_16_BIT);
        Error error{c.name};
        error.expect_ok(mmoe_marlin_export(bundle.get(), 0, &experts.value(), &error.value),
                        "export");
        c.spoil(experts.value());
        mmoe_bundle* imported = nullptr;
        assert_int_equal(mmoe_marlin_import(context.get(), config.get(), &problem.layer, nullptr,
                                            &experts.value(), &imported, &error.value),
                         c.imported);
        assert_null(imported);
        assert_int_equal(mmoe_marlin_export(bundle.get(), 0, &experts.value(), &error.value),
                         c.exported);
    }
}

struct Extreme {
    const char* name;
    uint32_t hidden_size, intermediate_size;
    mmoe_status described;
};

// Groups of 48 are padded to multiples of 192; what would exceed 2^24 is neither exported nor
// imported, so that it is not described.
constexpr Extreme kExtremes[] = {
    {"most padded H", 16777152, 96, MMOE_OK},
    {"H padded past the most", 16777200, 96, MMOE_ERR_SHAPE},
    {"I padded past the most", 96, 16777200, MMOE_ERR_SHAPE},
};

void padding_past_the_most_is_not_described(void**) {
    const Case spec = {.name = "extremes", .scheme = {.group_size = 48}};
    const Handle<mmoe_quant_config> config = make_config(spec);
    for (const Extreme& c : kExtremes) {
        print_message("%s\n", c.name);
        auto layer = sized<mmoe_layer>();
        layer.expert_count = 1;
        layer.hidden_size = c.hidden_size;
        layer.intermediate_size = c.intermediate_size;
        auto experts = sized<mmoe_marlin_experts>();
        mmoe_error error = {};
        assert_int_equal(mmoe_marlin_describe_experts(config.get(), &layer, nullptr,
                                                      MMOE_MARLIN_16_BIT, &experts, &error),
                         c.described);
        if (c.described != MMOE_OK) assert_non_null(std::strstr(error.message, "16777344"));
    }
}

void an_order_that_is_none_is_refused(void**) {
    const Case spec = {.name = "order", .scheme = {.asymmetric = true, .ordered = true}};
    const Handle<mmoe_context> context = make_context();
    const Handle<mmoe_quant_config> config = make_config(spec);
    Problem problem = make_problem(spec);
    const Handle<mmoe_bundle> bundle = make_bundle(problem, context.get(), {});
    for (const bool second : {false, true}) {
        OwnedExperts experts = make_experts(spec, problem.layer, {}, MMOE_MARLIN_16_BIT);
        Error error{spec.name};
        error.expect_ok(mmoe_marlin_export(bundle.get(), 0, &experts.value(), &error.value),
                        "export");
        mmoe_marlin_experts& value = experts.value();
        auto* order = static_cast<int32_t*>(second ? value.w2_order.data : value.w13_order.data);
        order[5] = order[6];
        mmoe_bundle* imported = nullptr;
        assert_int_equal(mmoe_marlin_import(context.get(), config.get(), &problem.layer, nullptr,
                                            &value, &imported, &error.value),
                         MMOE_ERR_BAD_DATA);
        assert_non_null(std::strstr(error.value.message, second
                                                             ? "w2_order: expected every number"
                                                             : "w13_order: expected every number"));
    }
}

void experts_that_are_not_there_are_refused(void**) {
    const Case spec = {.name = "not there", .scheme = {.asymmetric = true}};
    const Handle<mmoe_context> context = make_context();
    Problem problem = make_problem(spec);
    const Handle<mmoe_bundle> bundle = make_bundle(problem, context.get(), {});
    OwnedExperts experts = make_experts(spec, problem.layer, {}, MMOE_MARLIN_16_BIT);
    mmoe_error error = {};
    assert_int_equal(mmoe_marlin_export(bundle.get(), 1, &experts.value(), &error),
                     MMOE_ERR_INVALID_ARGUMENT);  // it would end past the last
    assert_int_equal(mmoe_bundle_evict(bundle.get(), 2, &error), MMOE_OK);
    assert_int_equal(mmoe_marlin_export(bundle.get(), 0, &experts.value(), &error),
                     MMOE_ERR_INVALID_ARGUMENT);
    assert_non_null(std::strstr(error.message, "expert 2"));
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(bundles_come_back),
        cmocka_unit_test(padding_of_the_callers_comes_back),
        cmocka_unit_test(single_experts_are_parts_of_the_batch),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(padding_past_the_most_is_not_described),
        cmocka_unit_test(an_order_that_is_none_is_refused),
        cmocka_unit_test(experts_that_are_not_there_are_refused),
    };
    return cmocka_run_group_tests_name("parity_marlin", tests, nullptr, nullptr);
}
