// SPDX-License-Identifier: Apache-2.0
// compressed-tensors files as the upstream library wrote them, against what that library itself
// decompresses. Products are rounded once, to the type of the scales, as it does: no tolerance.
#include "support/unpack_linear.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

QuantConfig config_of(int bits, bool asymmetric, int group_size, Order order = Order::kNone) {
    QuantConfig config;
    config.bits = bits;
    if (group_size > 0) config.group_size = group_size;
    config.symmetry = asymmetric ? Symmetry::kAsymmetric : Symmetry::kSymmetric;
    config.order = order;
    return config;
}

struct EdgeCase {
    const char* name;
    int64_t outputs, inputs;
    int bits;
    bool asymmetric;
    int group_size;  // 0: channel
};
constexpr EdgeCase kEdgeCases[] = {
    {"n20_k36_w4_asym_channel", 20, 36, 4, true, 0}, {"n12_k96_w4_asym_g32", 12, 96, 4, true, 32},
    {"n6_k64_w8_asym_g32", 6, 64, 8, true, 32},      {"n9_k10_w8_sym_channel", 9, 10, 8, false, 0},
    {"n33_k44_w4_sym_channel", 33, 44, 4, false, 0},
};

void padded_words_are_read(void**) {
    const auto path = fixture_path("ct_edge/linear_edge_cases.safetensors");
    if (!path) skip_without_fixture("ct_edge");
    const FixtureFile file(*path);
    for (const EdgeCase& c : kEdgeCases) {
        const std::string name = c.name;
        const auto tensors = compressed_tensors(file, name);
        for (const int64_t strip_rows : {int64_t{1}, int64_t{5}, int64_t{8}, c.outputs}) {
            print_message("%s, strips of %d rows\n", c.name, static_cast<int>(strip_rows));
            const PlainLinear plain = unpack_linear(config_of(c.bits, c.asymmetric, c.group_size),
                                                    c.outputs, c.inputs, tensors, strip_rows);
            assert_int_equal(
                -1, first_difference(plain.codes.data(), file.data<uint8_t>(name + ".q_unsigned"),
                                     plain.codes.size()));
            assert_int_equal(
                -1, first_difference(plain.weights.data(), file.data<float>(name + ".expected"),
                                     plain.weights.size()));
            if (!c.asymmetric) continue;
            assert_int_equal(-1, first_difference(plain.zero_points.data(),
                                                  file.data<uint8_t>(name + ".zp_unsigned"),
                                                  plain.zero_points.size()));
        }
    }
}

struct ModelCase {
    const char* variant;
    int64_t hidden, intermediate;
    int bits;
    bool asymmetric;
    int group_size;  // 0: channel
    Order order;
    const char* prefix;
    const char* names[3];  // gate, up, down
};
constexpr const char* kQwen = "model.layers.0.mlp.experts.0.";
constexpr const char* kMixtral = "model.layers.0.block_sparse_moe.experts.0.";
constexpr ModelCase kModelCases[] = {
    {"w4a16_sym_g128",
     256,
     128,
     4,
     false,
     128,
     Order::kNone,
     kQwen,
     {"gate_proj", "up_proj", "down_proj"}},
    {"w4a16_asym_g128",
     256,
     384,
     4,
     true,
     128,
     Order::kNone,
     kQwen,
     {"gate_proj", "up_proj", "down_proj"}},
    {"w4a16_asym_g32_fp16",
     256,
     160,
     4,
     true,
     32,
     Order::kNone,
     kQwen,
     {"gate_proj", "up_proj", "down_proj"}},
    {"w4a16_asym_channel",
     256,
     192,
     4,
     true,
     0,
     Order::kNone,
     kQwen,
     {"gate_proj", "up_proj", "down_proj"}},
    {"w8a16_sym_g128",
     256,
     128,
     8,
     false,
     128,
     Order::kNone,
     kQwen,
     {"gate_proj", "up_proj", "down_proj"}},
    {"w8a16_asym_g64",
     256,
     128,
     8,
     true,
     64,
     Order::kNone,
     kQwen,
     {"gate_proj", "up_proj", "down_proj"}},
    {"w4a16_sym_g128_actorder_group",
     256,
     256,
     4,
     false,
     128,
     Order::kGroup,
     kQwen,
     {"gate_proj", "up_proj", "down_proj"}},
    {"w4a16_asym_g128_sharded",
     256,
     128,
     4,
     true,
     128,
     Order::kStatic,
     kQwen,
     {"gate_proj", "up_proj", "down_proj"}},
    {"mixtral_w4a16_asym_g128_fp16",
     256,
     128,
     4,
     true,
     128,
     Order::kNone,
     kMixtral,
     {"w1", "w3", "w2"}},
    {"mixtral_proj_names_w4a16_asym_g64",
     256,
     128,
     4,
     true,
     64,
     Order::kNone,
     kMixtral,
     {"gate_proj", "up_proj", "down_proj"}},
    {"w4a16_asym_g64_mixed_groups",
     256,
     64,
     4,
     true,
     64,
     Order::kNone,
     kQwen,
     {"gate_proj", "up_proj", "down_proj"}},
};
constexpr const char* kPlainNames[3] = {"gate", "up", "down"};

