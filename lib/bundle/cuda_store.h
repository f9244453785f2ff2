// SPDX-License-Identifier: Apache-2.0
// Expert weights as Marlin tiles in the memory of a CUDA device.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "bundle/cuda_plan.h"
#include "bundle/spec.h"
#include "bundle/store.h"
#include "cuda/launch.h"
#include "cuda/repack.h"
#include "device/context.h"
#include "device/cuda_memory.h"
#include "device/cuda_staging.h"

namespace mmoe {

// Tiles of a projection lie column after column: [N/64][K/16]. So gate and up of one expert are
// two halves of its codes, and a projection reaches the device with one copy.
class CudaStore final : public Store {
  public:
    static Result<std::unique_ptr<CudaStore>> create(std::shared_ptr<const Context> context,
                                                     const BundleSpec& spec, const Shard& shard);

    Status put(const StoreEntry& entry) override;
    Status put_bias(int64_t slot, Projection projection, std::span<const float> bias,
                    std::span<const int32_t> channels) override;
    // Waits for runs that were enqueued before; what the slot holds is overwritten, and padding
    // stays zero.
    Status clear(int64_t slot) override;
    Status publish(std::span<const int32_t> slots) override;
    void end_filling() noexcept override { staging_.release(); }
    [[nodiscard]] SavedLayout saved_layout() const noexcept override {
        return SavedLayout::kCudaTiles;
    }
    Status read_slot(int64_t slot, std::span<uint8_t> out) const override;
    Status write_slot(int64_t slot, std::span<const uint8_t> bytes) override;
    [[nodiscard]] std::span<uint8_t> slot_bytes(int64_t /*slot*/) const noexcept override {
        return {};
    }
    [[nodiscard]] uint64_t resident_bytes() const noexcept override { return plan_.total_bytes; }

    // What the kernels see.
    [[nodiscard]] const cuda::Layer& layer() const noexcept { return layer_; }

  private:
    CudaStore() = default;
    [[nodiscard]] cuda::Matrix view(const CudaMatrixPlan& matrix) const noexcept;
    void make_view() noexcept;
    // A slot's share of a part, in device memory.
    [[nodiscard]] uint8_t* slot_data(const CudaPart& part, int64_t slot) const noexcept;
    struct BandPlan;
    [[nodiscard]] cuda::RepackTarget target(const StoreEntry& entry,
                                            int64_t columns) const noexcept;
    Status repack(const StoreEntry& entry, CudaStaging& staging, const BandPlan& band) const;
    Status keep_hidden_order(const StoreEntry& entry);

    std::shared_ptr<const Context> context_;
    BundleSpec spec_;
    Shard shard_;
    CudaBundlePlan plan_;
    std::vector<uint8_t> has_order_;  // [slots]
    Budget::Lease lease_;
    DeviceBuffer memory_;
    CudaStagingPool staging_;  // empty but while experts are put
    cuda::Layer layer_;
};

// The kernels' view of a layer of this shape, without pointers: enough to plan a workspace.
[[nodiscard]] cuda::Layer describe_cuda_layer(const BundleSpec& spec, const CudaBundlePlan& plan);

}  // namespace mmoe
