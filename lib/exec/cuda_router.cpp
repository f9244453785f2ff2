// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda_router.h"

#include "cuda/router.h"
#include "device/cuda_memory.h"

namespace mmoe {

Status route_on_cuda(const Context& context, const RouterArgs& args, void* stream) {
    const int64_t shared_bytes = cuda::router_shared_bytes(args.expert_count, args.group_count);
    if (shared_bytes > context.cuda.shared_memory_bytes) {
        return Status::error(
            Code::kUnsupported,
            "logits: %lld experts in %lld groups need %lld bytes of shared memory, "
            "a block of the device has %u",
            static_cast<long long>(args.expert_count), static_cast<long long>(args.group_count),
            static_cast<long long>(shared_bytes), context.cuda.shared_memory_bytes);
    }
    if (args.tokens > INT32_MAX) {
        return Status::error(Code::kUnsupported, "logits: more than 2^31 - 1 tokens");
    }
    const cuda::RouterArgs routed = {
        .scoring = static_cast<cuda::Scoring>(args.scoring),
        .group_count = static_cast<int32_t>(args.group_count),
        .groups_kept = static_cast<int32_t>(args.groups_kept),
        .renormalize = args.renormalize,
        .scale = args.scale,
        .tokens = args.tokens,
        .expert_count = static_cast<int32_t>(args.expert_count),
        .top_k = static_cast<int32_t>(args.top_k),
        .logits_type = static_cast<cuda::Element>(args.logits_type),
        .logits = args.logits,
        .logits_stride = args.logits_stride,
        .correction_bias = args.correction_bias,
        .expert_ids = args.expert_ids,
        .expert_weights = args.expert_weights,
    };
    TRY(const CudaScope scope, CudaScope::enter(context.place, stream));
    return cuda_status(cuda::launch_router(routed, stream), "launch of the router");
}

}  // namespace mmoe
