// SPDX-License-Identifier: Apache-2.0
// Canonical form to CPU records (layout/cpu_record.h) and back.
#pragma once

#include <cstdint>
#include <span>

#include "layout/cpu_record.h"
#include "unpack/canonical.h"

namespace mmoe {

// Writes a strip that starts at output `first_row` of its projection. Strips must start on a
// block border (first_row % plan.outputs_per_block() == 0) and, but for the last strip of a
// projection, end on one. `up`: the strip is the second matrix of a gated pair; otherwise the
// first, or the only one. `records` is the whole matrix, plan.matrix_bytes() long, zeroed before
// the first strip.
void pack_cpu_records(const layout::CpuRecordPlan& plan, const Canonical& strip, int64_t first_row,
                      bool up, std::span<uint8_t> records);

// Inverse: canonical pieces of rows [first_row, first_row + rows) of one projection. Any output
// span may be empty to leave it out; else sizes as in Canonical.
void unpack_cpu_records(const layout::CpuRecordPlan& plan, std::span<const uint8_t> records,
                        bool up, int64_t first_row, int64_t rows, std::span<uint32_t> codes,
                        std::span<float> scales, std::span<uint8_t> zero_points);

}  // namespace mmoe
