// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tensor.h"

namespace mmoe {

const char* dtype_name(DType dtype) noexcept {
    switch (dtype) {
        case DType::kF32:
            return "F32";
        case DType::kF16:
            return "F16";
        case DType::kBf16:
            return "BF16";
        case DType::kI32:
            return "I32";
        case DType::kI64:
            return "I64";
        case DType::kU8:
            return "U8";
        case DType::kI8:
            return "I8";
        case DType::kF64:
            return "F64";
        case DType::kI16:
            return "I16";
        case DType::kOther:
            break;
    }
    return "another type";
}

size_t dtype_bytes(DType dtype) noexcept {
    switch (dtype) {
        case DType::kU8:
        case DType::kI8:
            return 1;
        case DType::kF16:
        case DType::kBf16:
        case DType::kI16:
            return 2;
        case DType::kF32:
        case DType::kI32:
            return 4;
        case DType::kF64:
        case DType::kI64:
            return 8;
        case DType::kOther:
            break;
    }
    return 0;
}

std::string shape_text(const int64_t* shape, int rank) {
    std::string text = "[";
    for (int axis = 0; axis < rank; ++axis) {
        if (axis > 0) text += ", ";
        text += std::to_string(shape[axis]);
    }
    return text + "]";
}

}  // namespace mmoe
