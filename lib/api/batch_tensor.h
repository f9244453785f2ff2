// SPDX-License-Identifier: Apache-2.0
// Tensors of the mmoe_marlin_* functions: one for all experts.
#pragma once

#include "api/tensors.h"
#include "repack/marlin_batch.h"

namespace mmoe::api {

Result<layout::MarlinTile> read_tile(mmoe_marlin_activation activation);

// Proves type, shape and alignment.
Result<TensorView> expect_batch(const char* name, const mmoe_tensor& given,
                                const BatchTensor& expected);

// Without data.
[[nodiscard]] mmoe_tensor describe_batch(const BatchTensor& tensor) noexcept;

}  // namespace mmoe::api
