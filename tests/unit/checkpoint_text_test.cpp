// SPDX-License-Identifier: Apache-2.0
// Room checkpoint: names and numbers as sentences show them.
#include <string>

#include "checkpoint/layer.h"
#include "checkpoint/quant_config.h"
#include "checkpoint/tensor.h"
#include "checkpoint/text.h"
#include "cmocka_cpp.h"

using namespace mmoe;

namespace {

struct PrintableCase {
    const char* name;
    std::string text;
    std::string printed;
};

void hostile_names_are_made_printable(void**) {
    const PrintableCase cases[] = {
        {"empty", "", ""},
        {"plain", "model.layers.0", "model.layers.0"},
        {"80 bytes stay whole", std::string(80, 'x'), std::string(80, 'x')},
        {"of 81 the end stays", "ab" + std::string(79, 'x'), "..." + std::string(77, 'x')},
        {"control characters", std::string("a\nb\tc\x1B\x7F\0d", 9), "a?b?c???d"},
        {"UTF-8 stays", "\xC3\xA9\xE2\x82\xAC", "\xC3\xA9\xE2\x82\xAC"},
        {"no half of a character", std::string(10, 'a') + "\xC3\xA9" + std::string(76, 'x'),
         "..." + std::string(76, 'x')},
    };
    for (const PrintableCase& row : cases) {
        print_message("    %s\n", row.name);
        assert_string_equal(printable(row.text).c_str(), row.printed.c_str());
    }
}

void decimals_are_whole_and_canonical(void**) {
    assert_int_equal(*parse_decimal("0"), 0);
    assert_int_equal(*parse_decimal("17"), 17);
    assert_int_equal(*parse_decimal("999999999"), 999999999);
    for (const char* text : {"", "-1", "+1", "01", "00", "1x", "x1", " 1", "1000000000"}) {
        print_message("    '%s'\n", text);
        assert_false(parse_decimal(text).has_value());
    }
}

struct TypeCase {
    DType dtype;
    const char* name;
    size_t bytes;
};

void types_have_names_and_sizes(void**) {
    const TypeCase cases[] = {{DType::kF32, "F32", 4},   {DType::kF16, "F16", 2},
                              {DType::kBf16, "BF16", 2}, {DType::kI32, "I32", 4},
                              {DType::kI64, "I64", 8},   {DType::kU8, "U8", 1},
                              {DType::kI8, "I8", 1},     {DType::kF64, "F64", 8},
                              {DType::kI16, "I16", 2},   {DType::kOther, "another type", 0}};
    for (const TypeCase& row : cases) {
        assert_string_equal(dtype_name(row.dtype), row.name);
        assert_int_equal(dtype_bytes(row.dtype), row.bytes);
    }
    const int64_t shape[] = {64, 128};
    assert_string_equal(shape_text(shape, 2).c_str(), "[64, 128]");
    assert_string_equal(shape_text(shape, 0).c_str(), "[]");
}

void parts_of_a_layer_have_names(void**) {
    assert_string_equal(projection_name(Projection::kGate), "gate_proj");
    assert_string_equal(projection_name(Projection::kUp), "up_proj");
    assert_string_equal(projection_name(Projection::kDown), "down_proj");
    assert_string_equal(projection_name(Projection{9}), "unknown projection");
    assert_string_equal(role_name(Role::kWeight), "weight");
    assert_string_equal(role_name(Role::kScale), "scale");
    assert_string_equal(role_name(Role::kZeroPoint), "zero point");
    assert_string_equal(role_name(Role::kGroupIndex), "group index");
    assert_string_equal(role_name(Role::kBias), "bias");
    assert_string_equal(role_name(Role{9}), "unknown role");
}

void configs_are_described(void**) {
    QuantConfig config;
    assert_string_equal(describe(config).c_str(),
                        "compressed-tensors 4-bit symmetric, one scale a channel");
    config = {Format::kGptq, 8,           64, Symmetry::kAsymmetric, ZeroPointForm::kMinusOne,
              Order::kGroup, std::nullopt};
    assert_string_equal(describe(config).c_str(),
                        "GPTQ 8-bit asymmetric, group size 64, group index");
    assert_int_equal(config.group_size_for(256), 64);
    config.group_size.reset();
    assert_int_equal(config.group_size_for(256), 256);
    assert_string_equal(format_name(Format::kAwq), "AWQ");
    assert_string_equal(format_name(Format::kMarlin), "Marlin");
    assert_string_equal(format_name(Format{9}), "unknown format");
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(hostile_names_are_made_printable),
        cmocka_unit_test(decimals_are_whole_and_canonical),
        cmocka_unit_test(types_have_names_and_sizes),
        cmocka_unit_test(parts_of_a_layer_have_names),
        cmocka_unit_test(configs_are_described),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
