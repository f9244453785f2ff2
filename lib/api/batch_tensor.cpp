// SPDX-License-Identifier: Apache-2.0
#include "api/batch_tensor.h"

#include <algorithm>

namespace mmoe::api {

static_assert(MMOE_MARLIN_16_BIT == static_cast<int>(layout::MarlinTile::kK16N64));
static_assert(MMOE_MARLIN_8_BIT == static_cast<int>(layout::MarlinTile::kK32N32));

Result<layout::MarlinTile> read_tile(mmoe_marlin_activation activation) {
    if (activation >= 0 && activation <= MMOE_MARLIN_8_BIT) {
        return static_cast<layout::MarlinTile>(activation);
    }
    return Status::error(Code::kInvalidArgument, "activation: expected 0 to %d, got %d",
                         MMOE_MARLIN_8_BIT, activation);
}

Result<TensorView> expect_batch(const char* name, const mmoe_tensor& given,
                                const BatchTensor& expected) {
    TRY(const TensorView view, read_tensor(name, given));
    if (view.rank != expected.rank ||
        !std::equal(view.shape, view.shape + view.rank, expected.shape)) {
        return Status::error(Code::kShape, "%s: expected %s, got %s", name,
                             shape_text(expected.shape, expected.rank).c_str(),
                             shape_text(view.shape, view.rank).c_str());
    }
    const auto& types = expected.dtypes;
    if (std::find(types.begin(), types.end(), view.dtype) == types.end()) {
        return Status::error(Code::kDtype, "%s: expected %s, got %s", name,
                             dtype_list(types).c_str(), dtype_name(view.dtype));
    }
    const size_t element_bytes = dtype_bytes(view.dtype);
    if (reinterpret_cast<uintptr_t>(view.data) % element_bytes != 0) {
        return Status::error(Code::kInvalidArgument,
                             "%s: expected an address that is a multiple of %zu", name,
                             element_bytes);
    }
    return view;
}

mmoe_tensor describe_batch(const BatchTensor& batch) noexcept {
    mmoe_tensor tensor = {};
    tensor.dtype = static_cast<mmoe_dtype>(batch.dtypes.front());
    tensor.rank = batch.rank;
    std::copy(batch.shape, batch.shape + batch.rank, tensor.shape);
    return tensor;
}

}  // namespace mmoe::api
