// SPDX-License-Identifier: Apache-2.0
// What kernels/cpu repacks faster than plain code, on every tier of this machine: each field where
// the formulas of kernels/layout say, on aligned and on odd addresses, and nothing beside it.
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "cpu/launch.h"
#include "layout/cpu_record.h"
#include "layout/marlin.h"
#include "support/canonical_matrix.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

using layout::MarlinTile;

constexpr uint32_t kUntouched = 0xEEEEEEEE;
constexpr int64_t kSlack = 16;  // words around what is written

std::vector<cpu::Tier> tiers() {
    std::vector<cpu::Tier> usable;
    for (int tier = 1; tier <= static_cast<int>(cpu::usable_tier()); ++tier) {
        usable.push_back(static_cast<cpu::Tier>(tier));
    }
    return usable;
}

struct Case {
    const char* name;
    int bits;
    int64_t outputs, words;  // of each output
    int64_t offset;          // words by which the result is moved off its alignment
};
constexpr Case kCases[] = {
    {"4 bits", 4, 64, 8, 0},
    {"4 bits, odd address", 4, 64, 16, 1},
    {"4 bits, long rows", 4, 192, 48, 0},
    {"8 bits", 8, 64, 8, 0},
    {"8 bits, odd address", 8, 128, 24, 3},
    {"8 bits, long rows", 8, 64, 72, 0},
};

std::vector<uint32_t> random_words(std::mt19937_64& random, int64_t count) {
    std::vector<uint32_t> words(static_cast<size_t>(count));
    for (uint32_t& word : words) word = static_cast<uint32_t>(random());
    return words;
}

// A packed matrix of codes in every order that kernels read.
struct Codes {
    int bits;
    int64_t outputs, words;
    std::vector<uint32_t> rows;     // [outputs, words]: canonical
    std::vector<uint32_t> columns;  // [words, outputs]
    std::vector<uint32_t> awq;      // [words * 8, outputs / 8]; 4 bits only

    Codes(std::mt19937_64& random, const Case& c)
        : bits(c.bits),
          outputs(c.outputs),
          words(c.words),
          rows(random_words(random, outputs * words)),
          columns(rows.size()),
          awq(rows.size()) {
        for (int64_t n = 0; n < outputs; ++n) {
            for (int64_t w = 0; w < words; ++w) {
                columns[static_cast<size_t>(w * outputs + n)] =
                    rows[static_cast<size_t>(n * words + w)];
            }
        }
        if (bits != 4) return;
        constexpr int kField[8] = {0, 4, 1, 5, 2, 6, 3, 7};  // of a column
        for (int64_t n = 0; n < outputs; ++n) {
            for (int64_t k = 0; k < words * 8; ++k) {
                awq[static_cast<size_t>(k * (outputs / 8) + n / 8)] |= code(k, n)
                                                                       << (4 * kField[n % 8]);
            }
        }
    }

    [[nodiscard]] uint32_t code(int64_t k, int64_t n) const {
        const int64_t fields = 32 / bits;
        const uint32_t word = rows[static_cast<size_t>(n * words + k / fields)];
        return word >> (k % fields * bits) & ((1u << bits) - 1);
    }
    [[nodiscard]] std::vector<cpu::FileCodes> files() const {
        std::vector<cpu::FileCodes> files = {{cpu::CodeOrder::kWords, columns.data(), outputs}};
        if (bits == 4) files.push_back({cpu::CodeOrder::kAwq, awq.data(), outputs / 8});
        return files;
    }
};

// Memory with slack on both sides, 64-byte aligned but for an offset.
struct Target {
    std::vector<uint32_t> memory;
    uint32_t* data;
    int64_t count;

    Target(int64_t words, int64_t offset)
        : memory(static_cast<size_t>(words + offset + 2 * kSlack + 16), kUntouched), count(words) {
        const auto address = reinterpret_cast<uintptr_t>(memory.data() + kSlack);
        data = memory.data() + kSlack + (64 - address % 64) % 64 / 4 + offset;
    }
    void check_slack(const char* name) const {
        for (const uint32_t* word = memory.data(); word != memory.data() + memory.size(); ++word) {
            const bool inside = word >= data && word < data + count;
            if (!inside && *word != kUntouched) fail_msg("%s: a word outside was written", name);
        }
    }
};

void check_marlin(const char* name, const Codes& codes, MarlinTile tile, const Target& target) {
    const int64_t inputs = codes.words * 32 / codes.bits;
    for (int64_t k = 0; k < inputs; ++k) {
        for (int64_t n = 0; n < codes.outputs; ++n) {
            const auto place = layout::marlin_place(k, n, codes.outputs, codes.bits, tile);
            const uint32_t got =
                target.data[place.word] >> (place.field * codes.bits) & ((1u << codes.bits) - 1);
            if (got != codes.code(k, n)) {
                fail_msg("%s: code (%d, %d): expected %u, got %u", name, static_cast<int>(k),
                         static_cast<int>(n), codes.code(k, n), got);
            }
        }
    }
    target.check_slack(name);
}

// Calls check(case, codes, tile, name) for every case and tile.
template <class Check>
void for_each_matrix(const Check& check) {
    const uint64_t seed = test_seed();
    print_message("MMOE_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    for (const Case& c : kCases) {
        const Codes codes(random, c);
        for (const cpu::Tier tier : tiers()) {
            check(c, codes, tier, std::string(c.name) + ", " + cpu::tier_name(tier));
        }
    }
}

