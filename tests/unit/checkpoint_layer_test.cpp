// SPDX-License-Identifier: Apache-2.0
// Room checkpoint: which tensors make up which MoE layer, in every naming and form.
#include <cstring>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "cmocka_cpp.h"
#include "support/small_model.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

// ---- Names ----

struct FamilyCase {
    const char* prefix;  // of layer 7
    PartNames names;
    GateForm gate_form;
};

const FamilyCase kFamilies[] = {
    {"model.layers.7.mlp.experts.", {}, GateForm::kSeparate},
    {"model.language_model.layers.7.mlp.experts.", {}, GateForm::kSeparate},
    {"language_model.model.layers.7.mlp.experts.", {}, GateForm::kSeparate},
    {"model.layers.7.block_sparse_moe.experts.", {"w1", "w3", "w2"}, GateForm::kSeparate},
    {"model.layers.7.block_sparse_moe.experts.", {}, GateForm::kSeparate},
    {"model.layers.7.feed_forward.experts.", {}, GateForm::kSeparate},
    {"language_model.model.layers.7.feed_forward.experts.", {}, GateForm::kSeparate},
    {"backbone.layers.7.mixer.experts.", {"", "up_proj", "down_proj"}, GateForm::kNone},
    {"model.layers.7.mixer.experts.", {"", "up_proj", "down_proj"}, GateForm::kNone},
};

void families_are_known_by_their_names(void**) {
    const ScratchFolder folder("checkpoint_families");
    for (const FamilyCase& row : kFamilies) {
        print_message("    %s %s\n", row.prefix, row.names.up.c_str());
        const auto checkpoint =
            open_model(folder, packed_model(row.prefix, row.names), kAsymmetric4);
        assert_int_equal(checkpoint->layers().size(), 1);
        expect_usable(*checkpoint, 0, row.prefix);
        const LayerEntry& layer = checkpoint->layers()[0];
        assert_int_equal(layer.model_layer, 7);
        assert_true(layer.layer.gate_form == row.gate_form);
        assert_true(layer.layer.activation ==
                    (row.gate_form == GateForm::kNone ? Activation::kRelu2 : Activation::kSilu));
        auto gate = checkpoint->expert_tensor(layer, 2, Projection::kGate, Role::kWeight);
        assert_int_equal(gate.value().entry == nullptr, row.names.gate.empty());
        auto down = checkpoint->expert_tensor(layer, 2, Projection::kDown, Role::kWeight);
        assert_string_equal(down.value().entry->name.c_str(),
                            (row.prefix + ("2." + row.names.down) + ".weight_packed").c_str());
    }
}

void other_names_are_no_experts(void**) {
    const ScratchFolder folder("checkpoint_strangers");
    SmallTensors model;
    for (const char* name :
         {"model.layers.0.mlp.shared_experts.gate_proj.weight_packed",
          "model.layers.0.mlp.gate.weight", "model.layers.x.mlp.experts.0.up_proj.weight_packed",
          "model.layers.-1.mlp.experts.0.up_proj.weight_packed",
          "model.layers.00.mlp.experts.0.up_proj.weight_packed",
          "model.layers.0.mlp.experts.01.up_proj.weight_packed",
          "model.layers.0.mlp.experts.0.up_projection.weight_packed",
          "model.layers.0.mlp.experts.0.up_proj_packed",
          "model.layers.9999999999.mlp.experts.0.up_proj.weight_packed",
          "model.layers.0.mlp.experts.9999999999.up_proj.weight_packed",
          "vision.layers.0.mlp.experts.0.up_proj.weight_packed", "model.layers.0.mlp.experts.",
          "model.layers."}) {
        model[name] = {"U8", {1}};
    }
    assert_true(open_model(folder, model, kAsymmetric4)->layers().empty());
}

void layers_stand_in_order_of_number(void**) {
    const ScratchFolder folder("checkpoint_order");
    SmallTensors model;
    for (const int layer : {2, 10, 1}) {
        model.merge(packed_model("model.layers." + std::to_string(layer) + ".mlp.experts."));
    }
    const auto checkpoint = open_model(folder, model, kAsymmetric4);
    assert_int_equal(checkpoint->layers().size(), 3);
    const uint32_t numbers[] = {1, 2, 10};
    for (size_t i = 0; i < 3; ++i) {
        assert_int_equal(checkpoint->layers()[i].model_layer, numbers[i]);
        assert_int_equal(checkpoint->layers()[i].index, i);
    }
}

