// SPDX-License-Identifier: Apache-2.0
// CPU records: every byte against the formulas of layout/cpu_record.h, and back again.
#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "repack/cpu_records.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using layout::CpuRecordPlan;
using layout::ScaleType;

namespace {

struct RecordCase {
    const char* name;
    CpuRecordPlan plan;
    int64_t strip_rows;  // a multiple of plan.outputs_per_block()
};

constexpr RecordCase kCases[] = {
    {"4 bits", {.outputs = 128, .inputs = 256, .group_size = 128}, 128},
    {"4 bits, zero points",
     {.outputs = 128, .inputs = 256, .group_size = 64, .asymmetric = true},
     64},
    {"8 bits", {.outputs = 128, .inputs = 256, .group_size = 128, .bits = 8}, 64},
    {"8 bits, zero points",
     {.outputs = 64, .inputs = 64, .group_size = 32, .bits = 8, .asymmetric = true},
     64},
    {"gated pair",
     {.outputs = 96, .inputs = 64, .group_size = 32, .asymmetric = true, .gated_pair = true},
     32},
    {"gated pair ends mid-block",
     {.outputs = 41, .inputs = 64, .group_size = 16, .bits = 8, .gated_pair = true},
     32},
    {"outputs end mid-block", {.outputs = 77, .inputs = 64, .group_size = 32}, 64},
    {"one output", {.outputs = 1, .inputs = 8, .group_size = 8, .asymmetric = true}, 64},
    {"groups end mid-tile",
     {.outputs = 64, .inputs = 132, .group_size = 44, .asymmetric = true},
     64},
    {"groups of one input",
     {.outputs = 70, .inputs = 5, .group_size = 1, .bits = 8, .asymmetric = true},
     64},
    {"groups of 5", {.outputs = 64, .inputs = 35, .group_size = 5}, 64},
    {"one scale a channel", {.outputs = 64, .inputs = 1003, .group_size = 1003}, 64},
    {"f16 scales",
     {.outputs = 64, .inputs = 64, .group_size = 32, .scale_type = ScaleType::kF16},
     64},
    {"f32 scales",
     {.outputs = 64,
      .inputs = 64,
      .group_size = 32,
      .asymmetric = true,
      .scale_type = ScaleType::kF32},
     64},
    {"vectors and a rest", {.outputs = 192, .inputs = 8 * 37, .group_size = 8 * 37}, 128},
};

// One projection in canonical form, at random.
struct Matrix {
    std::vector<uint32_t> codes;
    std::vector<float> scales;
    std::vector<uint8_t> zero_points;

    Matrix(const CpuRecordPlan& plan, uint32_t seed) {
        std::mt19937 random(seed);
        const int64_t per_word = plan.inputs_per_tile();
        const int64_t words = ceil_div(plan.inputs, per_word);
        codes.resize(static_cast<size_t>(plan.outputs * words));
        for (uint32_t& word : codes) word = random();
        if (const auto used = static_cast<int>(plan.inputs % per_word); used != 0) {
            for (int64_t row = 1; row <= plan.outputs; ++row) {
                codes[static_cast<size_t>(row * words - 1)] &= (1u << (used * plan.bits)) - 1;
            }
        }
        const auto factors = static_cast<size_t>(plan.outputs * plan.groups());
        // Multiples of 1/16 below 4 are exact in every scale type.
        for (size_t i = 0; i < factors; ++i) {
            scales.push_back(static_cast<float>(random() % 64) / 16);
            if (plan.asymmetric) {
                zero_points.push_back(static_cast<uint8_t>(random() % (1u << plan.bits)));
            }
        }
    }

