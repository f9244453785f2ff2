// SPDX-License-Identifier: Apache-2.0
// Runs one layer on a batch of tokens: puts the operands where the device wants them, makes the
// executor, times the run, brings the output back.
#pragma once

#include <memory>
#include <vector>

#include "library.h"
#include "memory.h"

namespace tool {

// One batch, on the host.
struct Batch {
    uint32_t token_count = 0;  // T
    uint32_t top_k = 0;
    uint32_t hidden_size = 0;  // H
    mmoe_dtype dtype = MMOE_DTYPE_BF16;
    std::vector<uint8_t> hidden;        // [T, H] of dtype
    std::vector<int32_t> expert_ids;    // [T, top_k]
    std::vector<float> expert_weights;  // [T, top_k]
};

struct Arithmetic {
    mmoe_precision precision = MMOE_PRECISION_DEFAULT;
    mmoe_dtype output_dtype = MMOE_DTYPE_BF16;
};

class LayerRun {
  public:
    LayerRun(mmoe_context* context, const mmoe_bundle* bundle, std::shared_ptr<Memory> memory,
             const Batch& batch, const Arithmetic& arithmetic);

    // Runs the layer once and returns the microseconds until its output is there.
    double run_us();
    [[nodiscard]] std::vector<double> output() const;  // [T, H]
    // Which kernels serve the batch, one line each.
    [[nodiscard]] std::string explanation() const;

  private:
    const mmoe_bundle* bundle_;
    std::shared_ptr<Memory> memory_;
    MemoryBlock hidden_;
    MemoryBlock expert_ids_;
    MemoryBlock expert_weights_;
    MemoryBlock output_;
    size_t output_count_;
    mmoe_dtype output_dtype_;
    uint32_t token_count_;
    Executor executor_;
    mmoe_run_args args_;
};

}  // namespace tool
