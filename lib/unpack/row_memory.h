// SPDX-License-Identifier: Apache-2.0
// Memory for rows of the canonical form: what an unpacker keeps its strips in.
#pragma once

#include <cstdint>
#include <memory>

#include "base/memory.h"
#include "base/status.h"
#include "unpack/canonical.h"

namespace mmoe {

class RowMemory {
  public:
    // Which pieces a row has.
    struct Pieces {
        bool codes = true;  // else they lie elsewhere
        bool scales = true;
        bool zero_points = false;
    };

    RowMemory() = default;
    // `shape`: a Canonical without rows and pieces. Contents are undefined.
    static Result<RowMemory> create(const Canonical& shape, Pieces pieces, int64_t rows,
                                    std::shared_ptr<const Allocator> allocator);

    [[nodiscard]] const Canonical& shape() const noexcept { return shape_; }
    [[nodiscard]] uint32_t* codes(int64_t row) const noexcept {
        return codes_ + row * shape_.words_per_row();
    }
    [[nodiscard]] float* scales(int64_t row) const noexcept {
        return scales_ + row * shape_.groups();
    }
    [[nodiscard]] uint8_t* zero_points(int64_t row) const noexcept {
        return zero_points_ + row * shape_.groups();
    }
    // The rows as a strip; pieces that a row does not have are empty.
    [[nodiscard]] Canonical view(int64_t first_row, int64_t rows) const noexcept;

  private:
    Buffer buffer_;
    Canonical shape_;
    Pieces pieces_;
    uint32_t* codes_ = nullptr;
    float* scales_ = nullptr;
    uint8_t* zero_points_ = nullptr;
};

}  // namespace mmoe
