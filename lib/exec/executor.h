// SPDX-License-Identifier: Apache-2.0
// The Marlin MoE executor: rows chosen, workspace held; serves one run at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/exclusive.h"
#include "base/memory.h"
#include "base/status.h"
#include "bundle/bundle.h"
#include "exec/cpu_rows.h"
#include "exec/run_args.h"

namespace mmoe {

// The inside of mmoe_executor_options, defaults resolved.
struct ExecutorOptions {
    int64_t max_tokens = 0;
    int64_t max_top_k = 0;
    cpu::Element hidden_type = cpu::Element::kBf16;
    cpu::Element output_type = cpu::Element::kBf16;
    Precision precision = Precision::kDefault;
};

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

    Status run(const Bundle& bundle, const RunArgs& args);
    [[nodiscard]] std::string explain(const Bundle& bundle, int64_t tokens) const;

  private:
    Executor() = default;

    std::shared_ptr<const Context> context_;
    ExecutorOptions options_;
    Budget::Lease lease_;
    Buffer workspace_;
    Exclusive running_;
};

}  // namespace mmoe
