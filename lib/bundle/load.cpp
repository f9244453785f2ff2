// SPDX-License-Identifier: Apache-2.0
// Loading experts from a checkpoint: several side by side, each projection read in bands, checked,
// and repacked in strips, so that scratch in all stays within what ScratchPlan says.
#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "base/guard.h"
#include "bundle/bundle.h"
#include "bundle/put_projection.h"
#include "bundle/read_projection.h"

namespace mmoe {
namespace {

// In a file, a wrong shape or type is bad data and no mistake of the caller's.
Status as_file_fault(Status status) noexcept {
    const bool form = status.code() == Code::kShape || status.code() == Code::kDtype;
    return form ? std::move(status).as(Code::kBadData) : std::move(status);
}

}  // namespace

// Counts projections with scales below zero, and remembers the first in the order of the file.
class Bundle::NegativeScales {
  public:
    void add(int64_t expert, Projection projection, const ScalePlace& place) {
        const std::lock_guard lock(mutex_);
        ++count_;
        const Found found{expert, projection, place};
        if (count_ == 1 || found.key() < first_.key()) first_ = found;
    }
    void report(const Log& log, uint32_t model_layer) const {
        if (count_ == 0) return;
        log.line(LogLevel::kWarning,
                 "layer %u expert %lld %s: scale of output %lld, group %lld is negative, the first "
                 "of %zu projections with such scales; 8-bit activations could not use them",
                 model_layer, static_cast<long long>(first_.expert),
                 projection_name(first_.projection), static_cast<long long>(first_.place.output),
                 static_cast<long long>(first_.place.group), count_);
    }

  private:
    struct Found {
        int64_t expert;
        Projection projection;
        ScalePlace place;
        [[nodiscard]] std::pair<int64_t, Projection> key() const { return {expert, projection}; }
    };
    std::mutex mutex_;
    size_t count_ = 0;
    Found first_{};
};

Status Bundle::load_projection(const LoadFrom& from, int64_t expert, Projection projection,
                               int64_t slot, std::span<const int32_t> channels) {
    TRY(FileProjection file,
        FileProjection::open(from.checkpoint, from.entry, expert, projection,
                             from.scratch.strip_rows(projection), context_->allocator));
    if (context_->log.wants(LogLevel::kWarning)) file.watch_negative_scales();
    TRY(put_projection(*store_, {spec_, shard_, slot, projection, channels}, file, from.scratch,
                       context_->allocator));
    if (file.negative_scale()) {
        from.negative_scales.add(expert, projection, *file.negative_scale());
    }
    if (!spec_.layer.bias) return {};
    TRY(const std::vector<float> bias, file.read_bias());
    return store_->put_bias(slot, projection, bias, channels);
}

Status Bundle::load_expert(const LoadFrom& from, int64_t expert, int64_t slot) {
    std::vector<int32_t> channels;
    const auto step = [&](Projection projection, const auto& work) {
        return as_file_fault(guarded(work))
            .within("layer %u expert %lld %s", from.entry.model_layer,
                    static_cast<long long>(expert), projection_name(projection));
    };
    if (spec_.config.order == Order::kGroup) {
        TRY(step(Projection::kDown, [&]() -> Status {
            TRY(channels, read_channels(from.checkpoint, from.entry, expert, context_->allocator));
            return {};
        }));
    }
    for (const Projection projection : kProjections) {
        if (!form_.has(projection)) continue;
        TRY(step(projection,
                 [&] { return load_projection(from, expert, projection, slot, channels); }));
    }
    return {};
}

Status Bundle::put(int64_t expert, const Checkpoint& checkpoint, const LayerEntry& entry) {
    if (!entry.problem.ok()) return entry.problem;
    QuantConfig config = entry.config;
    if (!config.scale_type) config.scale_type = layout::ScaleType::kBf16;
    if (!(entry.layer == spec_.layer) || !(config == spec_.config)) {
        return Status::error(Code::kInvalidArgument,
                             "layer: its shape or quantisation is not the bundle's");
    }
    const ScratchPlan scratch(spec_, context_->kind, 1, 1);
    NegativeScales negative_scales;
    TRY(replace(expert, [&](int64_t slot) {
        return load_expert({checkpoint, entry, scratch, negative_scales}, expert, slot);
    }));
    negative_scales.report(context_->log, entry.model_layer);
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

    const ScratchPlan scratch(bundle->spec_, bundle->context_->kind,
                              bundle->context_->parallel->thread_count(), shard.slot_count);
    NegativeScales negative_scales;
    const LoadFrom from{checkpoint, entry, scratch, negative_scales};
    const uint32_t at_a_time = scratch.loader_count();
    std::vector<Status> statuses(at_a_time);
    for (int64_t first = 0; first < count; first += at_a_time) {
        const auto batch = static_cast<uint32_t>(std::min<int64_t>(at_a_time, count - first));
        bundle->context_->parallel->run(batch, [&](uint32_t i) {
            statuses[i] = bundle->load_expert(from, shard.first_expert + first + i, first + i);
        });
        for (uint32_t i = 0; i < batch; ++i) TRY(std::move(statuses[i]));
        if (cancelled(first + batch)) return stopped();
    }
    negative_scales.report(bundle->context_->log, entry.model_layer);
    bundle->store_->end_filling();
    bundle->sealed_.store(true, std::memory_order_release);
    return bundle;
}

}  // namespace mmoe
