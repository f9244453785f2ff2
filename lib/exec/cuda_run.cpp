// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda_run.h"

#include <cstdint>
#include <cstring>

#include "cuda/launch.h"
#include "exec/cuda_self_test.h"

namespace mmoe {
namespace {

// Slots are counted in 32 bits on the device.
constexpr int64_t kMostSlots = INT32_MAX;

cuda::Element element(cpu::Element type) noexcept {
    return static_cast<cuda::Element>(type);
}

cuda::Device device_of(const Context& context, const CudaWorkspace& workspace) noexcept {
    cuda::Device device = describe_cuda_device(context);
    device.distrusted_rows = workspace.distrusted_rows;
    device.excluded_rows = workspace.excluded_rows;
    return device;
}

Result<uint64_t> plan_workspace(const Context& context, const cuda::Layer& layer,
                                const ExecutorOptions& options) {
    const char* reason = cuda::refuse(describe_cuda_device(context), layer,
                                      element(options.hidden_type), element(options.output_type));
    if (reason != nullptr) return Status::error(Code::kUnsupported, "%s", reason);
    if (options.precision == Precision::kExact) {
        return Status::error(
            Code::kUnsupported,
            "precision: exact rows run on the CPU only; CUDA multiplies in 16 bits");
    }
    if (options.max_tokens > kMostSlots / options.max_top_k) {
        return Status::error(Code::kUnsupported, "max_tokens x max_top_k: at most %lld",
                             static_cast<long long>(kMostSlots));
    }
    return uint64_t{
        cuda::workspace_bytes(layer, options.max_tokens, static_cast<int32_t>(options.max_top_k))};
}

cuda::Run describe_run(const ExecutorOptions& options, const CudaWorkspace& workspace,
                       const RunArgs& args) noexcept {
    cuda::Run run;
    run.tokens = args.tokens;
    run.token_count = args.token_count;
    run.top_k = static_cast<int32_t>(args.top_k);
    run.hidden_type = element(options.hidden_type);
    run.output_type = element(options.output_type);
    run.hidden = args.hidden;
    run.hidden_stride = args.hidden_stride;
    run.expert_ids = args.expert_ids;
    run.expert_weights = args.expert_weights;
    run.expert_map = args.expert_map;
    run.map_size = args.map_size;
    run.output = args.output;
    run.output_stride = args.output_stride;
    run.skipped = workspace.out_of_range.on_device();
    return run;
}

// Rows that compute wrong numbers here never serve; without a row left, nothing does.
Status test_rows(const Context& context, const Bundle& bundle, const ExecutorOptions& options,
                 CudaWorkspace& workspace) {
    TRY(const CudaSelfTest test, CudaSelfTest::create(context, bundle, options));
    TRY(workspace.distrusted_rows, test.find_distrusted_rows(workspace.distrusted_rows));
    const char* reason = cuda::refuse(device_of(context, workspace), bundle.cuda()->layer(),
                                      element(options.hidden_type), element(options.output_type));
    if (reason == nullptr) return {};
    return Status::error(Code::kUnsupported,
                         "self-test: every kernel for these weights computes wrong numbers on %s",
                         context.cuda.name);
}

// All rows but those whose names contain options.row; one of these must take the largest run.
Status exclude_rows(const Context& context, const Bundle& bundle, const ExecutorOptions& options,
                    CudaWorkspace& workspace) {
    if (options.row.empty()) return {};
    uint64_t bit = 1;
    for (const cuda::Row& row : cuda::rows()) {
        if (std::strstr(row.name, options.row.c_str()) == nullptr) workspace.excluded_rows |= bit;
        bit <<= 1;
    }
    cuda::Run run;
    run.tokens = options.max_tokens;
    run.top_k = static_cast<int32_t>(options.max_top_k);
    run.hidden_type = element(options.hidden_type);
    const cuda::Problem problem =
        cuda::describe(device_of(context, workspace), bundle.cuda()->layer(), run);
    if (cuda::choose(problem) != nullptr) return {};
    return Status::error(
        Code::kUnsupported,
        "options->row: no kernel for these weights and tokens has '%s' in its name",
        options.row.c_str());
}

}  // namespace

Result<uint64_t> plan_cuda_workspace(const Context& context, const BundleSpec& spec,
                                     const Shard& shard, const ExecutorOptions& options) {
    return plan_workspace(context, describe_cuda_layer(spec, plan_cuda_bundle(spec, shard)),
                          options);
}

Result<CudaWorkspace> create_cuda_workspace(const Context& context, const Bundle& bundle,
                                            const ExecutorOptions& options) {
    TRY(const uint64_t bytes, plan_workspace(context, bundle.cuda()->layer(), options));
    CudaWorkspace workspace;
    workspace.size_bytes = bytes;
    if (options.workspace != nullptr) {
        TRY(check_given_workspace(options, bytes));
        workspace.data = static_cast<uint8_t*>(options.workspace);
    } else {
        TRY(workspace.lease, Budget::take(context.budget, bytes, "workspace"));
        TRY(workspace.memory,
            DeviceBuffer::create(context.place, context.device_allocator, bytes, "workspace"));
        workspace.data = workspace.memory.data();
    }
    TRY(workspace.out_of_range, DeviceFlag::create(context.place));
    TRY(const CudaScope scope, CudaScope::enter(context.place));
    TRY(fill_device(workspace.data, 0, bytes));
    TRY(cuda_status(cuda::prepare(workspace.distrusted_rows), "loading the kernels"));
    if (options.self_test) TRY(test_rows(context, bundle, options, workspace));
    TRY(exclude_rows(context, bundle, options, workspace));
    return workspace;
}

Status run_cuda_layer(const Context& context, const CudaStore& store,
                      const ExecutorOptions& options, const CudaWorkspace& workspace,
                      const RunArgs& args, void* stream) {
    const cuda::Layer& layer = store.layer();
    const uint64_t bytes =
        cuda::workspace_bytes(layer, args.tokens, static_cast<int32_t>(args.top_k));
    if (bytes > workspace.size_bytes) {
        return Status::error(Code::kInvalidArgument,
                             "the bundle needs a workspace of %llu bytes, this executor has %llu",
                             static_cast<unsigned long long>(bytes),
                             static_cast<unsigned long long>(workspace.size_bytes));
    }
    TRY(const CudaScope scope, CudaScope::enter(context.place, stream));
    if (args.tokens == 0) return {};
    const cuda::Device device = device_of(context, workspace);
    const cuda::Run run = describe_run(options, workspace, args);
    const cuda::Row* row = cuda::choose(cuda::describe(device, layer, run));
    if (row == nullptr) {
        return options.row.empty()
                   ? Status::error(Code::kUnsupported, "no kernel serves this run of the bundle")
                   : Status::error(Code::kUnsupported,
                                   "options->row: no kernel with '%s' in its name takes this run",
                                   options.row.c_str());
    }
    return cuda_status(cuda::run_layer_with(*row, device, layer, run, workspace.data, stream),
                       "launch of the layer");
}

std::string explain_cuda_rows(const Context& context, const CudaStore& store,
                              const ExecutorOptions& options, const CudaWorkspace& workspace,
                              int64_t tokens) {
    cuda::Run run;
    run.tokens = tokens;
    run.top_k = static_cast<int32_t>(options.max_top_k);
    run.hidden_type = element(options.hidden_type);
    const cuda::Problem problem = cuda::describe(device_of(context, workspace), store.layer(), run);
    std::string text = "T = " + std::to_string(tokens) + " on " + context.cuda.name + "\n";
    for (const char* gemm : {"gemm 1", "gemm 2"}) {
        const char* serves = "";
        for (const cuda::Row& row : cuda::rows()) {
            const char* reason = cuda::passed_over(row, problem);
            text += std::string(gemm) + ": " + row.name +
                    (reason == nullptr ? serves : std::string(" passed over: ") + reason) + "\n";
            if (reason == nullptr) serves = " also serves";
        }
    }
    return text;
}

}  // namespace mmoe
