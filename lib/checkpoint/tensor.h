// SPDX-License-Identifier: Apache-2.0
// Named arrays as the file describes them, and as views of host memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace mmoe {

// Values of mmoe_dtype.
enum class DType : int32_t {
    kF32 = 1,
    kF16 = 2,
    kBf16 = 3,
    kI32 = 4,
    kI64 = 5,
    kU8 = 6,
    kI8 = 7,
    kF64 = 8,
    kI16 = 9,
    kOther = 15,
};

[[nodiscard]] const char* dtype_name(DType dtype) noexcept;
[[nodiscard]] size_t dtype_bytes(DType dtype) noexcept;  // 0 for kOther

inline constexpr int kMaxFileRank = 8;

// One tensor of a checkpoint. Ranges have been checked against the true length of the file.
struct TensorEntry {
    std::string name;
    DType dtype = DType::kOther;
    int rank = 0;
    int64_t shape[kMaxFileRank] = {};
    uint32_t file_index = 0;
    uint64_t byte_count = 0;
    uint64_t file_offset = 0;  // of the data, from the start of the file
};

// Contiguous row-major host memory that somebody else owns.
struct TensorView {
    DType dtype = DType::kOther;
    int rank = 0;
    int64_t shape[4] = {};
    const void* data = nullptr;

    [[nodiscard]] bool absent() const noexcept { return data == nullptr; }
};

// Neighbouring rows and columns of a matrix, or elements of a vector (then one column).
struct TensorPart {
    int64_t first[2] = {};
    int64_t count[2] = {1, 1};

    [[nodiscard]] int64_t elements() const noexcept { return count[0] * count[1]; }
};

// "[64, 128]", for sentences.
std::string shape_text(const int64_t* shape, int rank);

}  // namespace mmoe
