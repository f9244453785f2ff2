// SPDX-License-Identifier: Apache-2.0
#include "unpack/row_memory.h"

#include <cstddef>

#include "base/checked.h"

namespace mmoe {

Result<RowMemory> RowMemory::create(const Canonical& shape, Pieces pieces, int64_t rows,
                                    std::shared_ptr<const Allocator> allocator) {
    const int64_t code_words = pieces.codes ? shape.words_per_row() : 0;
    const int64_t scales = pieces.scales ? shape.groups() : 0;
    const int64_t row_bytes = (code_words + scales) * 4 + (pieces.zero_points ? shape.groups() : 0);
    const auto bytes = checked_mul(rows, row_bytes);
    if (!bytes) {
        return Status::error(Code::kOutOfMemory,
                             "unpacked rows: more bytes than 63 bits can count");
    }
    RowMemory memory;
    TRY(memory.buffer_,
        Buffer::create(std::move(allocator), static_cast<uint64_t>(*bytes), "unpacked rows"));
    memory.codes_ = reinterpret_cast<uint32_t*>(memory.buffer_.data());
    memory.scales_ = reinterpret_cast<float*>(memory.codes_ + rows * code_words);
    memory.zero_points_ = reinterpret_cast<uint8_t*>(memory.scales_ + rows * scales);
    memory.shape_ = shape;
    memory.pieces_ = pieces;
    return memory;
}

Canonical RowMemory::view(int64_t first_row, int64_t rows) const noexcept {
    Canonical strip = shape_;
    strip.rows = rows;
    const auto groups = static_cast<size_t>(rows * shape_.groups());
    if (pieces_.scales) strip.scales = {scales(first_row), groups};
    if (pieces_.codes) {
        strip.codes = {codes(first_row), static_cast<size_t>(rows * shape_.words_per_row())};
    }
    if (pieces_.zero_points) strip.zero_points = {zero_points(first_row), groups};
    return strip;
}

}  // namespace mmoe
