// SPDX-License-Identifier: Apache-2.0
// Values that no layer can have are refused when a checkpoint is loaded, by the tensor's name;
// scales below zero are loaded and logged.
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "bundle/bundle.h"
#include "cmocka_cpp.h"
#include "support/patched_model.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

// The same model in GPTQ's tensors, from 4 bits packed along the inputs.
SmallTensors gptq_model() {
    SmallTensors model;
    for (int64_t expert = 0; expert < kExperts; ++expert) {
        const std::string start = "model.layers.0.mlp.experts." + std::to_string(expert) + ".";
        const struct {
            const char* part;
            int64_t n, k;
        } parts[] = {{"gate_proj", kIntermediate, kHidden},
                     {"up_proj", kIntermediate, kHidden},
                     {"down_proj", kHidden, kIntermediate}};
        for (const auto& [part, n, k] : parts) {
            model[start + part + ".qweight"] = {"I32", {k / 8, n}};
            model[start + part + ".scales"] = {"F16", {k / kGroup, n}};
            model[start + part + ".qzeros"] = {"I32", {k / kGroup, n / 8}};
        }
    }
    return model;
}

SmallTensors with_int8_zero_points() {
    SmallTensors model = packed_model();
    for (auto& [name, tensor] : model) {
        if (!name.ends_with("weight_zero_point")) continue;
        tensor = {"I8", {tensor.shape[0] * 8, tensor.shape[1]}};
    }
    return model;
}

SmallTensors with_biases() {
    SmallTensors model = packed_model();
    SmallTensors biases;
    for (const auto& [name, tensor] : model) {
        const size_t suffix = name.find(".weight_scale");
        if (suffix == std::string::npos) continue;
        biases[name.substr(0, suffix) + ".bias"] = {"BF16", {tensor.shape[0]}};
    }
    model.merge(biases);
    return model;
}

SmallTensors in_order() {
    SmallTensors model = packed_model();
    SmallTensors indices;
    for (const auto& [name, tensor] : model) {
        const size_t suffix = name.find(".weight_packed");
        if (suffix == std::string::npos) continue;
        indices[name.substr(0, suffix) + ".weight_g_idx"] = {"I32", {tensor.shape[1] * 8}};
    }
    model.merge(indices);
    return model;
}

// Rows of gate and up have two groups, those of down one.
SmallTensors wide_scales() {
    SmallTensors model = packed_model();
    for (auto& [name, tensor] : model) {
        if (name.ends_with("weight_scale")) tensor.shape[1] += 1;
    }
    return model;
}

const std::string kGptqV1 =
    R"("quantization_config":{"quant_method":"gptq","bits":4,"group_size":32,"sym":false})";
const std::string kGptqSymmetric =
    R"("quantization_config":{"quant_method":"gptq","bits":4,"group_size":32,"sym":true})";

constexpr uint16_t kBf16Infinity = 0x7F80, kBf16NaN = 0x7FC0, kBf16MinusOne = 0xBF80;
constexpr uint16_t kF16Infinity = 0xFC00;

// Inputs 32 to 63 as their group index names them; of a tensor, part 1.
constexpr std::array<int32_t, kGroup> kSecondGroup = [] {
    std::array<int32_t, kGroup> groups{};
    groups.fill(1);
    return groups;
}();

struct ValueCase {
    const char* name;
    SmallTensors (*model)();
    std::string config;
    std::vector<Patch> patches;
    Code code;
    const char* sentence;
};

SmallTensors plain_model() {
    return packed_model();
}

