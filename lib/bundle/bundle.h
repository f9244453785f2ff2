// SPDX-License-Identifier: Apache-2.0
// The expert weights of one layer, repacked and resident. Filled tensor by tensor or loaded from
// a checkpoint; immutable once sealed.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/exclusive.h"
#include "base/memory.h"
#include "base/status.h"
#include "bundle/cpu_store.h"
#include "bundle/shard.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/layer.h"
#include "checkpoint/quant_config.h"
#include "checkpoint/tensor.h"
#include "device/context.h"
#include "unpack/unpack.h"

namespace mmoe {

struct MemoryNeed {
    uint64_t resident_bytes = 0;
    uint64_t scratch_bytes = 0;
};

// Host memory that load() takes beside the bundle.
uint64_t load_scratch_bytes(const Context& context, const CpuBundlePlan& plan) noexcept;

// Returns false to stop.
using Progress = std::function<bool(uint64_t done_bytes, uint64_t total_bytes)>;

class Bundle {
  public:
    // From shapes alone; `config` and `layer` must be supported.
    static Result<MemoryNeed> plan(const Context& context, const QuantConfig& config,
                                   const Layer& layer, const Split& split);

    // Empty.
    static Result<std::shared_ptr<Bundle>> create(std::shared_ptr<const Context> context,
                                                  const QuantConfig& config, const Layer& layer,
                                                  const Split& split);

    // Sealed. `progress` may be empty.
    static Result<std::shared_ptr<Bundle>> load(std::shared_ptr<const Context> context,
                                                const Checkpoint& checkpoint,
                                                const LayerEntry& entry, const Split& split,
                                                const Progress& progress);

    // Writes a sealed bundle to one file, whole or not at all.
    Status save(const std::string& path) const;
    // Reads what save() wrote; sealed. With `verify`, every byte is checked.
    static Result<std::shared_ptr<Bundle>> open(std::shared_ptr<const Context> context,
                                                const std::string& path, bool verify,
                                                const Progress& progress);

    Status set(int64_t expert, Projection projection, Role role, const TensorView& tensor);
    Status seal();

    [[nodiscard]] bool sealed() const noexcept { return sealed_.load(std::memory_order_acquire); }
    [[nodiscard]] const std::shared_ptr<const Context>& context() const noexcept {
        return context_;
    }
    [[nodiscard]] const QuantConfig& config() const noexcept { return config_; }
    [[nodiscard]] const Layer& layer() const noexcept { return layer_; }  // whole
    [[nodiscard]] const Split& split() const noexcept { return split_; }
    [[nodiscard]] const Shard& shard() const noexcept { return shard_; }
    // Null unless the context's device is the CPU.
    [[nodiscard]] const CpuStore* cpu() const noexcept { return cpu_; }
    [[nodiscard]] uint64_t resident_bytes() const noexcept { return store_->resident_bytes(); }

  private:
    // A tensor kept until its projection is complete.
    struct Staged {
        TensorView view;
        Buffer data;
    };
    // Weight, scale, zero point and group index of one projection, by role.
    using StagedProjection = std::map<Role, Staged>;

    Bundle() = default;
    [[nodiscard]] bool has_projection(Projection projection) const noexcept;
    // Rank 0: the layer and its config have no such tensor.
    [[nodiscard]] ExpectedTensor expected(Projection projection, Role role) const;
    [[nodiscard]] uint8_t& done(int64_t local, Projection projection) noexcept {
        return done_[static_cast<size_t>(local * 3 + static_cast<int>(projection) - 1)];
    }
    Status check_place(int64_t expert, Projection projection, Role role) const;
    Status set_exclusively(int64_t expert, Projection projection, Role role,
                           const TensorView& tensor);
    Status put(int64_t local, Projection projection, const ProjectionTensors& tensors) const;
    Status put_bias(int64_t local, Projection projection, const TensorView& tensor) const;
    Status stage(int64_t local, Projection projection, Role role, const TensorView& tensor);
    Status load_expert(const Checkpoint& checkpoint, const LayerEntry& entry, int64_t local) const;
    Status load_projection(const Checkpoint& checkpoint, const LayerEntry& entry, int64_t local,
                           Projection projection) const;

    std::shared_ptr<const Context> context_;
    QuantConfig config_;
    Layer layer_;
    Split split_;
    Shard shard_;
    std::unique_ptr<Store> store_;
    CpuStore* cpu_ = nullptr;  // store_, if it is one
    std::map<std::pair<int64_t, Projection>, StagedProjection> staged_;
    std::vector<uint8_t> done_;  // [experts, 3] bits: kWeightsDone, kBiasDone
    Exclusive filling_;
    std::atomic<bool> sealed_{false};
};

}  // namespace mmoe
