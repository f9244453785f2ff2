// SPDX-License-Identifier: Apache-2.0
// The public Marlin functions on matrices drawn at random, a million weights a run: every field
// where layout/marlin.h says, from where the format says, padding zero and other blocks untouched;
// and back to the same file. Then what they refuse.
#include <algorithm>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "layout/marlin.h"
#include "support/canonical_matrix.h"
#include "support/marlin_public.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

using layout::MarlinTile;

constexpr int64_t kWeightsPerRun = 1'000'000;
constexpr uint8_t kUntouched = 0xEE;

// One projection of some experts inside of a padded matrix.
struct Draw {
    mmoe_quant_fields fields = {};
    mmoe_marlin_matrix shape = {};

    [[nodiscard]] int bits() const { return fields.bits; }
    [[nodiscard]] int64_t per_word() const { return 32 / fields.bits; }
    [[nodiscard]] int64_t group_size(int64_t inputs) const {
        return fields.group_size > 0 ? fields.group_size : inputs;
    }
    [[nodiscard]] int64_t groups() const { return shape.inputs / group_size(shape.inputs); }
    [[nodiscard]] int64_t padded_groups() const {
        return shape.padded_inputs / group_size(shape.padded_inputs);
    }
    [[nodiscard]] MarlinTile tile() const { return static_cast<MarlinTile>(shape.activation); }
    [[nodiscard]] bool ordered() const { return fields.order == MMOE_ORDER_GROUP; }
    [[nodiscard]] int64_t end_block() const {  // of outputs that packing writes
        return shape.first_output + (shape.outputs + 63) / 64 * 64;
    }
    [[nodiscard]] std::string text() const {
        return "format " + std::to_string(fields.format) + ", " + std::to_string(fields.bits) +
               " bits, group " + std::to_string(fields.group_size) + ", form " +
               std::to_string(fields.zero_point_form) + ", order " + std::to_string(fields.order) +
               ", " + std::to_string(shape.expert_count) + " experts of [" +
               std::to_string(shape.outputs) + ", " + std::to_string(shape.inputs) + "] in [" +
               std::to_string(shape.padded_outputs) + ", " + std::to_string(shape.padded_inputs) +
               "] from " + std::to_string(shape.first_output) + ", activation " +
               std::to_string(shape.activation);
    }
};

class Random {
  public:
    explicit Random(uint64_t seed) : engine_(seed) {}
    int64_t below(int64_t end) {
        return static_cast<int64_t>(engine_() % static_cast<uint64_t>(end));
    }
    bool once_in(int64_t times) { return below(times) == 0; }
    uint32_t word() { return static_cast<uint32_t>(engine_()); }
    template <class T>
    T pick(std::initializer_list<T> values) {
        return *(values.begin() + below(static_cast<int64_t>(values.size())));
    }
    std::mt19937_64& engine() { return engine_; }

  private:
    std::mt19937_64 engine_;
};

void draw_fields(Random& random, mmoe_quant_fields* fields) {
    fields->format =
        random.pick({MMOE_FORMAT_COMPRESSED_TENSORS, MMOE_FORMAT_GPTQ, MMOE_FORMAT_AWQ});
    fields->bits = random.pick({4, 8});
    fields->symmetry = MMOE_ASYMMETRIC;
    fields->group_size = random.pick({MMOE_GROUP_SIZE_CHANNEL, 16, 32, 64, 96, 128});
    if (fields->format == MMOE_FORMAT_GPTQ) {
        fields->zero_point_form = random.pick(
            {MMOE_ZERO_POINT_PACKED, MMOE_ZERO_POINT_MINUS_ONE, MMOE_ZERO_POINT_MINUS_ONE_WORD});
    } else if (fields->format == MMOE_FORMAT_COMPRESSED_TENSORS && random.once_in(4)) {
        fields->zero_point_form = MMOE_ZERO_POINT_INT8;
    }
    const bool may_order = fields->format != MMOE_FORMAT_AWQ && fields->group_size > 0;
    if (may_order && random.once_in(3)) fields->order = MMOE_ORDER_GROUP;
}

