// SPDX-License-Identifier: Apache-2.0
// exec/cuda_run.h and exec/cuda_router.h in a build without the CUDA toolkit, where no context has
// a CUDA device.
#include "exec/cuda_router.h"
#include "exec/cuda_run.h"

namespace mmoe {
namespace {

Status no_backend() {
    return Status::error(Code::kNoDevice, "this build of the library has no CUDA backend");
}

}  // namespace

Result<uint64_t> plan_cuda_workspace(const Context& /*context*/, const BundleSpec& /*spec*/,
                                     const Shard& /*shard*/, const ExecutorOptions& /*options*/) {
    return no_backend();
}
Result<CudaWorkspace> create_cuda_workspace(const Context& /*context*/, const Bundle& /*bundle*/,
                                            const ExecutorOptions& /*options*/) {
    return no_backend();
}
Status run_cuda_layer(const Context& /*context*/, const CudaStore& /*store*/,
                      const ExecutorOptions& /*options*/, const CudaWorkspace& /*workspace*/,
                      const RunArgs& /*args*/, void* /*stream*/) {
    return no_backend();
}
Status route_on_cuda(const Context& /*context*/, const RouterArgs& /*args*/, void* /*stream*/) {
    return no_backend();
}
std::string explain_cuda_rows(const Context& /*context*/, const CudaStore& /*store*/,
                              const ExecutorOptions& /*options*/,
                              const CudaWorkspace& /*workspace*/, int64_t /*tokens*/) {
    return {};
}

}  // namespace mmoe
