// SPDX-License-Identifier: Apache-2.0
// The tensors of one layer by expert set, part and slot, and the sentences about them.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/layer_tensors.h"

namespace mmoe {

[[nodiscard]] const char* part_name(Part part) noexcept;
[[nodiscard]] const char* slot_name(Slot slot) noexcept;

// Both must outlive the view. `set` is an expert, or 0 where one tensor holds them all.
class LayerView {
  public:
    LayerView(const Checkpoint& checkpoint, const LayerTensors& tensors) noexcept
        : checkpoint_(checkpoint), tensors_(tensors) {}

    [[nodiscard]] const LayerTensors& tensors() const noexcept { return tensors_; }
    [[nodiscard]] const Checkpoint& checkpoint() const noexcept { return checkpoint_; }
    [[nodiscard]] std::string prefix() const;

    // Null if there is none.
    [[nodiscard]] const TensorEntry* find(int64_t set, Part part, Slot slot) const noexcept;
    // Missing tensor if there is none.
    Result<const TensorEntry*> expect(int64_t set, Part part, Slot slot) const;
    // The linear layer that a config file would name. The part has a weight.
    [[nodiscard]] std::string_view module_of(int64_t set, Part part) const noexcept;

    [[nodiscard]] Status missing(int64_t set, Part part, Slot slot) const;
    // For a tensor that is there and should not be.
    [[nodiscard]] Status unexpected(int64_t set, Part part, Slot slot, const char* why) const;

  private:
    const Checkpoint& checkpoint_;
    const LayerTensors& tensors_;
};

}  // namespace mmoe
