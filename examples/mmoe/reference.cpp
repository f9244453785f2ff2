// SPDX-License-Identifier: Apache-2.0
#include "reference.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <tuple>

#include "model.h"
#include "number.h"
#include "text.h"

namespace tool {
namespace {

struct HostTensor {
    std::vector<uint8_t> bytes;
    std::vector<int64_t> shape;
    mmoe_dtype dtype = MMOE_DTYPE_OTHER;
};

HostTensor read_tensor(const mmoe_checkpoint* file, const std::string& name) {
    auto info = sized<mmoe_tensor_info>();
    call(mmoe_checkpoint_tensor_find, file, name.c_str(), &info);
    HostTensor tensor;
    tensor.bytes.resize(info.byte_count);
    tensor.shape.assign(info.shape, info.shape + info.rank);
    tensor.dtype = info.dtype;
    call(mmoe_checkpoint_tensor_read, file, name.c_str(), tensor.bytes.data(), tensor.bytes.size());
    return tensor;
}

// A matrix of `dtype` with this many rows; `columns` 0 accepts any number.
HostTensor read_matrix(const mmoe_checkpoint* file, const std::string& name, mmoe_dtype dtype,
                       int64_t rows, int64_t columns) {
    HostTensor tensor = read_tensor(file, name);
    const bool fits = tensor.shape.size() == 2 && tensor.dtype == dtype &&
                      tensor.shape[0] == rows && (columns == 0 || tensor.shape[1] == columns);
    if (!fits) {
        throw UsageError(format("reference tensor %s: expected %s [%lld, %lld]", name.c_str(),
                                dtype_name(dtype).c_str(), static_cast<long long>(rows),
                                static_cast<long long>(columns)));
    }
    return tensor;
}

template <class Element>
std::vector<Element> elements(const HostTensor& tensor) {
    std::vector<Element> values(tensor.bytes.size() / sizeof(Element));
    std::memcpy(values.data(), tensor.bytes.data(), values.size() * sizeof(Element));
    return values;
}

std::vector<double> read_output(const mmoe_checkpoint* file, const std::string& name,
                                const Batch& batch) {
    const HostTensor tensor =
        read_matrix(file, name, MMOE_DTYPE_F32, batch.token_count, batch.hidden_size);
    return widen(tensor.bytes.data(), tensor.bytes.size() / 4, MMOE_DTYPE_F32);
}

ReferenceCase read_case(const mmoe_checkpoint* file, const std::string& prefix) {
    HostTensor hidden = read_tensor(file, prefix + "hidden_states");
    const bool is_float = hidden.dtype == MMOE_DTYPE_F32 || hidden.dtype == MMOE_DTYPE_F16 ||
                          hidden.dtype == MMOE_DTYPE_BF16;
    if (hidden.shape.size() != 2 || !is_float) {
        throw UsageError(prefix + "hidden_states: expected a matrix of f32, f16 or bf16");
    }
    ReferenceCase found;
    Batch& batch = found.batch;
    batch.token_count = static_cast<uint32_t>(hidden.shape[0]);
    batch.hidden_size = static_cast<uint32_t>(hidden.shape[1]);
    batch.dtype = hidden.dtype;
    batch.hidden = std::move(hidden.bytes);
    const HostTensor ids =
        read_matrix(file, prefix + "topk_ids", MMOE_DTYPE_I32, batch.token_count, 0);
    batch.top_k = static_cast<uint32_t>(ids.shape[1]);
    batch.expert_ids = elements<int32_t>(ids);
    batch.expert_weights = elements<float>(
        read_matrix(file, prefix + "topk_weights", MMOE_DTYPE_F32, batch.token_count, batch.top_k));
    found.rounded = read_output(file, prefix + "expected", batch);
    found.exact = read_output(file, prefix + "expected_exact", batch);
    return found;
}

}  // namespace

std::vector<ReferenceCase> read_reference(mmoe_context* context, const std::string& path) {
    const Checkpoint file = open_checkpoint(context, path);
    std::vector<ReferenceCase> cases;
    for (uint64_t index = 0; index < mmoe_checkpoint_tensor_count(file.get()); ++index) {
        auto info = sized<mmoe_tensor_info>();
        call(mmoe_checkpoint_tensor_at, file.get(), index, &info);
        unsigned layer = 0;
        unsigned tokens = 0;
        int prefix_length = 0;
        const std::string name = info.name;
        if (std::sscanf(name.c_str(), "layer%u.m%u.%n", &layer, &tokens, &prefix_length) != 2 ||
            name.compare(static_cast<size_t>(prefix_length), std::string::npos, "hidden_states") !=
                0) {
            continue;
        }
        cases.push_back(read_case(file.get(), name.substr(0, static_cast<size_t>(prefix_length))));
        cases.back().model_layer = layer;
    }
    if (cases.empty()) throw UsageError(path + ": no tensor layer{l}.m{M}.hidden_states");
    std::sort(cases.begin(), cases.end(), [](const ReferenceCase& a, const ReferenceCase& b) {
        return std::tie(a.model_layer, a.batch.token_count) <
               std::tie(b.model_layer, b.batch.token_count);
    });
    return cases;
}

}  // namespace tool
