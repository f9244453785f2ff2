// SPDX-License-Identifier: Apache-2.0
// CPU records and Marlin matrices become each other through canonical strips, byte for byte what
// packing the weights directly would have made.
#include <algorithm>
#include <vector>

#include "repack/cpu_record_unpacker.h"
#include "repack/cpu_records.h"
#include "support/canonical_matrix.h"
#include "support/marlin_matrix.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

struct Case {
    const char* name;
    int64_t outputs, inputs, group_size;
    int bits;
    bool asymmetric, gated_pair;
};
constexpr Case kCases[] = {
    {"4 bits", 128, 256, 64, 4, false, false},
    {"4 bits, zero points", 192, 256, 128, 4, true, false},
    {"8 bits, zero points", 64, 96, 32, 8, true, false},
    {"gated pair", 96, 128, 32, 4, true, true},
    {"gated pair, ragged outputs", 200, 64, 64, 8, false, true},
    {"channel, ragged inputs", 64, 100, 100, 4, true, false},
};

layout::CpuRecordPlan record_plan(const Case& c) {
    return {.outputs = c.outputs,
            .inputs = c.inputs,
            .group_size = c.group_size,
            .bits = c.bits,
            .asymmetric = c.asymmetric,
            .gated_pair = c.gated_pair};
}

// One projection after another along the outputs, each padded to whole blocks.
MarlinShape marlin_shape(const Case& c, int projections) {
    const bool grouped = c.group_size < c.inputs;
    const int64_t inputs = grouped ? c.inputs : round_up(c.inputs, int64_t{16});
    return {.inputs = inputs,
            .outputs = projections * round_up(c.outputs, int64_t{64}),
            .groups = grouped ? c.inputs / c.group_size : 1,
            .bits = c.bits,
            .asymmetric = c.asymmetric};
}

void check_conversion(const Case& c, std::mt19937_64& random) {
    const auto allocator = std::make_shared<const Allocator>();
    const layout::CpuRecordPlan plan = record_plan(c);
    const int projections = c.gated_pair ? 2 : 1;
    std::vector<uint8_t> records(static_cast<size_t>(plan.matrix_bytes()));
    std::vector<uint8_t> records_again(records.size());
    MarlinMatrix direct(marlin_shape(c, projections)), converted(direct.shape);
    for (int i = 0; i < projections; ++i) {
        const CanonicalMatrix source(random, c.outputs, c.inputs, c.group_size, c.bits,
                                     c.asymmetric);
        const int64_t first_output = i * round_up(c.outputs, int64_t{64});
        const bool up = i == 1;
        pack_cpu_records(plan, source.view, 0, up, records);
        pack_marlin(direct.shape, source.view, first_output, direct.tensors());

        const auto from_records = value_or_throw(unpack_records(plan, records, up, 64, allocator));
        converted.pack(*from_records, c.outputs, first_output, 64);
        const auto from_marlin = value_or_throw(unpack_marlin(
            converted.shape, {.first_output = first_output, .rows = c.outputs, .columns = c.inputs},
            std::as_const(converted).tensors(), 64, allocator));
        for (int64_t row = 0; row < c.outputs; row += 64) {
            const int64_t rows = std::min<int64_t>(64, c.outputs - row);
            pack_cpu_records(plan, from_marlin->strip(row, rows), row, up, records_again);
        }
    }
    assert_true(converted.weight == direct.weight);
    assert_true(converted.scale == direct.scale);
    assert_true(converted.zero_point == direct.zero_point);
    assert_true(records_again == records);
}

void layouts_become_each_other(void**) {
    const uint64_t seed = test_seed();
    print_message("MMOE_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    for (const Case& c : kCases) {
        print_message("%s\n", c.name);
        check_conversion(c, random);
    }
}

void short_records_are_refused(void**) {
    const layout::CpuRecordPlan plan = record_plan(kCases[0]);
    const std::vector<uint8_t> records(static_cast<size_t>(plan.matrix_bytes() - 1));
    auto unpacker = unpack_records(plan, records, false, 64, std::make_shared<const Allocator>());
    assert_false(unpacker.ok());
    assert_int_equal(unpacker.status().code(), Code::kShape);
    assert_string_equal(unpacker.status().message(),
                        "CPU records: expected 17408 bytes, got 17407");
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(layouts_become_each_other),
        cmocka_unit_test(short_records_are_refused),
    };
    return cmocka_run_group_tests_name("unit_repack_convert", tests, nullptr, nullptr);
}
