// SPDX-License-Identifier: Apache-2.0
// Inside of room repack: scales and zero points of some rows turned over, because layouts keep
// those of one group together.
#pragma once

#include <cstdint>
#include <vector>

#include "layout/number.h"
#include "unpack/canonical.h"

namespace mmoe {

class GroupBlock {
  public:
    static constexpr int64_t kRows = 64;

    // Scales are kept in `type`, rounded to nearest even.
    GroupBlock(int64_t groups, layout::ScaleType type)
        : type_(type),
          scales_(static_cast<size_t>(groups * kRows * layout::scale_bytes(type))),
          zero_points_(static_cast<size_t>(groups * kRows)) {}

    // Of rows [first_row, first_row + rows) of a strip, at most kRows; those that are missing are
    // 0. A strip without zero points has those of symmetric codes.
    void read_scales(const Canonical& strip, int64_t first_row, int64_t rows);
    void read_zero_points(const Canonical& strip, int64_t first_row, int64_t rows);

    // [kRows] of one group.
    [[nodiscard]] const uint8_t* scales(int64_t group) const noexcept {
        return scales_.data() + group * kRows * layout::scale_bytes(type_);
    }
    [[nodiscard]] const uint8_t* zero_points(int64_t group) const noexcept {
        return zero_points_.data() + group * kRows;
    }

  private:
    void read_canonical_scales(const Canonical& strip, int64_t first_row, int64_t rows);
    void read_file_scales(const Canonical& strip, int64_t first_row, int64_t rows);
    void store(int64_t group, int64_t rows, const float* values);

    layout::ScaleType type_;
    std::vector<uint8_t> scales_;       // [groups, kRows] of type_
    std::vector<uint8_t> zero_points_;  // [groups, kRows]
};

}  // namespace mmoe
