// SPDX-License-Identifier: Apache-2.0
// Loading a bundle from a checkpoint: experts side by side, each projection read whole, checked,
// and repacked in strips. Scratch in all stays within kMaxScratchBytes unless a single
// projection is larger.
#include <algorithm>
#include <vector>

#include "base/guard.h"
#include "bundle/bundle.h"
#include "bundle/read_projection.h"

namespace mmoe {
namespace {

constexpr uint64_t kMaxScratchBytes = uint64_t{64} << 20;

constexpr Projection kProjections[] = {Projection::kGate, Projection::kUp, Projection::kDown};

// Raw tensors of one projection, with room for a strip of canonical form beside them.
uint64_t projection_scratch_bytes(const layout::CpuRecordPlan& plan) noexcept {
    const auto weights =
        static_cast<uint64_t>(ceil_div(plan.inputs * plan.bits, int64_t{32}) * 4 * plan.outputs);
    const auto scales = static_cast<uint64_t>(plan.outputs * plan.groups() * 5);
    return weights + scales + (uint64_t{1} << 20);
}

uint32_t loader_count(const Context& context, const CpuBundlePlan& plan) noexcept {
    const uint64_t each =
        std::max(projection_scratch_bytes(plan.gate_up), projection_scratch_bytes(plan.down));
    const uint64_t fitting = std::max<uint64_t>(1, kMaxScratchBytes / each);
    return static_cast<uint32_t>(std::min<uint64_t>(fitting, context.parallel->thread_count()));
}

}  // namespace

uint64_t load_scratch_bytes(const Context& context, const CpuBundlePlan& plan) noexcept {
    return loader_count(context, plan) *
           std::max(projection_scratch_bytes(plan.gate_up), projection_scratch_bytes(plan.down));
}

Status Bundle::load_projection(const Checkpoint& checkpoint, const LayerEntry& entry, int64_t local,
                               Projection projection) const {
    TRY(const LoadedProjection loaded,
        read_projection(checkpoint, entry, shard_.first_expert + local, projection,
                        context_->allocator));
    TRY(put(local, projection, loaded.tensors));
    if (!layer_.bias) return {};
    TRY(check_tensor(config_, layer_.outputs(projection), layer_.inputs(projection), Role::kBias,
                     loaded.bias));
    return put_bias(local, projection, loaded.bias);
}

Status Bundle::load_expert(const Checkpoint& checkpoint, const LayerEntry& entry,
                           int64_t local) const {
    for (const Projection projection : kProjections) {
        if (!has_projection(projection)) continue;
        Status status =
            guarded([&] { return load_projection(checkpoint, entry, local, projection); });
        if (!status.ok()) {
            return std::move(status).within("layer %u expert %lld %s", entry.model_layer,
                                            static_cast<long long>(shard_.first_expert + local),
                                            projection_name(projection));
        }
    }
    return {};
}

Result<std::shared_ptr<Bundle>> Bundle::load(std::shared_ptr<const Context> context,
                                             const Checkpoint& checkpoint, const LayerEntry& entry,
                                             const Split& split, const Progress& progress) {
    if (!entry.problem.ok()) return entry.problem;
    TRY(const std::shared_ptr<Bundle> bundle,
        create(std::move(context), entry.config, entry.layer, split));
    const int64_t expert_count = bundle->shard_.expert_count;
    const uint64_t total_bytes = bundle->resident_bytes();
    const auto cancelled = [&](int64_t experts_done) {
        const uint64_t done_bytes =
            total_bytes / static_cast<uint64_t>(expert_count) * static_cast<uint64_t>(experts_done);
        return progress && !progress(done_bytes, total_bytes);
    };
    if (cancelled(0)) return Status::error(Code::kCancelled, "loading was cancelled");

    Parallel& parallel = *bundle->context_->parallel;
    const uint32_t at_a_time = loader_count(*bundle->context_, bundle->cpu_->plan());
    std::vector<Status> statuses(at_a_time);
    for (int64_t first = 0; first < expert_count; first += at_a_time) {
        const auto count =
            static_cast<uint32_t>(std::min<int64_t>(at_a_time, expert_count - first));
        parallel.run(count, [&](uint32_t i) {
            statuses[i] = bundle->load_expert(checkpoint, entry, first + i);
        });
        for (uint32_t i = 0; i < count; ++i) TRY(std::move(statuses[i]));
        if (cancelled(first + count)) {
            return Status::error(Code::kCancelled, "loading was cancelled");
        }
    }
    bundle->sealed_.store(true, std::memory_order_release);
    return bundle;
}

}  // namespace mmoe
