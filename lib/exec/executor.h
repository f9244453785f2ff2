// SPDX-License-Identifier: Apache-2.0
// The Marlin MoE executor: rows chosen, workspace held; serves one run at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/exclusive.h"
#include "base/memory.h"
#include "base/status.h"
#include "bundle/bundle.h"
#include "exec/cpu_rows.h"
#include "exec/cuda_run.h"
#include "exec/executor_options.h"
#include "exec/run_args.h"

namespace mmoe {

class Executor {
  public:
    // Bytes of the workspace, from shapes alone; `config` and `layer` must be supported.
    static Result<uint64_t> plan(const Context& context, const QuantConfig& config,
                                 const Layer& layer, const ExecutorOptions& options);

    static Result<std::shared_ptr<Executor>> create(std::shared_ptr<const Context> context,
                                                    const Bundle& bundle,
                                                    const ExecutorOptions& options);

    [[nodiscard]] const std::shared_ptr<const Context>& context() const noexcept {
        return context_;
    }
    [[nodiscard]] const ExecutorOptions& options() const noexcept { return options_; }

    // `stream`: a cudaStream_t; null on the CPU.
    Status run(const Bundle& bundle, const RunArgs& args, void* stream);
    // Whether an id of a run has been out of range since this was last asked.
    [[nodiscard]] bool take_out_of_range() noexcept;
    [[nodiscard]] std::string explain(const Bundle& bundle, int64_t tokens) const;

  private:
    Executor() = default;
    Status run_on_cpu(const Bundle& bundle, const RunArgs& args);

    std::shared_ptr<const Context> context_;
    ExecutorOptions options_;
    Budget::Lease lease_;
    Buffer memory_;                          // on the CPU, unless the caller gave some
    std::span<uint8_t> workspace_;           // on the CPU
    std::atomic<bool> out_of_range_{false};  // on the CPU
    CudaWorkspace cuda_;                     // on a CUDA device
    Exclusive running_;
};

}  // namespace mmoe
