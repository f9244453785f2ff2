// SPDX-License-Identifier: Apache-2.0
// The oracle: one MoE layer in plain double loops, written from the formula of mmoe_layer in the
// public header and from nothing else. It is the meaning of the library; no speed is wanted.
#pragma once

#include <cstdint>
#include <vector>

#include "marlin_moe.h"

namespace mmoe::oracle {

struct Linear {
    int64_t outputs = 0;          // N
    int64_t inputs = 0;           // K
    std::vector<double> weights;  // [N, K]
    std::vector<double> bias;     // [N], or empty
};

struct Expert {
    Linear gate;  // empty where the layer is not gated
    Linear up;
    Linear down;
};

struct Layer {
    mmoe_layer shape;
    std::vector<Expert> experts;  // [E]
};

struct Call {
    int64_t tokens = 0;
    int64_t top_k = 0;
    std::vector<double> hidden;         // [T, H]
    std::vector<int32_t> expert_ids;    // [T, top_k]
    std::vector<float> expert_weights;  // [T, top_k]
    std::vector<int32_t> expert_map;    // [E'], or empty: ids are experts
};

// [T, H], not rounded.
std::vector<double> run(const Layer& layer, const Call& call);

// ||got - want|| / ||want||; where `want` is all zero, 0 if `got` is too, else infinity.
double relative_error(const std::vector<double>& got, const std::vector<double>& want);

}  // namespace mmoe::oracle