const ValueCase kValueCases[] = {
    {"infinite scale",
     plain_model,
     kAsymmetric4,
     {{"2.up_proj.weight_scale", 11, bytes_of(kBf16Infinity)}},
     Code::kBadData,
     "layer 0 expert 2 up_proj: scale of output 5, group 1: expected a finite number, got infinity "
     "or NaN"},
    {"scale that is no number",
     plain_model,
     kAsymmetric4,
     {{"0.down_proj.weight_scale", 63, bytes_of(kBf16NaN)}},
     Code::kBadData,
     "layer 0 expert 0 down_proj: scale of output 63, group 0: expected a finite number, got "
     "infinity or NaN"},
    {"infinite scale, GPTQ",
     gptq_model,
     kGptqV1,
     {{"1.gate_proj.scales", 32 + 7, bytes_of(kF16Infinity)}},
     Code::kBadData,
     "layer 0 expert 1 gate_proj: scale of output 7, group 1: expected a finite number, got "
     "infinity or NaN"},
    {"signed zero point too high",
     with_int8_zero_points,
     kAsymmetric4,
     {{"1.gate_proj.weight_zero_point", 7, bytes_of(int8_t{8})}},
     Code::kBadData,
     "layer 0 expert 1 gate_proj: zero point of output 3, group 1: expected -8 to 7, got 8"},
    {"signed zero point too low",
     with_int8_zero_points,
     kAsymmetric4,
     {{"1.down_proj.weight_zero_point", 40, bytes_of(int8_t{-9})}},
     Code::kBadData,
     "layer 0 expert 1 down_proj: zero point of output 40, group 0: expected -8 to 7, got -9"},
    {"zero point that is 0 or 16, GPTQ v1",
     gptq_model,
     kGptqV1,
     {{"0.up_proj.qzeros", 1, bytes_of(0x000000F0)}},
     Code::kBadData,
     "layer 0 expert 0 up_proj: zero point of output 9, group 0: expected a stored value below 15, "
     "got 15, which a zero point of 0 leaves when one is subtracted field by field"},
    {"zero points of a symmetric GPTQ layer",
     gptq_model,
     kGptqSymmetric,
     {},
     Code::kBadData,
     "layer 0 expert 0 gate_proj: zero point of output 0, group 0: expected 8 in a symmetric "
     "layer, got 1"},
    {"bias that is infinite",
     with_biases,
     kAsymmetric4,
     {{"2.down_proj.bias", 9, bytes_of(kBf16Infinity)}},
     Code::kBadData,
     "layer 0 expert 2 down_proj: bias: expected finite numbers, got inf at [9]"},
    {"group that does not exist",
     in_order,
     ordered4(),
     {{"0.gate_proj.weight_g_idx", 4, bytes_of(7)}},
     Code::kBadData,
     "layer 0 expert 0 gate_proj: group index of input 4: expected 0 to 1, got 7"},
    {"groups of unequal size",
     in_order,
     ordered4(),
     {},
     Code::kUnsupported,
     "layer 0 expert 0 gate_proj: group index: expected 32 inputs in every group, got 64 in group "
     "0"},
    {"order that the config does not name",
     in_order,
     kAsymmetric4,
     {{"0.gate_proj.weight_g_idx", 1, bytes_of(kSecondGroup)},
      {"0.gate_proj.weight_g_idx", 0, bytes_of(1)},
      {"0.gate_proj.weight_g_idx", 63, bytes_of(0)}},
     Code::kBadData,
     "layer 0 expert 0 gate_proj: group index: expected input / 32 because the config names no "
     "activation order, got another order"},
    {"scales of another shape than the groups",
     wide_scales,
     kAsymmetric4,
     {},
     Code::kBadData,
     "layer 0 expert 0 gate_proj: scale: expected [32, 2], got [32, 3]"},
};

void values_that_cannot_be_are_named(void**) {
    const ScratchFolder folder("bundle_values");
    for (const ValueCase& c : kValueCases) {
        const auto checkpoint = open_patched(folder, c.model(), c.config, c.patches);
        const LayerEntry& entry = checkpoint->layers()[0];
        if (!entry.problem.ok()) fail_msg("%s: %s", c.name, entry.problem.message());
        const auto loaded = Bundle::load(make_logging_context(), *checkpoint, entry, {}, 0, {});
        if (loaded.ok()) fail_msg("%s: was loaded", c.name);
        if (loaded.status().code() != c.code ||
            std::strcmp(loaded.status().message(), c.sentence) != 0) {
            fail_msg("%s: got %d \"%s\"", c.name, static_cast<int>(loaded.status().code()),
                     loaded.status().message());
        }
    }
}

// Quantisers leave an index in files without activation order, too.
void index_that_moves_nothing_is_accepted(void**) {
    const ScratchFolder folder("bundle_plain_index");
    std::vector<Patch> patches;
    for (const char* expert : {"0", "1", "2"}) {
        for (const char* part : {".gate_proj", ".up_proj"}) {
            patches.push_back(
                {expert + std::string(part) + ".weight_g_idx", 1, bytes_of(kSecondGroup)});
        }
    }
    const auto checkpoint = open_patched(folder, in_order(), kAsymmetric4, patches);
    const auto loaded =
        Bundle::load(make_logging_context(), *checkpoint, checkpoint->layers()[0], {}, 0, {});
    if (!loaded.ok()) fail_msg("%s", loaded.status().message());
}

// The formula holds for them; who needs positive scales is told where they are.
void negative_scales_are_loaded_and_logged(void**) {
    const ScratchFolder folder("bundle_negative");
    const auto checkpoint =
        open_patched(folder, packed_model(), kAsymmetric4,
                     {{"1.up_proj.weight_scale", 11, bytes_of(kBf16MinusOne)},
                      {"2.down_proj.weight_scale", 3, bytes_of(kBf16MinusOne)}});
    const LayerEntry& entry = checkpoint->layers()[0];
    log_lines.clear();
    const auto bundle = Bundle::load(make_logging_context(), *checkpoint, entry, {}, 0, {}).value();
    assert_string_equal(log_lines.c_str(),
                        "layer 0 expert 1 up_proj: scale of output 5, group 1 is negative, the "
                        "first of 2 projections with such scales; 8-bit activations could not use "
                        "them");
    log_lines.clear();
    assert_true(bundle->put(2, *checkpoint, entry).ok());
    assert_non_null(std::strstr(log_lines.c_str(), "expert 2 down_proj: scale of output 3"));
    log_lines.clear();
    assert_true(bundle->put(0, *checkpoint, entry).ok());
    assert_string_equal(log_lines.c_str(), "");
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(values_that_cannot_be_are_named),
        cmocka_unit_test(index_that_moves_nothing_is_accepted),
        cmocka_unit_test(negative_scales_are_loaded_and_logged),
    };
    return cmocka_run_group_tests_name("unit_bundle_values", tests, nullptr, nullptr);
}
