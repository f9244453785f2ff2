// SPDX-License-Identifier: Apache-2.0
#include "repack/group_block.h"

#include <algorithm>
#include <cstring>

#include "cpu/launch.h"
#include "unpack/fields.h"
#include "unpack/transpose.h"
#include "unpack/zero_points.h"

namespace mmoe {

namespace {

static_assert(static_cast<int>(cpu::Element::kF16) == static_cast<int>(layout::ScaleType::kF16));
static_assert(static_cast<int>(cpu::Element::kBf16) == static_cast<int>(layout::ScaleType::kBf16));
static_assert(static_cast<int>(cpu::Element::kF32) == static_cast<int>(layout::ScaleType::kF32));

// One group of a file that keeps groups together already.
void load_scales(layout::ScaleType type, const void* from, int64_t count, float* to) {
    const auto* halves = static_cast<const uint16_t*>(from);
    switch (type) {
        case layout::ScaleType::kF32:
            std::memcpy(to, from, static_cast<size_t>(count) * sizeof *to);
            break;
        case layout::ScaleType::kF16:
            for (int64_t i = 0; i < count; ++i) to[i] = layout::f16_to_f32(halves[i]);
            break;
        case layout::ScaleType::kBf16:
            for (int64_t i = 0; i < count; ++i) to[i] = layout::bf16_to_f32(halves[i]);
            break;
    }
}

// Nibble i of a word becomes byte i.
constexpr uint64_t spread_nibbles(uint32_t word) {
    uint64_t x = word;
    x = (x | x << 16) & 0x0000FFFF0000FFFF;
    x = (x | x << 8) & 0x00FF00FF00FF00FF;
    return (x | x << 4) & 0x0F0F0F0F0F0F0F0F;
}

// The columns of a word, in order, one byte each. AWQ keeps even ones in the lower half of the
// word, odd ones in the upper half.
template <bool awq>
constexpr uint64_t columns_of(uint32_t word) {
    if constexpr (!awq) return spread_nibbles(word);
    const uint64_t in_order = spread_nibbles(word);  // even columns, then odd ones
    const auto apart = [](uint64_t x) {
        x = (x | x << 16) & 0x0000FFFF0000FFFF;
        return (x | x << 8) & 0x00FF00FF00FF00FF;
    };
    return apart(in_order & 0xFFFFFFFF) | apart(in_order >> 32) << 8;
}
static_assert(columns_of<false>(0x76543210) == 0x0706050403020100);
static_assert(columns_of<true>(0x75316420) == 0x0706050403020100);

// Zero points of `count` outputs, whole words, of one group of a file.
template <int bits, bool awq>
void load_zero_points(const FileRows& file, const uint32_t* words, int64_t count, uint8_t* to) {
    constexpr int kFields = 32 / bits;
    for (int64_t i = 0; i < count; i += kFields) {
        const uint32_t word = true_zero_points(words[i / kFields], file.zero_point_form, bits);
        if constexpr (bits == 8) {
            std::memcpy(to + i, &word, sizeof word);
        } else {
            const uint64_t columns = columns_of<awq>(word);
            std::memcpy(to + i, &columns, sizeof columns);
        }
    }
}

// Bytes of eight rows, eight of each: byte i of row j becomes byte j of row i.
void transpose_bytes(uint64_t (&rows)[8]) {
    const auto exchange = [&](int a, int b, int shift, uint64_t lower) {
        const uint64_t change = ((rows[a] >> shift) ^ rows[b]) & lower;
        rows[b] ^= change;
        rows[a] ^= change << shift;
    };
    for (int i = 0; i < 4; ++i) exchange(i, i + 4, 32, 0x00000000FFFFFFFF);
    for (const int i : {0, 1, 4, 5}) exchange(i, i + 2, 16, 0x0000FFFF0000FFFF);
    for (const int i : {0, 2, 4, 6}) exchange(i, i + 1, 8, 0x00FF00FF00FF00FF);
}

// out[column][row] = from[row][column]; `out` has kRows bytes a row.
void turn_bytes(const uint8_t* from, int64_t rows, int64_t columns, uint8_t* out) {
    const int64_t whole_rows = rows / 8 * 8;
    const int64_t whole_columns = columns / 8 * 8;
    for (int64_t row = 0; row < whole_rows; row += 8) {
        for (int64_t column = 0; column < whole_columns; column += 8) {
            uint64_t block[8];
            for (int i = 0; i < 8; ++i) {
                std::memcpy(&block[i], from + (row + i) * columns + column, sizeof block[i]);
            }
            transpose_bytes(block);
            for (int i = 0; i < 8; ++i) {
                std::memcpy(out + (column + i) * GroupBlock::kRows + row, &block[i],
                            sizeof block[i]);
            }
        }
    }
    for (int64_t row = 0; row < rows; ++row) {
        const int64_t first = row < whole_rows ? whole_columns : 0;
        for (int64_t column = first; column < columns; ++column) {
            out[column * GroupBlock::kRows + row] = from[row * columns + column];
        }
    }
}

}  // namespace

void GroupBlock::store(int64_t group, int64_t rows, const float* values) {
    uint8_t* to = scales_.data() + group * kRows * layout::scale_bytes(type_);
    cpu::elementwise(cpu::usable_tier()).store(static_cast<cpu::Element>(type_), rows, values, to);
}

void GroupBlock::read_scales(const Canonical& strip, int64_t first_row, int64_t rows) {
    if (rows < kRows) std::fill(scales_.begin(), scales_.end(), uint8_t{0});
    if (strip.file) {
        read_file_scales(strip, first_row, rows);
    } else {
        read_canonical_scales(strip, first_row, rows);
    }
}

void GroupBlock::read_canonical_scales(const Canonical& strip, int64_t first_row, int64_t rows) {
    const int64_t groups = strip.groups();
    for (int64_t group = 0; group < groups; group += kBlock) {
        const int64_t count = std::min<int64_t>(kBlock, groups - group);
        float turned[kBlock][kRows];
        const auto fill = [&](int64_t row, int64_t column, int64_t columns, float* to) {
            copy_line(strip.scales.data() + (first_row + row) * groups + group + column, columns,
                      to);
        };
        transpose_from<float>(fill, rows, count, turned[0], kRows);
        for (int64_t i = 0; i < count; ++i) store(group + i, rows, turned[i]);
    }
}

void GroupBlock::read_file_scales(const Canonical& strip, int64_t first_row, int64_t rows) {
    const int64_t element_bytes = layout::scale_bytes(strip.scale_type);
    const auto* from = static_cast<const uint8_t*>(strip.file->scales) + first_row * element_bytes;
    for (int64_t group = 0; group < strip.groups(); ++group) {
        if (strip.scale_type == type_) {
            std::memcpy(scales_.data() + group * kRows * element_bytes, from,
                        static_cast<size_t>(rows * element_bytes));
        } else {
            float values[kRows];
            load_scales(strip.scale_type, from, rows, values);
            store(group, rows, values);
        }
        from += strip.file->outputs * element_bytes;
    }
}

void GroupBlock::read_zero_points(const Canonical& strip, int64_t first_row, int64_t rows) {
    const int64_t groups = strip.groups();
    const bool none = strip.file ? strip.file->zero_points == nullptr : strip.zero_points.empty();
    if (rows < kRows) std::fill(zero_points_.begin(), zero_points_.end(), uint8_t{0});
    if (none) {
        for (int64_t group = 0; group < groups; ++group) {
            std::fill_n(zero_points_.data() + group * kRows, rows,
                        static_cast<uint8_t>(middle_code(strip.bits)));
        }
    } else if (strip.file) {
        const int64_t fields = 32 / strip.bits;
        const uint32_t* words = strip.file->zero_points + first_row / fields;
        const auto load = strip.bits == 8 ? &load_zero_points<8, false>
                          : strip.file->codes.order == cpu::CodeOrder::kAwq
                              ? &load_zero_points<4, true>
                              : &load_zero_points<4, false>;
        for (int64_t group = 0; group < groups; ++group) {
            load(*strip.file, words, rows, zero_points_.data() + group * kRows);
            words += strip.file->outputs / fields;
        }
    } else {
        turn_bytes(strip.zero_points.data() + first_row * groups, rows, groups,
                   zero_points_.data());
    }
}

}  // namespace mmoe
