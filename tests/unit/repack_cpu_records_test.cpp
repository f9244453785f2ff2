// SPDX-License-Identifier: Apache-2.0
// CPU records as a property: random projections, packed in random strips, stand byte for byte
// where layout/cpu_record.h says, padding is zero, and reading back gives what went in. And every
// tier's routine for codes writes the same bytes.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "cpu/launch.h"
#include "repack/cpu_records.h"
#include "support/canonical_matrix.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

using layout::CpuRecordPlan;
using layout::ScaleType;

constexpr int64_t kElementsPerRun = 2'000'000;

CpuRecordPlan random_plan(std::mt19937_64& random) {
    const auto up_to = [&](int64_t limit) {
        return 1 + static_cast<int64_t>(random() % static_cast<uint64_t>(limit));
    };
    CpuRecordPlan plan;
    plan.bits = random() % 2 == 0 ? 4 : 8;
    plan.asymmetric = random() % 2 == 0;
    plan.gated_pair = random() % 2 == 0;
    constexpr ScaleType kTypes[] = {ScaleType::kF32, ScaleType::kF16, ScaleType::kBf16};
    plan.scale_type = kTypes[random() % 3];
    plan.outputs = up_to(200);
    plan.group_size = random() % 2 == 0 ? 8 << (random() % 5) : up_to(150);  // or not on words
    plan.inputs = plan.group_size * up_to(5);
    return plan;
}

// The bytes that the formulae of cpu_record.h give, one code at a time.
std::vector<uint8_t> records_by_formula(const CpuRecordPlan& plan,
                                        const std::vector<const CanonicalMatrix*>& projections) {
    std::vector<uint8_t> records(static_cast<size_t>(plan.matrix_bytes()));
    for (size_t up = 0; up < projections.size(); ++up) {
        const Canonical& source = projections[up]->view;
        for (int64_t n = 0; n < plan.outputs; ++n) {
            const layout::CpuLane at = layout::cpu_lane(plan, n, up == 1);
            for (int64_t k = 0; k < plan.inputs; ++k) {
                const int64_t group = k / plan.group_size;
                const int64_t inside = k % plan.group_size;
                uint8_t* record =
                    records.data() + at.block * plan.block_bytes() + group * plan.record_bytes();
                uint8_t* tile = record + plan.tile_offset_bytes() +
                                inside / plan.inputs_per_tile() * layout::kTileBytes;
                const int bit = layout::cpu_code_shift(
                    static_cast<int>(inside % plan.inputs_per_tile()), plan.bits);
                tile[at.lane * 4 + bit / 8] |= source.code(n, k) << (bit % 8);
                const float scale = source.scale(n, group);
                const uint16_t half = plan.scale_type == ScaleType::kF16
                                          ? layout::f32_to_f16(scale)
                                          : layout::f32_to_bf16(scale);
                if (plan.scale_type == ScaleType::kF32) {
                    std::memcpy(record + at.lane * 4, &scale, 4);
                } else {
                    std::memcpy(record + at.lane * 2, &half, 2);
                }
                if (plan.asymmetric) {
                    record[plan.zero_point_offset_bytes() + at.lane] =
                        static_cast<uint8_t>(source.zero_point(n, group));
                }
            }
        }
    }
    return records;
}

void pack_in_strips(const CpuRecordPlan& plan, const CanonicalMatrix& source, bool up,
                    std::mt19937_64& random, std::span<uint8_t> records) {
    for (int64_t row = 0; row < plan.outputs;) {
        const int64_t blocks = 1 + static_cast<int64_t>(random() % 3);
        const int64_t rows = std::min(blocks * plan.outputs_per_block(), plan.outputs - row);
        pack_cpu_records(plan, source.strip(row, rows), row, up, records);
        row += rows;
    }
}

void check_reading(const CpuRecordPlan& plan, const CanonicalMatrix& source, bool up,
                   std::mt19937_64& random, std::span<const uint8_t> records) {
    const auto first = static_cast<int64_t>(random() % static_cast<uint64_t>(plan.outputs));
    const int64_t rows =
        1 + static_cast<int64_t>(random() % static_cast<uint64_t>(plan.outputs - first));
    const Canonical want = source.strip(first, rows);
    std::vector<uint32_t> codes(want.codes.size(), 0xFFFFFFFF);
    std::vector<float> scales(want.scales.size());
    std::vector<uint8_t> zero_points(want.scales.size());
    unpack_cpu_records(plan, records, up, first, rows, codes, scales, zero_points);
    assert_true(std::equal(codes.begin(), codes.end(), want.codes.begin()));
    assert_true(std::equal(scales.begin(), scales.end(), want.scales.begin()));
    for (int64_t row = 0; row < rows; ++row) {
        for (int64_t group = 0; group < want.groups(); ++group) {
            assert_int_equal(zero_points[static_cast<size_t>(row * want.groups() + group)],
                             want.zero_point(row, group));
        }
    }
}

