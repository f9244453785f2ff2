// SPDX-License-Identifier: Apache-2.0
// Marlin packing as a property: of random projections, packed side by side in random strips, every
// value stands where layout/marlin.h says, padding is zero, and reading back gives what went in.
#include <algorithm>
#include <string>
#include <vector>

#include "support/canonical_matrix.h"
#include "support/marlin_matrix.h"
#include "unpack/fields.h"
#include "unpack/scale_memory.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

using layout::MarlinTile;

constexpr int64_t kElementsPerRun = 1'000'000;

struct Shape {
    MarlinShape matrix;
    int64_t rows, columns, group_size;
    int projections;
    int64_t padded_rows;
};

Shape random_shape(std::mt19937_64& random) {
    const auto up_to = [&](int64_t limit) {
        return 1 + static_cast<int64_t>(random() % static_cast<uint64_t>(limit));
    };
    Shape s = {};
    s.matrix.bits = random() % 2 == 0 ? 4 : 8;
    s.matrix.asymmetric = random() % 2 == 0;
    s.matrix.tile = random() % 2 == 0 ? MarlinTile::kK16N64 : MarlinTile::kK32N32;
    constexpr layout::ScaleType kTypes[] = {layout::ScaleType::kF32, layout::ScaleType::kF16,
                                            layout::ScaleType::kBf16};
    s.matrix.scale_type = kTypes[random() % 3];
    s.projections = static_cast<int>(up_to(2));
    s.rows = up_to(300);
    s.padded_rows = round_up(s.rows, int64_t{64}) + 64 * (up_to(2) - 1);
    s.matrix.outputs = s.padded_rows * s.projections;
    const bool grouped = random() % 3 != 0;
    const int64_t unit = grouped ? 32 << (random() % 3) : 1;  // a group, or any number of inputs
    s.columns = unit * up_to(grouped ? 8 : 400);
    s.matrix.inputs = round_up(s.columns, std::max<int64_t>(32, unit)) + (grouped ? unit : 0);
    s.matrix.groups = grouped ? s.matrix.inputs / unit : 1;
    s.group_size = grouped ? unit : s.columns;
    return s;
}

void check_weights(const MarlinMatrix& m, const CanonicalMatrix& source, int64_t first_output) {
    for (int64_t n = 0; n < source.view.rows; ++n) {
        for (int64_t k = 0; k < m.shape.inputs; ++k) {
            const auto place = layout::marlin_place(k, first_output + n, m.shape.outputs,
                                                    m.shape.bits, m.shape.tile);
            const uint32_t got =
                field(m.weight[static_cast<size_t>(place.word)], place.field, m.shape.bits);
            assert_int_equal(got, k < source.view.columns ? source.view.code(n, k) : 0);
        }
    }
}

void check_padding(const MarlinMatrix& m, const CanonicalMatrix& source, int64_t begin,
                   int64_t end) {
    const int fields = 32 / m.shape.bits;
    for (int64_t n = begin; n < end; ++n) {
        for (int64_t g = 0; g < m.shape.groups; ++g) {
            const bool exists = n - begin < source.view.rows && g < source.view.groups();
            const auto place = layout::marlin_zero_point_place(n, m.shape.bits, m.shape.tile);
            const auto scale_place = layout::marlin_scale_place(n, m.shape.scale_order());
            const float scale =
                load_scale(m.shape.scale_type, m.scale.data(), g * m.shape.outputs + scale_place);
            assert_true(scale == (exists ? source.view.scale(n - begin, g) : 0.0F));
            if (!m.shape.asymmetric) continue;
            const auto word = static_cast<size_t>(g * (m.shape.outputs / fields) + place.word);
            assert_int_equal(field(m.zero_point[word], place.field, m.shape.bits),
                             exists ? source.view.zero_point(n - begin, g) : 0);
        }
    }
}

void check_read_back(const MarlinMatrix& m, const CanonicalMatrix& source, int64_t first_output,
                     std::mt19937_64& random) {
    const int64_t max_rows = 1 + static_cast<int64_t>(random() % 100);
    const MarlinRows rows{
        .first_output = first_output, .rows = source.view.rows, .columns = source.view.columns};
    const auto unpacker = value_or_throw(
        unpack_marlin(m.shape, rows, m.tensors(), max_rows, std::make_shared<const Allocator>()));
    for (int64_t row = 0; row < rows.rows; row += max_rows) {
        const int64_t count = std::min(max_rows, rows.rows - row);
        const Canonical got = unpacker->strip(row, count);
        const Canonical want = source.strip(row, count);
        assert_true(std::ranges::equal(got.codes, want.codes));
        assert_true(std::ranges::equal(got.scales, want.scales));
        assert_true(std::ranges::equal(got.zero_points, want.zero_points));
    }
}

void packing_keeps_every_value(void**) {
    const uint64_t seed = test_seed();
    print_message("MMOE_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    for (int64_t elements = 0; elements < kElementsPerRun;) {
        const Shape s = random_shape(random);
        MarlinMatrix matrix(s.matrix);
        for (int i = 0; i < s.projections; ++i) {
            const CanonicalMatrix source(random, s.rows, s.columns, s.group_size, s.matrix.bits,
                                         s.matrix.asymmetric);
            const int64_t first_output = i * s.padded_rows;
            const int64_t strip_rows = 64 * (1 + static_cast<int64_t>(random() % 4));
            for (int64_t row = 0; row < s.rows; row += strip_rows) {
                pack_marlin(matrix.shape, source.strip(row, std::min(strip_rows, s.rows - row)),
                            first_output + row, matrix.tensors());
            }
            check_weights(matrix, source, first_output);
            check_padding(matrix, source, first_output, first_output + s.padded_rows);
            check_read_back(matrix, source, first_output, random);
            elements += s.rows * s.columns;
        }
    }
}

