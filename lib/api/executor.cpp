// SPDX-License-Identifier: Apache-2.0
// Executors and runs.
#include <cstddef>

#include "api/handles.h"
#include "api/tensors.h"

using namespace mmoe;
using namespace mmoe::api;

static_assert(MMOE_PRECISION_EXACT == static_cast<int>(Precision::kExact));
static_assert(MMOE_PRECISION_INT8 == static_cast<int>(Precision::kInt8));
static_assert(MMOE_DTYPE_F32 == static_cast<int>(cpu::Element::kF32));
static_assert(MMOE_DTYPE_F16 == static_cast<int>(cpu::Element::kF16));
static_assert(MMOE_DTYPE_BF16 == static_cast<int>(cpu::Element::kBf16));

namespace {

Result<cpu::Element> read_element(const char* name, mmoe_dtype dtype, cpu::Element fallback) {
    if (dtype == 0) return fallback;
    if (dtype >= MMOE_DTYPE_F32 && dtype <= MMOE_DTYPE_BF16) {
        return static_cast<cpu::Element>(dtype);
    }
    return Status::error(Code::kInvalidArgument, "%s: expected F32, F16, BF16 or 0, got %d", name,
                         dtype);
}

Result<ExecutorOptions> read_executor_options(const mmoe_executor_options* given) {
    mmoe_executor_options known;
    TRY(read_options(given, "options", &known));
    if (known.reserved != 0) {
        return Status::error(Code::kInvalidArgument, "options->reserved: must be 0");
    }
    if (known.max_tokens == 0 || known.max_top_k == 0) {
        return Status::error(Code::kInvalidArgument, "options->%s: required, got 0",
                             known.max_tokens == 0 ? "max_tokens" : "max_top_k");
    }
    if (known.precision < 0 || known.precision > MMOE_PRECISION_INT8) {
        return Status::error(Code::kInvalidArgument, "options->precision: expected 0 to %d, got %d",
                             MMOE_PRECISION_INT8, known.precision);
    }
    ExecutorOptions options;
    options.max_tokens = known.max_tokens;
    options.max_top_k = known.max_top_k;
    TRY(options.hidden_type,
        read_element("options->hidden_dtype", known.hidden_dtype, cpu::Element::kBf16));
    TRY(options.output_type,
        read_element("options->output_dtype", known.output_dtype, options.hidden_type));
    options.precision = static_cast<Precision>(known.precision);
    options.self_test = known.skip_self_test == 0;
    options.workspace = known.workspace;
    options.workspace_bytes = known.workspace_bytes;
    if (known.row != nullptr) options.row = known.row;
    return options;
}

Status check_same_device(const Context& executor, const Context& bundle) {
    if (executor.kind != bundle.kind || executor.index != bundle.index) {
        return Status::error(Code::kInvalidArgument, "bundle: it belongs to another device");
    }
    if (executor.place.context == bundle.place.context) return {};
    return Status::error(Code::kInvalidArgument, "bundle: it belongs to another CUDA context");
}

bool overlap(const void* a, int64_t a_bytes, const void* b, int64_t b_bytes) noexcept {
    const auto a_start = reinterpret_cast<uintptr_t>(a);
    const auto b_start = reinterpret_cast<uintptr_t>(b);
    return a_start < b_start + static_cast<uintptr_t>(b_bytes) &&
           b_start < a_start + static_cast<uintptr_t>(a_bytes);
}

Status check_limits(const Executor& executor, int64_t tokens, int64_t top_k) {
    const ExecutorOptions& options = executor.options();
    if (tokens > options.max_tokens) {
        return Status::error(
            Code::kInvalidArgument, "hidden: the executor serves at most %lld tokens, got %lld",
            static_cast<long long>(options.max_tokens), static_cast<long long>(tokens));
    }
    if (top_k > options.max_top_k) {
        return Status::error(
            Code::kInvalidArgument, "expert_ids: the executor serves at most top_k %lld, got %lld",
            static_cast<long long>(options.max_top_k), static_cast<long long>(top_k));
    }
    return {};
}

Status read_expert_map(const mmoe_tensor& tensor, RunArgs* args) {
    if (tensor.data == nullptr && tensor.rank == 0) return {};
    TRY(const TensorView map, read_tensor("expert_map", tensor));
    if (map.rank != 1 || map.dtype != DType::kI32) {
        return Status::error(map.rank != 1 ? Code::kShape : Code::kDtype,
                             "expert_map: expected i32 of rank 1, got %s of rank %d",
                             dtype_name(map.dtype), map.rank);
    }
    args->expert_map = static_cast<const int32_t*>(map.data);
    args->map_size = map.shape[0];
    return {};
}

Status read_token_count(const mmoe_tensor& tensor, RunArgs* args) {
    if (tensor.data == nullptr && tensor.rank == 0) return {};
    TRY(const TensorView count, read_tensor("token_count", tensor));
    if (count.rank != 1 || count.shape[0] != 1 || count.dtype != DType::kI32) {
        return Status::error(count.dtype != DType::kI32 ? Code::kDtype : Code::kShape,
                             "token_count: expected i32 of shape [1], got %s of %s",
                             dtype_name(count.dtype), shape_text(count.shape, count.rank).c_str());
    }
    args->token_count = static_cast<const int32_t*>(count.data);
    return {};
}

// Everything that the kernels take for granted.
Result<RunArgs> read_run_args(const Executor& executor, const Layer& layer,
                              const mmoe_run_args& given) {
    const ExecutorOptions& options = executor.options();
    const int64_t hidden_size = layer.hidden_size;
    RunArgs args;
    TRY(args.hidden_stride,
        expect_matrix("hidden", given.hidden,
                      {static_cast<mmoe_dtype>(options.hidden_type), -1, hidden_size, false}));
    args.tokens = given.hidden.shape[0];
    TRY(args.output_stride, expect_matrix("output", given.output,
                                          {static_cast<mmoe_dtype>(options.output_type),
                                           args.tokens, hidden_size, false}));
    TRY(expect_matrix("expert_ids", given.expert_ids, {MMOE_DTYPE_I32, args.tokens, -1, true}));
    args.top_k = given.expert_ids.shape[1];
    TRY(expect_matrix("expert_weights", given.expert_weights,
                      {MMOE_DTYPE_F32, args.tokens, args.top_k, true}));
    TRY(read_expert_map(given.expert_map, &args));
    TRY(read_token_count(given.token_count, &args));
    TRY(check_limits(executor, args.tokens, args.top_k));
    if (args.tokens == 0) return args;
    TRY(require_not_null(given.hidden.data, "hidden.data"));
    TRY(require_not_null(given.output.data, "output.data"));
    if (args.top_k != 0) {
        TRY(require_not_null(given.expert_ids.data, "expert_ids.data"));
        TRY(require_not_null(given.expert_weights.data, "expert_weights.data"));
    }
    args.hidden = given.hidden.data;
    args.expert_ids = static_cast<const int32_t*>(given.expert_ids.data);
    args.expert_weights = static_cast<const float*>(given.expert_weights.data);
    args.output = given.output.data;
    const auto span_bytes = [&](int64_t stride, cpu::Element type) {
        return ((args.tokens - 1) * stride + hidden_size) *
               static_cast<int64_t>(cpu::element_bytes(type));
    };
    if (overlap(args.output, span_bytes(args.output_stride, options.output_type), args.hidden,
                span_bytes(args.hidden_stride, options.hidden_type))) {
        return Status::error(Code::kInvalidArgument, "output: it overlaps hidden");
    }
    return args;
}

}  // namespace

