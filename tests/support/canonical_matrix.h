// SPDX-License-Identifier: Apache-2.0
// Random projections in the canonical form, for tests.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "unpack/canonical.h"

namespace mmoe::test {

// Owns what a Canonical of all rows points to.
struct CanonicalMatrix {
    Canonical view;
    std::vector<uint32_t> codes;
    std::vector<float> scales;
    std::vector<uint8_t> zero_points;

    // `group_size` divides `columns`. Scales are exact in every scale type.
    CanonicalMatrix(std::mt19937_64& random, int64_t rows, int64_t columns, int64_t group_size,
                    int bits, bool asymmetric) {
        view.rows = rows;
        view.columns = columns;
        view.group_size = group_size;
        view.bits = bits;
        const int64_t per_word = 32 / bits;
        for (int64_t i = 0; i < rows * view.words_per_row(); ++i) {
            const int64_t first = i % view.words_per_row() * per_word;
            auto word = static_cast<uint32_t>(random());
            if (columns - first < per_word) word &= (1u << ((columns - first) * bits)) - 1;
            codes.push_back(word);
        }
        for (int64_t i = 0; i < rows * view.groups(); ++i) {
            scales.push_back((static_cast<float>(random() % 255) - 127) * 0x1p-9F);
            if (asymmetric) {
                zero_points.push_back(static_cast<uint8_t>(random() % (1u << bits)));
            }
        }
        view.codes = codes;
        view.scales = scales;
        view.zero_points = zero_points;
    }
    CanonicalMatrix(const CanonicalMatrix&) = delete;

    [[nodiscard]] Canonical strip(int64_t first_row, int64_t rows) const {
        Canonical strip = view;
        strip.rows = rows;
        const auto words = static_cast<size_t>(view.words_per_row());
        const auto groups = static_cast<size_t>(view.groups());
        const auto first = static_cast<size_t>(first_row);
        const auto count = static_cast<size_t>(rows);
        strip.codes = view.codes.subspan(first * words, count * words);
        strip.scales = view.scales.subspan(first * groups, count * groups);
        if (!zero_points.empty()) {
            strip.zero_points = view.zero_points.subspan(first * groups, count * groups);
        }
        return strip;
    }
};

// $MMOE_TEST_SEED, or a new one every run; the caller prints it.
inline uint64_t test_seed() {
    if (const char* seed = std::getenv("MMOE_TEST_SEED")) return std::stoull(seed);
    return std::random_device()();
}

}  // namespace mmoe::test