void the_caller_gives_names(void**) {
    const ScratchFolder folder("checkpoint_given");
    CheckpointOptions options;
    options.experts_prefix = "net.{l}.moe.e.";
    options.gate_name = "a";
    options.up_name = "b";
    options.down_name = "c";
    const SmallTensors model = packed_model("net.5.moe.e.", {"a", "b", "c"});
    const auto checkpoint = open_model(folder, model, kAsymmetric4, options);
    expect_usable(*checkpoint, 0, "net.5.moe.e.");
    assert_int_equal(checkpoint->layers()[0].model_layer, 5);
    assert_true(open_model(folder, model, kAsymmetric4)->layers().empty());

    options.experts_prefix = "net.5.moe.e.";  // one layer, without a number
    expect_usable(*open_model(folder, model, kAsymmetric4, options), 0, "net.5.moe.e.");

    options.gate_name = "";
    const auto gateless =
        open_model(folder, packed_model("net.5.moe.e.", {"", "b", "c"}), kAsymmetric4, options);
    expect_usable(*gateless, 0, "net.5.moe.e.");
    assert_true(gateless->layers()[0].layer.gate_form == GateForm::kNone);

    options.up_name = "";
    assert_int_equal(Checkpoint::open(folder.path(), options, Log()).status().code(),
                     Code::kInvalidArgument);
    options.up_name = "b";
    options.experts_prefix = "{l}.{l}.";
    assert_int_equal(Checkpoint::open(folder.path(), options, Log()).status().code(),
                     Code::kInvalidArgument);
}

void a_projection_may_lie_in_two_shards(void**) {
    const ScratchFolder folder("checkpoint_two_shards");
    SmallTensors first;
    SmallTensors second;
    for (const auto& [name, tensor] : packed_model()) {
        (name.ends_with("_packed") ? first : second)[name] = tensor;
    }
    folder.write("config.json", "{" + kAsymmetric4 + "}");
    folder.write("s1", safetensors_of(first));
    folder.write("s2", safetensors_of(second));
    folder.write("model.safetensors.index.json", index_of({{"s1", first}, {"s2", second}}));
    auto opened = Checkpoint::open(folder.path(), {}, Log());
    assert_true(opened.ok());
    const Checkpoint& checkpoint = *opened.value();
    expect_usable(checkpoint, 0, "model.layers.0.mlp.experts.");
    const LayerEntry& layer = checkpoint.layers()[0];
    auto weight = checkpoint.expert_tensor(layer, 0, Projection::kUp, Role::kWeight);
    auto scale = checkpoint.expert_tensor(layer, 0, Projection::kUp, Role::kScale);
    assert_int_equal(weight.value().entry->file_index, 0);
    assert_int_equal(scale.value().entry->file_index, 1);
}

// ---- Zero points, scales, biases ----

void unpacked_zero_points_are_seen(void**) {
    const ScratchFolder folder("checkpoint_int8");
    SmallTensors model = packed_model();
    for (auto& [name, tensor] : model) {
        if (name.ends_with("zero_point")) tensor = {"I8", {tensor.shape[0] * 8, tensor.shape[1]}};
    }
    const auto checkpoint = open_model(folder, model, kAsymmetric4);
    expect_usable(*checkpoint, 0, "model.layers.0.mlp.experts.");
    assert_true(checkpoint->layers()[0].config.zero_point_form == ZeroPointForm::kInt8);
}

void the_scales_type_comes_from_the_tensors(void**) {
    const ScratchFolder folder("checkpoint_scales");
    const struct {
        const char* dtype;
        layout::ScaleType type;
    } cases[] = {{"F32", layout::ScaleType::kF32},
                 {"F16", layout::ScaleType::kF16},
                 {"BF16", layout::ScaleType::kBf16}};
    for (const auto& row : cases) {
        SmallTensors model = packed_model();
        for (auto& [name, tensor] : model) {
            if (name.ends_with("scale")) tensor.dtype = row.dtype;
        }
        assert_true(open_model(folder, model, kAsymmetric4)->layers()[0].config.scale_type ==
                    row.type);
    }
}

