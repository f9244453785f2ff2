// SPDX-License-Identifier: Apache-2.0
#include "bundle/slot_reader.h"

#include <utility>
#include <vector>

#include "bundle/expert_tensors.h"

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

}  // namespace

int64_t rank_outputs(const BundleSpec& spec, const Shard& shard, Projection projection) noexcept {
    return projection == Projection::kDown ? spec.layer.hidden_size : shard.slice.size;
}

Status put_slot(const SlotReader& reader, const BundleSpec& spec, const Shard& shard, int64_t slot,
                Store& store) {
    for (const Projection projection : kProjections) {
        if (projection == Projection::kGate && !spec.layer.gated()) continue;
        const bool down = projection == Projection::kDown;
        const int64_t outputs = rank_outputs(spec, shard, projection);
        TRY(std::unique_ptr<Unpacker> rows, reader.rows(projection));
        if (!down) rows = std::make_unique<OrderedRows>(std::move(rows), reader.order());
        TRY(store.put({slot, projection, 0, outputs, *rows, SlotReader::kStripRows}));
        if (!spec.layer.bias) continue;
        // Stores take the part of their rank from the whole.
        std::vector<float> bias(static_cast<size_t>(spec.layer.outputs(projection)));
        const int64_t first = down ? 0 : shard.slice.first;
        for (int64_t output = 0; output < outputs; ++output) {
            bias[static_cast<size_t>(first + output)] = reader.bias(projection, output);
        }
        TRY(store.put_bias(slot, projection, bias, {}));
    }
    return {};
}

}  // namespace mmoe
