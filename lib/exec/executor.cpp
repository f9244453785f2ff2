// SPDX-License-Identifier: Apache-2.0
#include "exec/executor.h"

#include <algorithm>

#include "bundle/support.h"
#include "exec/cpu_run.h"
#include "exec/cpu_workspace.h"

namespace mmoe {
namespace {

CpuWorkspaceNeed need_of(const Context& context, const Layer& layer, const ExecutorOptions& options,
                         int64_t tokens, int64_t top_k) noexcept {
    return {tokens, top_k, layer.expert_count, int64_t{context.parallel->thread_count()},
            options.hidden_type};
}

Result<CpuWorkspacePlan> plan_largest(const Context& context, const Layer& layer,
                                      const CpuBundlePlan& bundle, const ExecutorOptions& options) {
    TRY(const CpuRows rows,
        choose_cpu_rows(bundle, options.hidden_type, options.precision, context.tier));
    return plan_cpu_workspace(
        bundle, rows, need_of(context, layer, options, options.max_tokens, options.max_top_k));
}

}  // namespace

Result<uint64_t> Executor::plan(const Context& context, const QuantConfig& config,
                                const Layer& layer, const ExecutorOptions& options) {
    const BundleSpec whole{config, layer, {}, 0};
    TRY(require_support(context.kind, whole));
    TRY(const Shard shard, plan_shard(whole));
    if (context.kind == DeviceKind::kCuda)
        return plan_cuda_workspace(context, whole, shard, options);
    TRY(const CpuWorkspacePlan workspace,
        plan_largest(context, layer, plan_cpu_bundle(whole, shard), options));
    return static_cast<uint64_t>(workspace.total_bytes);
}

Result<std::shared_ptr<Executor>> Executor::create(std::shared_ptr<const Context> context,
                                                   const Bundle& bundle,
                                                   const ExecutorOptions& options) {
    std::shared_ptr<Executor> executor(new Executor);
    executor->options_ = options;
    if (context->kind == DeviceKind::kCuda) {
        TRY(executor->cuda_, create_cuda_workspace(*context, bundle, options));
        executor->context_ = std::move(context);
        return executor;
    }
    if (!options.row.empty()) {
        return Status::error(Code::kInvalidArgument,
                             "options->row: chooses among CUDA kernels, the device is the CPU");
    }
    TRY(const CpuWorkspacePlan plan,
        plan_largest(*context, bundle.layer(), bundle.cpu()->plan(), options));
    const auto bytes = static_cast<uint64_t>(plan.total_bytes);
    if (options.workspace != nullptr) {
        TRY(check_given_workspace(options, bytes));
        executor->workspace_ = {static_cast<uint8_t*>(options.workspace), bytes};
    } else {
        TRY(executor->lease_, Budget::take(context->budget, bytes, "workspace"));
        TRY(executor->memory_, Buffer::create(context->allocator, bytes, "workspace"));
        executor->workspace_ = {executor->memory_.data(), executor->memory_.size_bytes()};
    }
    executor->context_ = std::move(context);
    return executor;
}

Status Executor::run(const Bundle& bundle, const RunArgs& args, void* stream) {
    const Exclusive::Hold hold(running_);
    if (!hold.held()) {
        return Status::error(Code::kBusy, "another thread is running this executor");
    }
    const ReadersOrWriter::Reading reading(bundle.users());
    if (!reading.held()) {
        return Status::error(Code::kBusy, "another thread is changing the bundle");
    }
    if (context_->kind == DeviceKind::kCpu) return run_on_cpu(bundle, args);
    return run_cuda_layer(*context_, *bundle.cuda(), options_, cuda_, args, stream);
}

Status Executor::run_on_cpu(const Bundle& bundle, const RunArgs& given) {
    RunArgs args = given;
    if (args.token_count != nullptr) {
        args.tokens = std::clamp<int64_t>(*args.token_count, 0, args.tokens);
    }
    TRY(const CpuRows rows, choose_cpu_rows(bundle.cpu()->plan(), options_.hidden_type,
                                            options_.precision, context_->tier));
    TRY(const CpuWorkspacePlan plan,
        plan_cpu_workspace(bundle.cpu()->plan(), rows,
                           need_of(*context_, bundle.layer(), options_, args.tokens, args.top_k)));
    if (static_cast<uint64_t>(plan.total_bytes) > workspace_.size()) {
        return Status::error(Code::kInvalidArgument,
                             "the bundle needs a workspace of %lld bytes, this executor has %zu",
                             static_cast<long long>(plan.total_bytes), workspace_.size());
    }
    TRY(context_->parallel->start());
    const bool out_of_range = run_cpu_layer(
        {bundle, rows, plan, workspace_.data(), options_.hidden_type, options_.output_type, args});
    if (out_of_range) out_of_range_.store(true, std::memory_order_relaxed);
    return {};
}

bool Executor::take_out_of_range() noexcept {
    return context_->kind == DeviceKind::kCuda
               ? cuda_.out_of_range.take()
               : out_of_range_.exchange(false, std::memory_order_relaxed);
}

std::string Executor::explain(const Bundle& bundle, int64_t tokens) const {
    if (context_->kind == DeviceKind::kCuda) {
        return explain_cuda_rows(*context_, *bundle.cuda(), options_, cuda_, tokens);
    }
    std::string text = "T = " + std::to_string(tokens) + " on the CPU, " +
                       cpu::tier_name(context_->tier) + ", " +
                       std::to_string(context_->parallel->thread_count()) + " threads\n";
    return text + explain_cpu_rows(bundle.cpu()->plan(), options_.hidden_type, options_.precision,
                                   context_->tier);
}

}  // namespace mmoe
