// SPDX-License-Identifier: Apache-2.0
// Expert weights as CPU records in host memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/memory.h"
#include "bundle/cpu_plan.h"
#include "bundle/spec.h"
#include "bundle/store.h"
#include "device/context.h"

namespace mmoe {

class CpuStore final : public Store {
  public:
    static Result<std::unique_ptr<CpuStore>> create(std::shared_ptr<const Context> context,
                                                    const BundleSpec& spec, const Shard& shard);

    // The order of a row's inputs is read from canonical strips.
    [[nodiscard]] CodeForm code_form() const noexcept override {
        return plan_.input_order ? CodeForm::kCanonical : CodeForm::kAny;
    }
    Status put(const StoreEntry& entry) override;
    Status put_bias(int64_t slot, Projection projection, std::span<const float> bias,
                    std::span<const int32_t> channels) override;
    [[nodiscard]] uint64_t resident_bytes() const noexcept override {
        return static_cast<uint64_t>(plan_.total_bytes());
    }

    [[nodiscard]] const CpuBundlePlan& plan() const noexcept { return plan_; }

    struct Expert {
        const uint8_t* gate_up;      // records
        const uint8_t* down;         // records
        const float* gate_up_bias;   // [blocks, 64] in lane order, or null
        const float* down_bias;      // [blocks, 64], or null
        const int32_t* input_order;  // [H]: hidden element that comes to each input, or null
    };
    [[nodiscard]] Expert expert(int64_t slot) const noexcept;

    [[nodiscard]] SavedLayout saved_layout() const noexcept override {
        return SavedLayout::kCpuRecords;
    }
    Status read_slot(int64_t slot, std::span<uint8_t> out) const override;
    Status write_slot(int64_t slot, std::span<const uint8_t> bytes) override;
    [[nodiscard]] std::span<uint8_t> slot_bytes(int64_t slot) const noexcept override {
        return {slot_data(slot), static_cast<size_t>(plan_.slot_bytes())};
    }
    // Zeroes a slot, padding included: what every expert starts from.
    Status clear(int64_t slot) override;
    // Runs on the CPU read the bundle's own table.
    Status publish(std::span<const int32_t> /*slots*/) override { return {}; }

  private:
    // Where one projection goes inside its slot.
    struct Place {
        const layout::CpuRecordPlan* plan;
        bool second;  // the up half of a gated pair
        int64_t records_offset_bytes;
        int64_t bias_offset_bytes;
    };

    CpuStore() = default;
    [[nodiscard]] Place place(Projection projection) const noexcept;
    [[nodiscard]] uint8_t* slot_data(int64_t slot) const noexcept;
    void zero(int64_t slot) noexcept;
    Status keep_input_order(const StoreEntry& entry);

    std::shared_ptr<const Context> context_;
    BundleSpec spec_;
    Shard shard_;
    CpuBundlePlan plan_;
    std::vector<uint8_t> has_order_;  // [slots]
    Budget::Lease lease_;
    Buffer memory_;
};

}  // namespace mmoe