void rows_become_marlin_tiles(void**) {
    for_each_matrix([](const Case& c, const Codes& codes, cpu::Tier tier, const std::string& name) {
        const cpu::PackMarlin pack = cpu::pack_marlin(tier);
        if (pack == nullptr) return;
        for (const MarlinTile tile : {MarlinTile::kK16N64, MarlinTile::kK32N32}) {
            const Target target(c.outputs * c.words, c.offset);
            const int64_t width = layout::marlin_tile_outputs(tile);
            const int64_t tile_words = layout::marlin_tile_words(c.bits);
            for (int64_t n = 0; n < c.outputs; n += width) {
                pack({c.bits, tile, codes.rows.data() + n * c.words, c.words, c.words,
                      target.data + n / width * tile_words, c.outputs / width * tile_words});
            }
            check_marlin(name.c_str(), codes, tile, target);
        }
    });
}

void files_become_marlin_tiles(void**) {
    for_each_matrix([](const Case& c, const Codes& codes, cpu::Tier tier, const std::string& name) {
        const cpu::PackFileMarlin pack = cpu::pack_file_marlin(tier);
        if (pack == nullptr) return;
        for (const MarlinTile tile : {MarlinTile::kK16N64, MarlinTile::kK32N32}) {
            for (const cpu::FileCodes& file : codes.files()) {
                const Target target(c.outputs * c.words, c.offset);
                pack({c.bits,
                      tile,
                      file,
                      {c.outputs, c.words},
                      target.data,
                      c.outputs / layout::marlin_tile_outputs(tile) *
                          layout::marlin_tile_words(c.bits)});
                check_marlin(name.c_str(), codes, tile, target);
            }
        }
    });
}

// Records of eight words; between their tiles stand scales, which must be left alone.
void files_become_records(void**) {
    constexpr int64_t kTiles = 8;
    constexpr int64_t kGap = 48;  // words
    constexpr int64_t kRecordWords = kTiles * layout::kLanes + kGap;
    for_each_matrix([](const Case& c, const Codes& codes, cpu::Tier tier, const std::string& name) {
        const cpu::PackFileTiles pack = cpu::pack_file_tiles(tier);
        if (pack == nullptr) return;
        for (const cpu::FileCodes& file : codes.files()) {
            const int64_t block_words = c.words / kTiles * kRecordWords;
            const Target target(c.outputs / layout::kLanes * block_words, c.offset);
            cpu::PackFileTilesArgs args = {};
            args.bits = c.bits;
            args.codes = file;
            args.blocks = {c.outputs, c.words};
            args.tiles = kTiles;
            args.record_bytes = kRecordWords * 4;
            args.half_bytes = layout::kTileBytes / 2;
            args.block_bytes = block_words * 4;
            args.tile_bytes = reinterpret_cast<uint8_t*>(target.data);
            pack(args);
            for (int64_t i = 0; i < target.count; ++i) {
                const int64_t in_record = i % kRecordWords;
                const int64_t lane = in_record % layout::kLanes;
                const int64_t word =
                    i % block_words / kRecordWords * kTiles + in_record / layout::kLanes;
                const int64_t output = i / block_words * layout::kLanes + lane;
                const bool tile = in_record < kTiles * layout::kLanes;
                const uint32_t want =
                    tile ? layout::cpu_record_word(
                               codes.rows[static_cast<size_t>(output * c.words + word)], c.bits)
                         : kUntouched;
                if (target.data[i] != want) {
                    fail_msg("%s: word %d of output %d: expected %x, got %x", name.c_str(),
                             static_cast<int>(word), static_cast<int>(output), want,
                             target.data[i]);
                }
            }
            target.check_slack(name.c_str());
        }
    });
}

void assert_rows(const std::string& name, const Codes& codes, const Target& target,
                 int64_t out_stride) {
    for (int64_t n = 0; n < codes.outputs; ++n) {
        for (int64_t w = 0; w < codes.words; ++w) {
            const uint32_t want = codes.rows[static_cast<size_t>(n * codes.words + w)];
            if (target.data[n * out_stride + w] != want) {
                fail_msg("%s: word %d of output %d: expected %x, got %x", name.c_str(),
                         static_cast<int>(w), static_cast<int>(n), want,
                         target.data[n * out_stride + w]);
            }
        }
    }
    target.check_slack(name.c_str());
}

void files_become_rows(void**) {
    for_each_matrix([](const Case& c, const Codes& codes, cpu::Tier tier, const std::string& name) {
        const cpu::Turn words = cpu::turn_words(tier);
        if (words != nullptr && c.words % cpu::kTurnWordsBlock == 0) {
            const Target target(c.outputs * c.words, c.offset);
            words({codes.columns.data(), c.outputs, c.words, c.outputs, target.data, c.words});
            assert_rows(name + ", words", codes, target, c.words);
        }
        const cpu::Turn awq = cpu::turn_awq(tier);
        if (awq != nullptr && c.bits == 4) {
            const Target target(c.outputs * c.words, c.offset);
            awq({codes.awq.data(), c.outputs / 8, c.words * 8, c.outputs / 8, target.data,
                 c.words});
            assert_rows(name + ", AWQ", codes, target, c.words);
        }
    });
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_marlin_tiles),
        cmocka_unit_test(files_become_marlin_tiles),
        cmocka_unit_test(files_become_records),
        cmocka_unit_test(files_become_rows),
    };
    return cmocka_run_group_tests_name("unit_cpu_repack", tests, nullptr, nullptr);
}
