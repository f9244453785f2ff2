// SPDX-License-Identifier: Apache-2.0
// The unpackers of slices: rows where they lie, rows brought together, columns cut out.
#include <cassert>
#include <cstddef>
#include <cstring>

#include "base/checked.h"
#include "repack/slice.h"

namespace mmoe {

namespace {

constexpr int32_t kNotHere = -1;

// Memory for rows of the shape of a strip.
Result<RowMemory> rows_like(Canonical strip, int64_t rows,
                            std::shared_ptr<const Allocator> allocator) {
    const RowMemory::Pieces pieces{.zero_points = !strip.zero_points.empty()};
    strip.codes = {};
    strip.scales = {};
    strip.zero_points = {};
    return RowMemory::create(strip, pieces, rows, std::move(allocator));
}

class OutputSlice final : public Unpacker {
  public:
    OutputSlice(std::unique_ptr<Unpacker> source, int64_t first)
        : source_(std::move(source)), first_(first) {}
    [[nodiscard]] int64_t wide_rows() const noexcept override { return source_->wide_rows(); }
    Canonical strip(int64_t first_row, int64_t rows) override {
        return source_->strip(first_ + first_row, rows);
    }

  private:
    std::unique_ptr<Unpacker> source_;
    int64_t first_;
};

// Rows that have been brought together.
class GatheredOutputs final : public Unpacker {
  public:
    GatheredOutputs(std::vector<int32_t> order, RowMemory memory)
        : order_(std::move(order)), memory_(std::move(memory)) {}
    Canonical strip(int64_t first_row, int64_t rows) override {
        Canonical strip = memory_.view(first_row, rows);
        strip.order = order_;
        return strip;
    }

  private:
    std::vector<int32_t> order_;
    RowMemory memory_;
};

void copy_row(const Canonical& from, int64_t row, const RowMemory& to, int64_t to_row) {
    const auto words = static_cast<size_t>(from.words_per_row());
    const auto groups = static_cast<size_t>(from.groups());
    const auto at = static_cast<size_t>(row);
    std::memcpy(to.codes(to_row), from.codes.data() + at * words, words * 4);
    std::memcpy(to.scales(to_row), from.scales.data() + at * groups, groups * 4);
    if (from.zero_points.empty()) return;
    std::memcpy(to.zero_points(to_row), from.zero_points.data() + at * groups, groups);
}

// Bits [first_bit, first_bit + bits) of a row of `words` words, moved to the front of `out`; spare
// bits of the last word are 0.
void copy_bits(const uint32_t* row, int64_t words, int64_t first_bit, int64_t bits, uint32_t* out) {
    const int64_t first_word = first_bit / 32;
    const auto shift = static_cast<int>(first_bit % 32);
    const int64_t out_words = ceil_div(bits, int64_t{32});
    for (int64_t i = 0; i < out_words; ++i) {
        const int64_t at = first_word + i;
        const uint64_t upper = at + 1 < words ? row[at + 1] : 0;
        out[i] = static_cast<uint32_t>((upper << 32 | row[at]) >> shift);
    }
    if (bits % 32 != 0) out[out_words - 1] &= (1u << (bits % 32)) - 1;
}

class InputSlice final : public Unpacker {
  public:
    InputSlice(std::unique_ptr<Unpacker> source, int64_t first, RowMemory memory)
        : source_(std::move(source)), first_(first), memory_(std::move(memory)) {}

    Canonical strip(int64_t first_row, int64_t rows) override {
        const Canonical whole = source_->strip(first_row, rows);
        const Canonical& part = memory_.shape();
        for (int64_t row = 0; row < rows; ++row) {
            copy_bits(whole.codes.data() + row * whole.words_per_row(), whole.words_per_row(),
                      first_ * whole.bits, part.columns * whole.bits, memory_.codes(row));
            for (int64_t group = 0; group < part.groups(); ++group) {
                const int64_t from = (first_ + group * part.group_size) / whole.group_size;
                memory_.scales(row)[group] = whole.scale(row, from);
                if (whole.zero_points.empty()) continue;
                memory_.zero_points(row)[group] = static_cast<uint8_t>(whole.zero_point(row, from));
            }
        }
        return memory_.view(0, rows);
    }

  private:
    std::unique_ptr<Unpacker> source_;
    int64_t first_;
    RowMemory memory_;
};

}  // namespace

std::unique_ptr<Unpacker> slice_outputs(std::unique_ptr<Unpacker> source, int64_t first) {
    return std::make_unique<OutputSlice>(std::move(source), first);
}

Result<OutputGather> OutputGather::create(const Canonical& like, int64_t outputs,
                                          std::span<const int32_t> channels,
                                          std::shared_ptr<const Allocator> allocator) {
    OutputGather gather;
    gather.place_.assign(static_cast<size_t>(outputs), kNotHere);
    for (size_t i = 0; i < channels.size(); ++i) {
        gather.place_[static_cast<size_t>(channels[i])] = static_cast<int32_t>(i);
    }
    gather.order_.assign(like.order.begin(), like.order.end());
    TRY(gather.memory_,
        rows_like(like, static_cast<int64_t>(channels.size()), std::move(allocator)));
    return gather;
}

void OutputGather::add(const Canonical& strip, int64_t first_output) noexcept {
    for (int64_t row = 0; row < strip.rows; ++row) {
        const int32_t to = place_[static_cast<size_t>(first_output + row)];
        if (to != kNotHere) copy_row(strip, row, memory_, to);
    }
}

std::unique_ptr<Unpacker> OutputGather::finish() && {
    return std::make_unique<GatheredOutputs>(std::move(order_), std::move(memory_));
}

Result<std::unique_ptr<Unpacker>> slice_inputs(std::unique_ptr<Unpacker> source, const Slice& slice,
                                               int64_t max_rows,
                                               std::shared_ptr<const Allocator> allocator) {
    Canonical shape = source->strip(0, 1);
    assert(slice.first + slice.size <= shape.columns && slice.size % slice.down_group_size == 0);
    shape.columns = slice.size;
    shape.group_size = slice.down_group_size;
    shape.order = {};
    TRY(RowMemory memory, rows_like(shape, max_rows, std::move(allocator)));
    return std::unique_ptr<Unpacker>(
        std::make_unique<InputSlice>(std::move(source), slice.first, std::move(memory)));
}

}  // namespace mmoe
