// SPDX-License-Identifier: Apache-2.0
// Support query, bundles and their memory plan.
#include "api/handles.h"
#include "api/tensors.h"
#include "bundle/support.h"

using namespace mmoe;
using namespace mmoe::api;

static_assert(MMOE_REASON_BITS == static_cast<uint64_t>(kReasonBits));
static_assert(MMOE_REASON_GROUP_SIZE == static_cast<uint64_t>(kReasonGroupSize));
static_assert(MMOE_REASON_FORMAT == static_cast<uint64_t>(kReasonFormat));
static_assert(MMOE_REASON_ORDER == static_cast<uint64_t>(kReasonOrder));
static_assert(MMOE_REASON_ACTIVATION == static_cast<uint64_t>(kReasonActivation));
static_assert(MMOE_REASON_SPLIT == static_cast<uint64_t>(kReasonSplit));
static_assert(MMOE_REASON_DEVICE == static_cast<uint64_t>(kReasonDevice));
static_assert(MMOE_REASON_SHAPE == static_cast<uint64_t>(kReasonShape));
static_assert(MMOE_REASON_ROUTER_WEIGHT == static_cast<uint64_t>(kReasonRouterWeight));
static_assert(MMOE_REASON_BIAS == static_cast<uint64_t>(kReasonBias));

namespace {

void copy_sentence(const std::string& text, char (&out)[248]) noexcept {
    copy_text(text.data(), text.size(), out, sizeof out);
}

Status check_set_arguments(mmoe_projection projection, mmoe_role role) {
    if (projection < MMOE_PROJECTION_GATE || projection > MMOE_PROJECTION_DOWN) {
        return Status::error(Code::kInvalidArgument, "projection: expected 1 to 3, got %d",
                             projection);
    }
    if (role < MMOE_ROLE_WEIGHT || role > MMOE_ROLE_BIAS) {
        return Status::error(Code::kInvalidArgument, "role: expected 1 to 5, got %d", role);
    }
    return {};
}

}  // namespace

namespace mmoe::api {

Progress progress_of(mmoe_progress_fn progress, void* user) {
    if (progress == nullptr) return {};
    return [progress, user](uint64_t done_bytes, uint64_t total_bytes) {
        return progress(user, done_bytes, total_bytes) == 0;
    };
}

Result<BundleArguments> read_bundle_options(const mmoe_bundle_options* options) {
    mmoe_bundle_options known;
    TRY(read_options(options, "options", &known));
    return BundleArguments{read_split(known.split), known.slot_count,
                           progress_of(known.progress, known.progress_user)};
}

}  // namespace mmoe::api

mmoe_status mmoe_support_query(const mmoe_context* context, const mmoe_quant_config* config,
                               const mmoe_layer* layer, const mmoe_split* split,
                               mmoe_support* support, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(context, "context"));
        TRY(require_handle(config, "config"));
        TRY(require_not_null(layer, "layer"));
        TRY(require_not_null(support, "support"));
        TRY(check_output(support, "support"));
        TRY(const Layer known_layer, read_layer(layer));
        const Split known_split = read_split(split == nullptr ? mmoe_split{} : *split);
        const Support answer =
            query_support(context->object->kind, {*config->object, known_layer, known_split, 0});
        mmoe_support filled = {};
        filled.supported = answer.reasons == 0 ? 1 : 0;
        filled.reasons = answer.reasons;
        copy_sentence(answer.sentence, filled.sentence);
        copy_sentence(answer.remedy, filled.remedy);
        filled.most_tensor_ranks = static_cast<uint32_t>(answer.most_tensor_ranks);
        filled.local_intermediate_size = static_cast<uint32_t>(answer.local_intermediate);
        filled.padded_intermediate_size = static_cast<uint32_t>(answer.padded_intermediate);
        filled.local_group_size = static_cast<uint32_t>(answer.down_group_size);
        write_output(filled, support);
        return {};
    });
}

mmoe_status mmoe_bundle_plan(const mmoe_context* context, const mmoe_quant_config* config,
                             const mmoe_layer* layer, const mmoe_bundle_options* options,
                             mmoe_memory_plan* plan, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(context, "context"));
        TRY(require_handle(config, "config"));
        TRY(require_not_null(layer, "layer"));
        TRY(require_not_null(plan, "plan"));
        TRY(check_output(plan, "plan"));
        TRY(const Layer known_layer, read_layer(layer));
        TRY(const BundleArguments arguments, read_bundle_options(options));
        TRY(const MemoryNeed need,
            Bundle::plan(*context->object,
                         {*config->object, known_layer, arguments.split, arguments.slot_count}));
        mmoe_memory_plan filled = {};
        filled.resident_bytes = need.resident_bytes;
        filled.scratch_bytes = need.scratch_bytes;
        write_output(filled, plan);
        return {};
    });
}

