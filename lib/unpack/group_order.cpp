// SPDX-License-Identifier: Apache-2.0
#include "unpack/group_order.h"

#include <algorithm>
#include <cinttypes>
#include <cstddef>

#include "base/checked.h"
#include "unpack/fields.h"
#include "unpack/transpose.h"

namespace mmoe {

Status check_group_index(std::span<const int32_t> group_index, int64_t group_size) {
    const auto groups = static_cast<int64_t>(group_index.size()) / group_size;
    std::vector<int64_t> columns(static_cast<size_t>(groups));
    for (size_t k = 0; k < group_index.size(); ++k) {
        const int32_t group = group_index[k];
        if (group < 0 || group >= groups) {
            return Status::error(
                Code::kBadData, "group index of input %zu: expected 0 to %" PRId64 ", got %" PRId32,
                k, groups - 1, group);
        }
        ++columns[static_cast<size_t>(group)];
    }
    for (size_t group = 0; group < columns.size(); ++group) {
        if (columns[group] != group_size) {
            return Status::error(Code::kUnsupported,
                                 "group index: expected %" PRId64
                                 " inputs in every group, got %" PRId64 " in group %zu",
                                 group_size, columns[group], group);
        }
    }
    return {};
}

Status check_permutation(std::span<const int32_t> order) {
    std::vector<bool> seen(order.size());
    for (size_t k = 0; k < order.size(); ++k) {
        const auto column = static_cast<size_t>(order[k]);  // negative: too large
        if (column < order.size() && !seen[column]) {
            seen[column] = true;
            continue;
        }
        return Status::error(Code::kBadData,
                             "expected every number from 0 to %zu once, got %" PRId32
                             " at place %zu",
                             order.size() - 1, order[k], k);
    }
    return {};
}

bool is_plain_order(std::span<const int32_t> group_index, int64_t group_size) {
    for (size_t k = 0; k < group_index.size(); ++k) {
        if (group_index[k] != static_cast<int64_t>(k) / group_size) return false;
    }
    return true;
}

std::vector<int32_t> group_order(std::span<const int32_t> group_index, int64_t group_size) {
    const auto groups = static_cast<int64_t>(group_index.size()) / group_size;
    std::vector<int64_t> next(static_cast<size_t>(groups));  // free place in each group
    for (int64_t group = 0; group < groups; ++group) {
        next[static_cast<size_t>(group)] = group * group_size;
    }
    std::vector<int32_t> order(group_index.size());
    for (size_t k = 0; k < group_index.size(); ++k) {
        int64_t& place = next[static_cast<size_t>(group_index[k])];
        order[static_cast<size_t>(place++)] = static_cast<int32_t>(k);
    }
    return order;
}

namespace {

// to[n] = the word of output n whose fields are columns order[0], order[1], ... of by_input.
template <int bits>
void gather_word(const uint32_t* by_input, std::span<const int32_t> order, uint32_t (&to)[kBlock]) {
    constexpr int kFields = 32 / bits;
    std::fill_n(to, kBlock, 0);
    for (size_t i = 0; i < order.size(); ++i) {
        const uint32_t* from = by_input + int64_t{order[i] / kFields} * kBlock;
        const int down = order[i] % kFields * bits;
        const int up = static_cast<int>(i) * bits;
        for (int n = 0; n < kBlock; ++n) to[n] |= ((from[n] >> down) & field_mask(bits)) << up;
    }
}

template <int bits>
void move_columns_of(const uint32_t* by_input, int64_t rows, std::span<const int32_t> order,
                     uint32_t* out) {
    constexpr int64_t kFields = 32 / bits;
    const auto columns = static_cast<int64_t>(order.size());
    const int64_t words = ceil_div(columns, kFields);
    for (int64_t word = 0; word < words; word += kBlock) {
        const int64_t count = std::min<int64_t>(kBlock, words - word);
        Block<uint32_t> block;
        for (int64_t i = 0; i < count; ++i) {
            const int64_t first = (word + i) * kFields;
            const auto used = static_cast<size_t>(std::min(kFields, columns - first));
            gather_word<bits>(by_input, order.subspan(static_cast<size_t>(first), used), block[i]);
        }
        store_transposed(block, count, rows, out + word, words);
    }
}

}  // namespace

void move_columns(const uint32_t* by_input, int64_t rows, std::span<const int32_t> order, int bits,
                  uint32_t* out) {
    if (bits == 4) {
        move_columns_of<4>(by_input, rows, order, out);
    } else {
        move_columns_of<8>(by_input, rows, order, out);
    }
}

}  // namespace mmoe
