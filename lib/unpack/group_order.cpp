// SPDX-License-Identifier: Apache-2.0
#include "unpack/group_order.h"

#include <algorithm>
#include <cinttypes>
#include <cstddef>

#include "unpack/fields.h"

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

template <int bits>
void move_columns_of(const uint32_t* row, std::span<const int32_t> order, uint8_t* bytes,
                     uint32_t* out) {
    constexpr size_t kFields = 32 / bits;
    const size_t columns = order.size();
    for (size_t k = 0; k < columns; ++k) {
        bytes[k] =
            static_cast<uint8_t>(field(row[k / kFields], static_cast<int>(k % kFields), bits));
    }
    for (size_t first = 0; first < columns; first += kFields) {
        uint32_t word = 0;
        const size_t used = std::min(kFields, columns - first);
        for (size_t i = 0; i < used; ++i) {
            word |= uint32_t{bytes[order[first + i]]} << (static_cast<int>(i) * bits);
        }
        out[first / kFields] = word;
    }
}

}  // namespace

void move_columns(const uint32_t* row, std::span<const int32_t> order, int bits, uint8_t* bytes,
                  uint32_t* out) {
    if (bits == 4) {
        move_columns_of<4>(row, order, bytes, out);
    } else {
        move_columns_of<8>(row, order, bytes, out);
    }
}

}  // namespace mmoe