    [[nodiscard]] Canonical strip(const CpuRecordPlan& plan, int64_t first, int64_t rows) const {
        Canonical strip;
        strip.rows = rows;
        strip.columns = plan.inputs;
        strip.group_size = plan.group_size;
        strip.bits = plan.bits;
        strip.scale_type = plan.scale_type;
        const auto words = static_cast<size_t>(strip.words_per_row());
        const auto groups = static_cast<size_t>(plan.groups());
        const auto from = static_cast<size_t>(first);
        const auto count = static_cast<size_t>(rows);
        strip.codes = std::span(codes).subspan(from * words, count * words);
        strip.scales = std::span(scales).subspan(from * groups, count * groups);
        if (plan.asymmetric) {
            strip.zero_points = std::span(zero_points).subspan(from * groups, count * groups);
        }
        return strip;
    }
};

std::vector<uint8_t> pack(const RecordCase& test, const std::vector<Matrix>& matrices) {
    std::vector<uint8_t> records(static_cast<size_t>(test.plan.matrix_bytes()));
    for (size_t up = 0; up < matrices.size(); ++up) {
        for (int64_t row = 0; row < test.plan.outputs; row += test.strip_rows) {
            const int64_t rows = std::min(test.strip_rows, test.plan.outputs - row);
            pack_cpu_records(test.plan, matrices[up].strip(test.plan, row, rows), row, up == 1,
                             records);
        }
    }
    return records;
}

// Sets scale, zero point and codes of one (output, group) where the formulas say.
void place_by_formula(const CpuRecordPlan& plan, const Canonical& all, bool up, int64_t output,
                      int64_t group, std::vector<uint8_t>& records) {
    const layout::CpuLane lane = layout::cpu_lane(plan, output, up);
    uint8_t* record =
        records.data() + lane.block * plan.block_bytes() + group * plan.record_bytes();
    const float scale = all.scale(output, group);
    const uint16_t half =
        plan.scale_type == ScaleType::kF16 ? layout::f32_to_f16(scale) : layout::f32_to_bf16(scale);
    if (plan.scale_type == ScaleType::kF32) {
        std::memcpy(record + lane.lane * 4, &scale, 4);
    } else {
        std::memcpy(record + lane.lane * 2, &half, 2);
    }
    if (plan.asymmetric) {
        record[plan.zero_point_offset_bytes() + lane.lane] =
            static_cast<uint8_t>(all.zero_point(output, group));
    }
    for (int64_t k = 0; k < plan.group_size; ++k) {
        uint8_t* at = record + plan.tile_offset_bytes() +
                      k / plan.inputs_per_tile() * layout::kTileBytes + lane.lane * 4;
        const int shift =
            layout::cpu_code_shift(static_cast<int>(k % plan.inputs_per_tile()), plan.bits);
        const uint32_t code = all.code(output, group * plan.group_size + k);
        at[shift / 8] = static_cast<uint8_t>(at[shift / 8] | code << (shift % 8));
    }
}

std::vector<Matrix> make_matrices(const CpuRecordPlan& plan) {
    std::vector<Matrix> matrices;
    matrices.emplace_back(plan, 1);
    if (plan.gated_pair) matrices.emplace_back(plan, 2);
    return matrices;
}

void every_byte_lies_where_the_formulas_say(void**) {
    for (const RecordCase& test : kCases) {
        const std::vector<Matrix> matrices = make_matrices(test.plan);
        std::vector<uint8_t> want(static_cast<size_t>(test.plan.matrix_bytes()));
        for (size_t up = 0; up < matrices.size(); ++up) {
            const Canonical all = matrices[up].strip(test.plan, 0, test.plan.outputs);
            for (int64_t output = 0; output < test.plan.outputs; ++output) {
                for (int64_t group = 0; group < test.plan.groups(); ++group) {
                    place_by_formula(test.plan, all, up == 1, output, group, want);
                }
            }
        }
        const std::vector<uint8_t> got = pack(test, matrices);
        const auto differs = std::mismatch(want.begin(), want.end(), got.begin());
        if (differs.first != want.end()) {
            fail_msg("%s: byte %td differs", test.name, differs.first - want.begin());
        }
    }
}

// From an output in the middle of a block on, too.
void records_give_back_what_they_took(void**) {
    for (const RecordCase& test : kCases) {
        const std::vector<Matrix> matrices = make_matrices(test.plan);
        const std::vector<uint8_t> records = pack(test, matrices);
        for (size_t up = 0; up < matrices.size(); ++up) {
            for (const int64_t first : {int64_t{0}, test.plan.outputs / 3}) {
                const int64_t rows = test.plan.outputs - first;
                const Canonical want = matrices[up].strip(test.plan, first, rows);
                std::vector<uint32_t> codes(want.codes.size(), 0xFFFFFFFF);
                std::vector<float> scales(want.scales.size(), -1);
                std::vector<uint8_t> zero_points(want.scales.size(), 0xFF);
                unpack_cpu_records(test.plan, records, up == 1, first, rows, codes, scales,
                                   zero_points);
                bool same = std::equal(codes.begin(), codes.end(), want.codes.begin()) &&
                            std::equal(scales.begin(), scales.end(), want.scales.begin());
                for (int64_t i = 0; i < rows * test.plan.groups(); ++i) {
                    same = same && zero_points[static_cast<size_t>(i)] ==
                                       want.zero_point(i / want.groups(), i % want.groups());
                }
                if (!same) {
                    fail_msg("%s: outputs from %d on come back changed", test.name,
                             static_cast<int>(first));
                }
            }
        }
    }
}

void pieces_may_be_left_out(void**) {
    const RecordCase& test = kCases[1];
    const std::vector<Matrix> matrices = make_matrices(test.plan);
    const std::vector<uint8_t> records = pack(test, matrices);
    std::vector<float> scales(matrices[0].scales.size());
    unpack_cpu_records(test.plan, records, false, 0, test.plan.outputs, {}, scales, {});
    assert_true(scales == matrices[0].scales);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_lies_where_the_formulas_say),
        cmocka_unit_test(records_give_back_what_they_took),
        cmocka_unit_test(pieces_may_be_left_out),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
