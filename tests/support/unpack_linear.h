// SPDX-License-Identifier: Apache-2.0
// One linear layer of a fixture through the unpacker, for tests: whole again, as plain arrays.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/fixture_file.h"
#include "unpack/unpack.h"

namespace mmoe::test {

// A projection in plain order: columns as in the file, one value an element.
struct PlainLinear {
    int64_t outputs = 0, inputs = 0, groups = 0;
    layout::ScaleType scale_type = layout::ScaleType::kF32;
    std::vector<uint8_t> codes;        // [N, K]
    std::vector<float> scales;         // [N, G]
    std::vector<uint8_t> zero_points;  // [N, G]
    std::vector<float> weights;        // [N, K]: (code - zero point) * scale, rounded to the type
};

inline float round_to(layout::ScaleType type, float value) {
    switch (type) {
        case layout::ScaleType::kF16:
            return layout::f16_to_f32(layout::f32_to_f16(value));
        case layout::ScaleType::kBf16:
            return layout::bf16_to_f32(layout::f32_to_bf16(value));
        default:
            return value;
    }
}

inline void append_strip(const Canonical& strip, PlainLinear* plain) {
    const auto base = plain->codes.size();
    plain->codes.resize(base + static_cast<size_t>(strip.rows * strip.columns));
    plain->weights.resize(plain->codes.size());
    plain->scale_type = strip.scale_type;
    for (int64_t row = 0; row < strip.rows; ++row) {
        for (int64_t group = 0; group < strip.groups(); ++group) {
            plain->scales.push_back(strip.scale(row, group));
            plain->zero_points.push_back(static_cast<uint8_t>(strip.zero_point(row, group)));
        }
        for (int64_t k = 0; k < strip.columns; ++k) {
            const int64_t column = strip.order.empty() ? k : strip.order[static_cast<size_t>(k)];
            const auto at = base + static_cast<size_t>(row * strip.columns + column);
            const int64_t group = k / strip.group_size;
            const auto steps = static_cast<float>(static_cast<int>(strip.code(row, k)) -
                                                  static_cast<int>(strip.zero_point(row, group)));
            plain->codes[at] = static_cast<uint8_t>(strip.code(row, k));
            plain->weights[at] = round_to(strip.scale_type, steps * strip.scale(row, group));
        }
    }
}

// Unpacks in strips of `strip_rows`. The tensors must pass check_projection().
inline PlainLinear unpack_linear(const QuantConfig& config, int64_t outputs, int64_t inputs,
                                 const ProjectionTensors& tensors, int64_t strip_rows) {
    const Status checked = check_projection(config, outputs, inputs, tensors);
    if (!checked.ok()) throw std::runtime_error(checked.message());
    auto unpacker = Unpacker::create(config, outputs, inputs, tensors, strip_rows,
                                     std::make_shared<const Allocator>());
    if (!unpacker.ok()) throw std::runtime_error(unpacker.status().message());
    PlainLinear plain;
    plain.outputs = outputs;
    plain.inputs = inputs;
    plain.groups = inputs / config.group_size_for(inputs);
    for (int64_t row = 0; row < outputs; row += strip_rows) {
        append_strip(unpacker.value()->strip(row, std::min(strip_rows, outputs - row)), &plain);
    }
    return plain;
}

inline ProjectionTensors compressed_tensors(const FixtureFile& file, const std::string& prefix) {
    return {file.find(prefix + ".weight_packed"), file.find(prefix + ".weight_scale"),
            file.find(prefix + ".weight_zero_point"), file.find(prefix + ".weight_g_idx")};
}

inline ProjectionTensors gptq_tensors(const FixtureFile& file, const std::string& prefix) {
    return {file.find(prefix + ".qweight"), file.find(prefix + ".scales"),
            file.find(prefix + ".qzeros"), file.find(prefix + ".g_idx")};
}

// Index of the first element that differs, or -1.
template <class A, class B>
int64_t first_difference(const A* a, const B* b, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        if (!(a[i] == b[i])) return static_cast<int64_t>(i);
    }
    return -1;
}

}  // namespace mmoe::test
