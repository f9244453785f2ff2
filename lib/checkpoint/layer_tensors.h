// SPDX-License-Identifier: Apache-2.0
// Which tensors of a checkpoint make up which MoE layer: names only, no claim about shapes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "checkpoint/expert_names.h"
#include "checkpoint/tensor.h"

namespace mmoe {

// A tensor of a layer: its place in the checkpoint, and what its name says.
struct LayerTensor {
    uint32_t tensor = 0;
    uint32_t suffix_bytes = 0;  // at the end of its name, behind the module
};

class LayerTensors {
  public:
    std::string experts_prefix;
    uint32_t model_layer = 0;
    int64_t expert_count = 0;  // 0: all experts in one tensor, whose shape says how many
    bool may_lack_gate = false;
    bool input_major = false;
    bool plain_intermediate = false;
    Style style = Style::kForeign;           // of the weights
    std::optional<uint32_t> foreign_tensor;  // one of them
    Status problem;                          // names that contradict each other

    [[nodiscard]] bool fused() const noexcept { return expert_count == 0; }
    // Sets of tensors: one an expert, or one for all.
    [[nodiscard]] int64_t set_count() const noexcept { return fused() ? 1 : expert_count; }
    // Null if there is none. `set` is below set_count().
    [[nodiscard]] const LayerTensor* find(int64_t set, Part part, Slot slot) const noexcept;

  private:
    friend class LayerCollector;
    std::vector<std::optional<LayerTensor>> table_;  // [set_count, kPartCount, kSlotCount]
};

// In order of layer number, then of prefix.
std::vector<LayerTensors> find_layers(std::span<const TensorEntry> tensors,
                                      const ExpertNaming& naming);

}  // namespace mmoe
