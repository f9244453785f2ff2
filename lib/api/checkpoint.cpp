// SPDX-License-Identifier: Apache-2.0
// Checkpoints.
#include "api/handles.h"
#include "bundle/read_projection.h"

using namespace mmoe;
using namespace mmoe::api;

static_assert(MMOE_DTYPE_OTHER == static_cast<int>(DType::kOther));
static_assert(MMOE_DTYPE_I16 == static_cast<int>(DType::kI16));
static_assert(MMOE_PROJECTION_DOWN == static_cast<int>(Projection::kDown));
static_assert(MMOE_ROLE_BIAS == static_cast<int>(Role::kBias));

namespace {

CheckpointOptions read_checkpoint_options(const mmoe_checkpoint_options& given) {
    CheckpointOptions options;
    if (given.max_header_bytes != 0) options.max_header_bytes = given.max_header_bytes;
    if (given.experts_prefix != nullptr) options.experts_prefix = given.experts_prefix;
    if (given.gate_name != nullptr) options.gate_name = given.gate_name;
    if (given.up_name != nullptr) options.up_name = given.up_name;
    if (given.down_name != nullptr) options.down_name = given.down_name;
    return options;
}

mmoe_tensor_info describe_tensor(const TensorEntry& entry) noexcept {
    mmoe_tensor_info info = {};
    info.dtype = static_cast<mmoe_dtype>(entry.dtype);
    info.rank = entry.rank;
    info.file_index = entry.file_index;
    static_assert(sizeof info.shape == sizeof entry.shape);
    std::memcpy(info.shape, entry.shape, sizeof info.shape);
    info.byte_count = entry.byte_count;
    info.file_offset = entry.file_offset;
    info.name = entry.name.c_str();
    return info;
}

Result<const TensorEntry*> find_tensor(const Checkpoint& checkpoint, const char* name) {
    const TensorEntry* entry = checkpoint.find(name);
    if (entry != nullptr) return entry;
    return Status::error(Code::kMissingTensor, "tensor \"%s\" is not in the checkpoint", name);
}

}  // namespace

namespace mmoe::api {

Result<const LayerEntry*> find_layer(const Checkpoint& checkpoint, uint32_t layer) {
    if (layer < checkpoint.layers().size()) return &checkpoint.layers()[layer];
    return Status::error(Code::kInvalidArgument, "layer: the checkpoint has %zu, got %u",
                         checkpoint.layers().size(), layer);
}

}  // namespace mmoe::api

mmoe_status mmoe_checkpoint_open(mmoe_context* context, const char* path,
                                 const mmoe_checkpoint_options* options, mmoe_checkpoint** out,
                                 mmoe_error* error) {
    if (out != nullptr) *out = nullptr;
    return call(error, [&]() -> Status {
        TRY(require_handle(context, "context"));
        TRY(require_not_null(path, "path"));
        TRY(require_not_null(out, "out"));
        mmoe_checkpoint_options known;
        TRY(read_options(options, "options", &known));
        if (known.reserved != 0) {
            return Status::error(Code::kInvalidArgument, "options->reserved: must be 0");
        }
        TRY(std::shared_ptr<const Checkpoint> checkpoint,
            Checkpoint::open(path, read_checkpoint_options(known), context->object->log));
        auto handle = std::make_unique<mmoe_checkpoint>(std::move(checkpoint));
        handle->allocator = context->object->allocator;
        *out = handle.release();
        return {};
    });
}

uint64_t mmoe_checkpoint_tensor_count(const mmoe_checkpoint* checkpoint) {
    return require_handle(checkpoint, "checkpoint").ok() ? checkpoint->object->tensors().size() : 0;
}

mmoe_status mmoe_checkpoint_tensor_at(const mmoe_checkpoint* checkpoint, uint64_t index,
                                      mmoe_tensor_info* info, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(checkpoint, "checkpoint"));
        TRY(require_not_null(info, "info"));
        TRY(check_output(info, "info"));
        const auto tensors = checkpoint->object->tensors();
        if (index >= tensors.size()) {
            return Status::error(Code::kInvalidArgument, "index: the checkpoint has %zu, got %llu",
                                 tensors.size(), static_cast<unsigned long long>(index));
        }
        write_output(describe_tensor(tensors[index]), info);
        return {};
    });
}

