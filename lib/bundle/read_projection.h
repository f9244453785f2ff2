// SPDX-License-Identifier: Apache-2.0
// Tensors of one expert, read from a checkpoint into host memory a part at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/memory.h"
#include "base/status.h"
#include "bundle/expert_tensors.h"
#include "bundle/projection_source.h"
#include "checkpoint/checkpoint.h"

namespace mmoe {

class FileProjection final : public ProjectionSource {
  public:
    // From headers alone: what the projection needs is there, and has the shapes and types that the
    // layer's have. So no file decides how much memory is asked for. Checkpoint and entry must
    // outlive the source. Strips are at most `max_rows` long.
    static Result<FileProjection> open(const Checkpoint& checkpoint, const LayerEntry& entry,
                                       int64_t expert, Projection projection, int64_t max_rows,
                                       std::shared_ptr<const Allocator> allocator);

    Result<std::unique_ptr<Unpacker>> outputs(int64_t first, int64_t rows, CodeForm form) override;
    // Empty if the layer has none.
    [[nodiscard]] Result<std::vector<float>> read_bias() const;

    // Looks at what outputs() reads from now on.
    void watch_negative_scales() noexcept { watches_ = true; }
    // The first that was seen.
    [[nodiscard]] const std::optional<ScalePlace>& negative_scale() const noexcept {
        return negative_scale_;
    }

  private:
    FileProjection(const Checkpoint& checkpoint, const LayerEntry& entry, Projection projection,
                   int64_t max_rows, std::shared_ptr<const Allocator> allocator)
        : checkpoint_(&checkpoint),
          entry_(&entry),
          projection_(projection),
          max_rows_(max_rows),
          allocator_(std::move(allocator)) {}
    Result<bool> find(int64_t expert, Role role);

    const Checkpoint* checkpoint_;
    const LayerEntry* entry_;
    Projection projection_;
    int64_t max_rows_;
    std::shared_ptr<const Allocator> allocator_;
    ExpertTensor files_[std::size(kRoles)];  // null entry: there is none
    bool watches_ = false;
    std::optional<ScalePlace> negative_scale_;
};

// Activation order of the down projection alone.
Result<std::vector<int32_t>> read_channels(const Checkpoint& checkpoint, const LayerEntry& entry,
                                           int64_t expert,
                                           const std::shared_ptr<const Allocator>& allocator);

// (code - zero point) * scale as fp32 [N, K], input columns in the order of the file.
Status dequantize(const Checkpoint& checkpoint, const LayerEntry& entry, int64_t expert,
                  Projection projection, std::span<float> weights,
                  const std::shared_ptr<const Allocator>& allocator);

}  // namespace mmoe
