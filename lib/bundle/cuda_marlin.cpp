// SPDX-License-Identifier: Apache-2.0
#include "bundle/cuda_marlin.h"

#include "bundle/cuda_repack.h"

namespace mmoe {
namespace {

using layout::SourceFormat;
using layout::SourceZeroPoint;

static_assert(static_cast<int>(SourceZeroPoint::kPacked) ==
              static_cast<int>(ZeroPointForm::kPacked));
static_assert(static_cast<int>(SourceZeroPoint::kInt8) == static_cast<int>(ZeroPointForm::kInt8));
static_assert(static_cast<int>(SourceZeroPoint::kMinusOne) ==
              static_cast<int>(ZeroPointForm::kMinusOne));
static_assert(static_cast<int>(SourceZeroPoint::kMinusOneWord) ==
              static_cast<int>(ZeroPointForm::kMinusOneWord));

SourceFormat source_format(Format format) noexcept {
    switch (format) {
        case Format::kGptq:
            return SourceFormat::kGptq;
        case Format::kAwq:
            return SourceFormat::kAwq;
        default:
            return SourceFormat::kCompressedTensors;
    }
}

// Bytes of one expert's share.
int64_t stride_bytes(const BatchTensor& tensor, DType dtype, int64_t experts) noexcept {
    return tensor.count() / experts * static_cast<int64_t>(dtype_bytes(dtype));
}

cuda::RepackSource describe_source(const MarlinBatch& batch, const BatchMemory& memory,
                                   const BatchTensor& file) noexcept {
    const QuantConfig& config = batch.file.config;
    const int64_t stride = stride_bytes(file, memory.file_dtype, batch.experts);
    cuda::RepackSource source;
    source.shape.format = source_format(config.format);
    source.shape.zero_point = static_cast<SourceZeroPoint>(config.zero_point_form);
    source.shape.bits = config.bits;
    source.shape.outputs = batch.file.outputs;
    source.shape.inputs = batch.file.inputs;
    source.shape.groups = batch.file.inputs / config.group_size_for(batch.file.inputs);
    if (memory.role == Role::kWeight) {
        source.codes = static_cast<const uint32_t*>(memory.file);
        source.codes_stride = stride / int64_t{sizeof(uint32_t)};
    } else if (memory.role == Role::kZeroPoint) {
        source.zero_points = memory.file;
        source.zero_points_stride_bytes = stride;
    } else {
        source.scales = memory.file;
        source.scales_stride_bytes = stride;
        source.scale_type = static_cast<layout::ScaleType>(memory.file_dtype);
    }
    return source;
}

// Rows of tiles as vLLM has them.
cuda::RepackTarget describe_target(const MarlinBatch& batch, const BatchMemory& memory) noexcept {
    const MarlinShape& shape = batch.matrix;
    const int64_t tile_bytes = 4 * int64_t{layout::marlin_tile_words(shape.bits)};
    cuda::RepackTarget target;
    target.matrix.bits = shape.bits;
    target.matrix.inputs = static_cast<int32_t>(shape.inputs);
    target.matrix.outputs = static_cast<int32_t>(shape.outputs);
    target.matrix.group_size = static_cast<int32_t>(shape.inputs / shape.groups);
    target.matrix.scale_order = shape.scale_order();
    target.matrix.expert_stride_bytes = 4 * shape.weight_words();
    target.matrix.tile_stride_bytes = tile_bytes;
    target.matrix.tile_row_stride_bytes = shape.outputs / layout::kMarlinBlock * tile_bytes;
    target.first_output = static_cast<int32_t>(batch.first_output);
    target.rows = static_cast<int32_t>(batch.file.outputs);
    target.columns = static_cast<int32_t>(batch.file.inputs);
    target.expert_count = static_cast<int32_t>(batch.experts);
    if (memory.role == Role::kWeight) {
        target.codes = memory.marlin;
    } else if (memory.role == Role::kZeroPoint) {
        target.zero_points = static_cast<uint32_t*>(memory.marlin);
    } else {
        target.scales = memory.marlin;
        target.matrix.scale_type = static_cast<layout::ScaleType>(memory.marlin_dtype);
    }
    return target;
}

// A bias is a row of scales of one group, in the single order.
void as_bias(cuda::RepackSource& source, cuda::RepackTarget& target) noexcept {
    source.shape.groups = 1;
    target.matrix.group_size = target.matrix.inputs;
    target.matrix.scale_order = layout::MarlinScaleOrder::kSingle;
}

Status check_served(const MarlinBatch& batch, Role role) {
    constexpr int64_t kMostExperts = 65535;  // blocks along one axis of a launch
    const bool weights = role == Role::kWeight || role == Role::kGroupIndex;
    if (weights && batch.file.config.order == Order::kGroup) {
        return Status::error(Code::kUnsupported,
                             "activation order: expected a config without, on device memory");
    }
    if (batch.matrix.tile != layout::MarlinTile::kK16N64) {
        return Status::error(Code::kUnsupported,
                             "activation: expected 16 bits, on device memory, got 8");
    }
    if (batch.experts <= kMostExperts) return {};
    return Status::error(Code::kUnsupported, "expert_count: expected at most %lld, got %lld",
                         static_cast<long long>(kMostExperts),
                         static_cast<long long>(batch.experts));
}

}  // namespace

Status pack_marlin_on_cuda(const Context& context, const MarlinBatch& batch,
                           const BatchMemory& memory, void* stream) {
    TRY(check_served(batch, memory.role));
    TRY(const BatchRole sides, describe_marlin_role(batch, memory.role));
    cuda::RepackSource source = describe_source(batch, memory, sides.file);
    cuda::RepackTarget target = describe_target(batch, memory);
    if (memory.role == Role::kBias) as_bias(source, target);
    TRY(const CudaScope scope, CudaScope::enter(context.place, stream));
    return repack_on_device(source, target, stream);
}

}  // namespace mmoe
