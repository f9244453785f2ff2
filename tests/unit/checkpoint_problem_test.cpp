// SPDX-License-Identifier: Apache-2.0
// Room checkpoint: why a layer cannot be used. Each row is a good model and what is done to it;
// the checkpoint still opens, and the layer says what is wrong.
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>

#include "checkpoint/checkpoint.h"
#include "cmocka_cpp.h"
#include "support/sentence.h"
#include "support/small_model.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

struct ProblemCase {
    const char* name;
    std::string config;
    std::function<void(SmallTensors&)> change;
    Code code;
    const char* fragment;
};

const std::string kFirst = "model.layers.0.mlp.experts.0.";
const std::string kLast = "model.layers.0.mlp.experts.2.";

void rename_all(SmallTensors& model, const std::string& from, const std::string& to) {
    SmallTensors renamed;
    for (auto& [name, tensor] : model) {
        const size_t at = name.find(from);
        renamed[at == std::string::npos ? name : replaced(name, from, to)] = tensor;
    }
    model = renamed;
}
void unchanged(SmallTensors&) {}
void make_fused(SmallTensors& model) {
    model = fused_model();
}

std::string two_groups() {
    return replaced(kAsymmetric4, R"("config_groups":{)",
                    R"("config_groups":{"other":{"targets":["re:.*2.down_proj"],"weights":)"
                    R"({"num_bits":8,"strategy":"channel"}},)");
}
std::string ignoring(const std::string& pattern) {
    return replaced(kAsymmetric4, R"("config_groups")",
                    R"("ignore":[")" + pattern + R"("],"config_groups")");
}
const std::string kGptq =
    R"("quantization_config":{"quant_method":"gptq","bits":4,"group_size":32})";