mmoe_status mmoe_executor_plan(const mmoe_context* context, const mmoe_quant_config* config,
                               const mmoe_layer* layer, const mmoe_executor_options* options,
                               mmoe_memory_plan* plan, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(context, "context"));
        TRY(require_handle(config, "config"));
        TRY(require_not_null(layer, "layer"));
        TRY(require_not_null(options, "options"));
        TRY(require_not_null(plan, "plan"));
        TRY(check_output(plan, "plan"));
        TRY(const Layer known_layer, read_layer(layer));
        TRY(const ExecutorOptions known, read_executor_options(options));
        mmoe_memory_plan filled = {};
        TRY(filled.resident_bytes,
            Executor::plan(*context->object, *config->object, known_layer, known));
        write_output(filled, plan);
        return {};
    });
}

mmoe_status mmoe_executor_create(mmoe_context* context, const mmoe_bundle* bundle,
                                 const mmoe_executor_options* options, mmoe_executor** out,
                                 mmoe_error* error) {
    if (out != nullptr) *out = nullptr;
    return call(error, [&]() -> Status {
        TRY(require_handle(context, "context"));
        TRY(require_handle(bundle, "bundle"));
        TRY(require_not_null(options, "options"));
        TRY(require_not_null(out, "out"));
        TRY(const ExecutorOptions known, read_executor_options(options));
        TRY(check_same_device(*context->object, *bundle->object->context()));
        TRY(std::shared_ptr<Executor> executor,
            Executor::create(context->object, *bundle->object, known));
        *out = new mmoe_executor(std::move(executor));
        return {};
    });
}

mmoe_status mmoe_executor_run(mmoe_executor* executor, const mmoe_bundle* bundle,
                              const mmoe_run_args* args, void* stream, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(executor, "executor"));
        TRY(require_handle(bundle, "bundle"));
        TRY(require_not_null(args, "args"));
        // References of our own: the caller may destroy both handles while this runs.
        const std::shared_ptr<Executor> running = executor->object;
        const std::shared_ptr<const Bundle> weights = bundle->object;
        mmoe_run_args known;
        TRY(read_options(args, "args", &known));
        if (known.reserved != 0) {
            return Status::error(Code::kInvalidArgument, "args->reserved: must be 0");
        }
        if (stream != nullptr && running->context()->kind == DeviceKind::kCpu) {
            return Status::error(Code::kInvalidArgument, "stream: must be NULL on the CPU");
        }
        TRY(check_same_device(*running->context(), *weights->context()));
        if (!weights->sealed()) {
            return Status::error(Code::kState, "bundle: it is not sealed");
        }
        TRY(const RunArgs proved, read_run_args(*running, weights->layer(), known));
        return running->run(*weights, proved, stream);
    });
}

mmoe_status mmoe_executor_poll(mmoe_executor* executor, mmoe_executor_findings* findings,
                               mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(executor, "executor"));
        TRY(require_not_null(findings, "findings"));
        TRY(check_output(findings, "findings"));
        mmoe_executor_findings filled = {};
        filled.ids_out_of_range = executor->object->take_out_of_range() ? 1 : 0;
        write_output(filled, findings);
        return {};
    });
}

size_t mmoe_executor_explain(const mmoe_executor* executor, const mmoe_bundle* bundle,
                             uint32_t tokens, char* text, size_t capacity_bytes) {
    std::string lines;
    const Status status = guarded([&]() -> Status {
        TRY(require_handle(executor, "executor"));
        TRY(require_handle(bundle, "bundle"));
        lines = executor->object->explain(*bundle->object, tokens);
        return {};
    });
    if (!status.ok()) lines.clear();
    return copy_text(lines.data(), lines.size(), text, capacity_bytes);
}

void mmoe_executor_destroy(mmoe_executor* executor) {
    delete executor;
}
