// SPDX-License-Identifier: Apache-2.0
// Loading experts from a checkpoint: several side by side, each projection read whole, checked,
// and repacked in strips. Scratch in all stays within kMaxScratchBytes unless a single projection
// is larger.
#include <algorithm>
#include <vector>

#include "base/guard.h"
#include "bundle/bundle.h"
#include "bundle/read_projection.h"

namespace mmoe {
namespace {

constexpr uint64_t kMaxScratchBytes = uint64_t{64} << 20;

// Raw tensors of one projection, with room for a strip of canonical form beside them. Rows that
// follow the down projection's activation order are kept once more.
uint64_t projection_scratch_bytes(const BundleSpec& spec, Projection projection) noexcept {
    const int64_t outputs = spec.layer.outputs(projection);
    const int64_t inputs = spec.layer.inputs(projection);
    const int64_t groups = inputs / spec.config.group_size_for(inputs);
    const auto weights =
        static_cast<uint64_t>(ceil_div(inputs * spec.config.bits, int64_t{32}) * 4 * outputs);
    const auto scales = static_cast<uint64_t>(outputs * groups * 5);
    const uint64_t copies = spec.config.order == Order::kGroup ? 2 : 1;
    return copies * (weights + scales) + (uint64_t{1} << 20);
}

uint64_t scratch_of_one_loader(const BundleSpec& spec) noexcept {
    return std::max(projection_scratch_bytes(spec, Projection::kUp),
                    projection_scratch_bytes(spec, Projection::kDown));
}

uint32_t loader_count(const Context& context, const BundleSpec& spec) noexcept {
    const uint64_t fitting = std::max<uint64_t>(1, kMaxScratchBytes / scratch_of_one_loader(spec));
    return static_cast<uint32_t>(std::min<uint64_t>(fitting, context.parallel->thread_count()));
}

}  // namespace

uint64_t load_scratch_bytes(const Context& context, const BundleSpec& spec) noexcept {
    return loader_count(context, spec) * scratch_of_one_loader(spec);
}

Status Bundle::load_projection(const Checkpoint& checkpoint, const LayerEntry& entry,
                               int64_t expert, Projection projection, int64_t slot,
                               std::span<const int32_t> channels) {
    TRY(const LoadedTensors loaded,
        read_projection(checkpoint, entry, expert, projection, context_->allocator));
    TRY(form_.check(projection, loaded.tensors));
    TRY(store_->put({slot, projection, loaded.tensors.projection(projection), channels}));
    if (!spec_.layer.bias) return {};
    TRY(const std::vector<float> bias, read_bias(loaded.tensors.at(projection, Role::kBias)));
    return store_->put_bias(slot, projection, bias, channels);
}

Status Bundle::load_expert(const Checkpoint& checkpoint, const LayerEntry& entry, int64_t expert,
                           int64_t slot) {
    std::vector<int32_t> channels;
    for (const Projection projection : kProjections) {
        if (!form_.has(projection)) continue;
        Status status = guarded([&]() -> Status {
            if (spec_.config.order == Order::kGroup && channels.empty()) {
                TRY(channels, read_channels(checkpoint, entry, expert, form_, context_->allocator));
            }
            return load_projection(checkpoint, entry, expert, projection, slot, channels);
        });
        // In a file, a wrong shape or type is bad data and no mistake of the caller's.
        if (status.code() == Code::kShape || status.code() == Code::kDtype) {
            status = std::move(status).as(Code::kBadData);
        }
        TRY(std::move(status).within("layer %u expert %lld %s", entry.model_layer,
                                     static_cast<long long>(expert), projection_name(projection)));
    }
    return {};
}

Result<std::shared_ptr<Bundle>> Bundle::load(std::shared_ptr<const Context> context,
                                             const Checkpoint& checkpoint, const LayerEntry& entry,
                                             const Split& split, int64_t slot_count,
                                             const Progress& progress) {
    if (!entry.problem.ok()) return entry.problem;
    TRY(const std::shared_ptr<Bundle> bundle,
        create(std::move(context), {entry.config, entry.layer, split, slot_count}));
    const Shard& shard = bundle->shard_;
    const int64_t count = shard.slot_count == shard.expert_count ? shard.expert_count : 0;
    const uint64_t total_bytes = bundle->resident_bytes();
    const auto cancelled = [&](int64_t experts_done) {
        const uint64_t done_bytes = total_bytes / static_cast<uint64_t>(shard.slot_count) *
                                    static_cast<uint64_t>(experts_done);
        return progress && !progress(done_bytes, total_bytes);
    };
    const auto stopped = [] { return Status::error(Code::kCancelled, "loading was cancelled"); };
    if (cancelled(0)) return stopped();

    const uint32_t at_a_time = loader_count(*bundle->context_, bundle->spec_);
    std::vector<Status> statuses(at_a_time);
    for (int64_t first = 0; first < count; first += at_a_time) {
        const auto batch = static_cast<uint32_t>(std::min<int64_t>(at_a_time, count - first));
        bundle->context_->parallel->run(batch, [&](uint32_t i) {
            statuses[i] =
                bundle->load_expert(checkpoint, entry, shard.first_expert + first + i, first + i);
        });
        for (uint32_t i = 0; i < batch; ++i) TRY(std::move(statuses[i]));
        if (cancelled(first + batch)) return stopped();
    }
    bundle->sealed_.store(true, std::memory_order_release);
    return bundle;
}

}  // namespace mmoe