void check_model(const ModelCase& c, const std::filesystem::path& path) {
    const FixtureFile model(path);
    const FixtureFile dequantised(path / "dequant_l0_e0.safetensors");
    const QuantConfig config = config_of(c.bits, c.asymmetric, c.group_size, c.order);
    for (int i = 0; i < 3; ++i) {
        const int64_t outputs = i < 2 ? c.intermediate : c.hidden;
        const int64_t inputs = i < 2 ? c.hidden : c.intermediate;
        const auto tensors = compressed_tensors(model, std::string(c.prefix) + c.names[i]);
        const std::string name = kPlainNames[i];
        print_message("%s %s\n", c.variant, name.c_str());
        const PlainLinear plain = unpack_linear(config, outputs, inputs, tensors, 24);
        const auto* codes = dequantised.data<uint8_t>(name + ".q_unsigned_rows16");
        assert_int_equal(
            -1, first_difference(plain.codes.data(), codes, static_cast<size_t>(16 * inputs)));
        assert_int_equal(
            -1, first_difference(plain.weights.data(), dequantised.data<float>(name + ".weight"),
                                 plain.weights.size()));
        if (!c.asymmetric) continue;
        assert_int_equal(-1, first_difference(plain.zero_points.data(),
                                              dequantised.data<uint8_t>(name + ".zp_unsigned"),
                                              plain.zero_points.size()));
    }
}

void models_match_their_library(void**) {
    int found = 0;
    for (const ModelCase& c : kModelCases) {
        const auto path = fixture_path(std::string("ct/") + c.variant);
        if (!path) continue;
        ++found;
        check_model(c, *path);
    }
    if (found == 0) skip_without_fixture("ct");
}

// Codes k mod 16 of [8, 16] with one scale a channel.
struct SmallLinear {
    std::vector<uint32_t> codes = std::vector<uint32_t>(16);
    std::vector<float> scales = std::vector<float>(16, 0.5F);
    std::vector<int32_t> group_index = std::vector<int32_t>(16);
    std::vector<int8_t> zero_points = std::vector<int8_t>(16);
    SmallLinear() {
        for (size_t i = 0; i < codes.size(); ++i) codes[i] = i % 2 == 0 ? 0x76543210 : 0xFEDCBA98;
        for (size_t k = 0; k < 16; ++k) group_index[k] = static_cast<int32_t>(k / 8);
        for (size_t i = 0; i < 16; ++i) zero_points[i] = static_cast<int8_t>(i) - 8;
    }
    [[nodiscard]] ProjectionTensors tensors(bool with_index, bool with_zero_points) const {
        ProjectionTensors t;
        t.weight = {DType::kI32, 2, {8, 2}, codes.data()};
        t.scale = {DType::kF32, 2, {8, 2}, scales.data()};
        if (with_zero_points) t.zero_point = {DType::kI8, 2, {8, 2}, zero_points.data()};
        if (with_index) t.group_index = {DType::kI32, 1, {16}, group_index.data()};
        return t;
    }
};

