// SPDX-License-Identifier: Apache-2.0
// Making, filling and changing a bundle. Tensors are staged until their expert is complete, then
// repacked into its slot.
#include "bundle/bundle.h"

#include <algorithm>
#include <cstring>

#include "bundle/put_projection.h"
#include "bundle/support.h"

namespace mmoe {
namespace {

constexpr int32_t kAbsent = -1;

Status busy_filling() {
    return Status::error(Code::kBusy, "another thread is filling the bundle");
}

}  // namespace

Result<MemoryNeed> Bundle::plan(const Context& context, const BundleSpec& spec) {
    TRY(require_support(context.kind, spec));
    TRY(const Shard shard, plan_shard(spec));
    MemoryNeed need;
    need.resident_bytes = context.kind == DeviceKind::kCuda
                              ? plan_cuda_bundle(spec, shard).total_bytes
                              : static_cast<uint64_t>(plan_cpu_bundle(spec, shard).total_bytes());
    need.scratch_bytes =
        ScratchPlan(spec, context.kind, context.parallel->thread_count(), shard.slot_count)
            .total_bytes();
    return need;
}

Result<std::shared_ptr<Bundle>> Bundle::create(std::shared_ptr<const Context> context,
                                               const BundleSpec& spec) {
    TRY(require_support(context->kind, spec));
    std::shared_ptr<Bundle> bundle(new Bundle);
    bundle->spec_ = spec;
    // One scale type for the whole bundle: a tensor of another is refused, not rounded.
    if (!spec.config.scale_type) bundle->spec_.config.scale_type = layout::ScaleType::kBf16;
    TRY(bundle->shard_, plan_shard(spec));
    const Shard& shard = bundle->shard_;
    bundle->form_ = ExpertForm(bundle->spec_.config, spec.layer);
    bundle->slots_.assign(static_cast<size_t>(spec.layer.expert_count), kAbsent);
    if (shard.slot_count == shard.expert_count) {
        for (int64_t i = 0; i < shard.expert_count; ++i) {
            bundle->slots_[static_cast<size_t>(shard.first_expert + i)] = static_cast<int32_t>(i);
        }
    }
    TRY(bundle->make_store(context));
    bundle->context_ = std::move(context);
    return bundle;
}

Status Bundle::make_store(const std::shared_ptr<const Context>& context) {
    if (context->kind == DeviceKind::kCuda) {
        TRY(std::unique_ptr<CudaStore> store, CudaStore::create(context, spec_, shard_));
        cuda_ = store.get();
        store_ = std::move(store);
    } else {
        TRY(std::unique_ptr<CpuStore> store, CpuStore::create(context, spec_, shard_));
        cpu_ = store.get();
        store_ = std::move(store);
    }
    return store_->publish(slots_);
}

int64_t Bundle::resident_count() const noexcept {
    return std::count_if(slots_.begin(), slots_.end(), [](int32_t slot) { return slot >= 0; });
}

Status Bundle::check_expert(int64_t expert) const {
    if (expert >= 0 && expert < spec_.layer.expert_count) return {};
    return Status::error(Code::kInvalidArgument, "expected an expert from 0 to %lld",
                         static_cast<long long>(spec_.layer.expert_count - 1));
}

// Before the first byte changes.
Status Bundle::check_values(const ExpertTensors& tensors) const {
    for (const Projection projection : kProjections) {
        if (!form_.has(projection)) continue;
        TRY(form_.check(projection, tensors).within("%s", projection_name(projection)));
    }
    return {};
}

Status Bundle::put_checked(int64_t slot, const ExpertTensors& tensors) {
    const std::vector<int32_t> channels =
        form_.channels(tensors.at(Projection::kDown, Role::kGroupIndex));
    const ScratchPlan scratch(spec_, context_->kind, 1, 1);
    for (const Projection projection : kProjections) {
        if (!form_.has(projection)) continue;
        MemoryProjection source(spec_, projection, tensors.projection(projection),
                                scratch.strip_rows(projection), context_->allocator);
        TRY(put_projection(*store_, {spec_, shard_, slot, projection, channels}, source, scratch,
                           context_->allocator));
        if (!spec_.layer.bias) continue;
        TRY(const std::vector<float> bias, read_bias(tensors.at(projection, Role::kBias)));
        TRY(store_->put_bias(slot, projection, bias, channels));
    }
    return {};
}

Status Bundle::set_exclusively(int64_t expert, Projection projection, Role role,
                               const TensorView& tensor) {
    if (sealed()) return Status::error(Code::kState, "the bundle is sealed");
    TRY(check_expert(expert));
    TRY(form_.check(projection, role, tensor).within("%s", projection_name(projection)));
    const int32_t slot = slots_[static_cast<size_t>(expert)];
    if (slot < 0) return {};
    const auto [found, is_new] = staged_.try_emplace(expert);
    Staged& staged = found->second;
    if (!is_new && !form_.missing(staged.tensors)) {
        return Status::error(Code::kState, "it is already complete");
    }
    ExpertTensors tensors = staged.tensors;
    tensors.at(projection, role) = tensor;
    if (!form_.missing(tensors)) {
        TRY(check_values(tensors));
        TRY(put_checked(slot, tensors));
        // Kept as a mark that the expert is complete, without its memory.
        staged.tensors = tensors;
        for (Buffer& buffer : staged.data) buffer = {};
        return {};
    }
    uint64_t size_bytes = dtype_bytes(tensor.dtype);
    for (int axis = 0; axis < tensor.rank; ++axis) {
        size_bytes *= static_cast<uint64_t>(tensor.shape[axis]);
    }
    TRY(Buffer copy, Buffer::create(context_->allocator, size_bytes, "staged tensor"));
    std::memcpy(copy.data(), tensor.data, size_bytes);
    tensors.at(projection, role).data = copy.data();
    staged.data[ExpertTensors::index(projection, role)] = std::move(copy);
    staged.tensors = tensors;
    return {};
}

Status Bundle::set(int64_t expert, Projection projection, Role role, const TensorView& tensor) {
    const Exclusive::Hold hold(filling_);
    if (!hold.held()) return busy_filling();
    return set_exclusively(expert, projection, role, tensor)
        .within("expert %lld", static_cast<long long>(expert));
}

Status Bundle::seal() {
    const Exclusive::Hold hold(filling_);
    if (!hold.held()) return busy_filling();
    if (sealed()) return Status::error(Code::kState, "the bundle is sealed already");
    for (int64_t expert = 0; expert < spec_.layer.expert_count; ++expert) {
        if (slots_[static_cast<size_t>(expert)] < 0) continue;
        const auto staged = staged_.find(expert);
        const auto missing =
            form_.missing(staged == staged_.end() ? ExpertTensors() : staged->second.tensors);
        if (!missing) continue;
        return Status::error(Code::kMissingTensor, "expert %lld %s: %s was never set",
                             static_cast<long long>(expert), projection_name(missing->projection),
                             role_name(missing->role));
    }
    staged_.clear();
    store_->end_filling();
    sealed_.store(true, std::memory_order_release);
    return {};
}

Result<int64_t> Bundle::slot_for(int64_t expert) const {
    const int32_t own = slots_[static_cast<size_t>(expert)];
    if (own >= 0) return int64_t{own};
    std::vector<bool> taken(static_cast<size_t>(shard_.slot_count));
    for (const int32_t slot : slots_) {
        if (slot >= 0) taken[static_cast<size_t>(slot)] = true;
    }
    const auto free = std::find(taken.begin(), taken.end(), false);
    if (free != taken.end()) return int64_t{free - taken.begin()};
    return Status::error(Code::kState, "all %lld slots are taken; evict an expert first",
                         static_cast<long long>(shard_.slot_count));
}

// `fill` writes the slot. If it fails half-way the expert is no longer resident.
Status Bundle::replace(int64_t expert, const std::function<Status(int64_t slot)>& fill) {
    if (!sealed()) return Status::error(Code::kState, "the bundle is not sealed");
    const ReadersOrWriter::Writing writing(users_);
    if (!writing.held()) return Status::error(Code::kBusy, "the bundle is in use");
    TRY(check_expert(expert));
    if (!shard_.holds(expert)) {
        return Status::error(Code::kInvalidArgument, "another expert-parallel rank holds it");
    }
    TRY(const int64_t slot, slot_for(expert));
    int32_t& place = slots_[static_cast<size_t>(expert)];
    place = kAbsent;
    TRY(store_->publish(slots_));
    TRY(store_->clear(slot));
    Status filled = fill(slot);
    store_->end_filling();
    TRY(std::move(filled));
    place = static_cast<int32_t>(slot);
    return store_->publish(slots_);
}

Status Bundle::put(int64_t expert, const ExpertTensors& tensors) {
    const auto check = [&]() -> Status {
        TRY(check_expert(expert));
        if (const auto missing = form_.missing(tensors)) {
            return Status::error(Code::kMissingTensor, "%s: %s is missing",
                                 projection_name(missing->projection), role_name(missing->role));
        }
        TRY(check_values(tensors));
        return replace(expert, [&](int64_t slot) { return put_checked(slot, tensors); });
    };
    return check().within("expert %lld", static_cast<long long>(expert));
}

Status Bundle::evict(int64_t expert) {
    if (!sealed()) return Status::error(Code::kState, "the bundle is not sealed");
    const ReadersOrWriter::Writing writing(users_);
    if (!writing.held()) return Status::error(Code::kBusy, "the bundle is in use");
    TRY(check_expert(expert).within("expert %lld", static_cast<long long>(expert)));
    slots_[static_cast<size_t>(expert)] = kAbsent;
    return store_->publish(slots_);
}

}  // namespace mmoe
