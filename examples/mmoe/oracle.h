// SPDX-License-Identifier: Apache-2.0
// What a layer should give: the formula of mmoe_layer in plain loops over doubles, on weights
// that the library unpacks for it one expert at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "api.h"

namespace mmoe_tool {

struct OracleCall {
    int64_t tokens = 0, top_k = 0;
    std::vector<double> hidden;  // [T, H]
    std::vector<int32_t> ids;    // [T, top_k], all of them experts
    std::vector<float> weights;  // [T, top_k]
};

// [T, H]. Layers with biases are refused with a std::runtime_error: their tensors have no
// common name to read them by.
std::vector<double> oracle_output(const mmoe_checkpoint* checkpoint, uint32_t layer_index,
                                  const mmoe_layer& layer, const OracleCall& call);

// ||got - want|| / ||want||; NaN and infinity in `got` give infinity.
double relative_error(const std::vector<double>& got, const std::vector<double>& want);
// max |got - want| / max |want|, alike.
double peak_error(const std::vector<double>& got, const std::vector<double>& want);

}  // namespace mmoe_tool