Canonical first_strip(const QuantConfig& config, const ProjectionTensors& tensors,
                      std::unique_ptr<Unpacker>* keep) {
    assert_true(check_projection(config, 8, 16, tensors).ok());
    *keep =
        Unpacker::create(config, 8, 16, tensors, 8, std::make_shared<const Allocator>()).value();
    return (*keep)->strip(2, 4);
}

void codes_are_not_copied(void**) {
    const SmallLinear linear;
    std::unique_ptr<Unpacker> keep;
    const auto strip = first_strip(config_of(4, false, 8), linear.tensors(false, false), &keep);
    assert_ptr_equal(strip.codes.data(), linear.codes.data() + 4);
    assert_int_equal(strip.codes.size(), 8);
    assert_true(strip.zero_points.empty());
}

void plain_group_index_is_dropped(void**) {
    const SmallLinear linear;
    std::unique_ptr<Unpacker> keep;
    const auto strip =
        first_strip(config_of(4, false, 8, Order::kGroup), linear.tensors(true, false), &keep);
    assert_true(strip.order.empty());
    assert_ptr_equal(strip.codes.data(), linear.codes.data() + 4);
}

void columns_of_a_group_keep_the_files_order(void**) {
    SmallLinear linear;
    for (size_t k = 0; k < 16; ++k) linear.group_index[k] = static_cast<int32_t>(1 - k % 2);
    std::unique_ptr<Unpacker> keep;
    const auto strip =
        first_strip(config_of(4, false, 8, Order::kGroup), linear.tensors(true, false), &keep);
    for (int64_t k = 0; k < 16; ++k) {
        const int64_t column = k < 8 ? 2 * k + 1 : 2 * (k - 8);
        assert_int_equal(strip.order[static_cast<size_t>(k)], column);
        assert_int_equal(strip.code(0, k), column);  // the code of column k is k
    }
}

void old_zero_points_are_signed_bytes(void**) {
    const SmallLinear linear;
    std::unique_ptr<Unpacker> keep;
    QuantConfig config = config_of(4, true, 8);
    config.zero_point_form = ZeroPointForm::kInt8;
    const auto strip = first_strip(config, linear.tensors(false, true), &keep);
    assert_int_equal(strip.zero_point(0, 0), 4);  // row 2 holds -4 and -3
    assert_int_equal(strip.zero_point(0, 1), 5);
    assert_int_equal(strip.zero_point(3, 1), 11);
}

void spare_bits_are_cleared(void**) {
    const uint32_t word = 0xFFFFFF21;
    const float scale = 1.0F;
    ProjectionTensors tensors;
    tensors.weight = {DType::kI32, 2, {1, 1}, &word};
    tensors.scale = {DType::kF32, 2, {1, 1}, &scale};
    const QuantConfig config = config_of(4, false, 0);
    assert_true(check_projection(config, 1, 2, tensors).ok());
    auto unpacker =
        Unpacker::create(config, 1, 2, tensors, 1, std::make_shared<const Allocator>()).value();
    assert_int_equal(unpacker->strip(0, 1).codes[0], 0x21);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(padded_words_are_read),
        cmocka_unit_test(models_match_their_library),
        cmocka_unit_test(codes_are_not_copied),
        cmocka_unit_test(plain_group_index_is_dropped),
        cmocka_unit_test(columns_of_a_group_keep_the_files_order),
        cmocka_unit_test(old_zero_points_are_signed_bytes),
        cmocka_unit_test(spare_bits_are_cleared),
    };
    return cmocka_run_group_tests_name("unit_unpack_compressed_tensors", tests, nullptr, nullptr);
}
