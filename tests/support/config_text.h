// SPDX-License-Identifier: Apache-2.0
// Texts of config.json, put together from the parts that a test changes.
#pragma once

#include <string>

namespace mmoe::test {

inline constexpr const char* kModule = "model.layers.0.mlp.experts.0.gate_proj";

// A compressed-tensors group with these weights, for these targets.
inline std::string group(const std::string& weights, const std::string& targets = R"("Linear")",
                         const std::string& more = "") {
    return R"({"targets":[)" + targets + R"(],"weights":{)" + weights + "}" + more + "}";
}
inline std::string packed(const std::string& groups, const std::string& more = "") {
    return R"({"quantization_config":{"quant_method":"compressed-tensors",)"
           R"("format":"pack-quantized","config_groups":{)" +
           groups + "}" + more + "}}";
}
inline std::string quantization(const std::string& members) {
    return R"({"quantization_config":{)" + members + "}}";
}
inline const std::string kInt4 =
    R"("num_bits":4,"type":"int","symmetric":false,"strategy":"group",)"
    R"("group_size":128)";
inline const std::string kInt8 =
    R"("num_bits":8,"type":"int","symmetric":true,"strategy":"channel")";
inline std::string int4_with(const std::string& member) {
    return packed(R"("g":)" + group(kInt4 + "," + member));
}
inline std::string groups_of(const std::string& int4_targets, const std::string& int8_targets) {
    return packed(R"("a":)" + group(kInt4, int4_targets) + R"(,"b":)" + group(kInt8, int8_targets));
}
inline std::string awq(const std::string& more) {
    return quantization(R"("quant_method":"awq","bits":4,"group_size":128,"zero_point":true)" +
                        more);
}
inline std::string gptq(const std::string& more) {
    return quantization(R"("quant_method":"gptq","bits":4,"group_size":128,"desc_act":false,)"
                        R"("sym":true)" +
                        more);
}

}  // namespace mmoe::test
