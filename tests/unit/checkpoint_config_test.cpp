// SPDX-License-Identifier: Apache-2.0
// Room checkpoint: what a config.json says about one module, in all dialects.
#include <cstring>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/model_config.h"
#include "cmocka_cpp.h"
#include "support/checkpoint_files.h"
#include "support/config_text.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

constexpr auto kSym = Symmetry::kSymmetric;
constexpr auto kAsym = Symmetry::kAsymmetric;
constexpr auto kPlain = ZeroPointForm::kPacked;
constexpr auto kMinusOne = ZeroPointForm::kMinusOne;
constexpr auto kMinusOneWord = ZeroPointForm::kMinusOneWord;

const QuantConfig kPacked4 = {Format::kCompressedTensors, 4, 128, kAsym, kPlain, Order::kNone, {}};
const QuantConfig kPacked8 = {Format::kCompressedTensors, 8, {}, kSym, kPlain, Order::kNone, {}};

QuantConfig packed4_ordered(Order order) {
    QuantConfig config = kPacked4;
    config.order = order;
    return config;
}
QuantConfig gptq_config(int bits, std::optional<int32_t> group_size, Symmetry symmetry,
                        ZeroPointForm form, Order order = Order::kNone) {
    return {Format::kGptq, bits, group_size, symmetry, form, order, {}};
}
QuantConfig awq_config(std::optional<int32_t> group_size) {
    return {Format::kAwq, 4, group_size, kAsym, kPlain, Order::kNone, {}};
}

struct GoodCase {
    const char* name;
    std::string json;
    QuantConfig config;
};

const GoodCase kGood[] = {
    // ---- compressed-tensors ----
    {"one group", packed(R"("g":)" + group(kInt4)), kPacked4},
    {"one scale a channel", packed(R"("g":)" + group(kInt8)), kPacked8},
    {"channel with group size null", packed(R"("g":)" + group(kInt8 + R"(,"group_size":null)")),
     kPacked8},
    {"channel with group size -1", packed(R"("g":)" + group(kInt8 + R"(,"group_size":-1)")),
     kPacked8},
    {"group size without strategy",
     packed(R"("g":)" + group(R"("num_bits":4,"symmetric":false,"group_size":128)")), kPacked4},
    {"actorder null", int4_with(R"("actorder":null)"), kPacked4},
    {"actorder weight", int4_with(R"("actorder":"weight")"), packed4_ordered(Order::kStatic)},
    {"actorder static", int4_with(R"("actorder":"static")"), packed4_ordered(Order::kStatic)},
    {"actorder group", int4_with(R"("actorder":"group")"), packed4_ordered(Order::kGroup)},
    {"actorder dynamic", int4_with(R"("actorder":"dynamic")"), packed4_ordered(Order::kGroup)},
    {"actorder true", int4_with(R"("actorder":true)"), packed4_ordered(Order::kGroup)},
    {"actorder false", int4_with(R"("actorder":false)"), kPacked4},
    {"method left out",
     quantization(R"("format":"pack-quantized","config_groups":{"g":)" + group(kInt4) + "}"),
     kPacked4},
    {"older name of the block",
     R"({"compression_config":{"format":"pack-quantized","config_groups":{"g":)" + group(kInt4) +
         "}}}",
     kPacked4},
    {"inside text_config", R"({"text_config":)" + packed(R"("g":)" + group(kInt4)) + "}", kPacked4},
    {"format of the group",
     quantization(R"("format":"mixed-precision","config_groups":{"g":)" +
                  group(kInt4, R"("Linear")", R"(,"format":"pack-quantized")") + "}"),
     kPacked4},
    {"empty transforms and dense sparsity",
     packed(R"("g":)" + group(kInt4),
            R"(,"transform_config":{"config_groups":{}},"sparsity_config":{"format":"dense"})"),
     kPacked4},
    {"full name before expression before class",
     groups_of(std::string("\"") + kModule + "\"", R"("re:.*experts.*","Linear")"), kPacked4},
    {"expression before class", groups_of(R"("re:.*experts.*_proj$")", R"("Linear")"), kPacked4},
    {"class is left for the rest", groups_of(R"("re:.*self_attn.*")", R"("Linear")"), kPacked8},
    {"first of two expressions", groups_of(R"("re:.*mlp.*")", R"("re:.*experts.*")"), kPacked4},
    {"ignored: others only",
     packed(R"("g":)" + group(kInt4),
            R"(,"ignore":["lm_head","re:.*mlp.gate$","Embedding","re:.*self_attn.*"])"),
     kPacked4},
    {"a scheme of others is not ours",
     packed(R"("a":)" +
            group(R"("num_bits":8,"type":"float","strategy":"tensor")", R"("re:.*self_attn.*")") +
            R"(,"b":)" + group(kInt4, R"("re:.*experts.*")")),
     kPacked4},
    // ---- GPTQ ----
    {"GPTQ without a format", gptq(""), gptq_config(4, 128, kSym, kMinusOne)},
    {"GPTQ v1", gptq(R"(,"checkpoint_format":"gptq")"), gptq_config(4, 128, kSym, kMinusOne)},
    {"GPTQ v2", gptq(R"(,"checkpoint_format":"gptq_v2")"), gptq_config(4, 128, kSym, kPlain)},
    {"GPTQ v2 by its newer name", gptq(R"(,"format":"gptq_v2")"),
     gptq_config(4, 128, kSym, kPlain)},
    {"GPTQModel by its quantizer", gptq(R"(,"meta":{"quantizer":["gptqmodel:1.4.0"]})"),
     gptq_config(4, 128, kSym, kMinusOneWord)},
    {"GPTQModel by its text quantizer", gptq(R"(,"meta":{"quantizer":"gptqmodel:1.4.0"})"),
     gptq_config(4, 128, kSym, kMinusOneWord)},
    {"GPTQModel by pack_dtype", gptq(R"(,"pack_dtype":"int32")"),
     gptq_config(4, 128, kSym, kMinusOneWord)},
    {"another quantizer", gptq(R"(,"meta":{"quantizer":["auto_gptq:0.7"]})"),
     gptq_config(4, 128, kSym, kMinusOne)},
    {"GPTQ in order of activation",
     quantization(R"("quant_method":"gptq","bits":8,"group_size":64,"desc_act":true,"sym":false)"),
     gptq_config(8, 64, kAsym, kMinusOne, Order::kGroup)},
    {"GPTQ of one group has no order",
     quantization(R"("quant_method":"gptq","bits":4,"group_size":-1,"desc_act":true,"sym":true)"),
     gptq_config(4, {}, kSym, kMinusOne)},
    {"dynamic of others", gptq(R"(,"dynamic":{"-:.*attn.*":{},".*lm_head":{"bits":8}})"),
     gptq_config(4, 128, kSym, kMinusOne)},
    {"dynamic of ours", gptq(R"(,"dynamic":{"+:.*experts.*":{"bits":8,"group_size":32}})"),
     gptq_config(8, 32, kSym, kMinusOne)},
    {"first dynamic wins", gptq(R"(,"dynamic":{".*gate_proj":{"sym":false},"-:.*experts.*":{}})"),
     gptq_config(4, 128, kAsym, kMinusOne)},
    // ---- AWQ ----
    {"AWQ", awq(R"(,"version":"gemm")"), awq_config(128)},
    {"AWQ in capitals", awq(R"(,"version":"GEMM")"), awq_config(128)},
    {"AWQ by GPTQModel", awq(R"(,"checkpoint_format":"gemm")"), awq_config(128)},
    {"AWQ's own names", quantization(R"("quant_method":"awq","w_bit":4,"q_group_size":-1)"),
     awq_config({})},
    {"AWQ skips parts of other names",
     awq(R"(,"modules_to_not_convert":["gate","mlp.gate","experts.1","proj",""])"),
     awq_config(128)},
    {"AWQ skips nothing", awq(R"(,"modules_to_not_convert":null)"), awq_config(128)},
};

