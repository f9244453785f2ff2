// SPDX-License-Identifier: Apache-2.0
#include "api/tensors.h"

#include <algorithm>

#include "api/boundary.h"
#include "base/checked.h"

namespace mmoe::api {
namespace {

const char* name_of(mmoe_dtype dtype) noexcept {
    const bool known = dtype >= MMOE_DTYPE_F32 && dtype <= MMOE_DTYPE_I16;
    return known ? dtype_name(static_cast<DType>(dtype)) : "an unknown type";
}

Status check_rank_and_shape(const char* name, const mmoe_tensor& tensor) {
    if (tensor.rank < 1 || tensor.rank > MMOE_MAX_RANK) {
        return Status::error(Code::kShape, "%s rank: expected 1 to %d, got %d", name, MMOE_MAX_RANK,
                             tensor.rank);
    }
    for (int axis = 0; axis < tensor.rank; ++axis) {
        if (tensor.shape[axis] >= 0 && tensor.stride[axis] >= 0) continue;
        return Status::error(Code::kShape, "%s axis %d: negative extent or stride", name, axis);
    }
    return {};
}

bool strides_absent(const mmoe_tensor& tensor) noexcept {
    return std::all_of(tensor.stride, tensor.stride + tensor.rank,
                       [](int64_t stride) { return stride == 0; });
}

// Whether memory can reach from the first element to the last: sizes that wrap are no sizes.
bool fits_memory(int64_t rows, int64_t columns, int64_t row_stride, mmoe_dtype dtype) noexcept {
    if (rows == 0 || columns == 0) return true;
    const auto last_row = checked_mul(rows - 1, row_stride);
    const auto count = last_row ? checked_add(*last_row, columns) : std::nullopt;
    const auto element_bytes = static_cast<int64_t>(dtype_bytes(static_cast<DType>(dtype)));
    return count && checked_mul(*count, element_bytes).has_value();
}

// An axis of one element may have any stride.
bool is_contiguous(const mmoe_tensor& tensor) noexcept {
    int64_t expected = 1;
    for (int axis = tensor.rank - 1; axis >= 0; --axis) {
        if (tensor.shape[axis] != 1 && tensor.stride[axis] != expected) return false;
        expected *= tensor.shape[axis];
    }
    return true;
}

}  // namespace

Result<TensorView> read_tensor(const char* name, const mmoe_tensor& tensor) {
    if (tensor.data == nullptr) {
        return Status::error(Code::kNullPointer, "%s->data: must not be NULL", name);
    }
    TRY(check_rank_and_shape(name, tensor));
    if (tensor.dtype < MMOE_DTYPE_F32 || tensor.dtype > MMOE_DTYPE_I16) {
        return Status::error(Code::kDtype, "%s dtype: %d is no element type", name, tensor.dtype);
    }
    int64_t count = 1;
    for (int axis = 0; axis < tensor.rank; ++axis) {
        const auto product = checked_mul(count, tensor.shape[axis]);
        if (!product || *product == 0) {
            return Status::error(Code::kShape, "%s: %s elements are %s", name,
                                 shape_text(tensor.shape, tensor.rank).c_str(),
                                 product ? "none" : "too many");
        }
        count = *product;
    }
    if (!strides_absent(tensor) && !is_contiguous(tensor)) {
        return Status::error(Code::kShape, "%s: expected contiguous rows, got strides %s", name,
                             shape_text(tensor.stride, tensor.rank).c_str());
    }
    TensorView view;
    view.dtype = static_cast<DType>(tensor.dtype);
    view.rank = tensor.rank;
    std::copy(tensor.shape, tensor.shape + tensor.rank, view.shape);
    view.data = tensor.data;
    return view;
}

Result<int64_t> expect_matrix(const char* name, const mmoe_tensor& tensor,
                              const MatrixShape& shape) {
    if (tensor.rank != 2) {
        return Status::error(Code::kShape, "%s rank: expected 2, got %d", name, tensor.rank);
    }
    TRY(check_rank_and_shape(name, tensor));
    if (tensor.dtype != shape.dtype) {
        return Status::error(Code::kDtype, "%s: expected %s, got %s", name, name_of(shape.dtype),
                             name_of(tensor.dtype));
    }
    const auto fits = [](int64_t wanted, int64_t got) { return wanted < 0 || wanted == got; };
    if (!fits(shape.rows, tensor.shape[0]) || !fits(shape.columns, tensor.shape[1])) {
        const int64_t wanted[] = {shape.rows < 0 ? tensor.shape[0] : shape.rows,
                                  shape.columns < 0 ? tensor.shape[1] : shape.columns};
        return Status::error(Code::kShape, "%s: expected %s, got %s", name,
                             shape_text(wanted, 2).c_str(), shape_text(tensor.shape, 2).c_str());
    }
    const int64_t columns = tensor.shape[1];
    const int64_t row_stride = strides_absent(tensor) ? columns : tensor.stride[0];
    if (!fits_memory(tensor.shape[0], columns, row_stride, shape.dtype)) {
        return Status::error(Code::kShape, "%s: %s elements, rows %lld apart, are too many", name,
                             shape_text(tensor.shape, 2).c_str(),
                             static_cast<long long>(row_stride));
    }
    if (strides_absent(tensor)) return columns;
    const bool one_row = tensor.shape[0] <= 1;
    const bool packed_row = columns <= 1 || tensor.stride[1] == 1;
    const bool rows_apart = one_row || tensor.stride[0] >= columns;
    if (!packed_row || !rows_apart || (shape.contiguous && !is_contiguous(tensor))) {
        return Status::error(Code::kShape, "%s: expected %s, got strides %s", name,
                             shape.contiguous ? "contiguous rows" : "rows apart, last axis packed",
                             shape_text(tensor.stride, 2).c_str());
    }
    return one_row ? columns : tensor.stride[0];
}

}  // namespace mmoe::api
