// SPDX-License-Identifier: Apache-2.0
// Input: a shape and a seed. Random weights of that shape become a Marlin matrix and CPU records,
// in random strips, and each must read back as what went in; so must the slices of any number of
// ranks, put side by side.
#include <algorithm>
#include <vector>

#include "bytes.h"
#include "repack/cpu_record_unpacker.h"
#include "repack/cpu_records.h"
#include "repack/slice.h"
#include "support/canonical_matrix.h"
#include "support/marlin_matrix.h"
#include "target.h"

using namespace mmoe;

namespace {

struct Shape {
    int64_t outputs, inputs, group_size;
    int bits;
    bool asymmetric, grouped;
    layout::ScaleType scale_type;
    layout::MarlinTile tile;
};

Shape take_shape(fuzz::Bytes& input) {
    constexpr int64_t kGroups[] = {16, 32, 48, 64};
    Shape shape = {};
    // Mostly a few rows, else around the end of one block of 64 or of two.
    constexpr int64_t kFirstOutputs[] = {57, 121};
    const auto many = static_cast<size_t>(input.up_to(15));
    shape.outputs = (many < 2 ? kFirstOutputs[many] : 1) + input.up_to(15);
    shape.grouped = input.flag();
    shape.group_size = shape.grouped ? kGroups[input.up_to(3)] : 1 + input.up_to(69);
    shape.inputs = shape.grouped ? shape.group_size * (1 + input.up_to(2)) : shape.group_size;
    shape.bits = input.flag() ? 4 : 8;
    shape.asymmetric = input.flag();
    shape.scale_type = static_cast<layout::ScaleType>(1 + input.up_to(2));
    shape.tile = input.flag() ? layout::MarlinTile::kK16N64 : layout::MarlinTile::kK32N32;
    return shape;
}

// One row of a strip against row `row` of what it was cut from, from `first_column` on. Factors
// belong to whole groups: the strip's lie inside the matrix's.
void require_same_row(const Canonical& strip, int64_t n, const Canonical& want, int64_t row,
                      int64_t first_column) {
    const int64_t per_word = 32 / want.bits;
    int64_t k = 0;
    if (first_column % per_word == 0) {  // whole words at once
        const int64_t words = strip.columns / per_word;
        const uint32_t* const own = strip.codes.data() + n * strip.words_per_row();
        fuzz::require(
            std::equal(own, own + words,
                       want.codes.data() + row * want.words_per_row() + first_column / per_word));
        k = words * per_word;
    }
    for (; k < strip.columns; ++k) {
        fuzz::require(strip.code(n, k) == want.code(row, first_column + k));
    }
    for (int64_t own_group = 0; own_group < strip.groups(); ++own_group) {
        const int64_t column = first_column + own_group * strip.group_size;
        const int64_t group = column / want.group_size;
        fuzz::require((column + strip.group_size - 1) / want.group_size == group);
        fuzz::require(strip.scale(n, own_group) == want.scale(row, group));
        fuzz::require(strip.zero_point(n, own_group) == want.zero_point(row, group));
    }
}

void require_same(Unpacker& unpacker, const test::CanonicalMatrix& matrix, int64_t first_column,
                  int64_t max_rows) {
    const Canonical& want = matrix.view;
    for (int64_t row = 0; row < want.rows; row += max_rows) {
        const Canonical strip = unpacker.strip(row, std::min(max_rows, want.rows - row));
        for (int64_t n = 0; n < strip.rows; ++n) {
            require_same_row(strip, n, want, row + n, first_column);
        }
    }
}

void through_marlin(const Shape& shape, const test::CanonicalMatrix& matrix, int64_t max_rows) {
    // The tile's inputs, and whole groups.
    const int64_t unit = layout::marlin_tile_inputs(shape.tile);
    const int64_t step = shape.grouped ? std::lcm(unit, shape.group_size) : unit;
    MarlinShape marlin;
    marlin.inputs = round_up(shape.inputs, step);
    marlin.outputs = round_up(shape.outputs, int64_t{64});
    marlin.groups = shape.grouped ? marlin.inputs / shape.group_size : 1;
    marlin.bits = shape.bits;
    marlin.asymmetric = shape.asymmetric;
    marlin.tile = shape.tile;
    marlin.scale_type = shape.scale_type;
    test::MarlinMatrix packed(marlin);
    for (int64_t row = 0; row < shape.outputs; row += 64) {
        pack_marlin(marlin, matrix.strip(row, std::min<int64_t>(64, shape.outputs - row)), row,
                    packed.tensors());
    }
    const auto back = test::value_or_throw(unpack_marlin(
        marlin, {.rows = shape.outputs, .columns = shape.inputs}, std::as_const(packed).tensors(),
        max_rows, std::make_shared<const Allocator>()));
    require_same(*back, matrix, 0, max_rows);
}

layout::CpuRecordPlan record_plan(const Shape& shape, bool gated_pair) {
    return {.outputs = shape.outputs,
            .inputs = shape.inputs,
            .group_size = shape.group_size,
            .bits = shape.bits,
            .asymmetric = shape.asymmetric,
            .gated_pair = gated_pair,
            .scale_type = shape.scale_type};
}

std::vector<uint8_t> pack_records(const layout::CpuRecordPlan& plan,
                                  const test::CanonicalMatrix& matrix, bool up) {
    std::vector<uint8_t> records(static_cast<size_t>(plan.matrix_bytes()));
    const int64_t block = plan.outputs_per_block();
    for (int64_t row = 0; row < plan.outputs; row += block) {
        pack_cpu_records(plan, matrix.strip(row, std::min(block, plan.outputs - row)), row, up,
                         records);
    }
    return records;
}

std::unique_ptr<Unpacker> records_back(const layout::CpuRecordPlan& plan,
                                       const std::vector<uint8_t>& records, bool up,
                                       int64_t max_rows) {
    return test::value_or_throw(
        unpack_records(plan, records, up, max_rows, std::make_shared<const Allocator>()));
}

void through_slices(const Shape& shape, const test::CanonicalMatrix& matrix, int64_t ranks,
                    int64_t max_rows) {
    QuantConfig config;
    config.bits = shape.bits;
    if (shape.grouped) config.group_size = static_cast<int32_t>(shape.group_size);
    const layout::CpuRecordPlan plan = record_plan(shape, false);
    const std::vector<uint8_t> records = pack_records(plan, matrix, false);
    int64_t next = 0;
    for (int64_t rank = 0; rank < ranks; ++rank) {
        Result<Slice> slice = plan_slice(config, shape.inputs, ranks, rank);
        if (!slice.ok()) return fuzz::require_sentence(slice.status());
        const Slice& part = slice.value();
        fuzz::require(part.first == next && part.size > 0);
        fuzz::require(part.size % part.down_group_size == 0);
        next = part.first + part.size;
        const auto columns =
            test::value_or_throw(slice_inputs(records_back(plan, records, false, max_rows), part,
                                              max_rows, std::make_shared<const Allocator>()));
        require_same(*columns, matrix, part.first, max_rows);
    }
    fuzz::require(next == shape.inputs);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Bytes input(data, size);
    const Shape shape = take_shape(input);
    const int64_t max_rows = 1 + input.up_to(shape.outputs - 1);
    const int64_t ranks = 1 + input.up_to(4);
    const bool gated_pair = input.flag();
    const bool up = gated_pair && input.flag();
    std::mt19937_64 random(input.take<uint64_t>());
    const test::CanonicalMatrix matrix(random, shape.outputs, shape.inputs, shape.group_size,
                                       shape.bits, shape.asymmetric);
    through_marlin(shape, matrix, max_rows);
    const layout::CpuRecordPlan plan = record_plan(shape, gated_pair);
    const std::vector<uint8_t> records = pack_records(plan, matrix, up);
    require_same(*records_back(plan, records, up, max_rows), matrix, 0, max_rows);
    through_slices(shape, matrix, ranks, max_rows);
    return 0;
}
