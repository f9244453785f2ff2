// SPDX-License-Identifier: Apache-2.0
// The Marlin layouts on host memory.
#include "api/batch_tensor.h"
#include "api/handles.h"
#include "bundle/cuda_marlin.h"
#include "repack/marlin_batch.h"

using namespace mmoe;
using namespace mmoe::api;

static_assert(MMOE_ROLE_BIAS == static_cast<int>(Role::kBias));

namespace {

Result<MarlinBatch> read_matrix(const mmoe_quant_config* config, const mmoe_marlin_matrix* given) {
    TRY(require_handle(config, "config"));
    TRY(require_not_null(given, "matrix"));
    mmoe_marlin_matrix matrix;
    TRY(read_options(given, "matrix", &matrix));
    if (matrix.reserved != 0) {
        return Status::error(Code::kInvalidArgument, "reserved: must be 0");
    }
    MarlinBatchFields fields;
    fields.experts = matrix.expert_count;
    fields.outputs = matrix.outputs;
    fields.inputs = matrix.inputs;
    fields.padded_outputs = matrix.padded_outputs == 0 ? matrix.outputs : matrix.padded_outputs;
    fields.padded_inputs = matrix.padded_inputs == 0 ? matrix.inputs : matrix.padded_inputs;
    fields.first_output = matrix.first_output;
    TRY(fields.tile, read_tile(matrix.activation));
    return plan_marlin_batch(*config->object, fields);
}

Result<Role> read_role(mmoe_role role) {
    if (role >= MMOE_ROLE_WEIGHT && role <= MMOE_ROLE_BIAS) return static_cast<Role>(role);
    return Status::error(Code::kInvalidArgument, "role: expected %d to %d, got %d",
                         MMOE_ROLE_WEIGHT, MMOE_ROLE_BIAS, role);
}

// The group index of weights in activation order; it must be absent elsewhere.
Result<const int32_t*> read_group_index(const MarlinBatch& batch, Role role,
                                        const mmoe_tensor& given) {
    const bool needed = role == Role::kWeight && batch.file.config.order == Order::kGroup;
    if (needed) {
        TRY(const BatchRole sides, describe_marlin_role(batch, Role::kGroupIndex));
        TRY(const TensorView view, expect_batch("group_index", given, sides.file));
        return static_cast<const int32_t*>(view.data);
    }
    if (given.data != nullptr || given.rank != 0) {
        return Status::error(Code::kInvalidArgument,
                             "group_index: expected none but for weights of a config with "
                             "activation order, got %s",
                             shape_text(given.shape, std::clamp(given.rank, 0, 4)).c_str());
    }
    return static_cast<const int32_t*>(nullptr);
}

Result<BatchMemory> read_memory(const MarlinBatch& batch, const mmoe_marlin_args* given) {
    TRY(require_not_null(given, "args"));
    mmoe_marlin_args args;
    TRY(read_options(given, "args", &args));
    BatchMemory memory;
    TRY(memory.role, read_role(args.role));
    TRY(const BatchRole sides, describe_marlin_role(batch, memory.role));
    TRY(const TensorView file, expect_batch("file", args.file, sides.file));
    TRY(const TensorView marlin, expect_batch("marlin", args.marlin, sides.marlin));
    TRY(memory.group_index, read_group_index(batch, memory.role, args.group_index));
    memory.file = args.file.data;
    memory.marlin = args.marlin.data;
    memory.file_dtype = file.dtype;
    memory.marlin_dtype = marlin.dtype;
    return memory;
}

Result<BatchWorkers> read_workers(const mmoe_context* context) {
    if (context == nullptr) return BatchWorkers{nullptr, std::make_shared<const Allocator>()};
    TRY(require_handle(context, "context"));
    return BatchWorkers{context->object->parallel.get(), context->object->allocator};
}

uint64_t side_bytes(const BatchTensor& side) noexcept {
    return static_cast<uint64_t>(side.count()) * dtype_bytes(side.dtypes.front());
}

using RunBatch = Status(const MarlinBatch&, const BatchMemory&, const BatchWorkers&);

mmoe_status run(RunBatch* work, const mmoe_context* context, const mmoe_quant_config* config,
                const mmoe_marlin_matrix* matrix, const mmoe_marlin_args* args,
                mmoe_error* error) noexcept {
    return call(error, [&]() -> Status {
        TRY(const BatchWorkers workers, read_workers(context));
        TRY(const MarlinBatch batch, read_matrix(config, matrix));
        TRY(const BatchMemory memory, read_memory(batch, args));
        return work(batch, memory, workers);
    });
}

}  // namespace

mmoe_status mmoe_marlin_describe(const mmoe_quant_config* config, const mmoe_marlin_matrix* matrix,
                                 mmoe_role role, mmoe_marlin_description* description,
                                 mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(const MarlinBatch batch, read_matrix(config, matrix));
        TRY(require_not_null(description, "description"));
        TRY(check_output(description, "description"));
        TRY(const Role known, read_role(role));
        TRY(const BatchRole sides, describe_marlin_role(batch, known));
        mmoe_marlin_description filled = {};
        filled.file = describe_batch(sides.file);
        filled.marlin = describe_batch(sides.marlin);
        filled.file_bytes = side_bytes(sides.file);
        filled.marlin_bytes = side_bytes(sides.marlin);
        write_output(filled, description);
        return {};
    });
}

mmoe_status mmoe_marlin_pack(const mmoe_context* context, const mmoe_quant_config* config,
                             const mmoe_marlin_matrix* matrix, const mmoe_marlin_args* args,
                             mmoe_error* error) {
    return run(&pack_marlin_batch, context, config, matrix, args, error);
}

mmoe_status mmoe_marlin_enqueue_pack(const mmoe_context* context, const mmoe_quant_config* config,
                                     const mmoe_marlin_matrix* matrix, const mmoe_marlin_args* args,
                                     void* stream, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_not_null(context, "context"));
        TRY(const BatchWorkers workers, read_workers(context));
        TRY(const MarlinBatch batch, read_matrix(config, matrix));
        TRY(const BatchMemory memory, read_memory(batch, args));
        if (context->object->kind == DeviceKind::kCuda) {
            return pack_marlin_on_cuda(*context->object, batch, memory, stream);
        }
        if (stream != nullptr) {
            return Status::error(Code::kInvalidArgument, "stream: must be NULL on the CPU");
        }
        return pack_marlin_batch(batch, memory, workers);
    });
}

mmoe_status mmoe_marlin_unpack(const mmoe_context* context, const mmoe_quant_config* config,
                               const mmoe_marlin_matrix* matrix, const mmoe_marlin_args* args,
                               mmoe_error* error) {
    return run(&unpack_marlin_batch, context, config, matrix, args, error);
}
