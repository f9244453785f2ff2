// SPDX-License-Identifier: Apache-2.0
#include "bundle/cpu_store.h"

#include <algorithm>
#include <cstring>

#include "repack/cpu_records.h"

namespace mmoe {
namespace {

// A strip's codes and scales stay in the second-level cache between unpacking and repacking.
constexpr int64_t kStripBytes = int64_t{256} << 10;

int64_t strip_rows(const layout::CpuRecordPlan& plan) noexcept {
    const int64_t row_bytes =
        plan.inputs * plan.bits / 8 + plan.groups() * int64_t{sizeof(float) + 1};
    return std::max<int64_t>(1, kStripBytes / (row_bytes * layout::kLanes)) * layout::kLanes;
}

}  // namespace

Result<std::unique_ptr<CpuStore>> CpuStore::create(std::shared_ptr<const Context> context,
                                                   const QuantConfig& config, const Layer& layer,
                                                   int64_t slot_count) {
    std::unique_ptr<CpuStore> store(new CpuStore);
    store->config_ = config;
    store->plan_ = plan_cpu_bundle(config, layer, slot_count);
    const auto bytes = store->resident_bytes();
    TRY(store->lease_, Budget::take(context->budget, bytes, "expert weights"));
    TRY(store->memory_, Buffer::create(context->allocator, bytes, "expert weights"));
    store->context_ = std::move(context);
    TRY(store->context_->parallel->start());
    store->clear();
    return store;
}

// Padding lanes and codes are zero; each thread touches first what it clears.
void CpuStore::clear() {
    context_->parallel->run(static_cast<uint32_t>(plan_.expert_count), [this](uint32_t slot) {
        std::memset(slot_data(slot), 0, static_cast<size_t>(plan_.expert_bytes()));
    });
}

uint8_t* CpuStore::slot_data(int64_t slot) const noexcept {
    return memory_.data() + slot * plan_.expert_bytes();
}

CpuStore::Expert CpuStore::expert(int64_t slot) const noexcept {
    const uint8_t* data = slot_data(slot);
    Expert expert = {data, data + plan_.down_offset_bytes(), nullptr, nullptr};
    if (plan_.bias) {
        expert.gate_up_bias =
            reinterpret_cast<const float*>(data + plan_.gate_up_bias_offset_bytes());
        expert.down_bias = reinterpret_cast<const float*>(data + plan_.down_bias_offset_bytes());
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

Status CpuStore::put(int64_t slot, Projection projection, const ProjectionTensors& tensors) {
    const Place to = place(projection);
    const int64_t outputs = to.plan->outputs;
    const int64_t rows_at_a_time = strip_rows(*to.plan);
    TRY(const std::unique_ptr<Unpacker> unpacker,
        Unpacker::create(config_, outputs, to.plan->inputs, tensors,
                         std::min(rows_at_a_time, outputs), context_->allocator));
    const std::span<uint8_t> records(slot_data(slot) + to.records_offset_bytes,
                                     static_cast<size_t>(to.plan->matrix_bytes()));
    for (int64_t row = 0; row < outputs; row += rows_at_a_time) {
        const Canonical strip = unpacker->strip(row, std::min(rows_at_a_time, outputs - row));
        pack_cpu_records(*to.plan, strip, row, to.second, records);
    }
    return {};
}

Status CpuStore::put_bias(int64_t slot, Projection projection, std::span<const float> bias) {
    const Place to = place(projection);
    auto* lanes = reinterpret_cast<float*>(slot_data(slot) + to.bias_offset_bytes);
    for (size_t output = 0; output < bias.size(); ++output) {
        const layout::CpuLane lane =
            layout::cpu_lane(*to.plan, static_cast<int64_t>(output), to.second);
        lanes[lane.block * layout::kLanes + lane.lane] = bias[output];
    }
    return {};
}

}  // namespace mmoe