mmoe_status mmoe_checkpoint_tensor_find(const mmoe_checkpoint* checkpoint, const char* name,
                                        mmoe_tensor_info* info, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(checkpoint, "checkpoint"));
        TRY(require_not_null(name, "name"));
        TRY(require_not_null(info, "info"));
        TRY(check_output(info, "info"));
        TRY(const TensorEntry* entry, find_tensor(*checkpoint->object, name));
        write_output(describe_tensor(*entry), info);
        return {};
    });
}

mmoe_status mmoe_checkpoint_tensor_read(const mmoe_checkpoint* checkpoint, const char* name,
                                        void* data, size_t capacity_bytes, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(checkpoint, "checkpoint"));
        TRY(require_not_null(name, "name"));
        TRY(const TensorEntry* entry, find_tensor(*checkpoint->object, name));
        if (capacity_bytes < entry->byte_count) {
            return Status::error(
                Code::kInvalidArgument, "capacity_bytes: \"%s\" has %llu bytes, got %zu", name,
                static_cast<unsigned long long>(entry->byte_count), capacity_bytes);
        }
        if (entry->byte_count == 0) return {};
        TRY(require_not_null(data, "data"));
        return checkpoint->object->read(
            *entry, 0, {static_cast<uint8_t*>(data), static_cast<size_t>(entry->byte_count)});
    });
}

uint32_t mmoe_checkpoint_layer_count(const mmoe_checkpoint* checkpoint) {
    return require_handle(checkpoint, "checkpoint").ok()
               ? static_cast<uint32_t>(checkpoint->object->layers().size())
               : 0;
}

mmoe_status mmoe_checkpoint_layer_info(const mmoe_checkpoint* checkpoint, uint32_t layer,
                                       mmoe_layer* info, mmoe_layer_place* place,
                                       mmoe_quant_config** config, mmoe_error* error) {
    if (config != nullptr) *config = nullptr;
    return call(error, [&]() -> Status {
        TRY(require_handle(checkpoint, "checkpoint"));
        if (info != nullptr) TRY(check_output(info, "info"));
        if (place != nullptr) TRY(check_output(place, "place"));
        TRY(const LayerEntry* entry, find_layer(*checkpoint->object, layer));
        if (place != nullptr) {
            mmoe_layer_place filled = {};
            filled.model_layer = entry->model_layer;
            filled.top_k = entry->top_k;
            filled.byte_count = entry->byte_count;
            filled.experts_prefix = entry->experts_prefix.c_str();
            write_output(filled, place);
        }
        if (!entry->problem.ok()) return entry->problem;
        if (config != nullptr) {
            *config = new mmoe_quant_config(std::make_shared<const QuantConfig>(entry->config));
        }
        if (info != nullptr) write_output(describe_layer(entry->layer), info);
        return {};
    });
}

mmoe_status mmoe_checkpoint_dequantize(const mmoe_checkpoint* checkpoint, uint32_t layer,
                                       uint32_t expert, mmoe_projection projection, float* weights,
                                       size_t weight_count, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(checkpoint, "checkpoint"));
        TRY(require_not_null(weights, "weights"));
        TRY(const LayerEntry* entry, find_layer(*checkpoint->object, layer));
        if (projection < MMOE_PROJECTION_GATE || projection > MMOE_PROJECTION_DOWN) {
            return Status::error(Code::kInvalidArgument, "projection: expected 1 to 3, got %d",
                                 projection);
        }
        return dequantize(*checkpoint->object, *entry, expert, static_cast<Projection>(projection),
                          {weights, weight_count}, checkpoint->allocator);
    });
}

void mmoe_checkpoint_destroy(mmoe_checkpoint* checkpoint) {
    delete checkpoint;
}
