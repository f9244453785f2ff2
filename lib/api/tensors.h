// SPDX-License-Identifier: Apache-2.0
// Tensors of callers, proved once.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "base/status.h"
#include "checkpoint/tensor.h"
#include "marlin_moe.h"

namespace mmoe::api {

// Any contiguous tensor of a known type with at least one element.
Result<TensorView> read_tensor(const char* name, const mmoe_tensor& tensor);

// Proves a matrix [rows, columns] of a run: type, rank, shape, and that the last axis, and with
// `contiguous` the first too, is packed. A negative extent is any. Returns the row stride.
struct MatrixShape {
    mmoe_dtype dtype;
    int64_t rows;
    int64_t columns;
    bool contiguous;
};
Result<int64_t> expect_matrix(const char* name, const mmoe_tensor& tensor,
                              const MatrixShape& shape);

}  // namespace mmoe::api
