// SPDX-License-Identifier: Apache-2.0
// Inside of room unpack: activation order. A group index names the group of every input column;
// the canonical form wants each group's columns together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"

namespace mmoe {

// Every group must exist and own exactly `group_size` columns.
Status check_group_index(std::span<const int32_t> group_index, int64_t group_size);

// Every number from 0 to the size must stand there once: an order that has been applied already.
Status check_permutation(std::span<const int32_t> order);

// Whether column k has group k / group_size: nothing has to move.
[[nodiscard]] bool is_plain_order(std::span<const int32_t> group_index, int64_t group_size);

// [K]: the file column that comes to each place; columns of one group keep the file's order.
// The group index has been checked.
std::vector<int32_t> group_order(std::span<const int32_t> group_index, int64_t group_size);

// Codes of `rows` outputs, at most kBlock, with their columns moved: field k of a row of `out` is
// field order[k] of the same output in `by_input`.
//   by_input: [words_per_row, kBlock] canonical words in transposed form
//   out:      [rows, words_per_row]
void move_columns(const uint32_t* by_input, int64_t rows, std::span<const int32_t> order, int bits,
                  uint32_t* out);

}  // namespace mmoe