const ProblemCase kProblems[] = {
    // ---- Missing and superfluous tensors ----
    {"no gate of one expert", kAsymmetric4,
     [](SmallTensors& m) { m.erase(kLast + "gate_proj.weight_packed"); }, Code::kMissingTensor,
     "expert 2: gate weight: expected a tensor, got none"},
    {"no gate at all", kAsymmetric4,
     [](SmallTensors& m) {
         m = packed_model("model.layers.0.mlp.experts.", {"", "up_proj", "down_proj"});
     },
     Code::kMissingTensor, "gate weight: expected a tensor, got none"},
    {"no scale of one expert", kAsymmetric4,
     [](SmallTensors& m) { m.erase(kLast + "up_proj.weight_scale"); }, Code::kMissingTensor,
     "expert 2: up scale: expected a tensor, got none"},
    {"no zero point of one expert", kAsymmetric4,
     [](SmallTensors& m) { m.erase(kLast + "up_proj.weight_zero_point"); }, Code::kMissingTensor,
     "up zero point: expected a tensor, got none"},
    {"no weight_shape of one expert", kAsymmetric4,
     [](SmallTensors& m) { m.erase(kLast + "up_proj.weight_shape"); }, Code::kMissingTensor,
     "up weight_shape: expected a tensor, got none"},
    {"an expert is left out", kAsymmetric4,
     [](SmallTensors& m) { rename_all(m, "experts.1.", "experts.3."); }, Code::kMissingTensor,
     "expert 1: gate weight: expected a tensor, got none"},
    {"an expert of a number that buys memory", kAsymmetric4,
     [](SmallTensors& m) { rename_all(m, "experts.2.", "experts.999999999."); },
     Code::kMissingTensor, "expected tensors of 1000000000 experts"},
    {"only scales", kAsymmetric4,
     [](SmallTensors& m) { std::erase_if(m, [](auto& t) { return !t.first.ends_with("scale"); }); },
     Code::kMissingTensor, "gate weight: expected a tensor, got none"},
    {"zero points of a symmetric scheme", symmetric4(), unchanged, Code::kBadData,
     "weight_zero_point: expected no such tensor, for a symmetric scheme has none"},
    {"no group index", ordered4(), unchanged, Code::kMissingTensor,
     "gate group index: expected a tensor, got none"},
    {"group index of one expert", kAsymmetric4,
     [](SmallTensors& m) {
         m[kLast + "gate_proj.weight_g_idx"] = {"I32", {kHidden}};
     },
     Code::kBadData, "weight_g_idx: expected no such tensor, for the first expert has none"},
    {"bias of one expert", kAsymmetric4,
     [](SmallTensors& m) {
         m[kLast + "down_proj.bias"] = {"BF16", {kHidden}};
     },
     Code::kBadData, "bias: expected no such tensor, for the first expert has none"},
    {"bias of one projection", kAsymmetric4,
     [](SmallTensors& m) {
         for (const char* e : {"0", "1", "2"}) {
             m[std::string("model.layers.0.mlp.experts.") + e + ".up_proj.bias"] = {
                 "BF16", {kIntermediate}};
         }
     },
     Code::kMissingTensor, "down bias: expected a tensor, got none"},
    // ---- Shapes and types ----
    {"another shape in one expert", kAsymmetric4,
     [](SmallTensors& m) {
         m[kLast + "up_proj.weight_packed"].shape = {16, 16};
     },
     Code::kBadData,
     "2.up_proj.weight_packed: expected I32 [32, 8] as the first expert, got I32 [16, 16]"},
    {"another rank in one expert", kAsymmetric4,
     [](SmallTensors& m) {
         m[kLast + "up_proj.weight_scale"].shape = {32, 2, 1};
     },
     Code::kBadData, "as the first expert, got BF16 [32, 2, 1]"},
    {"another type in one expert", kAsymmetric4,
     [](SmallTensors& m) { m[kLast + "up_proj.weight_scale"].dtype = "F16"; }, Code::kBadData,
     "as the first expert, got F16"},
    {"weights of bytes", kAsymmetric4,
     [](SmallTensors& m) {
         for (auto& [name, t] : m) {
             if (name.ends_with("packed")) t.dtype = "U8";
         }
     },
     Code::kBadData, "expected I32 of 2 dimensions, got U8"},
    {"weights of one axis", kAsymmetric4,
     [](SmallTensors& m) { m[kFirst + "gate_proj.weight_packed"].shape = {256}; }, Code::kBadData,
     "expected I32 of 2 dimensions, got I32 [256]"},
    {"empty weights", kAsymmetric4,
     [](SmallTensors& m) {
         m[kFirst + "gate_proj.weight_packed"].shape = {0, 8};
     },
     Code::kUnsupported, "expected dimensions from 1 to 2^31 - 1, got [0, 8]"},
    {"empty but huge weights", kAsymmetric4,
     [](SmallTensors& m) {
         m[kFirst + "gate_proj.weight_packed"].shape = {0, int64_t{1} << 40};
     },
     Code::kUnsupported, "expected dimensions from 1 to 2^31 - 1"},
    {"scales of bytes", kAsymmetric4,
     [](SmallTensors& m) {
         for (auto& [name, t] : m) {
             if (name.ends_with("scale")) t.dtype = "U8";
         }
     },
     Code::kUnsupported, "expected F32, F16 or BF16, got U8"},
    {"down does not fit", kAsymmetric4,
     [](SmallTensors& m) {
         for (const char* e : {"0", "1", "2"}) {
             add_packed(&m, std::string("model.layers.0.mlp.experts.") + e + ".down_proj", 64, 64);
         }
     },
     Code::kBadData, "down: expected [64, 32], got [64, 64]"},
    {"up is not like gate", kAsymmetric4,
     [](SmallTensors& m) { add_packed(&m, kFirst + "up_proj", 64, 64); }, Code::kBadData,
     "up: expected [32, 64], got [64, 64]"},
    {"weight_shape of others", kAsymmetric4,
     [](SmallTensors& m) {
         m[kFirst + "gate_proj.weight_shape"].numbers = {32, 72};
     },
     Code::kBadData, "expected what fits [32, 8] packed words, got [32, 72]"},
    {"weight_shape turned round", kAsymmetric4,
     [](SmallTensors& m) {
         m[kFirst + "gate_proj.weight_shape"].numbers = {64, 32};
     },
     Code::kBadData, "got [64, 32]"},
    {"weight_shape of too few rows", kAsymmetric4,
     [](SmallTensors& m) {
         m[kFirst + "gate_proj.weight_shape"].numbers = {31, 64};
     },
     Code::kBadData, "got [31, 64]"},
    {"weight_shape of less than nothing", kAsymmetric4,
     [](SmallTensors& m) {
         m[kFirst + "gate_proj.weight_packed"].shape = {32, 1};
         m[kFirst + "gate_proj.weight_shape"].numbers = {32, -1};
     },
     Code::kBadData, "got [32, -1]"},
    {"negative weight_shape", kAsymmetric4,
     [](SmallTensors& m) {
         m[kFirst + "gate_proj.weight_shape"].numbers = {32, -64};
     },
     Code::kBadData, "got [32, -64]"},
    {"weight_shape of one number", kAsymmetric4,
     [](SmallTensors& m) {
         m[kFirst + "gate_proj.weight_shape"] = {"I64", {1}, {32}};
     },
     Code::kBadData, "expected I64 [2] or [3], got I64 [1]"},
    {"weight_shape of a million numbers", kAsymmetric4,
     [](SmallTensors& m) {
         m[kFirst + "gate_proj.weight_shape"] = {"I64", {1000000}};
     },
     Code::kBadData, "expected I64 [2] or [3]"},
    {"weight_shape of floats", kAsymmetric4,
     [](SmallTensors& m) {
         m[kFirst + "gate_proj.weight_shape"] = {"F32", {2}};
     },
     Code::kBadData, "expected I64 [2] or [3], got F32"},
    // ---- Against config.json ----
    {"another hidden size", R"("hidden_size":128,)" + kAsymmetric4, unchanged, Code::kBadData,
     "hidden size: expected 128 as config.json says, got 64"},
    {"another intermediate size", R"("moe_intermediate_size":64,)" + kAsymmetric4, unchanged,
     Code::kBadData, "intermediate size: expected 64 as config.json says, got 32"},
    {"another intermediate size of Mixtral", R"("intermediate_size":64,)" + kAsymmetric4,
     [](SmallTensors& m) { m = packed_model("model.layers.0.block_sparse_moe.experts."); },
     Code::kBadData, "intermediate size: expected 64 as config.json says, got 32"},
    {"another expert count", R"("num_experts":4,)" + kAsymmetric4, unchanged, Code::kBadData,
     "expert count: expected 4 as config.json says, got 3"},
    {"unknown activation", R"("hidden_act":"situ",)" + kAsymmetric4, unchanged, Code::kUnsupported,
     "got \"situ\""},
    // ---- Schemes ----
    {"not quantised", R"("hidden_size":64)", unchanged, Code::kBadData,
     "config.json: quantization_config: expected an object, got none"},
    {"an unknown method", R"("quantization_config":{"quant_method":"fp8"})", unchanged,
     Code::kUnsupported, "config.json: quant_method"},
    {"two schemes", two_groups(), unchanged, Code::kUnsupported,
     "expected one scheme a layer, got compressed-tensors 4-bit asymmetric"},
    {"experts are ignored", ignoring("re:.*experts.*"), unchanged, Code::kUnsupported,
     "one that the config excludes"},
    {"one expert is ignored", ignoring("model.layers.0.mlp.experts.2.up_proj"), unchanged,
     Code::kUnsupported, "experts.2.up_proj: expected a quantised module"},
    {"tensors of the other format", kGptq, unchanged, Code::kBadData,
     "expected GPTQ tensors as config.json says, got weight_packed"},
    {"plain experts", kAsymmetric4,
     [](SmallTensors& m) {
         m.clear();
         m[kFirst + "up_proj.weight"] = {"BF16", {32, 64}};
     },
     Code::kUnsupported, "expected quantised experts (weight_packed or qweight), got"},
    {"plain fused experts", kAsymmetric4,
     [](SmallTensors& m) {
         m.clear();
         m["model.layers.0.mlp.experts.gate_up_proj"] = {"BF16", {3, 64, 64}};
     },
     Code::kUnsupported, "experts.gate_up_proj as BF16"},
    {"MXFP4", kAsymmetric4,
     [](SmallTensors& m) {
         m.clear();
         m["model.layers.0.mlp.experts.gate_up_proj_blocks"] = {"U8", {3, 64, 2, 16}};
         m["model.layers.0.mlp.experts.gate_up_proj_bias"] = {"BF16", {3, 64}};
     },
     Code::kUnsupported, "gate_up_proj_blocks as U8"},
    // ---- Names ----
    {"two namings", kAsymmetric4,
     [](SmallTensors& m) { add_packed(&m, kFirst + "w1", kIntermediate, kHidden); }, Code::kBadData,
     "expected one naming of the projections, got two"},
    {"two formats", kAsymmetric4,
     [](SmallTensors& m) {
         m[kFirst + "gate_proj.qweight"] = {"I32", {8, 32}};
     },
     Code::kBadData, "expected tensors of one format"},
    {"fused and single", kAsymmetric4, [](SmallTensors& m) { m.merge(fused_model()); },
     Code::kBadData, "expected fused tensors or one set an expert, got both"},
    // ---- Fused ----
    {"fused of a family with inputs first", kAsymmetric4,
     [](SmallTensors& m) { m = fused_model("model.layers.0.feed_forward.experts."); },
     Code::kUnsupported, "expected fused tensors with outputs before inputs"},
    {"fused without down", kAsymmetric4,
     [](SmallTensors& m) {
         make_fused(m);
         m.erase("model.layers.0.mlp.experts.down_proj.weight_packed");
     },
     Code::kMissingTensor, "experts.: down weight: expected a tensor, got none"},
    {"fused of two expert counts", kAsymmetric4,
     [](SmallTensors& m) {
         make_fused(m);
         m["model.layers.0.mlp.experts.gate_up_proj.weight_scale"].shape = {2, 96, 2};
     },
     Code::kBadData, "expected 3 experts of rank 1 or 2, got [2, 96, 2]"},
    {"fused of rank 4", kAsymmetric4,
     [](SmallTensors& m) {
         make_fused(m);
         m["model.layers.0.mlp.experts.down_proj.weight_scale"].shape = {3, 64, 1, 1};
     },
     Code::kBadData, "expected 3 experts of rank 1 or 2"},
    {"fused rows that are odd", kAsymmetric4,
     [](SmallTensors& m) {
         make_fused(m);
         m["model.layers.0.mlp.experts.gate_up_proj.weight_packed"].shape = {3, 63, 8};
         m["model.layers.0.mlp.experts.gate_up_proj.weight_shape"].numbers = {3, 63, 64};
     },
     Code::kBadData, "fused gate and up: expected an even number of rows, got [63, 64]"},
    {"fused zero points that share a word",
     replaced(kAsymmetric4, R"("group","group_size":32)", R"("channel")"),
     [](SmallTensors& m) {
         m.clear();
         const std::string prefix = "model.layers.0.mlp.experts.";
         m[prefix + "gate_up_proj.weight_packed"] = {"I32", {3, 26, 8}};
         m[prefix + "gate_up_proj.weight_scale"] = {"BF16", {3, 26, 1}};
         m[prefix + "gate_up_proj.weight_zero_point"] = {"I32", {3, 4, 1}};
         m[prefix + "down_proj.weight_packed"] = {"I32", {3, 64, 2}};
         m[prefix + "down_proj.weight_shape"] = {"I64", {2}, {64, 13}};
         m[prefix + "down_proj.weight_scale"] = {"BF16", {3, 64, 1}};
         m[prefix + "down_proj.weight_zero_point"] = {"I32", {3, 8, 1}};
     },
     Code::kUnsupported, "words of their own, got stacked rows, 13 of each"},
    {"interleaved zero points", R"("model_type":"gpt_oss",)" + kAsymmetric4, make_fused,
     Code::kUnsupported, "words of their own, got interleaved rows"},
    {"gate and up together in GPTQ", kGptq,
     [](SmallTensors& m) {
         m.clear();
         m[kFirst + "gate_up_proj.qweight"] = {"I32", {8, 64}};
         m[kFirst + "down_proj.qweight"] = {"I32", {4, 64}};
     },
     Code::kUnsupported, "expected one tensor an expert and projection in GPTQ"},
    {"fused in GPTQ", kGptq,
     [](SmallTensors& m) {
         m.clear();
         for (const char* part : {"gate_up_proj", "down_proj"}) {
             const std::string module = std::string("model.layers.0.mlp.experts.") + part;
             m[module + ".qweight"] = {"I32", {3, 8, 64}};
             m[module + ".scales"] = {"F16", {3, 2, 64}};
         }
     },
     Code::kUnsupported, "expected one tensor an expert and projection in GPTQ"},
};

