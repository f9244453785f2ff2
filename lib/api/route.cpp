// SPDX-License-Identifier: Apache-2.0
// The router.
#include <cmath>

#include "api/handles.h"
#include "api/tensors.h"
#include "exec/cuda_router.h"
#include "exec/router.h"

using namespace mmoe;
using namespace mmoe::api;

static_assert(MMOE_SCORING_SIGMOID == static_cast<int>(Scoring::kSigmoid));

namespace {

Status check_groups(const RouterArgs& args) {
    if (args.group_count < 1 || args.expert_count % args.group_count != 0) {
        return Status::error(
            Code::kInvalidArgument, "group_count: expected a divisor of %lld experts, got %lld",
            static_cast<long long>(args.expert_count), static_cast<long long>(args.group_count));
    }
    if (args.groups_kept > args.group_count) {
        return Status::error(Code::kInvalidArgument, "groups_kept: expected at most %lld, got %lld",
                             static_cast<long long>(args.group_count),
                             static_cast<long long>(args.groups_kept));
    }
    const int64_t candidates = args.expert_count / args.group_count * args.groups_kept;
    if (args.top_k <= candidates) return {};
    return Status::error(Code::kInvalidArgument,
                         "expert_ids: top_k %lld of %lld experts in the kept groups",
                         static_cast<long long>(args.top_k), static_cast<long long>(candidates));
}

Status read_correction_bias(const mmoe_tensor& tensor, RouterArgs* args) {
    if (tensor.data == nullptr && tensor.rank == 0) return {};
    TRY(const TensorView bias, read_tensor("correction_bias", tensor));
    if (bias.dtype != DType::kF32) {
        return Status::error(Code::kDtype, "correction_bias: expected f32, got %s",
                             dtype_name(bias.dtype));
    }
    if (bias.rank != 1 || bias.shape[0] != args->expert_count) {
        return Status::error(Code::kShape, "correction_bias: expected [%lld], got %s",
                             static_cast<long long>(args->expert_count),
                             shape_text(bias.shape, bias.rank).c_str());
    }
    args->correction_bias = static_cast<const float*>(bias.data);
    return {};
}

Status read_tensors(const mmoe_route_args& given, RouterArgs* args) {
    const mmoe_dtype type = given.logits.dtype;
    if (type < MMOE_DTYPE_F32 || type > MMOE_DTYPE_BF16) {
        return Status::error(Code::kDtype, "logits: expected f32, f16 or bf16, got type %d", type);
    }
    args->logits_type = static_cast<cpu::Element>(type);
    TRY(args->logits_stride, expect_matrix("logits", given.logits, {type, -1, -1, false}));
    args->tokens = given.logits.shape[0];
    args->expert_count = given.logits.shape[1];
    TRY(expect_matrix("expert_ids", given.expert_ids, {MMOE_DTYPE_I32, args->tokens, -1, true}));
    args->top_k = given.expert_ids.shape[1];
    TRY(expect_matrix("expert_weights", given.expert_weights,
                      {MMOE_DTYPE_F32, args->tokens, args->top_k, true}));
    if (args->expert_count < 1 || args->expert_count > INT32_MAX) {
        return Status::error(Code::kShape, "logits: expected 1 to 2^31 - 1 experts, got %lld",
                             static_cast<long long>(args->expert_count));
    }
    TRY(read_correction_bias(given.correction_bias, args));
    args->logits = given.logits.data;
    args->expert_ids = static_cast<int32_t*>(given.expert_ids.data);
    args->expert_weights = static_cast<float*>(given.expert_weights.data);
    return {};
}

Result<RouterArgs> read_route_args(const mmoe_route_args& given) {
    RouterArgs args;
    if (given.scoring < 0 || given.scoring > MMOE_SCORING_SIGMOID) {
        return Status::error(Code::kInvalidArgument, "scoring: expected 0 to %d, got %d",
                             MMOE_SCORING_SIGMOID, given.scoring);
    }
    if (!std::isfinite(given.scale)) {
        return Status::error(Code::kInvalidArgument, "scale: must be finite");
    }
    args.scoring = static_cast<Scoring>(given.scoring);
    args.renormalize = given.renormalize != 0;
    args.scale = given.scale == 0.0F ? 1.0F : given.scale;
    TRY(read_tensors(given, &args));
    args.group_count = given.group_count == 0 ? 1 : given.group_count;
    args.groups_kept = given.groups_kept == 0 ? args.group_count : given.groups_kept;
    TRY(check_groups(args));
    return args;
}

}  // namespace

mmoe_status mmoe_route(const mmoe_context* context, const mmoe_route_args* args, void* stream,
                       mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(context, "context"));
        TRY(require_not_null(args, "args"));
        mmoe_route_args known;
        TRY(read_options(args, "args", &known));
        const bool on_cuda = context->object->kind == DeviceKind::kCuda;
        if (stream != nullptr && !on_cuda) {
            return Status::error(Code::kInvalidArgument, "stream: must be NULL on the CPU");
        }
        TRY(const RouterArgs proved, read_route_args(known));
        if (proved.tokens == 0 || proved.top_k == 0) return {};
        TRY(require_not_null(proved.logits, "logits.data"));
        TRY(require_not_null(proved.expert_ids, "expert_ids.data"));
        TRY(require_not_null(proved.expert_weights, "expert_weights.data"));
        return on_cuda ? route_on_cuda(*context->object, proved, stream)
                       : route(proved, *context->object->parallel);
    });
}
