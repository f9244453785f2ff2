// SPDX-License-Identifier: Apache-2.0
// Making and filling a bundle. Tensors are staged until their projection is complete, then
// unpacked in strips and repacked into the resident records.
#include "bundle/bundle.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "bundle/support.h"

namespace mmoe {
namespace {

constexpr uint8_t kWeightsDone = 1;
constexpr uint8_t kBiasDone = 2;

constexpr Projection kProjections[] = {Projection::kGate, Projection::kUp, Projection::kDown};
constexpr Role kWeightRoles[] = {Role::kWeight, Role::kScale, Role::kZeroPoint, Role::kGroupIndex};

float element_as_f32(const TensorView& tensor, int64_t index) noexcept {
    if (tensor.dtype == DType::kF32) return static_cast<const float*>(tensor.data)[index];
    const uint16_t bits = static_cast<const uint16_t*>(tensor.data)[index];
    return tensor.dtype == DType::kF16 ? layout::f16_to_f32(bits) : layout::bf16_to_f32(bits);
}

}  // namespace

Result<MemoryNeed> Bundle::plan(const Context& context, const QuantConfig& config,
                                const Layer& layer, const Split& split) {
    TRY(require_support(context.kind, config, layer, split));
    const CpuBundlePlan plan = plan_cpu_bundle(config, layer, shard_of(layer, split).expert_count);
    MemoryNeed need;
    need.resident_bytes = static_cast<uint64_t>(plan.total_bytes());
    need.scratch_bytes = load_scratch_bytes(context, plan);
    return need;
}

Result<std::shared_ptr<Bundle>> Bundle::create(std::shared_ptr<const Context> context,
                                               const QuantConfig& config, const Layer& layer,
                                               const Split& split) {
    TRY(require_support(context->kind, config, layer, split));
    std::shared_ptr<Bundle> bundle(new Bundle);
    bundle->config_ = config;
    bundle->layer_ = layer;
    bundle->split_ = split;
    bundle->shard_ = shard_of(layer, split);
    bundle->done_.resize(static_cast<size_t>(bundle->shard_.expert_count) * 3);
    TRY(std::unique_ptr<CpuStore> store,
        CpuStore::create(context, config, layer, bundle->shard_.expert_count));
    bundle->cpu_ = store.get();
    bundle->store_ = std::move(store);
    bundle->context_ = std::move(context);
    return bundle;
}

bool Bundle::has_projection(Projection projection) const noexcept {
    return projection != Projection::kGate || layer_.gated();
}

ExpectedTensor Bundle::expected(Projection projection, Role role) const {
    if (role == Role::kBias && !layer_.bias) return {};
    return expected_tensor(config_, layer_.outputs(projection), layer_.inputs(projection), role);
}

Status Bundle::check_place(int64_t expert, Projection projection, Role role) const {
    if (expert < 0 || expert >= layer_.expert_count) {
        return Status::error(Code::kInvalidArgument, "expected an expert from 0 to %lld",
                             static_cast<long long>(layer_.expert_count - 1));
    }
    if (!has_projection(projection)) {
        return Status::error(Code::kInvalidArgument, "the layer has no gate");
    }
    if (expected(projection, role).rank == 0) {
        return Status::error(Code::kInvalidArgument,
                             "%s: this quant config and layer have no such tensor",
                             role_name(role));
    }
    return {};
}

Status Bundle::put(int64_t local, Projection projection, const ProjectionTensors& tensors) const {
    TRY(check_projection(config_, layer_.outputs(projection), layer_.inputs(projection), tensors));
    return store_->put(local, projection, tensors);
}

Status Bundle::put_bias(int64_t local, Projection projection, const TensorView& tensor) const {
    std::vector<float> bias(static_cast<size_t>(layer_.outputs(projection)));
    for (size_t i = 0; i < bias.size(); ++i) {
        bias[i] = element_as_f32(tensor, static_cast<int64_t>(i));
        if (!std::isfinite(bias[i])) {
            return Status::error(Code::kBadData,
                                 "bias: element %zu: expected a finite number, got %g", i,
                                 static_cast<double>(bias[i]));
        }
    }
    return store_->put_bias(local, projection, bias);
}

Status Bundle::stage(int64_t local, Projection projection, Role role, const TensorView& tensor) {
    StagedProjection& staged = staged_[{local, projection}];
    const bool complete =
        std::all_of(std::begin(kWeightRoles), std::end(kWeightRoles), [&](Role wanted) {
            return !expected(projection, wanted).required || wanted == role ||
                   staged.contains(wanted);
        });
    if (!complete) {
        Staged copy{tensor, {}};
        uint64_t size_bytes = dtype_bytes(tensor.dtype);
        for (int axis = 0; axis < tensor.rank; ++axis) {
            size_bytes *= static_cast<uint64_t>(tensor.shape[axis]);
        }
        TRY(copy.data, Buffer::create(context_->allocator, size_bytes, "staged tensor"));
        std::memcpy(copy.data.data(), tensor.data, size_bytes);
        copy.view.data = copy.data.data();
        staged[role] = std::move(copy);
        return {};
    }
    const auto view = [&](Role wanted) -> TensorView {
        if (wanted == role) return tensor;
        const auto found = staged.find(wanted);
        return found == staged.end() ? TensorView{} : found->second.view;
    };
    TRY(put(local, projection,
            {view(Role::kWeight), view(Role::kScale), view(Role::kZeroPoint),
             view(Role::kGroupIndex)}));
    staged_.erase({local, projection});
    done(local, projection) |= kWeightsDone;
    return {};
}

Status Bundle::set_exclusively(int64_t expert, Projection projection, Role role,
                               const TensorView& tensor) {
    if (sealed()) return Status::error(Code::kState, "the bundle is sealed");
    TRY(check_place(expert, projection, role));
    TRY(check_tensor(config_, layer_.outputs(projection), layer_.inputs(projection), role, tensor));
    const int64_t local = shard_.local(expert);
    if (local < 0) return {};
    if ((done(local, projection) & (role == Role::kBias ? kBiasDone : kWeightsDone)) != 0) {
        return Status::error(Code::kState, "%s: the projection's %s already complete",
                             role_name(role), role == Role::kBias ? "bias is" : "weights are");
    }
    if (role != Role::kBias) return stage(local, projection, role, tensor);
    TRY(put_bias(local, projection, tensor));
    done(local, projection) |= kBiasDone;
    return {};
}

Status Bundle::set(int64_t expert, Projection projection, Role role, const TensorView& tensor) {
    const Exclusive::Hold hold(filling_);
    if (!hold.held()) {
        return Status::error(Code::kBusy, "another thread is filling the bundle");
    }
    return set_exclusively(expert, projection, role, tensor)
        .within("expert %lld %s", static_cast<long long>(expert), projection_name(projection));
}

Status Bundle::seal() {
    const Exclusive::Hold hold(filling_);
    if (!hold.held()) {
        return Status::error(Code::kBusy, "another thread is filling the bundle");
    }
    if (sealed()) return Status::error(Code::kState, "the bundle is sealed already");
    for (int64_t local = 0; local < shard_.expert_count; ++local) {
        for (const Projection projection : kProjections) {
            if (!has_projection(projection)) continue;
            const uint8_t have = done(local, projection);
            const bool weights = (have & kWeightsDone) != 0;
            if (weights && (!layer_.bias || (have & kBiasDone) != 0)) continue;
            Role missing = Role::kBias;
            if (!weights) {
                const auto staged = staged_.find({local, projection});
                for (const Role role : kWeightRoles) {
                    if (!expected(projection, role).required) continue;
                    missing = role;
                    if (staged == staged_.end() || !staged->second.contains(role)) break;
                }
            }
            return Status::error(Code::kMissingTensor, "expert %lld %s %s was never set",
                                 static_cast<long long>(shard_.first_expert + local),
                                 projection_name(projection), role_name(missing));
        }
    }
    sealed_.store(true, std::memory_order_release);
    return {};
}

}  // namespace mmoe