void biases_round_trip(void**) {
    const MarlinShape shape{.inputs = 64, .outputs = 256, .scale_type = layout::ScaleType::kF16};
    std::vector<uint8_t> packed(static_cast<size_t>(shape.bias_bytes()));
    std::vector<float> gate(100), up(100), read(100);
    for (size_t i = 0; i < gate.size(); ++i) {
        gate[i] = static_cast<float>(i) + 0.5F;
        up[i] = -gate[i];
    }
    pack_marlin_bias(shape, gate, 0, packed);
    pack_marlin_bias(shape, up, 128, packed);
    unpack_marlin_bias(shape, packed, 0, read);
    assert_true(read == gate);
    unpack_marlin_bias(shape, packed, 128, read);
    assert_true(read == up);
    // Place 3 of the single order holds output 9, place 127 is padding.
    assert_true(load_scale(shape.scale_type, packed.data(), 3) == 9.5F);
    assert_true(load_scale(shape.scale_type, packed.data(), 127) == 0.0F);
}

// The order of w13's scales follows H, whatever I is.
void scale_order_follows_the_inputs_of_its_own_gemm(void**) {
    QuantConfig config;
    config.group_size = 128;
    const Layer layer{.expert_count = 1, .hidden_size = 2048, .intermediate_size = 128};
    const MarlinLayerPlan plan = plan_marlin_layer(
        config, layer, config.group_size_for(layer.intermediate_size), MarlinTile::kK16N64);
    assert_true(plan.w13.scale_order() == layout::MarlinScaleOrder::kGrouped);
    assert_true(plan.w2.scale_order() == layout::MarlinScaleOrder::kSingle);
    const MarlinLayerPlan a8 = plan_marlin_layer(config, layer, 128, MarlinTile::kK32N32);
    assert_true(a8.w13.scale_order() == layout::MarlinScaleOrder::kSingle);
}

struct PaddingCase {
    const char* name;
    int64_t hidden, intermediate;
    int group_size;  // 0: channel
    int64_t padded_hidden, padded_intermediate;
};
constexpr PaddingCase kPaddingCases[] = {
    {"nothing to pad", 2048, 768, 128, 2048, 768}, {"half a block", 2048, 96, 32, 2048, 128},
    {"whole groups", 192, 96, 96, 192, 192},       {"both axes, channel", 100, 200, 0, 128, 256},
    {"gpt-oss", 2880, 2880, 32, 2880, 2880},
};

void padding_keeps_whole_groups_and_blocks(void**) {
    for (const PaddingCase& c : kPaddingCases) {
        print_message("%s\n", c.name);
        QuantConfig config;
        if (c.group_size > 0) config.group_size = c.group_size;
        const Layer layer{
            .expert_count = 1, .hidden_size = c.hidden, .intermediate_size = c.intermediate};
        const MarlinLayerPlan plan = plan_marlin_layer(
            config, layer, config.group_size_for(layer.intermediate_size), MarlinTile::kK16N64);
        assert_int_equal(plan.padded_hidden, c.padded_hidden);
        assert_int_equal(plan.padded_intermediate, c.padded_intermediate);
        assert_int_equal(plan.w13.outputs, 2 * c.padded_intermediate);
        assert_int_equal(plan.w2.groups,
                         c.group_size > 0 ? c.padded_intermediate / c.group_size : 1);
    }
}

struct BadImport {
    const char* name;
    MarlinShape shape;
    MarlinRows rows;
    size_t weight_words;
    const char* sentence;
};
const BadImport kBadImports[] = {
    {"ragged outputs",
     {.inputs = 64, .outputs = 96},
     {.rows = 64, .columns = 64},
     768,
     "Marlin matrix: expected inputs in tiles of 16, outputs in blocks of 64 and groups that "
     "divide "
     "the inputs, got 64 inputs, 96 outputs, 1 groups, 4 bits"},
    {"projection past the end",
     {.inputs = 64, .outputs = 64},
     {.first_output = 32, .rows = 64, .columns = 64},
     512,
     "Marlin projection: expected whole groups inside 64 outputs by 64 inputs, got outputs 32 to "
     "95 "
     "by 64 inputs"},
    {"half a group",
     {.inputs = 64, .outputs = 64, .groups = 2},
     {.rows = 64, .columns = 48},
     512,
     "Marlin projection: expected whole groups inside 64 outputs by 64 inputs, got outputs 0 to 63 "
     "by 48 inputs"},
    {"short weights",
     {.inputs = 64, .outputs = 64},
     {.rows = 64, .columns = 64},
     511,
     "Marlin weight: expected 512 elements, got 511"},
};

void wrong_matrices_are_refused(void**) {
    for (const BadImport& c : kBadImports) {
        print_message("%s\n", c.name);
        const std::vector<uint32_t> weight(c.weight_words);
        const std::vector<uint8_t> scale(static_cast<size_t>(c.shape.scale_bytes()));
        auto unpacker = unpack_marlin(c.shape, c.rows, {weight, scale, {}}, 64,
                                      std::make_shared<const Allocator>());
        assert_false(unpacker.ok());
        assert_int_equal(unpacker.status().code(), Code::kShape);
        assert_string_equal(unpacker.status().message(), c.sentence);
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(packing_keeps_every_value),
        cmocka_unit_test(biases_round_trip),
        cmocka_unit_test(scale_order_follows_the_inputs_of_its_own_gemm),
        cmocka_unit_test(padding_keeps_whole_groups_and_blocks),
        cmocka_unit_test(wrong_matrices_are_refused),
    };
    return cmocka_run_group_tests_name("unit_repack_marlin", tests, nullptr, nullptr);
}
