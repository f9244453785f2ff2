// SPDX-License-Identifier: Apache-2.0
// A model directory, read-only: safetensors headers of all shards, config.json, and which
// tensors make up which MoE layer.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "checkpoint/layer.h"
#include "checkpoint/quant_config.h"
#include "checkpoint/tensor.h"

namespace mmoe {

struct CheckpointOptions {
    uint64_t max_header_bytes = uint64_t{100} * 1000 * 1000;
    std::string experts_prefix;  // with "{l}" for the layer number; empty: known families
    std::string gate_name = "gate_proj";
    std::string up_name = "up_proj";
    std::string down_name = "down_proj";
};

// One MoE layer as found in the files.
struct LayerEntry {
    uint32_t index = 0;          // in layers()
    uint32_t model_layer = 0;    // number in tensor names
    std::string experts_prefix;  // "model.layers.0.mlp.experts."
    uint32_t top_k = 0;          // 0: config.json does not say
    uint64_t byte_count = 0;     // of all expert tensors
    Layer layer;
    QuantConfig config;
    // Why the layer cannot be used, found while opening; asking for the layer returns it.
    Status problem;
};

// One role of one projection of one expert: a tensor, or a slice of a fused tensor along its
// first axis (the expert) and second axis (gate or up).
struct ExpertTensor {
    const TensorEntry* entry = nullptr;  // null: not in the files
    int rank = 0;                        // of the slice
    int64_t shape[4] = {};               // of the slice
    uint64_t file_offset = 0;            // of the slice's first byte
    uint64_t byte_count = 0;             // of the slice
    int64_t row_stride_bytes = 0;        // 0: the slice is contiguous; else bytes from one row of
                                         // the slice to the next (interleaved gate and up)
};

class Checkpoint {
  public:
    // `path`: a directory with config.json and shards, or one safetensors file.
    static Result<std::shared_ptr<const Checkpoint>> open(const std::string& path,
                                                          const CheckpointOptions& options,
                                                          const Log& log);

    // In order of name.
    [[nodiscard]] std::span<const TensorEntry> tensors() const noexcept { return tensors_; }
    [[nodiscard]] const TensorEntry* find(std::string_view name) const noexcept;
    [[nodiscard]] std::span<const LayerEntry> layers() const noexcept { return layers_; }

    // Reads bytes [offset, offset + size) of a tensor's data.
    Status read(const TensorEntry& entry, uint64_t offset_bytes, std::span<uint8_t> out) const;

    // Finds one role of one projection of one expert of a layer; `entry` is null if absent.
    Result<ExpertTensor> expert_tensor(const LayerEntry& layer, int64_t expert,
                                       Projection projection, Role role) const;
    // Reads it whole and contiguous.
    Status read(const ExpertTensor& tensor, std::span<uint8_t> out) const;
    // Reads a part of a matrix or vector that lies inside it, contiguous. Its type has a size.
    Status read(const ExpertTensor& tensor, const TensorPart& part, std::span<uint8_t> out) const;

    ~Checkpoint();

  private:
    Checkpoint();
    struct Files;
    Status open_files(const std::string& path, const CheckpointOptions& options, const Log& log);
    struct Rows;
    Status read_rows(const TensorEntry& entry, const Rows& rows, std::span<uint8_t> out) const;

    std::unique_ptr<Files> files_;
    std::vector<TensorEntry> tensors_;
    std::vector<LayerEntry> layers_;
};

// Reads the scheme that a config.json gives one module; empty: the only scheme there is.
Result<QuantConfig> load_quant_config(const std::string& path, const std::string& module);

}  // namespace mmoe
