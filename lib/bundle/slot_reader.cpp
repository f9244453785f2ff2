// SPDX-License-Identifier: Apache-2.0
#include "bundle/slot_reader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "bundle/expert_tensors.h"
#include "repack/slice.h"

namespace mmoe {
namespace {

// Rows whose strips say from where their columns have come.
class OrderedRows final : public Unpacker {
  public:
    OrderedRows(std::unique_ptr<Unpacker> rows, std::span<const int32_t> order)
        : rows_(std::move(rows)), order_(order) {}
    Canonical strip(int64_t first_row, int64_t rows) override {
        Canonical strip = rows_->strip(first_row, rows);
        strip.order = order_;
        return strip;
    }

  private:
    std::unique_ptr<Unpacker> rows_;
    std::span<const int32_t> order_;
};

// Rows of gate or up in the order of down's inputs.
Result<std::unique_ptr<Unpacker>> gathered(std::unique_ptr<Unpacker> rows, int64_t outputs,
                                           std::span<const int32_t> channels,
                                           const std::shared_ptr<const Allocator>& allocator) {
    TRY(OutputGather gather, OutputGather::create(rows->strip(0, 1), outputs, channels, allocator));
    constexpr int64_t kStripRows = SlotReader::kStripRows;
    for (int64_t row = 0; row < outputs; row += kStripRows) {
        gather.add(rows->strip(row, std::min(kStripRows, outputs - row)), row);
    }
    return std::move(gather).finish();
}

}  // namespace

int64_t rank_outputs(const BundleSpec& spec, const Shard& shard, Projection projection) noexcept {
    return projection == Projection::kDown ? spec.layer.hidden_size : shard.slice.size;
}

Status put_slot(const SlotReader& reader, const BundleSpec& spec, const Shard& shard, int64_t slot,
                Store& store, const std::shared_ptr<const Allocator>& allocator) {
    for (const Projection projection : kProjections) {
        if (projection == Projection::kGate && !spec.layer.gated()) continue;
        const bool down = projection == Projection::kDown;
        const int64_t outputs = rank_outputs(spec, shard, projection);
        TRY(std::unique_ptr<Unpacker> rows, reader.rows(projection));
        const std::span<const int32_t> channels = reader.channels();
        if (!down && !channels.empty()) {
            TRY(rows, gathered(std::move(rows), outputs, channels, allocator));
        }
        if (!down) rows = std::make_unique<OrderedRows>(std::move(rows), reader.order());
        TRY(store.put({slot, projection, 0, outputs, *rows, SlotReader::kStripRows}));
        if (!spec.layer.bias) continue;
        // Stores take the part of their rank from the whole.
        std::vector<float> bias(static_cast<size_t>(spec.layer.outputs(projection)));
        const int64_t first = down ? 0 : shard.slice.first;
        for (int64_t output = 0; output < outputs; ++output) {
            const int64_t from =
                down || channels.empty() ? output : channels[static_cast<size_t>(output)];
            bias[static_cast<size_t>(first + output)] = reader.bias(projection, from);
        }
        TRY(store.put_bias(slot, projection, bias, {}));
    }
    return {};
}

}  // namespace mmoe