void configs_are_read(void**) {
    const ScratchFolder folder("checkpoint_config");
    for (const GoodCase& row : kGood) {
        print_message("    %s\n", row.name);
        folder.write("config.json", row.json);
        auto config = load_quant_config(folder.path(), kModule);
        if (!config.ok()) print_error("%s\n", config.status().message());
        assert_true(config.ok());
        assert_true(config.value() == row.config);
        assert_true(validate(config.value()).ok());
    }
}

void without_a_module_there_must_be_one_scheme(void**) {
    const ScratchFolder folder("checkpoint_only");
    folder.write("config.json", packed(R"("g":)" + group(kInt4, R"("re:.*self_attn.*")")));
    assert_true(load_quant_config(folder.path(), "").value() == kPacked4);
    folder.write("config.json", groups_of(R"("re:.*a.*")", R"("Linear")"));
    auto two = load_quant_config(folder.path(), "");
    assert_int_equal(two.status().code(), Code::kUnsupported);
    assert_non_null(std::strstr(two.status().message(), "expected one scheme for all modules"));
    folder.write("config.json", packed(""));
    assert_int_equal(load_quant_config(folder.path(), "").status().code(), Code::kUnsupported);
    assert_int_equal(load_quant_config(folder.file("absent"), "").status().code(), Code::kNotFound);
}

void a_config_is_not_read_without_end(void**) {
    const ScratchFolder folder("checkpoint_huge_config");
    folder.write("config.json", std::string((16 << 20) + 1, ' '));
    assert_int_equal(load_quant_config(folder.path(), "").status().code(), Code::kLimit);
    std::string many = "[0";
    for (int i = 0; i < 1000000; ++i) many += ",0";
    folder.write("config.json", many + "]");
    auto values = load_quant_config(folder.path(), "");
    assert_int_equal(values.status().code(), Code::kLimit);
    assert_non_null(std::strstr(values.status().message(), "at most 1000000 values"));
}

