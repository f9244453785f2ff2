// SPDX-License-Identifier: Apache-2.0
// A driver that miscompiles, or a chip that no one has tried, must not serve wrong numbers: before
// an executor exists, every kernel row that it could use computes a tiny layer like the bundle's,
// and the CPU the same.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/status.h"
#include "bundle/bundle.h"
#include "cuda/launch.h"
#include "device/context.h"
#include "device/cuda_memory.h"
#include "exec/executor_options.h"

namespace mmoe {

// What the kernels choose by.
cuda::Device describe_cuda_device(const Context& context) noexcept;

class CudaSelfTest {
  public:
    // `like`: whose quantisation, activation and gate form the tiny layer has; `options`: whose
    // type of hidden states.
    static Result<CudaSelfTest> create(const Context& context, const Bundle& like,
                                       const ExecutorOptions& options);

    // Whether the row computes some number of tokens that it is meant for as the CPU does. A row
    // that serves none of this is not tried. A failure of the device is an error.
    Result<bool> passes(const cuda::Row& row) const;

    // Bits of Device::distrusted_rows: `missing`, which are not tried, and those that fail; each of
    // these is logged with its name.
    Result<uint64_t> find_distrusted_rows(uint64_t missing) const;

  private:
    CudaSelfTest() = default;
    Status make_operands(const ExecutorOptions& options);
    Status compute_on_cpu(const Context& context, const BundleSpec& spec);
    [[nodiscard]] cuda::Run describe_run(int64_t tokens) const noexcept;
    [[nodiscard]] bool agrees(const std::vector<float>& output) const noexcept;

    std::shared_ptr<const Context> context_;
    std::shared_ptr<Bundle> bundle_;  // on the device
    cpu::Element hidden_type_ = cpu::Element::kBf16;
    int64_t hidden_size_ = 0;
    std::vector<uint8_t> hidden_;  // [most tokens, H]: a few rows, repeated
    std::vector<int32_t> ids_;     // [most tokens]
    std::vector<float> weights_;   // [most tokens]
    std::vector<float> expected_;  // [rows that differ, H]
    DeviceBuffer memory_;          // the operands, the output and the workspace
    uint64_t ids_offset_ = 0, weights_offset_ = 0, output_offset_ = 0, workspace_offset_ = 0;
};

}  // namespace mmoe
