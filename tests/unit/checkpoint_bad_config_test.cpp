// SPDX-License-Identifier: Apache-2.0
// Room checkpoint: what a config.json may not say. Sentences name the file, the field, and what
// was expected in it.
#include <cstring>
#include <string>

#include "checkpoint/checkpoint.h"
#include "cmocka_cpp.h"
#include "support/checkpoint_files.h"
#include "support/config_text.h"
#include "support/sentence.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

struct BadCase {
    const char* name;
    std::string json;
    Code code;
    const char* fragment;
};

const BadCase kBad[] = {
    // ---- The file ----
    {"empty", "", Code::kBadData, "expected JSON"},
    {"not JSON", "{", Code::kBadData, "expected JSON"},
    {"list", "[]", Code::kBadData, "expected an object"},
    {"duplicate key", R"({"a":1,"b":{"c":1,"c":2}})", Code::kBadData, "\"c\": expected it once"},
    {"too deep", std::string(33, '['), Code::kLimit, "at most 32 levels"},
    {"not quantised", "{}", Code::kBadData, "quantization_config: expected an object, got none"},
    {"quantised as null", R"({"quantization_config":null})", Code::kBadData,
     "quantization_config: expected an object, got none"},
    {"quantised as text", R"({"quantization_config":"awq"})", Code::kBadData,
     "quantization_config: expected an object"},
    {"hidden size of -1", R"({"hidden_size":-1})", Code::kBadData,
     "hidden_size: expected a positive number, got -1"},
    {"hidden size as text", R"({"hidden_size":"256"})", Code::kBadData,
     "hidden_size: expected a whole number"},
    {"hidden size with a fraction", R"({"hidden_size":256.5})", Code::kBadData,
     "hidden_size: expected a whole number"},
    {"hidden size of 2^64 - 1", R"({"hidden_size":18446744073709551615})", Code::kBadData,
     "hidden_size: expected a whole number"},
    {"hidden size of 2^64", R"({"hidden_size":18446744073709551616})", Code::kBadData,
     "hidden_size: expected a whole number"},
    // ---- Methods ----
    {"no method", quantization(R"("bits":4)"), Code::kBadData,
     "quant_method: expected compressed-tensors, gptq or awq, got none"},
    {"method is a number", quantization(R"("quant_method":4)"), Code::kBadData,
     "quant_method: expected a string"},
    {"fp8", quantization(R"("quant_method":"fp8")"), Code::kUnsupported, "got \"fp8\""},
    {"bitsandbytes", quantization(R"("quant_method":"bitsandbytes")"), Code::kUnsupported,
     "expected compressed-tensors, gptq or awq"},
    // ---- compressed-tensors ----
    {"no groups", quantization(R"("quant_method":"compressed-tensors")"), Code::kBadData,
     "config_groups: expected an object"},
    {"groups are a list", quantization(R"("quant_method":"compressed-tensors","config_groups":[])"),
     Code::kBadData, "config_groups: expected an object"},
    {"no group at all", packed(""), Code::kUnsupported,
     "expected a scheme that is meant for it, got none"},
    {"group is null", packed(R"("g":null)"), Code::kUnsupported,
     "expected a scheme that is meant for it, got none"},
    {"weights are null", packed(R"("g":{"targets":["Linear"],"weights":null})"), Code::kUnsupported,
     "g: weights: expected a scheme"},
    {"weights are a list", packed(R"("g":{"targets":["Linear"],"weights":[]})"), Code::kBadData,
     "weights: expected an object"},
    {"three bits", packed(R"("g":)" + group(R"("num_bits":3,"group_size":128)")),
     Code::kUnsupported, "g: bits: expected 4 or 8, got 3"},
    {"no bits left", packed(R"("g":)" + group(R"("num_bits":0,"group_size":128)")), Code::kBadData,
     "bits: expected 4 or 8, got 0"},
    {"bits as text", packed(R"("g":)" + group(R"("num_bits":"4")")), Code::kBadData,
     "num_bits: expected a whole number"},
    {"floats", packed(R"("g":)" + group(R"("num_bits":4,"type":"float","group_size":16)")),
     Code::kUnsupported, "type: expected int, got \"float\""},
    {"one scale a tensor", packed(R"("g":)" + group(R"("num_bits":8,"strategy":"tensor")")),
     Code::kUnsupported, "strategy: expected group or channel, got \"tensor\""},
    {"no strategy", packed(R"("g":)" + group(R"("num_bits":4)")), Code::kUnsupported,
     "strategy: expected group or channel, got none"},
    {"group without a size", packed(R"("g":)" + group(R"("num_bits":4,"strategy":"group")")),
     Code::kBadData, "group_size: expected a positive number for strategy group, got -1"},
    {"channel with a size",
     packed(R"("g":)" + group(R"("num_bits":4,"strategy":"channel","group_size":32)")),
     Code::kBadData, "group_size: expected none for strategy channel, got 32"},
    {"group size 0", packed(R"("g":)" + group(R"("num_bits":4,"strategy":"group","group_size":0)")),
     Code::kBadData, "group_size: expected a positive number or -1, got 0"},
    {"group size -2", packed(R"("g":)" + group(R"("num_bits":4,"group_size":-2)")), Code::kBadData,
     "got -2"},
    {"group size 2^31", packed(R"("g":)" + group(R"("num_bits":4,"group_size":2147483648)")),
     Code::kBadData, "got 2147483648"},
    {"symmetric as text", packed(R"("g":)" + group(R"("num_bits":4,"symmetric":"no")")),
     Code::kBadData, "symmetric: expected true or false"},
    {"dynamic weights", int4_with(R"("dynamic":true)"), Code::kUnsupported, "dynamic"},
    {"unknown actorder", int4_with(R"("actorder":"sideways")"), Code::kUnsupported,
     "got \"sideways\""},
    {"order of one group", packed(R"("g":)" + group(kInt8 + R"(,"actorder":"group")")),
     Code::kBadData, "actorder group: expected a group size"},
    {"quantised activations",
     packed(R"("g":)" + group(kInt4, R"("Linear")", R"(,"input_activations":{"num_bits":8})")),
     Code::kUnsupported, "input_activations: expected null"},
    {"quantised outputs",
     packed(R"("g":)" + group(kInt4, R"("Linear")", R"(,"output_activations":{"num_bits":8})")),
     Code::kUnsupported, "output_activations: expected null"},
    {"another packing", packed(R"("g":)" + group(kInt4, R"("Linear")", R"(,"format":"marlin-24")")),
     Code::kUnsupported, "format: expected pack-quantized, got \"marlin-24\""},
    {"no packing",
     quantization(R"("quant_method":"compressed-tensors","config_groups":{"g":)" + group(kInt4) +
                  "}"),
     Code::kUnsupported, "format: expected pack-quantized"},
    {"rotations at run time",
     packed(R"("g":)" + group(kInt4), R"(,"transform_config":{"config_groups":{"R1":{}}})"),
     Code::kUnsupported, "transform_config: expected no groups, got 1"},
    {"sparse weights",
     packed(R"("g":)" + group(kInt4), R"(,"sparsity_config":{"format":"sparse-24-bitmask"})"),
     Code::kUnsupported, "sparsity_config: expected dense"},
    {"targets are text", packed(R"("g":{"targets":"Linear","weights":{}})"), Code::kBadData,
     "targets: expected a list of strings"},
    {"target is a number", packed(R"("g":)" + group(kInt4, "1")), Code::kBadData,
     "targets[]: expected a string, got a number"},
    {"target of another class", packed(R"("g":)" + group(kInt4, R"("Conv2d")")), Code::kUnsupported,
     "expected a scheme that is meant for it, got none"},
    {"target of another module", packed(R"("g":)" + group(kInt4, R"("re:.*self_attn.*")")),
     Code::kUnsupported, "expected a scheme that is meant for it, got none"},
    {"target is a part of the name", packed(R"("g":)" + group(kInt4, R"("re:experts.*")")),
     Code::kUnsupported, "expected a scheme that is meant for it, got none"},
    {"target that cannot be read", packed(R"("g":)" + group(kInt4, R"("re:(?!a).*")")),
     Code::kUnsupported,
     "targets: pattern \"(?!a).*\": expected literals, classes, groups and repeats, got a "
     "look-around"},
    {"ignored by name",
     packed(R"("g":)" + group(kInt4), std::string(R"(,"ignore":[")") + kModule + "\"]"),
     Code::kUnsupported, "one that the config excludes"},
    {"ignored by expression", packed(R"("g":)" + group(kInt4), R"(,"ignore":["re:.*experts.*"])"),
     Code::kUnsupported, "one that the config excludes"},
    {"ignored by class", packed(R"("g":)" + group(kInt4), R"(,"ignore":["Linear"])"),
     Code::kUnsupported, "one that the config excludes"},
    {"ignore is text", packed(R"("g":)" + group(kInt4), R"(,"ignore":"lm_head")"), Code::kBadData,
     "ignore: expected a list of strings"},
    {"ignore that cannot be read", packed(R"("g":)" + group(kInt4), R"(,"ignore":["re:a{2}"])"),
     Code::kUnsupported,
     "ignore: pattern \"a{2}\": expected literals, classes, groups and repeats, got a counted "
     "repeat"},
    // ---- GPTQ ----
    {"GPTQ of 3 bits", quantization(R"("quant_method":"gptq","bits":3,"group_size":128)"),
     Code::kUnsupported, "gptq: bits: expected 4 or 8, got 3"},
    {"GPTQ without bits", quantization(R"("quant_method":"gptq","group_size":128)"), Code::kBadData,
     "bits: expected a number, got none"},
    {"GPTQ without a group size", quantization(R"("quant_method":"gptq","bits":4)"), Code::kBadData,
     "group_size: expected a number, got none"},
    {"GPTQ as Marlin", gptq(R"(,"checkpoint_format":"marlin")"), Code::kUnsupported,
     "checkpoint_format: expected gptq or gptq_v2, got \"marlin\""},
    {"excluded by dynamic", gptq(R"(,"dynamic":{"-:.*experts.*":{}})"), Code::kUnsupported,
     "one that the config excludes"},
    {"dynamic that cannot be read", gptq(R"(,"dynamic":{"-:^(?!.*mlp).*$":{}})"),
     Code::kUnsupported, "dynamic: pattern"},
    {"dynamic of 2 bits", gptq(R"(,"dynamic":{".*experts.*":{"bits":2}})"), Code::kUnsupported,
     ".*experts.*: bits: expected 4 or 8, got 2"},
    {"dynamic of a kind", gptq(R"(,"dynamic":{".*experts.*":{"sym":1}})"), Code::kBadData,
     "sym: expected true or false"},
    // ---- AWQ ----
    {"AWQ for gemv", awq(R"(,"version":"gemv")"), Code::kUnsupported,
     "version: expected gemm, got \"gemv\""},
    {"AWQ of 3 bits", quantization(R"("quant_method":"awq","bits":3,"group_size":128)"),
     Code::kUnsupported, "awq: bits: expected 4 or 8, got 3"},
    {"AWQ without bits", quantization(R"("quant_method":"awq","group_size":128)"), Code::kBadData,
     "bits: expected 4 or 8, got none"},
    {"AWQ without a group size", quantization(R"("quant_method":"awq","bits":4)"), Code::kBadData,
     "group_size: expected a positive number or -1, got none"},
    {"AWQ without zero points",
     quantization(R"("quant_method":"awq","bits":4,"group_size":128,"zero_point":false)"),
     Code::kUnsupported, "zero_point: expected true"},
    {"AWQ skips experts", awq(R"(,"modules_to_not_convert":["mlp.experts"])"), Code::kUnsupported,
     "one that the config excludes"},
    {"AWQ skips a root", awq(R"(,"modules_to_not_convert":["model"])"), Code::kUnsupported,
     "one that the config excludes"},
    {"AWQ skips text", awq(R"(,"modules_to_not_convert":"mlp")"), Code::kBadData,
     "modules_to_not_convert: expected a list"},
    {"AWQ skips a number", awq(R"(,"modules_to_not_convert":[1])"), Code::kBadData,
     "modules_to_not_convert[]: expected a string, got a number"},
};

void configs_that_nobody_reads_are_named(void**) {
    const ScratchFolder folder("checkpoint_bad_config");
    for (const BadCase& row : kBad) {
        print_message("    %s\n", row.name);
        folder.write("config.json", row.json);
        auto config = load_quant_config(folder.path(), kModule);
        assert_false(config.ok());
        const char* message = config.status().message();
        const bool says_so = std::strstr(message, row.fragment) != nullptr &&
                             std::strstr(message, "config.json: ") != nullptr &&
                             says_expected_and_got(message);
        if (!says_so || config.status().code() != row.code) print_error("%s\n", message);
        assert_true(says_so);
        assert_int_equal(config.status().code(), row.code);
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(configs_that_nobody_reads_are_named)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
