// SPDX-License-Identifier: Apache-2.0
// GPTQ and AWQ files as their own libraries wrote them, against what those libraries dequantise,
// products rounded to fp16 as they do: no tolerance. Then shapes that no file has, against plain
// loops over the formulae of the formats.
#include <random>

#include "support/unpack_linear.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

struct ModelCase {
    const char* variant;
    int64_t hidden, intermediate;
    Format format;
    int bits, group_size;
    Symmetry symmetry;
    ZeroPointForm form;
    Order order;
};
constexpr auto kSym = Symmetry::kSymmetric;
constexpr auto kAsym = Symmetry::kAsymmetric;
constexpr ModelCase kModelCases[] = {
    {"awq_w4_g128", 256, 128, Format::kAwq, 4, 128, kAsym, ZeroPointForm::kPacked, Order::kNone},
    {"awq_w4_g32_i96", 256, 96, Format::kAwq, 4, 32, kAsym, ZeroPointForm::kPacked, Order::kNone},
    {"gptq_v1_w4_sym_g128", 256, 128, Format::kGptq, 4, 128, kSym, ZeroPointForm::kMinusOne,
     Order::kNone},
    {"gptq_v1_w4_sym_g64_desc_act", 128, 192, Format::kGptq, 4, 64, kSym, ZeroPointForm::kMinusOne,
     Order::kGroup},
    {"gptq_v2_w4_asym_g64_desc_act", 128, 192, Format::kGptq, 4, 64, kAsym, ZeroPointForm::kPacked,
     Order::kGroup},
    {"gptq_v1_w4_asym_g128", 256, 128, Format::kGptq, 4, 128, kAsym, ZeroPointForm::kMinusOneWord,
     Order::kNone},
    {"gptq_v1_w8_sym_g64", 128, 128, Format::kGptq, 8, 64, kSym, ZeroPointForm::kMinusOneWord,
     Order::kNone},
};

QuantConfig config_of(const ModelCase& c) {
    QuantConfig config;
    config.format = c.format;
    config.bits = c.bits;
    config.group_size = c.group_size;
    config.symmetry = c.symmetry;
    config.zero_point_form = c.form;
    config.order = c.order;
    return config;
}

void models_match_their_library(void**) {
    int found = 0;
    for (const ModelCase& c : kModelCases) {
        const auto path = fixture_path(std::string("awq_gptq/") + c.variant);
        if (!path) continue;
        ++found;
        const FixtureFile model(*path);
        const FixtureFile dequantised(*path / "dequant_l0_e0.safetensors");
        for (const std::string name : {"gate", "up", "down"}) {
            print_message("%s %s\n", c.variant, name.c_str());
            const bool down = name == "down";
            const int64_t outputs = down ? c.hidden : c.intermediate;
            const int64_t inputs = down ? c.intermediate : c.hidden;
            const auto tensors =
                gptq_tensors(model, "model.layers.0.mlp.experts.0." + name + "_proj");
            const PlainLinear plain = unpack_linear(config_of(c), outputs, inputs, tensors, 20);
            assert_int_equal(-1, first_difference(plain.weights.data(),
                                                  dequantised.data<float>(name + ".weight"),
                                                  plain.weights.size()));
        }
    }
    if (found == 0) skip_without_fixture("awq_gptq");
}

// Field by field, +1 cannot tell these words: the same file read so must be refused.
void borrowed_zero_points_are_told_apart(void**) {
    const auto path = fixture_path("awq_gptq/gptq_v1_w4_asym_g128");
    if (!path) skip_without_fixture("awq_gptq/gptq_v1_w4_asym_g128");
    const FixtureFile model(*path);
    ModelCase fieldwise = kModelCases[5];
    fieldwise.form = ZeroPointForm::kMinusOne;
    const auto tensors = gptq_tensors(model, "model.layers.0.mlp.experts.0.gate_proj");
    assert_true(check_projection(config_of(kModelCases[5]), 128, 256, tensors).ok());
    const Status status = check_projection(config_of(fieldwise), 128, 256, tensors);
    assert_int_equal(status.code(), Code::kBadData);
}

struct ShapeCase {
    const char* name;
    Format format;
    int bits;
    int64_t outputs, inputs;
    int group_size;  // 0: channel
    int64_t strip_rows;
};
constexpr ShapeCase kShapeCases[] = {
    {"gptq 4 bits, one block", Format::kGptq, 4, 16, 128, 32, 16},
    {"gptq 4 bits, ragged blocks", Format::kGptq, 4, 40, 200, 8, 24},
    {"gptq 4 bits, one row at a time", Format::kGptq, 4, 24, 64, 64, 1},
    {"gptq 8 bits", Format::kGptq, 8, 36, 148, 4, 20},
    {"gptq channel", Format::kGptq, 4, 8, 8, 0, 8},
    {"awq 4 bits, one tile", Format::kAwq, 4, 128, 128, 32, 128},
    {"awq 4 bits, ragged tiles", Format::kAwq, 4, 136, 264, 88, 136},
    {"awq 4 bits, strips inside words", Format::kAwq, 4, 40, 96, 32, 11},
    {"awq 4 bits, spare inputs", Format::kAwq, 4, 16, 36, 12, 16},
    {"awq 8 bits", Format::kAwq, 8, 68, 72, 24, 68},
    {"awq 8 bits, spare inputs", Format::kAwq, 8, 12, 7, 0, 5},
};

