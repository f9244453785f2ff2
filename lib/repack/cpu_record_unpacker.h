// SPDX-License-Identifier: Apache-2.0
// CPU records as a source of canonical strips: what a saved bundle holds can be sliced, or packed
// for another device.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/memory.h"
#include "base/status.h"
#include "layout/cpu_record.h"
#include "unpack/unpack.h"

namespace mmoe {

// One projection of a matrix of records, plan.matrix_bytes() long; `up`: the second matrix of a
// gated pair. The records must outlive the unpacker.
Result<std::unique_ptr<Unpacker>> unpack_records(const layout::CpuRecordPlan& plan,
                                                 std::span<const uint8_t> records, bool up,
                                                 int64_t max_rows,
                                                 std::shared_ptr<const Allocator> allocator);

}  // namespace mmoe
