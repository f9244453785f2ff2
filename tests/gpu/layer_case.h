// SPDX-License-Identifier: Apache-2.0
// A random MoE layer for the GPU tests: made on the host, packed by the formulae of
// layout/marlin.h, and computed by plain loops in double.
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/launch.h"

namespace mmoe::test {

enum class Routing { kUniform, kOneExpert, kSkipSome, kAllSkipped, kMapped };

struct LayerCase {
    const char* name;
    int tokens = 1;
    int experts = 4;
    int top_k = 2;
    int hidden = 256;
    int intermediate = 128;
    int group = 64;  // 0: one scale a channel
    int bits = 4;
    bool asymmetric = true;
    cuda::Element hidden_type = cuda::Element::kBf16;
    cuda::Element output_type = cuda::Element::kBf16;
    layout::ScaleType scale_type = layout::ScaleType::kBf16;
    cuda::Activation activation = cuda::Activation::kSilu;
    float alpha = 1.0F;
    float beta = 0.0F;
    float limit = 1e30F;
    bool gated = true;
    bool bias = false;
    bool weight_on_input = false;
    bool column_blocks = true;  // tiles in [N/64][K/16] order instead of vLLM's
    bool hidden_order = false;
    Routing routing = Routing::kUniform;
    int first_expert = 0;    // of a bundle that holds a part of them
    int local_experts = 0;   // 0: all
    int hidden_padding = 0;  // elements between the rows of hidden states
};

// One GEMM of all experts, padded, in Marlin order and as plain numbers.
struct TestMatrix {
    cuda::Matrix shape;  // pointers are null
    std::vector<uint32_t> codes;
    std::vector<uint8_t> scales;
    std::vector<uint32_t> zero_points;
    std::vector<float> bias;
    std::vector<float> plain;  // [E, N, K], padding included
};

struct TestLayer {
    cuda::Layer layer;  // pointers are null
    TestMatrix w13, w2;
    std::vector<int32_t> hidden_order;  // [E, K] or empty
    std::vector<uint8_t> hidden;
    int64_t hidden_stride = 0;
    std::vector<int32_t> ids;
    std::vector<float> weights;
    std::vector<int32_t> expert_map;
    std::vector<double> expected;  // [T, H]
    bool out_of_range = false;
};

TestLayer make_layer(const LayerCase& test);

// ||out - expected|| / ||expected||; NaN if an output was not written. Expected zeros must be
// zeros.
double relative_error(const LayerCase& test, const std::vector<uint8_t>& output,
                      const std::vector<double>& expected);

}  // namespace mmoe::test