// Column j of a word lies in this field: written out, not the formula of the library.
int field_of(Format format, int bits, int64_t column) {
    constexpr int kAwq4[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    constexpr int kAwq8[4] = {0, 2, 1, 3};
    if (format == Format::kGptq) return static_cast<int>(column);
    return bits == 4 ? kAwq4[column] : kAwq8[column];
}

struct Packed {
    std::vector<uint8_t> codes;        // [N, K]
    std::vector<uint8_t> zero_points;  // [N, G]
    std::vector<uint32_t> weight_words, zero_words;
    std::vector<float> scales;  // [G, N]
    ProjectionTensors tensors;
};

void put(std::vector<uint32_t>* words, int64_t word, int field, int bits, uint32_t value) {
    (*words)[static_cast<size_t>(word)] |= value << (bits * field);
}

Packed pack(const ShapeCase& c, int64_t groups) {
    Packed p;
    std::mt19937 random(7);
    const int64_t per_word = 32 / c.bits;
    const uint32_t limit = 1u << c.bits;
    p.weight_words.resize(static_cast<size_t>(c.format == Format::kGptq
                                                  ? c.inputs / per_word * c.outputs
                                                  : c.inputs * (c.outputs / per_word)));
    p.zero_words.resize(static_cast<size_t>(groups * (c.outputs / per_word)));
    p.scales.resize(static_cast<size_t>(groups * c.outputs));
    for (int64_t n = 0; n < c.outputs; ++n) {
        for (int64_t k = 0; k < c.inputs; ++k) {
            const uint32_t code = random() % limit;
            p.codes.push_back(static_cast<uint8_t>(code));
            if (c.format == Format::kGptq) {
                put(&p.weight_words, k / per_word * c.outputs + n, static_cast<int>(k % per_word),
                    c.bits, code);
            } else {
                put(&p.weight_words, k * (c.outputs / per_word) + n / per_word,
                    field_of(c.format, c.bits, n % per_word), c.bits, code);
            }
        }
        for (int64_t g = 0; g < groups; ++g) {
            const uint32_t zero = random() % limit;
            p.zero_points.push_back(static_cast<uint8_t>(zero));
            put(&p.zero_words, g * (c.outputs / per_word) + n / per_word,
                field_of(c.format, c.bits, n % per_word), c.bits, zero);
            p.scales[static_cast<size_t>(g * c.outputs + n)] = static_cast<float>(random() % 1000);
        }
    }
    if (c.format == Format::kGptq) {
        p.tensors.weight = {
            DType::kI32, 2, {c.inputs / per_word, c.outputs}, p.weight_words.data()};
    } else {
        p.tensors.weight = {
            DType::kI32, 2, {c.inputs, c.outputs / per_word}, p.weight_words.data()};
    }
    p.tensors.scale = {DType::kF32, 2, {groups, c.outputs}, p.scales.data()};
    p.tensors.zero_point = {DType::kI32, 2, {groups, c.outputs / per_word}, p.zero_words.data()};
    return p;
}

void every_shape_is_read(void**) {
    for (const ShapeCase& c : kShapeCases) {
        print_message("%s\n", c.name);
        const int64_t groups = c.group_size > 0 ? c.inputs / c.group_size : 1;
        const Packed packed = pack(c, groups);
        QuantConfig config;
        config.format = c.format;
        config.bits = c.bits;
        if (c.group_size > 0) config.group_size = c.group_size;
        config.symmetry = Symmetry::kAsymmetric;
        const PlainLinear plain =
            unpack_linear(config, c.outputs, c.inputs, packed.tensors, c.strip_rows);
        assert_true(plain.codes == packed.codes);
        assert_true(plain.zero_points == packed.zero_points);
        for (int64_t n = 0; n < c.outputs; ++n) {
            for (int64_t g = 0; g < groups; ++g) {
                assert_true(plain.scales[static_cast<size_t>(n * groups + g)] ==
                            packed.scales[static_cast<size_t>(g * c.outputs + n)]);
            }
        }
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(models_match_their_library),
        cmocka_unit_test(borrowed_zero_points_are_told_apart),
        cmocka_unit_test(every_shape_is_read),
    };
    return cmocka_run_group_tests_name("unit_unpack_gptq_awq", tests, nullptr, nullptr);
}