void unusable_layers_say_why(void**) {
    const ScratchFolder folder("checkpoint_problems");
    for (const ProblemCase& row : kProblems) {
        print_message("    %s\n", row.name);
        SmallTensors model = packed_model();
        row.change(model);
        const auto checkpoint = open_model(folder, model, row.config);
        assert_int_equal(checkpoint->layers().size(), 1);
        const LayerEntry& layer = checkpoint->layers()[0];
        assert_false(layer.problem.ok());
        const bool says_so = std::strstr(layer.problem.message(), row.fragment) != nullptr &&
                             says_expected_and_got(layer.problem.message());
        if (!says_so) print_error("%s\n", layer.problem.message());
        assert_true(says_so);
        assert_int_equal(layer.problem.code(), row.code);
        auto tensor = checkpoint->expert_tensor(layer, 0, Projection::kUp, Role::kWeight);
        assert_string_equal(tensor.status().message(), layer.problem.message());
    }
}

// The file is as long as it says, and nearly all of it a hole.
void dimensions_have_a_limit(void**) {
    const ScratchFolder folder("checkpoint_dimensions");
    folder.write("config.json", "{" + kAsymmetric4 + "}");
    const std::string name = kFirst + "gate_proj.weight_packed";
    const std::string path =
        folder.write("model.safetensors",
                     safetensors_of("{\"" + name + R"(":{"dtype":"I32","shape":[1,268435456],)" +
                                        R"("data_offsets":[0,1073741824]},")" + kFirst +
                                        R"(up_proj.weight_packed":{"dtype":"I32","shape":[0],)" +
                                        R"("data_offsets":[0,0]},")" + kFirst +
                                        R"(down_proj.weight_packed":{"dtype":"I32","shape":[0],)" +
                                        R"("data_offsets":[0,0]}})",
                                    0));
    std::filesystem::resize_file(path, std::filesystem::file_size(path) + 1073741824);
    auto opened = Checkpoint::open(folder.path(), {}, Log());
    assert_true(opened.ok());
    const Status& problem = opened.value()->layers()[0].problem;
    assert_int_equal(problem.code(), Code::kUnsupported);
    assert_non_null(std::strstr(problem.message(), "to 2^31 - 1, got [1, 268435456]"));
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(unusable_layers_say_why),
                                cmocka_unit_test(dimensions_have_a_limit)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