void biases_are_found(void**) {
    const ScratchFolder folder("checkpoint_bias");
    SmallTensors model = packed_model();
    for (int64_t expert = 0; expert < kExperts; ++expert) {
        const std::string start = "model.layers.0.mlp.experts." + std::to_string(expert) + ".";
        model[start + "gate_proj.bias"] = {"BF16", {kIntermediate}};
        model[start + "up_proj.bias"] = {"BF16", {kIntermediate}};
        model[start + "down_proj.bias"] = {"BF16", {kHidden}};
    }
    const auto checkpoint = open_model(folder, model, kAsymmetric4);
    expect_usable(*checkpoint, 0, "model.layers.0.mlp.experts.");
    const LayerEntry& layer = checkpoint->layers()[0];
    assert_true(layer.layer.bias);
    auto bias = checkpoint->expert_tensor(layer, 1, Projection::kDown, Role::kBias);
    assert_int_equal(bias.value().shape[0], kHidden);
}

// Inputs that end inside a word: 60 of 64.
void padded_rows_are_told_by_shape_or_config(void**) {
    const ScratchFolder folder("checkpoint_padding");
    const std::string channel =
        replaced(kAsymmetric4, R"("group","group_size":32)", R"("channel")");
    SmallTensors model;
    const std::string start = "model.layers.0.mlp.experts.0.";
    for (const char* part : {"gate_proj", "up_proj", "down_proj"}) {
        const bool down = std::strcmp(part, "down_proj") == 0;
        const std::string module = start + part;
        const int64_t n = down ? 60 : 30;
        const int64_t k = down ? 30 : 60;
        model[module + ".weight_packed"] = {"I32", {n, (k + 7) / 8}};
        model[module + ".weight_scale"] = {"BF16", {n, 1}};
        model[module + ".weight_zero_point"] = {"I32", {(n + 7) / 8, 1}};
        model[module + ".weight_shape"] = {"I64", {2}, {n, k}};
    }
    const std::string sizes = R"("hidden_size":60,"moe_intermediate_size":30,)";
    for (const bool shapes : {true, false}) {
        if (!shapes) std::erase_if(model, [](const auto& m) { return m.first.ends_with("shape"); });
        for (const bool claims : {true, false}) {
            const auto checkpoint = open_model(folder, model, (claims ? sizes : "") + channel);
            const LayerEntry& layer = checkpoint->layers()[0];
            // With neither, rows seem to be full and then contradict one another.
            assert_int_equal(layer.problem.ok(), shapes || claims);
            if (!layer.problem.ok()) continue;
            assert_int_equal(layer.layer.hidden_size, 60);
            assert_int_equal(layer.layer.intermediate_size, 30);
        }
    }
}

// Kimi-K2-Thinking stores the two numbers of weight_shape in 32 bits each.
void narrow_weight_shapes_are_read(void**) {
    const ScratchFolder folder("checkpoint_narrow_shape");
    SmallTensors model = packed_model();
    for (auto& [name, tensor] : model) {
        if (name.ends_with("shape")) {
            tensor.dtype = "I32";
            tensor.numbers = {tensor.numbers[0] | tensor.numbers[1] << 32};
        }
    }
    expect_usable(*open_model(folder, model, kAsymmetric4), 0, "model.layers.0.mlp.experts.");
    model["model.layers.0.mlp.experts.0.up_proj.weight_shape"].numbers = {32 | int64_t{56} << 32};
    assert_int_equal(open_model(folder, model, kAsymmetric4)->layers()[0].problem.code(),
                     Code::kBadData);
}

// ---- What config.json adds ----

struct ArithmeticCase {
    const char* name;
    const char* config;
    Activation activation;
    float limit;
    bool router_weight_on_input;
};