void records_follow_the_formula_and_come_back(void**) {
    const uint64_t seed = test_seed();
    print_message("MMOE_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    for (int64_t elements = 0; elements < kElementsPerRun;) {
        const CpuRecordPlan plan = random_plan(random);
        const auto make = [&] {
            return std::make_unique<CanonicalMatrix>(random, plan.outputs, plan.inputs,
                                                     plan.group_size, plan.bits, plan.asymmetric);
        };
        const auto first = make();
        const auto second = plan.gated_pair ? make() : nullptr;
        std::vector<const CanonicalMatrix*> projections = {first.get()};
        if (second != nullptr) projections.push_back(second.get());
        std::vector<uint8_t> records(static_cast<size_t>(plan.matrix_bytes()));
        for (size_t up = 0; up < projections.size(); ++up) {
            pack_in_strips(plan, *projections[up], up == 1, random, records);
        }
        assert_true(records == records_by_formula(plan, projections));
        for (size_t up = 0; up < projections.size(); ++up) {
            check_reading(plan, *projections[up], up == 1, random, records);
        }
        elements += plan.outputs * plan.inputs * static_cast<int64_t>(projections.size());
    }
}

void pieces_may_be_left_out(void**) {
    std::mt19937_64 random(1);
    const CpuRecordPlan plan = {.outputs = 70, .inputs = 64, .group_size = 32, .asymmetric = true};
    const CanonicalMatrix source(random, plan.outputs, plan.inputs, plan.group_size, plan.bits,
                                 true);
    std::vector<uint8_t> records(static_cast<size_t>(plan.matrix_bytes()));
    pack_cpu_records(plan, source.view, 0, false, records);
    std::vector<float> scales(source.scales.size());
    unpack_cpu_records(plan, records, false, 0, plan.outputs, {}, scales, {});
    assert_true(scales == source.scales);
}

struct TilesCase {
    const char* name;
    int64_t tiles, rows;
    int first_lane;
    int misaligned_bytes = 0;
};
constexpr TilesCase kTilesCases[] = {
    {"a whole record", 16, 64, 0},
    {"the second half of the lanes", 16, 32, 32},
    {"rows end mid-vector", 16, 43, 0},
    {"tiles end mid-vector", 7, 64, 0},
    {"neither fits", 5, 13, 32},
    {"one word", 1, 1, 0},
    {"memory off its line", 16, 64, 0, 16},
    {"half a line", 16, 16, 48, 32},
};

void tiers_pack_the_same_tiles(void**) {
    std::mt19937_64 random(1);
    if (cpu::usable(cpu::Tier::kAvx2)) {
        assert_true(cpu::pack_tiles(cpu::Tier::kAvx2) != cpu::pack_tiles(cpu::Tier::kScalar));
    }
    for (const TilesCase& c : kTilesCases) {
        for (const int bits : {4, 8}) {
            constexpr int64_t kRecords = 3;
            const int64_t row_words = kRecords * c.tiles + 3;
            const int64_t record_bytes = c.tiles * layout::kTileBytes + 192;
            std::vector<uint32_t> codes(static_cast<size_t>(c.rows * row_words));
            std::generate(codes.begin(), codes.end(), [&] { return uint32_t(random()); });
            const auto packed_by = [&](cpu::Tier tier) {
                const auto count = static_cast<size_t>(kRecords * record_bytes);
                std::vector<uint8_t> memory(count + 128, 0xA5);
                const auto address = reinterpret_cast<uintptr_t>(memory.data());
                uint8_t* tiles = memory.data() + (64 - address % 64) + c.misaligned_bytes;
                cpu::pack_tiles(tier)({bits, kRecords, record_bytes, c.tiles, c.rows, codes.data(),
                                       row_words, c.first_lane, tiles});
                return std::vector<uint8_t>(tiles, tiles + count);
            };
            const std::vector<uint8_t> plain = packed_by(cpu::Tier::kScalar);
            for (const auto& [tier, base, name] : cpu::kTiers) {
                if (!cpu::usable(tier) || packed_by(tier) == plain) continue;
                fail_msg("%s, %d bits, %s", c.name, bits, name);
            }
        }
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(records_follow_the_formula_and_come_back),
        cmocka_unit_test(pieces_may_be_left_out),
        cmocka_unit_test(tiers_pack_the_same_tiles),
    };
    return cmocka_run_group_tests_name("unit_repack_cpu_records", tests, nullptr, nullptr);
}
