// SPDX-License-Identifier: Apache-2.0
// Golden vectors made by a rule. K = N = 128, two groups:
//
//     code u(k, n)       = (131 k + 71 n + ((k n) mod 13)) mod 2^bits
//     zero point z(g, n) = (29 g + 11 n + ((n n) mod 7)) mod 2^bits
//
// Hash: FNV-1a 64 over the little-end bytes of the words in address order. Values computed by an
// independent program from the formulae of the formats, 2026.
#include <cstdint>
#include <vector>

#include "support/marlin_matrix.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

constexpr int64_t kSize = 128;  // K and N
constexpr int64_t kGroups = 2;

uint32_t code(int64_t k, int64_t n, int bits) {
    return static_cast<uint32_t>((131 * k + 71 * n + k * n % 13) % (1 << bits));
}
uint32_t zero_point(int64_t g, int64_t n, int bits) {
    return static_cast<uint32_t>((29 * g + 11 * n + n * n % 7) % (1 << bits));
}

uint64_t fnv(const std::vector<uint32_t>& words) {
    uint64_t hash = 0xCBF29CE484222325;
    for (const uint32_t word : words) {
        for (int byte = 0; byte < 4; ++byte) {
            hash = (hash ^ ((word >> (8 * byte)) & 0xFF)) * 0x100000001B3;
        }
    }
    return hash;
}

struct Words {
    std::vector<uint32_t> weight, zero_point;
};

// compressed-tensors: codes along k, zero points [N / fields, G] along n.
Words compressed_tensors_words(int bits) {
    const int fields = 32 / bits;
    Words words{std::vector<uint32_t>(static_cast<size_t>(kSize * kSize / fields)),
                std::vector<uint32_t>(static_cast<size_t>(kSize / fields * kGroups))};
    for (int64_t n = 0; n < kSize; ++n) {
        for (int64_t k = 0; k < kSize; ++k) {
            words.weight[static_cast<size_t>((n * kSize + k) / fields)] |= code(k, n, bits)
                                                                           << (k % fields * bits);
        }
        for (int64_t g = 0; g < kGroups; ++g) {
            words.zero_point[static_cast<size_t>(n / fields * kGroups + g)] |=
                zero_point(g, n, bits) << (n % fields * bits);
        }
    }
    return words;
}

QuantConfig config_of(Format format, int bits) {
    QuantConfig config;
    config.format = format;
    config.bits = bits;
    config.group_size = kSize / kGroups;
    config.symmetry = Symmetry::kAsymmetric;
    return config;
}

std::vector<float> ones() {
    return std::vector<float>(static_cast<size_t>(kSize * kGroups), 1.0F);
}

void compressed_tensors_inputs_have_their_hash(void**) {
    const Words four = compressed_tensors_words(4);
    const Words eight = compressed_tensors_words(8);
    assert_true(fnv(four.weight) == 0x9b9ace2047c487cd);
    assert_true(fnv(eight.weight) == 0xe3ab207ae0ca3dae);
    assert_true(fnv(four.zero_point) == 0x7ad63e1f8fcd6bc1);
    assert_true(fnv(eight.zero_point) == 0x8a7f1fe2b3d85eff);
}

