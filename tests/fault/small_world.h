// SPDX-License-Identifier: Apache-2.0
// A small checkpoint with numbers in it, and one call of its layer, for tests that then let
// something go wrong. E = 3, H = 64, I = 32, 4 bits, groups of 32, zero points.
#pragma once

#include <string>
#include <vector>

#include "marlin_moe.h"
#include "support/small_tensors.h"

#include "parity/handles.h"

namespace mmoe::fault {

using parity::Error;
using parity::Handle;
using parity::sized;

// A safetensors file of these tensors with numbers that a layer can have.
std::string file_with_numbers(const test::SmallTensors& tensors);

// Two shards, an index and a config.json; `ordered` has activation order.
void write_model(const test::ScratchFolder& folder, bool ordered);

// Operands of a run of kTokens tokens, the same every time; `output` is what came out.
class Call {
  public:
    static constexpr int64_t kTokens = 3;
    static constexpr int64_t kTopK = 2;

    Call();
    [[nodiscard]] mmoe_run_args args();
    mmoe_status run(mmoe_executor* executor, const mmoe_bundle* bundle, mmoe_error* error);

    std::vector<float> output;  // [T, H]

  private:
    std::vector<float> hidden_;   // [T, H]
    std::vector<int32_t> ids_;    // [T, top_k]
    std::vector<float> weights_;  // [T, top_k]
};

[[nodiscard]] mmoe_executor_options executor_options();

// Every tensor of one expert in the packing of the checkpoint, with its memory.
struct ExpertMemory {
    explicit ExpertMemory(uint32_t seed);
    std::vector<mmoe_expert_tensor> tensors;
    std::vector<std::vector<uint32_t>> words;
};

// Objects that need no failure to be made.
Handle<mmoe_context> make_context(const mmoe_context_options& options);
Handle<mmoe_quant_config> make_config();
[[nodiscard]] mmoe_layer small_layer();
Handle<mmoe_checkpoint> open_checkpoint(mmoe_context* context, const std::string& path);
Handle<mmoe_bundle> load_bundle(mmoe_context* context, const mmoe_checkpoint* checkpoint);
Handle<mmoe_executor> make_executor(mmoe_context* context, const mmoe_bundle* bundle);

// Descriptors that the process has open.
int open_descriptors();

}  // namespace mmoe::fault
