// SPDX-License-Identifier: Apache-2.0
// Inside of room repack: scales of some rows turned over, because layouts keep those of one group
// together.
#pragma once

#include <cstdint>
#include <vector>

#include "layout/number.h"
#include "unpack/canonical.h"

namespace mmoe {

class ScaleBlock {
  public:
    static constexpr int64_t kRows = 64;

    explicit ScaleBlock(int64_t groups) : scales_(static_cast<size_t>(groups * kRows)) {}

    // Rows [first_row, first_row + rows) of a strip, at most kRows; those that are missing are 0.
    void read(const Canonical& strip, int64_t first_row, int64_t rows);
    // [kRows] of one group.
    [[nodiscard]] const float* group(int64_t group) const noexcept {
        return scales_.data() + group * kRows;
    }

  private:
    std::vector<float> scales_;  // [groups, kRows]
};

// Elements [first, first + count) of an array in memory; rounded to nearest even.
void store_scales(layout::ScaleType type, const float* values, int64_t count, uint8_t* array,
                  int64_t first);

}  // namespace mmoe
