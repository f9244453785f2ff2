// SPDX-License-Identifier: Apache-2.0
#include "repack/scale_block.h"

#include <algorithm>

#include "cpu/launch.h"
#include "unpack/transpose.h"

namespace mmoe {

static_assert(static_cast<int>(cpu::Element::kF16) == static_cast<int>(layout::ScaleType::kF16));
static_assert(static_cast<int>(cpu::Element::kBf16) == static_cast<int>(layout::ScaleType::kBf16));
static_assert(static_cast<int>(cpu::Element::kF32) == static_cast<int>(layout::ScaleType::kF32));

void ScaleBlock::read(const Canonical& strip, int64_t first_row, int64_t rows) {
    if (rows < kRows) std::fill(scales_.begin(), scales_.end(), 0.0F);
    const int64_t groups = strip.groups();
    const auto fill = [&](int64_t row, int64_t group, int64_t count, float* to) {
        copy_line(strip.scales.data() + (first_row + row) * groups + group, count, to);
    };
    transpose_from<float>(fill, rows, groups, scales_.data(), kRows);
}

void store_scales(layout::ScaleType type, const float* values, int64_t count, uint8_t* array,
                  int64_t first) {
    cpu::elementwise(cpu::usable_tier())
        .store(static_cast<cpu::Element>(type), count, values,
               array + first * layout::scale_bytes(type));
}

}  // namespace mmoe
