// SPDX-License-Identifier: Apache-2.0
// The expert weights of one layer, repacked and resident. Filled tensor by tensor, loaded from a
// checkpoint or opened from a saved file; once sealed, it changes by whole experts only.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/exclusive.h"
#include "base/memory.h"
#include "base/status.h"
#include "bundle/cpu_store.h"
#include "bundle/cuda_store.h"
#include "bundle/expert_tensors.h"
#include "bundle/marlin_experts.h"
#include "bundle/scratch_plan.h"
#include "bundle/spec.h"
#include "checkpoint/checkpoint.h"
#include "device/context.h"

namespace mmoe {

struct MemoryNeed {
    uint64_t resident_bytes = 0;
    uint64_t scratch_bytes = 0;
};

// Returns false to stop.
using Progress = std::function<bool(uint64_t done_bytes, uint64_t total_bytes)>;

class Bundle {
  public:
    // From shapes alone; refuses what cannot run.
    static Result<MemoryNeed> plan(const Context& context, const BundleSpec& spec);

    // Empty.
    static Result<std::shared_ptr<Bundle>> create(std::shared_ptr<const Context> context,
                                                  const BundleSpec& spec);

    // Sealed. With fewer slots than experts it starts without any. `progress` may be empty.
    static Result<std::shared_ptr<Bundle>> load(std::shared_ptr<const Context> context,
                                                const Checkpoint& checkpoint,
                                                const LayerEntry& entry, const Split& split,
                                                int64_t slot_count, const Progress& progress);

    // Writes a sealed bundle to one file, whole or not at all.
    Status save(const std::string& path) const;
    // Reads what save() wrote; sealed. With `verify`, every byte is checked.
    static Result<std::shared_ptr<Bundle>> open(std::shared_ptr<const Context> context,
                                                const std::string& path, bool verify,
                                                const Progress& progress);

    // Sealed, with a slot for every expert of the rank: `experts` has them all.
    static Result<std::shared_ptr<Bundle>> import_marlin(std::shared_ptr<const Context> context,
                                                         const BundleSpec& spec,
                                                         const MarlinExperts& experts);
    // Of a sealed bundle: writes its experts from `first_expert` on, as many as `experts` counts.
    Status export_marlin(int64_t first_expert, const MarlinExperts& experts) const;

    Status set(int64_t expert, Projection projection, Role role, const TensorView& tensor);
    Status seal();

    // Of a sealed bundle: puts one expert in, in place of what it was, or in a free slot.
    Status put(int64_t expert, const ExpertTensors& tensors);
    Status put(int64_t expert, const Checkpoint& checkpoint, const LayerEntry& entry);
    // Takes one expert out; its ids are skipped from now on.
    Status evict(int64_t expert);

    [[nodiscard]] bool sealed() const noexcept { return sealed_.load(std::memory_order_acquire); }
    [[nodiscard]] const std::shared_ptr<const Context>& context() const noexcept {
        return context_;
    }
    [[nodiscard]] const BundleSpec& spec() const noexcept { return spec_; }
    [[nodiscard]] const Layer& layer() const noexcept { return spec_.layer; }  // whole
    [[nodiscard]] const Shard& shard() const noexcept { return shard_; }
    [[nodiscard]] int64_t resident_count() const noexcept;
    [[nodiscard]] uint64_t resident_bytes() const noexcept { return store_->resident_bytes(); }

    // Runs read, put() and evict() write.
    [[nodiscard]] ReadersOrWriter& users() const noexcept { return users_; }
    // [E]: slot of each global expert, or -1.
    [[nodiscard]] std::span<const int32_t> slots() const noexcept { return slots_; }
    // Null unless the context's device is the CPU, or a CUDA device.
    [[nodiscard]] const CpuStore* cpu() const noexcept { return cpu_; }
    [[nodiscard]] const CudaStore* cuda() const noexcept { return cuda_; }

  private:
    // An expert's tensors, kept until the last of them has come.
    struct Staged {
        ExpertTensors tensors;
        Buffer data[ExpertTensors::kCount];
    };

    class NegativeScales;
    // What loads of several experts share.
    struct LoadFrom {
        const Checkpoint& checkpoint;
        const LayerEntry& entry;
        const ScratchPlan& scratch;
        NegativeScales& negative_scales;
    };

    Bundle() = default;
    Status make_store(const std::shared_ptr<const Context>& context);
    Status set_exclusively(int64_t expert, Projection projection, Role role,
                           const TensorView& tensor);
    Status check_expert(int64_t expert) const;
    Status check_export(int64_t first_expert, int64_t count) const;
    Status check_values(const ExpertTensors& tensors) const;
    Status put_checked(int64_t slot, const ExpertTensors& tensors);
    Status load_expert(const LoadFrom& from, int64_t expert, int64_t slot);
    Status load_projection(const LoadFrom& from, int64_t expert, Projection projection,
                           int64_t slot, std::span<const int32_t> channels);
    // The expert's own slot or a free one.
    Result<int64_t> slot_for(int64_t expert) const;
    Status replace(int64_t expert, const std::function<Status(int64_t slot)>& fill);

    std::shared_ptr<const Context> context_;
    BundleSpec spec_;
    Shard shard_;
    ExpertForm form_;
    std::unique_ptr<Store> store_;
    CpuStore* cpu_ = nullptr;    // store_, if it is one
    CudaStore* cuda_ = nullptr;  // likewise
    std::vector<int32_t> slots_;
    std::map<int64_t, Staged> staged_;  // by expert
    Exclusive filling_;
    mutable ReadersOrWriter users_;
    std::atomic<bool> sealed_{false};
};

}  // namespace mmoe
