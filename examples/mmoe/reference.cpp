// SPDX-License-Identifier: Apache-2.0
#include "reference.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "number.h"
#include "oracle.h"

namespace mmoe_tool {
namespace {

constexpr char kHidden[] = "hidden_states";

// The tensor's bytes, if it is a matrix of this type and shape.
std::vector<uint8_t> read_matrix(const mmoe_checkpoint* file, const std::string& name,
                                 mmoe_dtype dtype, int64_t rows, int64_t columns) {
    auto info = sized<mmoe_tensor_info>();
    call(mmoe_checkpoint_tensor_find, file, name.c_str(), &info);
    if (info.dtype != dtype || info.rank != 2 || info.shape[0] != rows ||
        info.shape[1] != columns) {
        throw std::runtime_error(
            name + ": expected [" + std::to_string(rows) + ", " + std::to_string(columns) +
            "] of type " + std::to_string(dtype) + ", got rank " + std::to_string(info.rank) +
            " [" + std::to_string(info.shape[0]) + ", " + std::to_string(info.shape[1]) +
            "] of type " + std::to_string(info.dtype));
    }
    std::vector<uint8_t> bytes(info.byte_count);
    call(mmoe_checkpoint_tensor_read, file, name.c_str(), bytes.data(), bytes.size());
    return bytes;
}

template <class Number>
std::vector<Number> numbers(const std::vector<uint8_t>& bytes) {
    std::vector<Number> values(bytes.size() / sizeof(Number));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

}  // namespace

std::vector<std::string> case_prefixes(const mmoe_checkpoint* file, uint32_t model_layer) {
    std::vector<std::pair<unsigned, std::string>> found;  // by tokens
    for (uint64_t i = 0; i < mmoe_checkpoint_tensor_count(file); ++i) {
        auto info = sized<mmoe_tensor_info>();
        call(mmoe_checkpoint_tensor_at, file, i, &info);
        unsigned layer = 0, tokens = 0;
        int length = 0;
        std::sscanf(info.name, "layer%u.m%u.%n", &layer, &tokens, &length);
        if (length > 0 && layer == model_layer && std::strcmp(info.name + length, kHidden) == 0) {
            found.emplace_back(tokens, std::string(info.name, static_cast<size_t>(length)));
        }
    }
    std::sort(found.begin(), found.end());
    std::vector<std::string> prefixes;
    for (auto& [tokens, prefix] : found) prefixes.push_back(std::move(prefix));
    return prefixes;
}

ReferenceCase read_case(const mmoe_checkpoint* file, const std::string& prefix,
                        const mmoe_layer& layer) {
    auto hidden = sized<mmoe_tensor_info>();
    auto ids = sized<mmoe_tensor_info>();
    call(mmoe_checkpoint_tensor_find, file, (prefix + kHidden).c_str(), &hidden);
    call(mmoe_checkpoint_tensor_find, file, (prefix + "topk_ids").c_str(), &ids);
    ReferenceCase c;
    c.tokens = hidden.shape[0];
    c.top_k = ids.shape[1];
    c.dtype = hidden.dtype;
    if (c.dtype != MMOE_DTYPE_BF16 && c.dtype != MMOE_DTYPE_F16 && c.dtype != MMOE_DTYPE_F32) {
        throw std::runtime_error(prefix + kHidden + ": expected BF16, F16 or F32");
    }
    c.hidden = read_matrix(file, prefix + kHidden, c.dtype, c.tokens, layer.hidden_size);
    c.ids =
        numbers<int32_t>(read_matrix(file, prefix + "topk_ids", MMOE_DTYPE_I32, c.tokens, c.top_k));
    c.weights = numbers<float>(
        read_matrix(file, prefix + "topk_weights", MMOE_DTYPE_F32, c.tokens, c.top_k));
    const auto outputs = [&](const char* name) {
        return decode(MMOE_DTYPE_F32, read_matrix(file, prefix + name, MMOE_DTYPE_F32, c.tokens,
                                                  layer.hidden_size));
    };
    c.exact = outputs("expected_exact");
    c.rounded = outputs("expected");
    return c;
}

ReferenceCase oracle_case(const mmoe_checkpoint* checkpoint, const LayerView& view,
                          int64_t tokens) {
    ReferenceCase c;
    c.tokens = tokens;
    c.top_k = std::max<int64_t>(view.place.top_k, 1);
    c.dtype = hidden_dtype(checkpoint, view);
    Random random(view.index + 1);
    std::vector<float> hidden(static_cast<size_t>(tokens * view.layer.hidden_size));
    for (float& value : hidden) value = random.normal();
    c.hidden = encode(c.dtype, hidden);
    c.ids = random_experts(random, tokens, c.top_k, view.layer.expert_count);
    c.weights = random_router_weights(random, tokens, c.top_k);
    c.exact = oracle_output(checkpoint, view.index, view.layer,
                            {tokens, c.top_k, decode(c.dtype, c.hidden), c.ids, c.weights});
    return c;
}

}  // namespace mmoe_tool
