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

    explicit GroupBlock(int64_t groups)
        : scales_(static_cast<size_t>(groups * kRows)),
          zero_points_(static_cast<size_t>(groups * kRows)) {}

    // Of rows [first_row, first_row + rows) of a strip, at most kRows; those that are missing are
    // 0. A strip without zero points has those of symmetric codes.
    void read_scales(const Canonical& strip, int64_t first_row, int64_t rows);
    void read_zero_points(const Canonical& strip, int64_t first_row, int64_t rows);

    // [kRows] of one group.
    [[nodiscard]] const float* scales(int64_t group) const noexcept {
        return scales_.data() + group * kRows;
    }
    [[nodiscard]] const uint8_t* zero_points(int64_t group) const noexcept {
        return zero_points_.data() + group * kRows;
    }

  private:
    std::vector<float> scales_;         // [groups, kRows]
    std::vector<uint8_t> zero_points_;  // [groups, kRows]
};

// Elements [first, first + count) of an array in memory; rounded to nearest even.
void store_scales(layout::ScaleType type, const float* values, int64_t count, uint8_t* array,
                  int64_t first);

}  // namespace mmoe
