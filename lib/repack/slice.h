// SPDX-License-Identifier: Apache-2.0
// Tensor-parallel slices. Ranks share the intermediate axis: a rank holds some intermediate
// channels, that is rows of gate and up and the same columns of down. Partial outputs of all ranks
// add up to the layer's.
//
// Everything here turns an unpacker into another one, so that stores and layouts need not know of
// slices. Gate and up come apart, however a file fuses them; a layer without gate has up alone. In
// this order for one expert:
//
//     order  = input_order(down's group index)        activation order of down
//     slice  = plan_slice(config, I, ranks, rank)
//     gate   = OutputGather(gate, channels)           channels: order[first, first + size), or
//     up     = OutputGather(up, channels)               slice_outputs() where there is no order
//     biases = of the same channels; down's bias belongs to rank 0 alone
//     down   = slice_inputs(down, slice)
//
// Down's unpacker has already moved its columns into groups; gate and up rows follow them, so that
// each rank holds whole groups and nothing is gathered when the layer runs.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/memory.h"
#include "base/status.h"
#include "checkpoint/quant_config.h"
#include "unpack/row_memory.h"
#include "unpack/unpack.h"

namespace mmoe {

// The intermediate channels of one rank, counted in down's column order.
struct Slice {
    int64_t first = 0;
    int64_t size = 0;
    // Columns of down that share a scale on this rank; divides `size`. Smaller than the file's
    // group where a group straddles ranks: its scale then stands in each part.
    int64_t down_group_size = 0;

    [[nodiscard]] bool operator==(const Slice&) const noexcept = default;
};

// Equal slices where their groups can be cut into parts of at least 32 channels, else slices of
// whole groups that differ by at most one group. Refuses a split that leaves a rank empty; the
// sentence says how many ranks work.
Result<Slice> plan_slice(const QuantConfig& config, int64_t intermediate, int64_t ranks,
                         int64_t rank);

// The most ranks, not above `ranks`, that plan_slice() serves.
[[nodiscard]] int64_t most_ranks(const QuantConfig& config, int64_t intermediate, int64_t ranks);

// Rows from `first` on, where they lie.
std::unique_ptr<Unpacker> slice_outputs(std::unique_ptr<Unpacker> source, int64_t first);

// Rows channels[0], channels[1], ... of a projection of `outputs` rows, each at most once: brought
// together from strips that come in any number and kept in memory of their own.
class OutputGather {
  public:
    // `like`: any strip of the projection. `channels` must outlive the gather.
    static Result<OutputGather> create(const Canonical& like, int64_t outputs,
                                       std::span<const int32_t> channels,
                                       std::shared_ptr<const Allocator> allocator);

    // `strip` starts at row `first_output` of the projection; rows that are not wanted are skipped.
    void add(const Canonical& strip, int64_t first_output) noexcept;

    // Once every strip has come. Row i is row channels[i].
    std::unique_ptr<Unpacker> finish() &&;

  private:
    OutputGather() = default;

    std::vector<int32_t> place_;  // [outputs]: row of the result, or -1
    std::vector<int32_t> order_;  // of the strips' columns
    RowMemory memory_;
};

// Columns of the slice, in groups of its group size. Strips of at most `max_rows` rows, which is
// also the source's limit. Activation order has gone into gate and up: the result has none.
Result<std::unique_ptr<Unpacker>> slice_inputs(std::unique_ptr<Unpacker> source, const Slice& slice,
                                               int64_t max_rows,
                                               std::shared_ptr<const Allocator> allocator);

// Gate and up multiply the same activations, so their activation orders must agree.
Status check_same_order(std::span<const int32_t> gate, std::span<const int32_t> up);

}  // namespace mmoe