// The 4-bit codes in the packing of another format: same matrix, known hash, same strip.
void check_other_format(Format format, uint64_t hash) {
    std::vector<uint32_t> weight(static_cast<size_t>(kSize * kSize / 8));
    constexpr int kAwqField[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    for (int64_t n = 0; n < kSize; ++n) {
        for (int64_t k = 0; k < kSize; ++k) {
            const bool gptq = format == Format::kGptq;
            const int64_t word = gptq ? k / 8 * kSize + n : (k * kSize + n) / 8;
            const int64_t field = gptq ? k % 8 : kAwqField[n % 8];
            weight[static_cast<size_t>(word)] |= code(k, n, 4) << (4 * field);
        }
    }
    assert_true(fnv(weight) == hash);
    const std::vector<float> scale = ones();
    ProjectionTensors tensors;
    const bool gptq = format == Format::kGptq;
    tensors.weight = {DType::kI32, 2, {gptq ? 16 : 128, gptq ? 128 : 16}, weight.data()};
    tensors.scale = {DType::kF32, 2, {kGroups, kSize}, scale.data()};
    QuantConfig config = config_of(format, 4);
    config.symmetry = Symmetry::kSymmetric;
    const auto unpacker = make_unpacker(config, kSize, kSize, tensors, kSize);
    const Canonical strip = unpacker->strip(0, kSize);
    assert_true(fnv({strip.codes.begin(), strip.codes.end()}) == 0x9b9ace2047c487cd);
}

void gptq_becomes_the_same_codes(void**) {
    check_other_format(Format::kGptq, 0xd1ba43ba4b6941ad);
}
void awq_becomes_the_same_codes(void**) {
    check_other_format(Format::kAwq, 0x232e7c3d916dc4a3);
}

struct MarlinCase {
    const char* name;
    int bits;
    layout::MarlinTile tile;
    uint64_t weight_hash, zero_point_hash;
    uint32_t first_word, last_word;  // of the weights
};
constexpr MarlinCase kMarlinCases[] = {
    {"4 bits", 4, layout::MarlinTile::kK16N64, 0xb2bd4ba41ed2cd5e, 0xe499a9296c389bd3, 0xa3b3c880,
     0xf55af505},
    {"4 bits, 8-bit activations", 4, layout::MarlinTile::kK32N32, 0x232027960047b262,
     0x67a99d37ce03a4dd, 0x99663300, 0xfbfb2b2e},
    {"8 bits", 8, layout::MarlinTile::kK16N64, 0x9784aea11fa48cdc, 0x4736cb61eb3e7fd3, 0x9b831800,
     0x3f25bfa5},
    {"8 bits, 8-bit activations", 8, layout::MarlinTile::kK32N32, 0xb59f3914d9395e3e,
     0x439b7d7c81275e87, 0x89068300, 0x3fbf32b2},
};

void marlin_matrices_have_their_hash(void**) {
    for (const MarlinCase& c : kMarlinCases) {
        print_message("%s\n", c.name);
        const Words words = compressed_tensors_words(c.bits);
        const std::vector<float> scale = ones();
        ProjectionTensors tensors;
        tensors.weight = {DType::kI32, 2, {kSize, kSize * c.bits / 32}, words.weight.data()};
        tensors.scale = {DType::kF32, 2, {kSize, kGroups}, scale.data()};
        tensors.zero_point = {
            DType::kI32, 2, {kSize * c.bits / 32, kGroups}, words.zero_point.data()};
        const auto unpacker =
            make_unpacker(config_of(Format::kCompressedTensors, c.bits), kSize, kSize, tensors, 64);
        MarlinMatrix matrix({.inputs = kSize,
                             .outputs = kSize,
                             .groups = kGroups,
                             .bits = c.bits,
                             .asymmetric = true,
                             .tile = c.tile});
        matrix.pack(*unpacker, kSize, 0, 64);
        assert_true(fnv(matrix.weight) == c.weight_hash);
        assert_true(fnv(matrix.zero_point) == c.zero_point_hash);
        assert_int_equal(matrix.weight.front(), c.first_word);
        assert_int_equal(matrix.weight.back(), c.last_word);
    }
}

void scale_orders_have_their_hash(void**) {
    std::vector<uint32_t> grouped, single;
    for (int64_t place = 0; place < kSize; ++place) {
        grouped.push_back(static_cast<uint32_t>(
            layout::marlin_scale_source(place, layout::MarlinScaleOrder::kGrouped)));
        single.push_back(static_cast<uint32_t>(
            layout::marlin_scale_source(place, layout::MarlinScaleOrder::kSingle)));
    }
    assert_true(fnv(grouped) == 0x878d57dfb692f725);
    assert_true(fnv(single) == 0xf2ddb3ea2a45d925);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(compressed_tensors_inputs_have_their_hash),
        cmocka_unit_test(gptq_becomes_the_same_codes),
        cmocka_unit_test(awq_becomes_the_same_codes),
        cmocka_unit_test(marlin_matrices_have_their_hash),
        cmocka_unit_test(scale_orders_have_their_hash),
    };
    return cmocka_run_group_tests_name("golden_marlin_hash", tests, nullptr, nullptr);
}
