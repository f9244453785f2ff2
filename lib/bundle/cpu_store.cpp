// SPDX-License-Identifier: Apache-2.0
// Bands become records strip by strip.
#include "bundle/cpu_store.h"

#include <algorithm>
#include <cstring>

#include "repack/cpu_records.h"
#include "repack/slice.h"

namespace mmoe {

Result<std::unique_ptr<CpuStore>> CpuStore::create(std::shared_ptr<const Context> context,
                                                   const BundleSpec& spec, const Shard& shard) {
    std::unique_ptr<CpuStore> store(new CpuStore);
    store->spec_ = spec;
    store->shard_ = shard;
    store->plan_ = plan_cpu_bundle(spec, shard);
    store->has_order_.resize(static_cast<size_t>(shard.slot_count));
    const auto bytes = store->resident_bytes();
    TRY(store->lease_, Budget::take(context->budget, bytes, "expert weights"));
    TRY(store->memory_, Buffer::create(context->allocator, bytes, "expert weights"));
    store->context_ = std::move(context);
    // Each thread touches first what it clears.
    TRY(store->context_->parallel->start());
    store->context_->parallel->run(static_cast<uint32_t>(shard.slot_count),
                                   [&](uint32_t slot) { store->zero(slot); });
    return store;
}

Status CpuStore::clear(int64_t slot) {
    zero(slot);
    return {};
}

void CpuStore::zero(int64_t slot) noexcept {
    std::memset(slot_data(slot), 0, static_cast<size_t>(plan_.slot_bytes()));
    has_order_[static_cast<size_t>(slot)] = 0;
}

uint8_t* CpuStore::slot_data(int64_t slot) const noexcept {
    return memory_.data() + slot * plan_.slot_bytes();
}

CpuStore::Expert CpuStore::expert(int64_t slot) const noexcept {
    const uint8_t* data = slot_data(slot);
    Expert expert = {data, data + plan_.down_offset_bytes(), nullptr, nullptr, nullptr};
    if (plan_.bias) {
        expert.gate_up_bias =
            reinterpret_cast<const float*>(data + plan_.gate_up_bias_offset_bytes());
        expert.down_bias = reinterpret_cast<const float*>(data + plan_.down_bias_offset_bytes());
    }
    if (plan_.input_order) {
        expert.input_order = reinterpret_cast<const int32_t*>(data + plan_.order_offset_bytes());
    }
    return expert;
}

CpuStore::Place CpuStore::place(Projection projection) const noexcept {
    if (projection == Projection::kDown) {
        return {&plan_.down, false, plan_.down_offset_bytes(), plan_.down_bias_offset_bytes()};
    }
    const bool second = plan_.gate_up.gated_pair && projection == Projection::kUp;
    return {&plan_.gate_up, second, 0, plan_.gate_up_bias_offset_bytes()};
}

// Gate and up multiply the same activations: the second of them must have the first one's order.
Status CpuStore::keep_input_order(const StoreEntry& entry) {
    if (!plan_.input_order || entry.projection == Projection::kDown) return {};
    const auto inputs = static_cast<size_t>(spec_.layer.hidden_size);
    const std::span<const int32_t> moved = entry.source.strip(0, 1).order;
    std::vector<int32_t> order(moved.begin(), moved.end());
    for (size_t k = order.size(); k < inputs; ++k) order.push_back(static_cast<int32_t>(k));
    auto* kept = reinterpret_cast<int32_t*>(slot_data(entry.slot) + plan_.order_offset_bytes());
    uint8_t& known = has_order_[static_cast<size_t>(entry.slot)];
    if (known != 0) return check_same_order({kept, inputs}, order);
    std::copy(order.begin(), order.end(), kept);
    known = 1;
    return {};
}

Status CpuStore::read_slot(int64_t slot, std::span<uint8_t> out) const {
    const std::span<const uint8_t> bytes = slot_bytes(slot);
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return {};
}

Status CpuStore::write_slot(int64_t slot, std::span<const uint8_t> bytes) {
    std::copy(bytes.begin(), bytes.end(), slot_data(slot));
    return {};
}

Status CpuStore::put(const StoreEntry& entry) {
    const Place to = place(entry.projection);
    TRY(keep_input_order(entry));
    const std::span<uint8_t> records(slot_data(entry.slot) + to.records_offset_bytes,
                                     static_cast<size_t>(to.plan->matrix_bytes()));
    const int64_t strip_rows = std::max(entry.strip_rows, entry.source.wide_rows());
    for (int64_t row = 0; row < entry.rows; row += strip_rows) {
        const Canonical strip = entry.source.strip(row, std::min(strip_rows, entry.rows - row));
        pack_cpu_records(*to.plan, strip, entry.first_row + row, to.second, records);
    }
    return {};
}

// The down projection's bias is added once, by tensor rank 0; the others keep zeros.
Status CpuStore::put_bias(int64_t slot, Projection projection, std::span<const float> bias,
                          std::span<const int32_t> channels) {
    const Place to = place(projection);
    const bool down = projection == Projection::kDown;
    if (down && spec_.split.tensor_rank != 0) return {};
    auto* lanes = reinterpret_cast<float*>(slot_data(slot) + to.bias_offset_bytes);
    for (int64_t output = 0; output < to.plan->outputs; ++output) {
        const int64_t place_in_file = down ? output : shard_.slice.first + output;
        const auto from = static_cast<size_t>(channels.empty() || down
                                                  ? place_in_file
                                                  : channels[static_cast<size_t>(place_in_file)]);
        const layout::CpuLane lane = layout::cpu_lane(*to.plan, output, to.second);
        lanes[lane.block * layout::kLanes + lane.lane] = bias[from];
    }
    return {};
}

}  // namespace mmoe
