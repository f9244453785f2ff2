// SPDX-License-Identifier: Apache-2.0
// What the tests of the support query ask about.
#pragma once

#include "bundle/support.h"

namespace mmoe::test {

inline constexpr DeviceKind kCpu = DeviceKind::kCpu;
inline constexpr DeviceKind kCuda = DeviceKind::kCuda;

inline QuantConfig scheme(int bits, int group, bool asymmetric = false,
                          Format format = Format::kCompressedTensors) {
    QuantConfig config;
    config.format = format;
    config.bits = bits;
    if (group > 0) config.group_size = group;
    config.symmetry = asymmetric ? Symmetry::kAsymmetric : Symmetry::kSymmetric;
    return config;
}

inline QuantConfig ordered(QuantConfig config, Order order = Order::kGroup) {
    config.order = order;
    return config;
}

inline Layer shape(int64_t experts, int64_t hidden, int64_t intermediate) {
    Layer layer;
    layer.expert_count = experts;
    layer.hidden_size = hidden;
    layer.intermediate_size = intermediate;
    return layer;
}

}  // namespace mmoe::test
