// SPDX-License-Identifier: Apache-2.0
// The CUDA half of the executor: plans and owns the workspace, enqueues a layer on a stream. A
// build without the toolkit has cuda_run_none.cpp, which answers that there is no backend.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "bundle/bundle.h"
#include "bundle/cuda_store.h"
#include "device/context.h"
#include "device/cuda_memory.h"
#include "exec/executor_options.h"
#include "exec/run_args.h"

namespace mmoe {

struct CudaWorkspace {
    Budget::Lease lease;
    DeviceBuffer memory;      // unless the caller gave some
    uint8_t* data = nullptr;  // device memory
    uint64_t size_bytes = 0;
    DeviceFlag out_of_range;
    uint64_t distrusted_rows = 0;  // as in cuda::Device
    uint64_t excluded_rows = 0;
};

Result<uint64_t> plan_cuda_workspace(const Context& context, const BundleSpec& spec,
                                     const Shard& shard, const ExecutorOptions& options);

// Also loads the kernels, so that a later run may be captured in a graph, and tries them against
// the CPU.
Result<CudaWorkspace> create_cuda_workspace(const Context& context, const Bundle& bundle,
                                            const ExecutorOptions& options);

// Enqueues and returns. `stream`: a cudaStream_t, or null for the device's default stream.
Status run_cuda_layer(const Context& context, const CudaStore& store,
                      const ExecutorOptions& options, const CudaWorkspace& workspace,
                      const RunArgs& args, void* stream);

std::string explain_cuda_rows(const Context& context, const CudaStore& store,
                              const ExecutorOptions& options, const CudaWorkspace& workspace,
                              int64_t tokens);

}  // namespace mmoe
