// SPDX-License-Identifier: Apache-2.0
#include "exec/executor.h"

#include "bundle/support.h"
#include "exec/cpu_run.h"
#include "exec/cpu_workspace.h"

namespace mmoe {
namespace {

Result<CpuWorkspacePlan> plan_for(const CpuBundlePlan& bundle, const ExecutorOptions& options,
                                  cpu::Tier tier, int64_t tokens, int64_t top_k) {
    TRY(const CpuRows rows, choose_cpu_rows(bundle, options.hidden_type, options.precision, tier));
    return plan_cpu_workspace(bundle, rows, tokens, top_k);
}

}  // namespace

Result<uint64_t> Executor::plan(const Context& context, const QuantConfig& config,
                                const Layer& layer, const ExecutorOptions& options) {
    const Split whole;
    TRY(require_support(context.kind, config, layer, whole));
    const CpuBundlePlan bundle = plan_cpu_bundle(config, layer, layer.expert_count);
    TRY(const CpuWorkspacePlan workspace,
        plan_for(bundle, options, context.tier, options.max_tokens, options.max_top_k));
    return static_cast<uint64_t>(workspace.total_bytes);
}

Result<std::shared_ptr<Executor>> Executor::create(std::shared_ptr<const Context> context,
                                                   const Bundle& bundle,
                                                   const ExecutorOptions& options) {
    TRY(const CpuWorkspacePlan plan, plan_for(bundle.cpu()->plan(), options, context->tier,
                                              options.max_tokens, options.max_top_k));
    const auto bytes = static_cast<uint64_t>(plan.total_bytes);
    std::shared_ptr<Executor> executor(new Executor);
    executor->options_ = options;
    TRY(executor->lease_, Budget::take(context->budget, bytes, "workspace"));
    TRY(executor->workspace_, Buffer::create(context->allocator, bytes, "workspace"));
    executor->context_ = std::move(context);
    return executor;
}

Status Executor::run(const Bundle& bundle, const RunArgs& args) {
    const Exclusive::Hold hold(running_);
    if (!hold.held()) {
        return Status::error(Code::kBusy, "another thread is running this executor");
    }
    TRY(const CpuRows rows, choose_cpu_rows(bundle.cpu()->plan(), options_.hidden_type,
                                            options_.precision, context_->tier));
    TRY(const CpuWorkspacePlan plan,
        plan_cpu_workspace(bundle.cpu()->plan(), rows, args.tokens, args.top_k));
    if (static_cast<uint64_t>(plan.total_bytes) > workspace_.size_bytes()) {
        return Status::error(Code::kInvalidArgument,
                             "the bundle needs a workspace of %lld bytes, this executor has %zu",
                             static_cast<long long>(plan.total_bytes), workspace_.size_bytes());
    }
    TRY(context_->parallel->start());
    run_cpu_layer(
        {bundle, rows, plan, workspace_.data(), options_.hidden_type, options_.output_type, args});
    return {};
}

std::string Executor::explain(const Bundle& bundle, int64_t tokens) const {
    std::string text = "T = " + std::to_string(tokens) + " on the CPU, " +
                       cpu::tier_name(context_->tier) + ", " +
                       std::to_string(context_->parallel->thread_count()) + " threads\n";
    return text + explain_cpu_rows(bundle.cpu()->plan(), options_.hidden_type, options_.precision,
                                   context_->tier);
}

}  // namespace mmoe
