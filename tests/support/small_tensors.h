// SPDX-License-Identifier: Apache-2.0
// The tensors of a small MoE model in compressed-tensors form, as they stand in a file.
#pragma once

#include <string>

#include "support/checkpoint_files.h"

namespace mmoe::test {

inline constexpr int64_t kExperts = 3;
inline constexpr int64_t kHidden = 64;
inline constexpr int64_t kIntermediate = 32;
inline constexpr int64_t kGroup = 32;

struct PartNames {
    std::string gate = "gate_proj";  // empty: none
    std::string up = "up_proj";
    std::string down = "down_proj";
};

// One compressed-tensors projection of N outputs and K inputs, 4 bits.
inline void add_packed(SmallTensors* model, const std::string& module, int64_t n, int64_t k) {
    (*model)[module + ".weight_packed"] = {"I32", {n, k / 8}};
    (*model)[module + ".weight_scale"] = {"BF16", {n, k / kGroup}};
    (*model)[module + ".weight_zero_point"] = {"I32", {n / 8, k / kGroup}};
    (*model)[module + ".weight_shape"] = {"I64", {2}, {n, k}};
}

inline SmallTensors packed_model(const std::string& prefix = "model.layers.0.mlp.experts.",
                                 const PartNames& names = {}) {
    SmallTensors model;
    for (int64_t expert = 0; expert < kExperts; ++expert) {
        const std::string start = prefix + std::to_string(expert) + ".";
        if (!names.gate.empty()) add_packed(&model, start + names.gate, kIntermediate, kHidden);
        add_packed(&model, start + names.up, kIntermediate, kHidden);
        add_packed(&model, start + names.down, kHidden, kIntermediate);
    }
    return model;
}

inline const std::string kAsymmetric4 =
    R"("quantization_config":{"quant_method":"compressed-tensors","format":"pack-quantized",)"
    R"("config_groups":{"g":{"targets":["Linear"],"weights":{"num_bits":4,"symmetric":false,)"
    R"("strategy":"group","group_size":32}}}})";

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
    return text.replace(text.find(from), from.size(), to);
}
inline std::string symmetric4() {
    return replaced(kAsymmetric4, R"("symmetric":false)", R"("symmetric":true)");
}
inline std::string ordered4() {
    return replaced(kAsymmetric4, R"("group_size":32)", R"("group_size":32,"actorder":"group")");
}

inline SmallTensors fused_model(const std::string& prefix = "model.layers.0.mlp.experts.") {
    SmallTensors model;
    const struct {
        const char* part;
        int64_t n, k;
    } parts[] = {{"gate_up_proj", 2 * kIntermediate, kHidden},
                 {"down_proj", kHidden, kIntermediate}};
    for (const auto& [part, n, k] : parts) {
        const std::string module = prefix + part;
        model[module + ".weight_packed"] = {"I32", {kExperts, n, k / 8}};
        model[module + ".weight_scale"] = {"BF16", {kExperts, n, k / kGroup}};
        model[module + ".weight_zero_point"] = {"I32", {kExperts, n / 8, k / kGroup}};
        model[module + ".weight_shape"] = {"I64", {3}, {kExperts, n, k}};
    }
    return model;
}

}  // namespace mmoe::test