Draw draw(Random& random) {
    Draw d;
    draw_fields(random, &d.fields);
    d.shape.activation = random.pick({MMOE_MARLIN_16_BIT, MMOE_MARLIN_8_BIT});
    d.shape.expert_count = static_cast<uint32_t>(1 + random.below(3));
    const int64_t unit = d.fields.format == MMOE_FORMAT_COMPRESSED_TENSORS ? 1 : 8;
    d.shape.outputs = unit * (1 + random.below(random.once_in(4) ? 40 : 300 / unit));
    d.shape.inputs = d.fields.group_size > 0 ? d.fields.group_size * (1 + random.below(9))
                                             : unit * (1 + random.below(600 / unit));
    const int64_t tile = layout::marlin_tile_inputs(d.tile());
    const int64_t step =
        d.fields.group_size > 0 ? std::lcm<int64_t>(tile, d.fields.group_size) : tile;
    d.shape.padded_inputs = (d.shape.inputs + step - 1) / step * step + step * random.below(2);
    d.shape.first_output = 64 * random.below(3);
    d.shape.padded_outputs = d.end_block() + 64 * random.below(3);
    return d;
}

// ---- The file: what each format says ------------------------------------------------------------

// Where column `column` of `columns` stands in a row of words that is packed along columns.
struct Place {
    int64_t word;
    int shift;
};
Place along(int64_t column, int bits, bool awq) {
    constexpr int kAwq4[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    constexpr int kAwq8[4] = {0, 2, 1, 3};
    const int64_t per_word = 32 / bits;
    const auto inside = static_cast<int>(column % per_word);
    const int field = !awq ? inside : bits == 4 ? kAwq4[inside] : kAwq8[inside];
    return {column / per_word, field * bits};
}

uint32_t field_at(const uint32_t* words, int64_t word, int shift, int bits) {
    return words[word] >> shift & ((1u << bits) - 1);
}

// Code of input k and output n in one expert's weight.
uint32_t file_code(const Draw& d, const uint32_t* words, int64_t k, int64_t n) {
    const int64_t outputs = d.shape.outputs;
    if (d.fields.format == MMOE_FORMAT_AWQ) {
        const Place place = along(n, d.bits(), true);
        return field_at(words, k * (outputs / d.per_word()) + place.word, place.shift, d.bits());
    }
    const Place place = along(k, d.bits(), false);
    const int64_t row_words = (d.shape.inputs + d.per_word() - 1) / d.per_word();
    const int64_t word =
        d.fields.format == MMOE_FORMAT_GPTQ ? place.word * outputs + n : n * row_words + place.word;
    return field_at(words, word, place.shift, d.bits());
}

uint32_t file_zero_point(const Draw& d, const uint8_t* bytes, int64_t g, int64_t n) {
    if (d.fields.zero_point_form == MMOE_ZERO_POINT_INT8) {
        const auto stored = static_cast<int8_t>(bytes[n * d.groups() + g]);
        return static_cast<uint32_t>(stored + (1 << (d.bits() - 1)));
    }
    const auto* words = reinterpret_cast<const uint32_t*>(bytes);
    const Place place = along(n, d.bits(), d.fields.format == MMOE_FORMAT_AWQ);
    const int64_t word = d.fields.format == MMOE_FORMAT_COMPRESSED_TENSORS
                             ? place.word * d.groups() + g
                             : g * (d.shape.outputs / d.per_word()) + place.word;
    const uint32_t mask = (1u << d.bits()) - 1;
    if (d.fields.zero_point_form == MMOE_ZERO_POINT_MINUS_ONE_WORD) {
        const uint32_t whole = words[word] + (d.bits() == 4 ? 0x11111111u : 0x01010101u);
        return whole >> place.shift & mask;
    }
    const uint32_t stored = words[word] >> place.shift & mask;
    return d.fields.zero_point_form == MMOE_ZERO_POINT_MINUS_ONE ? stored + 1 : stored;
}

// Random words with zeros where a format has spare bits, and no stored zero point of a version 1
// that means 16 or 256.
void fill_words(Random& random, const Draw& d, mmoe_role role, OwnedTensor* tensor) {
    for (size_t i = 0; i < tensor->bytes.size() / 4; ++i) {
        tensor->data<uint32_t>()[i] = random.word();
    }
    const bool compressed = d.fields.format == MMOE_FORMAT_COMPRESSED_TENSORS;
    const bool along_inputs = role == MMOE_ROLE_WEIGHT;
    const int64_t packed = along_inputs ? d.shape.inputs : d.shape.outputs;
    if (compressed && packed % d.per_word() != 0) {
        const uint32_t used = (1u << (packed % d.per_word() * d.bits())) - 1;
        const int64_t row_words = (packed + d.per_word() - 1) / d.per_word();
        const auto words = static_cast<int64_t>(tensor->bytes.size() / 4);
        for (int64_t i = 0; i < words; ++i) {
            const bool last = along_inputs ? i % row_words == row_words - 1
                                           : i / d.groups() % row_words == row_words - 1;
            if (last) tensor->data<uint32_t>()[i] &= used;
        }
    }
    if (!along_inputs && d.fields.zero_point_form == MMOE_ZERO_POINT_MINUS_ONE) {
        const uint32_t below_top = d.bits() == 4 ? 0x77777777u : 0x7F7F7F7Fu;
        for (size_t i = 0; i < tensor->bytes.size() / 4; ++i) {
            tensor->data<uint32_t>()[i] &= below_top;
        }
    }
}

OwnedTensor random_file(Random& random, const Draw& d, const PublicMarlin& batch, mmoe_role role) {
    if (role == MMOE_ROLE_ZERO_POINT && d.fields.zero_point_form == MMOE_ZERO_POINT_INT8) {
        OwnedTensor tensor = batch.file(role, MMOE_DTYPE_I8, 0);
        for (uint8_t& byte : tensor.bytes) {
            const int64_t values = int64_t{1} << d.bits();
            byte = static_cast<uint8_t>(random.below(values) - values / 2);
        }
        return tensor;
    }
    OwnedTensor tensor = batch.file(role, MMOE_DTYPE_I32, 0);
    fill_words(random, d, role, &tensor);
    return tensor;
}

OwnedTensor random_group_index(Random& random, const Draw& d, const PublicMarlin& batch) {
    OwnedTensor index = batch.file(MMOE_ROLE_GROUP_INDEX, MMOE_DTYPE_I32, 0);
    for (uint32_t e = 0; e < d.shape.expert_count; ++e) {
        auto* groups = index.data<int32_t>() + e * d.shape.inputs;
        for (int64_t k = 0; k < d.shape.inputs; ++k) {
            groups[k] = static_cast<int32_t>(k / d.fields.group_size);
        }
        std::shuffle(groups, groups + d.shape.inputs, random.engine());
    }
    return index;
}

// ---- The matrix: what layout/marlin.h says ------------------------------------------------------

// [K]: the file's input at each place.
std::vector<int64_t> expected_order(const Draw& d, const int32_t* group_index) {
    std::vector<int64_t> order(static_cast<size_t>(d.shape.inputs));
    std::iota(order.begin(), order.end(), 0);
    if (group_index != nullptr) {
        std::stable_sort(order.begin(), order.end(),
                         [&](int64_t a, int64_t b) { return group_index[a] < group_index[b]; });
    }
    return order;
}

// Every field of one expert's packed words: `place(k, n)` says where value (k, n) stands, `value`
// what it is inside the projection. `rows` is K', or G'.
template <class PlaceOf, class ValueOf>
void check_fields(const Draw& d, const std::string& what, const uint32_t* words, int64_t rows,
                  const PlaceOf& place_of, const ValueOf& value_of) {
    const auto untouched = static_cast<uint32_t>(kUntouched & ((1 << d.bits()) - 1));
    for (int64_t n = 0; n < d.shape.padded_outputs; ++n) {
        const bool written = n >= d.shape.first_output && n < d.end_block();
        for (int64_t row = 0; row < rows; ++row) {
            const layout::MarlinPlace place = place_of(row, n);
            const uint32_t got = field_at(words, place.word, place.field * d.bits(), d.bits());
            const uint32_t want = written ? value_of(row, n - d.shape.first_output) : untouched;
            if (got != want) {
                fail_msg("%s: %s [%d, %d]: expected %u, got %u", d.text().c_str(), what.c_str(),
                         static_cast<int>(row), static_cast<int>(n), want, got);
            }
        }
    }
}

void assert_back(const Draw& d, const char* what, const OwnedTensor& got, const OwnedTensor& want) {
    assert_same_bytes(d.text() + ": " + what + " back", got.bytes, want.bytes.data());
}

void check_weights(Random& random, const Draw& d, const PublicMarlin& batch) {
    OwnedTensor file = random_file(random, d, batch, MMOE_ROLE_WEIGHT);
    OwnedTensor index;
    if (d.ordered()) index = random_group_index(random, d, batch);
    OwnedTensor packed = batch.marlin(MMOE_ROLE_WEIGHT, MMOE_DTYPE_I32, kUntouched);
    batch.pack(MMOE_ROLE_WEIGHT, file.view, &packed, index.view);
    const size_t experts = d.shape.expert_count;
    for (size_t e = 0; e < experts; ++e) {
        const auto order = expected_order(
            d, d.ordered() ? index.data<int32_t>() + static_cast<int64_t>(e) * d.shape.inputs
                           : nullptr);
        const auto* words = file.data<uint32_t>() + e * (file.bytes.size() / 4 / experts);
        check_fields(
            d, "weight", packed.data<uint32_t>() + e * (packed.bytes.size() / 4 / experts),
            d.shape.padded_inputs,
            [&](int64_t k, int64_t n) {
                return layout::marlin_place(k, n, d.shape.padded_outputs, d.bits(), d.tile());
            },
            [&](int64_t k, int64_t n) {
                if (k >= d.shape.inputs || n >= d.shape.outputs) return 0u;
                return file_code(d, words, order[static_cast<size_t>(k)], n);
            });
    }
    OwnedTensor again = batch.file(MMOE_ROLE_WEIGHT, MMOE_DTYPE_I32, kUntouched);
    batch.unpack(MMOE_ROLE_WEIGHT, packed.view, &again, index.view);
    assert_back(d, "weight", again, file);
    if (!d.ordered()) return;
    OwnedTensor order = batch.marlin(MMOE_ROLE_GROUP_INDEX, MMOE_DTYPE_I32, kUntouched);
    batch.pack(MMOE_ROLE_GROUP_INDEX, index.view, &order);
    OwnedTensor index_again = batch.file(MMOE_ROLE_GROUP_INDEX, MMOE_DTYPE_I32, kUntouched);
    batch.unpack(MMOE_ROLE_GROUP_INDEX, order.view, &index_again);
    assert_back(d, "group index", index_again, index);
}

void check_zero_points(Random& random, const Draw& d, const PublicMarlin& batch) {
    OwnedTensor file = random_file(random, d, batch, MMOE_ROLE_ZERO_POINT);
    OwnedTensor packed = batch.marlin(MMOE_ROLE_ZERO_POINT, MMOE_DTYPE_I32, kUntouched);
    batch.pack(MMOE_ROLE_ZERO_POINT, file.view, &packed);
    const size_t experts = d.shape.expert_count;
    for (size_t e = 0; e < experts; ++e) {
        const uint8_t* stored = file.bytes.data() + e * (file.bytes.size() / experts);
        check_fields(
            d, "zero point", packed.data<uint32_t>() + e * (packed.bytes.size() / 4 / experts),
            d.padded_groups(),
            [&](int64_t g, int64_t n) {
                layout::MarlinPlace place = layout::marlin_zero_point_place(n, d.bits(), d.tile());
                place.word += g * d.shape.padded_outputs / d.per_word();
                return place;
            },
            [&](int64_t g, int64_t n) {
                if (g >= d.groups() || n >= d.shape.outputs) return 0u;
                return file_zero_point(d, stored, g, n);
            });
    }
    OwnedTensor again = batch.file(MMOE_ROLE_ZERO_POINT, file.view.dtype, kUntouched);
    batch.unpack(MMOE_ROLE_ZERO_POINT, packed.view, &again);
    assert_back(d, "zero point", again, file);
}

// Scales of [N, G] or [G, N], and biases as those of one group in the single order.
void check_numbers(Random& random, const Draw& d, const PublicMarlin& batch, mmoe_role role) {
    const bool bias = role == MMOE_ROLE_BIAS;
    const int64_t groups = bias ? 1 : d.groups();
    const int64_t padded_groups = bias ? 1 : d.padded_groups();
    const auto order = bias ? layout::MarlinScaleOrder::kSingle
                            : layout::marlin_scale_order(d.shape.padded_inputs / padded_groups,
                                                         d.shape.padded_inputs, d.tile());
    OwnedTensor file = batch.file(role, MMOE_DTYPE_F16, 0);
    const size_t file_count = file.bytes.size() / 2;
    for (size_t i = 0; i < file_count; ++i) {
        file.data<uint16_t>()[i] = static_cast<uint16_t>(random.word() & 0xBBFF);  // finite
    }
    OwnedTensor packed = batch.marlin(role, MMOE_DTYPE_F16, kUntouched);
    batch.pack(role, file.view, &packed);
    const auto experts = static_cast<int64_t>(d.shape.expert_count);
    for (int64_t e = 0; e < experts; ++e) {
        const auto* from = file.data<uint16_t>() + e * groups * d.shape.outputs;
        const auto* to = packed.data<uint16_t>() + e * padded_groups * d.shape.padded_outputs;
        for (int64_t g = 0; g < padded_groups; ++g) {
            for (int64_t n = 0; n < d.shape.padded_outputs; ++n) {
                const int64_t row = n - d.shape.first_output;
                const bool written = row >= 0 && n < d.end_block();
                const bool there = written && g < groups && row < d.shape.outputs;
                const bool by_row = bias || d.fields.format == MMOE_FORMAT_COMPRESSED_TENSORS;
                const uint16_t want =
                    there ? from[by_row ? row * groups + g : g * d.shape.outputs + row]
                          : static_cast<uint16_t>(written ? 0 : kUntouched * 0x0101);
                const uint16_t got =
                    to[g * d.shape.padded_outputs + layout::marlin_scale_place(n, order)];
                if (got != want) {
                    fail_msg("%s: role %d [%d, %d]: expected %x, got %x", d.text().c_str(), role,
                             static_cast<int>(g), static_cast<int>(n), want, got);
                }
            }
        }
    }
    OwnedTensor again = batch.file(role, MMOE_DTYPE_F16, kUntouched);
    batch.unpack(role, packed.view, &again);
    assert_back(d, "numbers", again, file);
}

void drawn_matrices_follow_the_formulas(void**) {
    const uint64_t seed = test_seed();
    print_message("MMOE_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
    Random random(seed);
    mmoe_context_options cpu = {};
    cpu.struct_size = sizeof cpu;
    cpu.device_kind = MMOE_DEVICE_CPU;
    mmoe_context* context = nullptr;
    assert_int_equal(mmoe_context_create(&cpu, &context, nullptr), MMOE_OK);
    int matrices = 0;
    for (int64_t weights = 0; weights < kWeightsPerRun; ++matrices) {
        const Draw d = draw(random);
        const PublicMarlin batch(d.fields, d.shape, random.once_in(2) ? context : nullptr);
        check_weights(random, d, batch);
        check_zero_points(random, d, batch);
        check_numbers(random, d, batch, MMOE_ROLE_SCALE);
        check_numbers(random, d, batch, MMOE_ROLE_BIAS);
        weights += d.shape.expert_count * d.shape.outputs * d.shape.inputs;
    }
    print_message("%d batches\n", matrices);
    mmoe_context_destroy(context);
}

// Scales of one type become another's, rounded to nearest even.
void scales_change_their_type(void**) {
    mmoe_quant_fields fields = {};
    fields.bits = 4;
    fields.group_size = 32;
    mmoe_marlin_matrix shape = {};
    shape.expert_count = 1;
    shape.inputs = 64;
    shape.outputs = 64;
    const PublicMarlin batch(fields, shape);
    OwnedTensor file = batch.file(MMOE_ROLE_SCALE, MMOE_DTYPE_F32, 0);
    std::fill_n(file.data<float>(), 128, 1.0F + 3 * 0x1p-8F);  // halfway between two bf16
    OwnedTensor packed = batch.marlin(MMOE_ROLE_SCALE, MMOE_DTYPE_BF16, 0);
    batch.pack(MMOE_ROLE_SCALE, file.view, &packed);
    for (int i = 0; i < 128; ++i) assert_int_equal(packed.data<uint16_t>()[i], 0x3F82);
    OwnedTensor wide = batch.file(MMOE_ROLE_SCALE, MMOE_DTYPE_F32, 0);
    batch.unpack(MMOE_ROLE_SCALE, packed.view, &wide);
    for (int i = 0; i < 128; ++i) assert_true(wide.data<float>()[i] == 1.0F + 0x1p-6F);
}

// The type that is proposed: the config's, else bf16, and on both sides the same.
void both_sides_propose_one_type(void**) {
    mmoe_quant_fields fields = {};
    fields.bits = 4;
    fields.group_size = 32;
    mmoe_marlin_matrix shape = {};
    shape.expert_count = 1;
    shape.inputs = 64;
    shape.outputs = 64;
    const mmoe_dtype config_types[] = {0, MMOE_DTYPE_F32, MMOE_DTYPE_F16, MMOE_DTYPE_BF16};
    for (const mmoe_dtype asked : config_types) {
        fields.scale_dtype = asked;
        const mmoe_dtype proposed = asked == 0 ? MMOE_DTYPE_BF16 : asked;
        const PublicMarlin batch(fields, shape);
        for (const mmoe_role role : {MMOE_ROLE_SCALE, MMOE_ROLE_BIAS}) {
            const mmoe_marlin_description described = batch.describe(role);
            assert_int_equal(described.marlin.dtype, proposed);
            assert_int_equal(described.file.dtype, proposed);
            assert_int_equal(described.file_bytes, described.marlin_bytes);
        }
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(drawn_matrices_follow_the_formulas),
        cmocka_unit_test(scales_change_their_type),
        cmocka_unit_test(both_sides_propose_one_type),
    };
    return cmocka_run_group_tests_name("unit_api_marlin", tests, nullptr, nullptr);
}