void rules_have_a_budget(void**) {
    std::string names;
    for (int i = 0; i < 1000; ++i) names += "\"n" + std::to_string(i) + "\",";
    const uint64_t two_looks = 2 * std::strlen(kModule);  // at each character
    const struct {
        const char* name;
        std::string json;
        uint64_t steps;  // at least, of one module
    } cases[] = {
        {"names", packed(R"("g":)" + group(kInt4), R"(,"ignore":[)" + names + R"("end"])"), 1001},
        {"expressions", packed(R"("g":)" + group(kInt4), R"(,"ignore":["re:.*#","re:.*%"])"),
         two_looks},
        {"parts", awq(R"(,"modules_to_not_convert":["x","y"])"), two_looks},
    };
    for (const auto& row : cases) {
        print_message("    %s\n", row.name);
        auto config = parse_model_config(row.json);
        assert_true(config.ok());
        MatchBudget plenty{1000000};
        assert_true(config.value().schemes.of(kModule, &plenty).ok());
        const uint64_t spent = 1000000 - plenty.steps_left;
        assert_true(spent >= row.steps);
        MatchBudget enough{spent};
        assert_true(config.value().schemes.of(kModule, &enough).ok());
        MatchBudget too_little{spent - 1};
        auto refused = config.value().schemes.of(kModule, &too_little);
        assert_int_equal(refused.status().code(), Code::kLimit);
        assert_non_null(std::strstr(refused.status().message(), "fewer or simpler rules"));
    }
}

struct ValidateCase {
    const char* name;
    QuantConfig config;
    const char* fragment;  // null: valid
};

void fields_are_validated(void**) {
    using F = Format;
    constexpr auto kNone = Order::kNone;
    constexpr auto kGroup = Order::kGroup;
    constexpr auto kInt8Form = ZeroPointForm::kInt8;
    const ValidateCase cases[] = {
        {"4 bits", {F::kCompressedTensors, 4, 128, kAsym, kPlain, kNone, {}}, nullptr},
        {"8 bits a channel", {F::kCompressedTensors, 8, {}, kSym, kPlain, kNone, {}}, nullptr},
        {"int8 zero points", {F::kCompressedTensors, 4, 32, kAsym, kInt8Form, kNone, {}}, nullptr},
        {"GPTQ v1", {F::kGptq, 4, 32, kAsym, kMinusOneWord, kGroup, {}}, nullptr},
        {"AWQ", {F::kAwq, 4, 32, kAsym, kPlain, kNone, layout::ScaleType::kF16}, nullptr},
        {"Marlin", {F::kMarlin, 4, 32, kAsym, kPlain, kNone, {}}, nullptr},
        {"5 bits",
         {F::kCompressedTensors, 5, 128, kSym, kPlain, kNone, {}},
         "bits: expected 4 or 8"},
        {"group size 0", {F::kCompressedTensors, 4, 0, kSym, kPlain, kNone, {}}, "group_size"},
        {"group size -1", {F::kCompressedTensors, 4, -1, kSym, kPlain, kNone, {}}, "group_size"},
        {"format 4", {F{4}, 4, 128, kSym, kPlain, kNone, {}}, "format: expected 0 to 3, got 4"},
        {"format -1", {F{-1}, 4, 128, kSym, kPlain, kNone, {}}, "format: expected 0 to 3, got -1"},
        {"symmetry 2", {F::kGptq, 4, 128, Symmetry{2}, kPlain, kNone, {}}, "symmetry"},
        {"form 4", {F::kGptq, 4, 128, kSym, ZeroPointForm{4}, kNone, {}}, "zero_point_form"},
        {"order 3", {F::kGptq, 4, 128, kSym, kPlain, Order{3}, {}}, "order"},
        {"scales of I32",
         {F::kGptq, 4, 128, kSym, kPlain, kNone, layout::ScaleType{4}},
         "scale_dtype"},
        {"order of one group", {F::kGptq, 4, {}, kSym, kPlain, kGroup, {}}, "order: a group index"},
        {"order of AWQ", {F::kAwq, 4, 128, kAsym, kPlain, kGroup, {}}, "order: AWQ"},
        {"int8 but symmetric",
         {F::kCompressedTensors, 4, 32, kSym, kInt8Form, kNone, {}},
         "zero_point_form: int8"},
        {"int8 in GPTQ", {F::kGptq, 4, 32, kAsym, kInt8Form, kNone, {}}, "zero_point_form: int8"},
        {"minus one in AWQ",
         {F::kAwq, 4, 32, kAsym, kMinusOne, kNone, {}},
         "zero_point_form: zero points minus one need GPTQ"},
    };
    for (const ValidateCase& row : cases) {
        print_message("    %s\n", row.name);
        const Status status = validate(row.config);
        assert_int_equal(status.ok(), row.fragment == nullptr);
        if (row.fragment == nullptr) continue;
        assert_int_equal(status.code(), Code::kInvalidArgument);
        assert_non_null(std::strstr(status.message(), row.fragment));
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(configs_are_read),
        cmocka_unit_test(without_a_module_there_must_be_one_scheme),
        cmocka_unit_test(a_config_is_not_read_without_end),
        cmocka_unit_test(rules_have_a_budget),
        cmocka_unit_test(fields_are_validated),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
