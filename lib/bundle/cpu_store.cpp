// SPDX-License-Identifier: Apache-2.0
// Tensors become records in strips: unpack, take the slice, pack.
#include "bundle/cpu_store.h"

#include <algorithm>
#include <cstring>

#include "repack/cpu_records.h"
#include "repack/slice.h"

namespace mmoe {
namespace {

// A strip's codes and scales stay in the second-level cache between unpacking and repacking.
constexpr int64_t kStripBytes = int64_t{256} << 10;

int64_t strip_rows(int64_t inputs, int64_t groups, int bits) noexcept {
    const int64_t row_bytes = inputs * bits / 8 + groups * int64_t{sizeof(float) + 1};
    return std::max<int64_t>(1, kStripBytes / (row_bytes * layout::kLanes)) * layout::kLanes;
}

}  // namespace

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
                                   [&](uint32_t slot) { store->clear(slot); });
    return store;
}

void CpuStore::clear(int64_t slot) noexcept {
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

// The projection's canonical strips, cut to this rank's slice.
Result<std::unique_ptr<Unpacker>> CpuStore::make_unpacker(const StoreEntry& entry,
                                                          int64_t max_rows) {
    const Layer& layer = spec_.layer;
    const int64_t outputs = layer.outputs(entry.projection);
    const Slice& slice = shard_.slice;
    TRY(std::unique_ptr<Unpacker> whole,
        Unpacker::create(spec_.config, outputs, layer.inputs(entry.projection), entry.tensors,
                         std::min(max_rows, outputs), context_->allocator));
    const bool whole_axis = slice.size == layer.intermediate_size;
    if (entry.projection == Projection::kDown) {
        if (whole_axis) return whole;
        return slice_inputs(std::move(whole), slice, std::min(max_rows, outputs),
                            context_->allocator);
    }
    if (entry.channels.empty()) {
        return whole_axis ? std::move(whole) : slice_outputs(std::move(whole), slice);
    }
    const auto channels =
        entry.channels.subspan(static_cast<size_t>(slice.first), static_cast<size_t>(slice.size));
    return move_outputs(std::move(whole), outputs, channels, std::min(max_rows, outputs),
                        context_->allocator);
}

// Gate and up multiply the same activations: the second of them must have the first one's order.
Status CpuStore::keep_input_order(const StoreEntry& entry) {
    if (!plan_.input_order || entry.projection == Projection::kDown) return {};
    const auto inputs = static_cast<size_t>(spec_.layer.hidden_size);
    std::vector<int32_t> order =
        input_order(spec_.config, spec_.layer.hidden_size, entry.tensors.group_index);
    for (size_t k = order.size(); k < inputs; ++k) order.push_back(static_cast<int32_t>(k));
    auto* kept = reinterpret_cast<int32_t*>(slot_data(entry.slot) + plan_.order_offset_bytes());
    uint8_t& known = has_order_[static_cast<size_t>(entry.slot)];
    if (known != 0) return check_same_order({kept, inputs}, order);
    std::copy(order.begin(), order.end(), kept);
    known = 1;
    return {};
}

Status CpuStore::put(const StoreEntry& entry) {
    const Place to = place(entry.projection);
    const QuantConfig& config = spec_.config;
    const int64_t inputs = spec_.layer.inputs(entry.projection);
    const int64_t max_rows =
        strip_rows(inputs, inputs / config.group_size_for(inputs), config.bits);
    TRY(keep_input_order(entry));
    TRY(const std::unique_ptr<Unpacker> unpacker, make_unpacker(entry, max_rows));
    const std::span<uint8_t> records(slot_data(entry.slot) + to.records_offset_bytes,
                                     static_cast<size_t>(to.plan->matrix_bytes()));
    const int64_t outputs = to.plan->outputs;
    for (int64_t row = 0; row < outputs; row += max_rows) {
        const Canonical strip = unpacker->strip(row, std::min(max_rows, outputs - row));
        pack_cpu_records(*to.plan, strip, row, to.second, records);
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
