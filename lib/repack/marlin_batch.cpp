// SPDX-License-Identifier: Apache-2.0
// Shapes of a batch of Marlin matrices, and which of them exist.
#include "repack/marlin_batch.h"

#include <algorithm>
#include <cinttypes>
#include <cstddef>

#include "base/checked.h"

namespace mmoe {

namespace {

using layout::kMarlinBlock;

// Keeps every product of shapes below 2^63.
constexpr int64_t kLargestSize = int64_t{1} << 24;

Status expect_range(const char* what, int64_t size, int64_t least, int64_t most) {
    if (size >= least && size <= most) return {};
    return Status::error(Code::kInvalidArgument,
                         "%s: expected %" PRId64 " to %" PRId64 ", got %" PRId64, what, least, most,
                         size);
}

Status expect_multiple(const char* what, int64_t size, int64_t unit) {
    if (size % unit == 0) return {};
    return Status::error(Code::kUnsupported, "%s: expected a multiple of %" PRId64 ", got %" PRId64,
                         what, unit, size);
}

Status check_sizes(const MarlinBatchFields& fields) {
    TRY(expect_range("expert_count", fields.experts, 1, kLargestSize));
    TRY(expect_range("outputs", fields.outputs, 1, kLargestSize));
    TRY(expect_range("inputs", fields.inputs, 1, kLargestSize));
    TRY(expect_range("padded_inputs", fields.padded_inputs, fields.inputs, kLargestSize));
    TRY(expect_range("padded_outputs", fields.padded_outputs, 1, kLargestSize));
    TRY(expect_range("first_output", fields.first_output, 0, fields.padded_outputs));
    TRY(expect_multiple("padded_inputs", fields.padded_inputs,
                        layout::marlin_tile_inputs(fields.tile)));
    TRY(expect_multiple("padded_outputs", fields.padded_outputs, kMarlinBlock));
    TRY(expect_multiple("first_output", fields.first_output, kMarlinBlock));
    return expect_range("padded_outputs", fields.padded_outputs,
                        fields.first_output + fields.outputs, kLargestSize);
}

BatchTensor batch_tensor(int64_t experts, std::initializer_list<int64_t> shape,
                         std::vector<DType> dtypes) {
    BatchTensor tensor;
    tensor.dtypes = std::move(dtypes);
    tensor.shape[tensor.rank++] = experts;
    for (const int64_t extent : shape) tensor.shape[tensor.rank++] = extent;
    return tensor;
}

std::vector<DType> number_types(const QuantConfig& config) {
    std::vector<DType> types = {DType::kBf16, DType::kF16, DType::kF32};
    if (config.scale_type) {
        types.insert(types.begin(), static_cast<DType>(*config.scale_type));
    }
    return types;
}

BatchTensor file_tensor(const MarlinBatch& batch, Role role) {
    const ExpectedTensor expected =
        expected_tensor(batch.file.config, batch.file.outputs, batch.file.inputs, role);
    BatchTensor tensor = batch_tensor(batch.experts, {}, expected.dtypes);
    // Both sides propose the same, so that nothing is rounded unless a caller asks for it.
    const DType proposed = number_types(batch.file.config).front();
    std::stable_partition(tensor.dtypes.begin(), tensor.dtypes.end(),
                          [&](DType type) { return type == proposed; });
    for (int axis = 0; axis < expected.rank; ++axis) {
        tensor.shape[tensor.rank++] = expected.shape[axis];
    }
    return tensor;
}

}  // namespace

BatchTensor order_tensor(int64_t experts, int64_t inputs) {
    return batch_tensor(experts, {inputs}, {DType::kI32});
}

BatchTensor marlin_tensor(const MarlinShape& matrix, int64_t experts, Role role,
                          std::vector<DType> numbers) {
    const int64_t fields = 32 / matrix.bits;
    switch (role) {
        case Role::kWeight:
            return batch_tensor(
                experts,
                {matrix.inputs / kMarlinRowInputs, matrix.outputs * kMarlinRowInputs / fields},
                {DType::kI32});
        case Role::kScale:
            return batch_tensor(experts, {matrix.groups, matrix.outputs}, std::move(numbers));
        case Role::kZeroPoint:
            return batch_tensor(experts, {matrix.groups, matrix.outputs / fields}, {DType::kI32});
        case Role::kGroupIndex:
            return {};
        case Role::kBias:
            break;
    }
    return batch_tensor(experts, {matrix.outputs}, std::move(numbers));
}

int64_t BatchTensor::count() const noexcept {
    int64_t product = 1;
    for (int axis = 0; axis < rank; ++axis) product *= shape[axis];
    return product;
}

Result<MarlinBatch> plan_marlin_batch(const QuantConfig& config, const MarlinBatchFields& fields) {
    if (config.format == Format::kMarlin) {
        return Status::error(Code::kUnsupported,
                             "format: expected compressed-tensors, GPTQ or AWQ, got Marlin");
    }
    TRY(check_sizes(fields));
    TRY(check_dimensions(config, fields.outputs, fields.inputs));
    if (config.group_size)
        TRY(expect_multiple("padded_inputs", fields.padded_inputs, *config.group_size));
    const int64_t weights = fields.padded_inputs * fields.padded_outputs;
    if (!checked_mul(weights, fields.experts, int64_t{4})) {
        return Status::error(Code::kInvalidArgument,
                             "expert_count: %" PRId64 " matrices of %" PRId64
                             " weights have more bytes than 63 bits can count",
                             fields.experts, weights);
    }
    MarlinBatch batch;
    batch.file = {config, fields.outputs, fields.inputs};
    batch.experts = fields.experts;
    batch.first_output = fields.first_output;
    batch.matrix.inputs = fields.padded_inputs;
    batch.matrix.outputs = fields.padded_outputs;
    batch.matrix.groups = fields.padded_inputs / config.group_size_for(fields.padded_inputs);
    batch.matrix.bits = config.bits;
    batch.matrix.asymmetric = config.asymmetric();
    batch.matrix.tile = fields.tile;
    return batch;
}

Result<BatchRole> describe_marlin_role(const MarlinBatch& batch, Role role) {
    const QuantConfig& config = batch.file.config;
    if (role == Role::kZeroPoint && !config.asymmetric()) {
        return Status::error(Code::kUnsupported,
                             "zero points: expected an asymmetric config, got %s",
                             describe(config).c_str());
    }
    if (role == Role::kGroupIndex && config.order != Order::kGroup) {
        return Status::error(Code::kUnsupported,
                             "group index: expected a config with activation order, got %s without",
                             describe(config).c_str());
    }
    BatchTensor marlin =
        role == Role::kGroupIndex
            ? order_tensor(batch.experts, batch.file.inputs)
            : marlin_tensor(batch.matrix, batch.experts, role, number_types(batch.file.config));
    return BatchRole{file_tensor(batch, role), std::move(marlin)};
}

}  // namespace mmoe