mmoe_status mmoe_bundle_create(mmoe_context* context, const mmoe_quant_config* config,
                               const mmoe_layer* layer, const mmoe_bundle_options* options,
                               mmoe_bundle** out, mmoe_error* error) {
    if (out != nullptr) *out = nullptr;
    return call(error, [&]() -> Status {
        TRY(require_handle(context, "context"));
        TRY(require_handle(config, "config"));
        TRY(require_not_null(layer, "layer"));
        TRY(require_not_null(out, "out"));
        TRY(const Layer known_layer, read_layer(layer));
        TRY(const BundleArguments arguments, read_bundle_options(options));
        TRY(std::shared_ptr<Bundle> bundle,
            Bundle::create(context->object,
                           {*config->object, known_layer, arguments.split, arguments.slot_count}));
        *out = new mmoe_bundle(std::move(bundle));
        return {};
    });
}

mmoe_status mmoe_bundle_set(mmoe_bundle* bundle, uint32_t expert, mmoe_projection projection,
                            mmoe_role role, const mmoe_tensor* tensor, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(bundle, "bundle"));
        TRY(require_not_null(tensor, "tensor"));
        TRY(check_set_arguments(projection, role));
        TRY(const TensorView view, read_tensor("tensor", *tensor));
        return bundle->object->set(expert, static_cast<Projection>(projection),
                                   static_cast<Role>(role), view);
    });
}

mmoe_status mmoe_bundle_seal(mmoe_bundle* bundle, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(bundle, "bundle"));
        return bundle->object->seal();
    });
}

mmoe_status mmoe_bundle_load(mmoe_context* context, const mmoe_checkpoint* checkpoint,
                             uint32_t layer, const mmoe_bundle_options* options, mmoe_bundle** out,
                             mmoe_error* error) {
    if (out != nullptr) *out = nullptr;
    return call(error, [&]() -> Status {
        TRY(require_handle(context, "context"));
        TRY(require_handle(checkpoint, "checkpoint"));
        TRY(require_not_null(out, "out"));
        TRY(const BundleArguments arguments, read_bundle_options(options));
        TRY(const LayerEntry* entry, find_layer(*checkpoint->object, layer));
        TRY(std::shared_ptr<Bundle> bundle,
            Bundle::load(context->object, *checkpoint->object, *entry, arguments.split,
                         arguments.slot_count, arguments.progress));
        *out = new mmoe_bundle(std::move(bundle));
        return {};
    });
}

mmoe_status mmoe_bundle_info(const mmoe_bundle* bundle, mmoe_layer* layer,
                             mmoe_bundle_description* description, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(bundle, "bundle"));
        if (layer != nullptr) TRY(check_output(layer, "layer"));
        if (description != nullptr) {
            TRY(check_output(description, "description"));
        }
        const Bundle& object = *bundle->object;
        if (layer != nullptr) write_output(describe_layer(object.layer()), layer);
        if (description == nullptr) return {};
        mmoe_bundle_description filled = {};
        const Shard& shard = object.shard();
        filled.expert_count = static_cast<uint32_t>(shard.expert_count);
        filled.first_expert = static_cast<uint32_t>(shard.first_expert);
        filled.resident_count = static_cast<uint32_t>(object.resident_count());
        filled.slot_count = static_cast<uint32_t>(shard.slot_count);
        filled.local_intermediate_size = static_cast<uint32_t>(shard.slice.size);
        filled.resident_bytes = object.resident_bytes();
        filled.sealed = object.sealed() ? 1 : 0;
        filled.device_kind = static_cast<mmoe_device_kind>(object.context()->kind);
        write_output(filled, description);
        return {};
    });
}

mmoe_status mmoe_bundle_put(mmoe_bundle* bundle, uint32_t expert, const mmoe_expert_tensor* tensors,
                            uint32_t count, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(bundle, "bundle"));
        TRY(require_not_null(tensors, "tensors"));
        ExpertTensors views;
        for (uint32_t i = 0; i < count; ++i) {
            const mmoe_expert_tensor& given = tensors[i];
            TRY(check_set_arguments(given.projection, given.role).within("tensors[%u]", i));
            TRY(views.at(static_cast<Projection>(given.projection), static_cast<Role>(given.role)),
                read_tensor("tensor", given.tensor));
        }
        return bundle->object->put(expert, views);
    });
}

mmoe_status mmoe_bundle_put_from(mmoe_bundle* bundle, const mmoe_checkpoint* checkpoint,
                                 uint32_t layer, uint32_t expert, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(bundle, "bundle"));
        TRY(require_handle(checkpoint, "checkpoint"));
        TRY(const LayerEntry* entry, find_layer(*checkpoint->object, layer));
        return bundle->object->put(expert, *checkpoint->object, *entry);
    });
}

mmoe_status mmoe_bundle_evict(mmoe_bundle* bundle, uint32_t expert, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(bundle, "bundle"));
        return bundle->object->evict(expert);
    });
}

void mmoe_bundle_destroy(mmoe_bundle* bundle) {
    delete bundle;
}