void arithmetic_comes_from_the_config(void**) {
    constexpr float kNoLimit = std::numeric_limits<float>::infinity();
    const ArithmeticCase cases[] = {
        {"nothing said", "", Activation::kSilu, kNoLimit, false},
        {"silu", R"("hidden_act":"silu",)", Activation::kSilu, kNoLimit, false},
        {"null", R"("hidden_act":null,)", Activation::kSilu, kNoLimit, false},
        {"gelu", R"("hidden_act":"gelu",)", Activation::kGelu, kNoLimit, false},
        {"tanh", R"("hidden_activation":"gelu_pytorch_tanh",)", Activation::kGeluTanh, kNoLimit,
         false},
        {"relu2", R"("mlp_hidden_act":"relu2",)", Activation::kRelu2, kNoLimit, false},
        {"swigluoai", R"("hidden_act":"swigluoai",)", Activation::kSwigluOai, 7.0F, false},
        {"another limit", R"("hidden_act":"silu","swiglu_limit":10.0,)", Activation::kSilu, 10.0F,
         false},
        {"Llama-4", R"("model_type":"llama4_text","hidden_act":"silu",)", Activation::kSilu,
         kNoLimit, true},
        {"text inside", R"("hidden_act":"none","text_config":{"hidden_act":"gelu"},)",
         Activation::kGelu, kNoLimit, false},
    };
    const ScratchFolder folder("checkpoint_arithmetic");
    for (const ArithmeticCase& row : cases) {
        print_message("    %s\n", row.name);
        const auto checkpoint = open_model(folder, packed_model(), row.config + kAsymmetric4);
        expect_usable(*checkpoint, 0, "model.layers.0.mlp.experts.");
        const Layer& layer = checkpoint->layers()[0].layer;
        assert_true(layer.activation == row.activation);
        assert_true(layer.limit == row.limit);
        assert_int_equal(layer.router_weight_on_input, row.router_weight_on_input);
    }
}

// What dense parts of a model write about experts, and lists of one number a layer.
void numbers_that_say_nothing_are_passed_over(void**) {
    const ScratchFolder folder("checkpoint_no_claim");
    for (const char* claims :
         {R"("hidden_size":0,"num_experts":0,)", R"("hidden_size":null,"num_experts":null,)",
          R"("moe_intermediate_size":[32,64],"num_experts":[3,5],)",
          R"("n_routed_experts":0,"num_experts":3,)", R"("intermediate_size":4096,)"}) {
        print_message("    %s\n", claims);
        const auto checkpoint = open_model(folder, packed_model(), claims + kAsymmetric4);
        expect_usable(*checkpoint, 0, "model.layers.0.mlp.experts.");
    }
}

void experts_are_counted_from_zero(void**) {
    const ScratchFolder folder("checkpoint_range_of_experts");
    const auto checkpoint = open_model(folder, packed_model(), kAsymmetric4);
    const LayerEntry& layer = checkpoint->layers()[0];
    for (const int64_t expert : {int64_t{-1}, kExperts, INT64_MAX, INT64_MIN}) {
        auto tensor = checkpoint->expert_tensor(layer, expert, Projection::kUp, Role::kWeight);
        assert_int_equal(tensor.status().code(), Code::kInvalidArgument);
    }
    // What is simply not there is no error.
    auto bias = checkpoint->expert_tensor(layer, 0, Projection::kUp, Role::kBias);
    assert_true(bias.ok());
    assert_null(bias.value().entry);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(families_are_known_by_their_names),
        cmocka_unit_test(other_names_are_no_experts),
        cmocka_unit_test(layers_stand_in_order_of_number),
        cmocka_unit_test(the_caller_gives_names),
        cmocka_unit_test(a_projection_may_lie_in_two_shards),
        cmocka_unit_test(unpacked_zero_points_are_seen),
        cmocka_unit_test(the_scales_type_comes_from_the_tensors),
        cmocka_unit_test(biases_are_found),
        cmocka_unit_test(padded_rows_are_told_by_shape_or_config),
        cmocka_unit_test(narrow_weight_shapes_are_read),
        cmocka_unit_test(arithmetic_comes_from_the_config),
        cmocka_unit_test(numbers_that_say_nothing_are_passed_over),
        cmocka_unit_test(experts_are_counted_from_zero),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
