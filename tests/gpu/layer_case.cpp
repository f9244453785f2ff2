// SPDX-License-Identifier: Apache-2.0
// Data from one generator a case, so that a failing case can be run alone.
#include "layer_case.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>

namespace mmoe::test {
namespace {

using cuda::Element;
using Generator = std::mt19937;

int64_t round_up(int64_t value, int64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

uint16_t narrow(Element type, float value) {
    return type == Element::kF16 ? layout::f32_to_f16(value) : layout::f32_to_bf16(value);
}

float widen(Element type, const uint8_t* data, int64_t index) {
    if (type == Element::kF32) {
        float value;
        std::memcpy(&value, data + 4 * index, 4);
        return value;
    }
    uint16_t bits;
    std::memcpy(&bits, data + 2 * index, 2);
    return type == Element::kF16 ? layout::f16_to_f32(bits) : layout::bf16_to_f32(bits);
}

void put(Element type, std::vector<uint8_t>& data, int64_t index, float value) {
    if (type == Element::kF32) {
        std::memcpy(&data[static_cast<size_t>(4 * index)], &value, 4);
    } else {
        const uint16_t bits = narrow(type, value);
        std::memcpy(&data[static_cast<size_t>(2 * index)], &bits, 2);
    }
}

int element_bytes(Element type) {
    return type == Element::kF32 ? 4 : 2;
}

// Which outputs and inputs of a padded matrix exist.
struct Extent {
    int64_t outputs, inputs;  // of one projection
    int64_t projections;      // side by side along N, each padded to its share
};

void set_field(std::vector<uint32_t>& words, int64_t word, int field, int bits, uint32_t value) {
    words[static_cast<size_t>(word)] |= value << (field * bits);
}

void fill_expert(TestMatrix& matrix, int expert, const Extent& extent, bool asymmetric,
                 Generator& random) {
    const cuda::Matrix& shape = matrix.shape;
    const auto type = static_cast<Element>(shape.scale_type);
    const uint32_t top = (1u << shape.bits) - 1;
    const int64_t share = shape.outputs / extent.projections;
    const int64_t tile_words = layout::marlin_tile_words(shape.bits);
    const float scale_unit =
        2.0F / static_cast<float>(top) / std::sqrt(static_cast<float>(extent.inputs));
    for (int64_t n = 0; n < shape.outputs; ++n) {
        if (n % share >= extent.outputs) continue;
        for (int64_t group = 0; group < shape.groups(); ++group) {
            if (group * shape.group_size >= extent.inputs) break;
            const int64_t row = expert * shape.groups() + group;
            const uint32_t zero = asymmetric ? random() & top : 1u << (shape.bits - 1);
            const float raw = scale_unit * (0.5F + static_cast<float>(random() % 1024) / 1024.0F);
            const int64_t place = layout::marlin_scale_place(n, shape.scale_order);
            put(type, matrix.scales, row * shape.outputs + place, raw);
            const float scale = widen(type, matrix.scales.data(), row * shape.outputs + place);
            if (asymmetric) {
                const auto at =
                    layout::marlin_zero_point_place(n, shape.bits, layout::MarlinTile::kK16N64);
                set_field(matrix.zero_points, row * shape.outputs * shape.bits / 32 + at.word,
                          at.field, shape.bits, zero);
            }
            for (int64_t k = group * shape.group_size; k < (group + 1) * shape.group_size; ++k) {
                if (k >= extent.inputs) break;
                const uint32_t code = random() & top;
                const auto at =
                    layout::marlin_place_in_tile(static_cast<int>(k % 16), static_cast<int>(n % 64),
                                                 shape.bits, layout::MarlinTile::kK16N64);
                const int64_t tile =
                    (expert * shape.expert_stride_bytes + k / 16 * shape.tile_row_stride_bytes +
                     n / 64 * shape.tile_stride_bytes) /
                    (4 * tile_words);
                set_field(matrix.codes, tile * tile_words + at.word, at.field, shape.bits, code);
                matrix.plain[static_cast<size_t>((expert * shape.outputs + n) * shape.inputs + k)] =
                    (static_cast<float>(code) - static_cast<float>(zero)) * scale;
            }
        }
        if (!matrix.bias.empty()) {
            matrix.bias[static_cast<size_t>(expert * shape.outputs + n)] =
                static_cast<float>(random() % 1024) / 1024.0F - 0.5F;
        }
    }
}

TestMatrix make_matrix(const LayerCase& test, int experts, const Extent& extent, int64_t inputs,
                       int64_t outputs, Generator& random) {
    TestMatrix matrix;
    cuda::Matrix& shape = matrix.shape;
    shape.bits = test.bits;
    shape.inputs = static_cast<int32_t>(inputs);
    shape.outputs = static_cast<int32_t>(outputs);
    shape.group_size = test.group == 0 ? shape.inputs : test.group;
    shape.scale_type = test.scale_type;
    shape.scale_order =
        layout::marlin_scale_order(shape.group_size, shape.inputs, layout::MarlinTile::kK16N64);
    const int64_t tile_bytes = 128 * test.bits;
    const int64_t tiles = inputs / 16 * (outputs / 64);
    shape.expert_stride_bytes = tiles * tile_bytes;
    shape.tile_row_stride_bytes = tile_bytes * (test.column_blocks ? 1 : outputs / 64);
    shape.tile_stride_bytes = tile_bytes * (test.column_blocks ? inputs / 16 : 1);
    const int64_t group_rows = int64_t{experts} * shape.groups();
    matrix.codes.resize(static_cast<size_t>(experts * tiles * tile_bytes / 4));
    matrix.scales.resize(
        static_cast<size_t>(group_rows * outputs * layout::scale_bytes(test.scale_type)));
    if (test.asymmetric) {
        matrix.zero_points.resize(static_cast<size_t>(group_rows * outputs * test.bits / 32));
    }
    if (test.bias) matrix.bias.resize(static_cast<size_t>(experts * outputs));
    matrix.plain.resize(static_cast<size_t>(experts * outputs * inputs));
    for (int expert = 0; expert < experts; ++expert) {
        fill_expert(matrix, expert, extent, test.asymmetric, random);
    }
    return matrix;
}

void make_routing(const LayerCase& test, TestLayer& made, Generator& random) {
    std::vector<int32_t> order(static_cast<size_t>(test.experts));
    std::iota(order.begin(), order.end(), 0);
    for (int token = 0; token < test.tokens; ++token) {
        for (size_t i = order.size() - 1; i > 0; --i)
            std::swap(order[i], order[random() % (i + 1)]);
        for (int j = 0; j < test.top_k; ++j) {
            int32_t id = order[static_cast<size_t>(j) % order.size()];
            if (test.routing == Routing::kOneExpert) id = test.experts - 1;
            if (test.routing == Routing::kAllSkipped) id = -1;
            if (test.routing == Routing::kSkipSome && random() % 3 == 0) {
                id = random() % 2 == 0 ? -1 : test.experts + 5;
                made.out_of_range |= id != -1;
            }
            made.ids.push_back(id);
            made.weights.push_back(static_cast<float>(random() % 1000 + 1) / 1000.0F);
        }
    }
    if (test.routing == Routing::kMapped) {  // reversed, one expert mapped away
        for (int expert = 0; expert < test.experts; ++expert) {
            made.expert_map.push_back(expert == 1 ? -1 : test.experts - 1 - expert);
        }
    }
}

double activate(const LayerCase& test, double gate, double up) {
    const double limit = test.limit;
    const double a = std::fmin(gate, limit);
    // Where nothing is gated, u is 1: it takes neither clamp nor beta.
    const double u = test.gated ? std::fmax(std::fmin(up, limit), -limit) : 1;
    const double beta = test.gated ? test.beta : 0;
    switch (test.activation) {
        case cuda::Activation::kSilu:
            return a / (1 + std::exp(-test.alpha * a)) * (u + beta);
        case cuda::Activation::kGelu:
            return 0.5 * a * (1 + std::erf(a / std::sqrt(2.0))) * u;
        case cuda::Activation::kGeluTanh:
            return 0.5 * a * (1 + std::tanh(std::sqrt(2 / M_PI) * (a + 0.044715 * a * a * a))) * u;
        case cuda::Activation::kRelu2:
            return a > 0 ? a * a * u : 0;
        case cuda::Activation::kNone:
            break;
    }
    return a;
}

double dot(const TestMatrix& matrix, int64_t expert, int64_t n, const std::vector<double>& x) {
    const float* row =
        &matrix
             .plain[static_cast<size_t>((expert * matrix.shape.outputs + n) * matrix.shape.inputs)];
    double sum = 0;
    for (size_t k = 0; k < x.size(); ++k) sum += row[k] * x[k];
    return sum;
}

double bias_of(const TestMatrix& matrix, int64_t expert, int64_t n) {
    if (matrix.bias.empty()) return 0;
    return matrix.bias[static_cast<size_t>(expert * matrix.shape.outputs + n)];
}

// Adds w * down(act(gate, up)) of one slot.
void add_slot(const LayerCase& test, const TestLayer& made, int64_t expert, double weight,
              const std::vector<double>& x, double* out) {
    const double input_weight = test.weight_on_input ? weight : 1;
    const int64_t up_offset = made.layer.intermediate_size;
    std::vector<double> middle(static_cast<size_t>(test.intermediate));
    for (int64_t i = 0; i < test.intermediate; ++i) {
        const double gate =
            input_weight * dot(made.w13, expert, i, x) + bias_of(made.w13, expert, i);
        double up = 1;
        if (test.gated) {
            up = input_weight * dot(made.w13, expert, up_offset + i, x) +
                 bias_of(made.w13, expert, up_offset + i);
        }
        middle[static_cast<size_t>(i)] = activate(test, gate, up);
    }
    for (int64_t h = 0; h < test.hidden; ++h) {
        const double down = dot(made.w2, expert, h, middle) + bias_of(made.w2, expert, h);
        out[h] += (test.weight_on_input ? 1 : weight) * down;
    }
}

// Hidden states of one token as an expert takes them.
std::vector<double> inputs_of(const LayerCase& test, const TestLayer& made, int64_t token,
                              int64_t expert) {
    std::vector<double> x(static_cast<size_t>(test.hidden));
    for (int64_t k = 0; k < test.hidden; ++k) {
        const auto place = static_cast<size_t>(expert * made.layer.w13.inputs + k);
        const int64_t source = test.hidden_order ? made.hidden_order[place] : k;
        x[static_cast<size_t>(k)] =
            widen(test.hidden_type, made.hidden.data(), token * made.hidden_stride + source);
    }
    return x;
}

void compute(const LayerCase& test, TestLayer& made) {
    made.expected.assign(static_cast<size_t>(int64_t{test.tokens} * test.hidden), 0.0);
    for (int64_t token = 0; token < test.tokens; ++token) {
        for (int j = 0; j < test.top_k; ++j) {
            const auto slot = static_cast<size_t>(token * test.top_k + j);
            int64_t expert = made.ids[slot];
            if (expert < 0 || expert >= test.experts) continue;
            if (!made.expert_map.empty()) expert = made.expert_map[static_cast<size_t>(expert)];
            expert -= test.first_expert;
            if (expert < 0 || expert >= made.layer.expert_count) continue;
            add_slot(test, made, expert, made.weights[slot], inputs_of(test, made, token, expert),
                     &made.expected[static_cast<size_t>(token * test.hidden)]);
        }
    }
}

void make_hidden(const LayerCase& test, TestLayer& made, Generator& random) {
    made.hidden_stride = test.hidden + test.hidden_padding;
    const int64_t count = test.tokens * made.hidden_stride;
    made.hidden.resize(static_cast<size_t>(count * element_bytes(test.hidden_type)));
    for (int64_t i = 0; i < count; ++i) {
        const float value = static_cast<float>(random() % 4096) / 1024.0F - 1.9F;
        put(test.hidden_type, made.hidden, i, value);
    }
    if (!test.hidden_order) return;
    const int64_t inputs = made.layer.w13.inputs;
    made.hidden_order.assign(static_cast<size_t>(made.layer.expert_count * inputs), -1);
    for (int64_t expert = 0; expert < made.layer.expert_count; ++expert) {
        for (int64_t k = 0; k < test.hidden; ++k) {  // 7 divides no hidden size here
            made.hidden_order[static_cast<size_t>(expert * inputs + k)] =
                static_cast<int32_t>((k * 7 + 3 + expert) % test.hidden);
        }
    }
}

}  // namespace

TestLayer make_layer(const LayerCase& test) {
    Generator random(static_cast<uint32_t>(test.tokens * 131 + test.hidden * 7 + test.group));
    TestLayer made;
    cuda::Layer& layer = made.layer;
    const int experts = test.local_experts != 0 ? test.local_experts : test.experts;
    const int64_t unit = test.group == 0 ? 16 : std::lcm(16, test.group);
    const int64_t padded_i = round_up(test.intermediate, std::lcm(int64_t{64}, unit));
    const int64_t projections = test.gated ? 2 : 1;
    made.w13 = make_matrix(test, experts, {test.intermediate, test.hidden, projections},
                           round_up(test.hidden, unit), projections * padded_i, random);
    made.w2 = make_matrix(test, experts, {test.hidden, test.intermediate, 1}, padded_i,
                          round_up(test.hidden, 64), random);
    layer.expert_count = experts;
    layer.first_expert = test.first_expert;
    layer.global_expert_count = test.experts;
    layer.hidden_size = test.hidden;
    layer.intermediate_size = static_cast<int32_t>(padded_i);
    layer.gated = test.gated;
    layer.router_weight_on_input = test.weight_on_input;
    layer.activation = test.activation;
    layer.alpha = test.alpha;
    layer.beta = test.beta;
    layer.limit = test.limit;
    layer.w13 = made.w13.shape;
    layer.w2 = made.w2.shape;
    layer.ordered_inputs = test.hidden_order;
    make_hidden(test, made, random);
    make_routing(test, made, random);
    compute(test, made);
    return made;
}

double relative_error(const LayerCase& test, const std::vector<uint8_t>& output,
                      const std::vector<double>& expected) {
    double difference = 0;
    double norm = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
        const double value = widen(test.output_type, output.data(), static_cast<int64_t>(i));
        difference += (value - expected[i]) * (value - expected[i]);
        norm += expected[i] * expected[i];
    }
    if (norm == 0) return difference == 0 ? 0 : std::numeric_limits<double>::infinity();
    return std::sqrt(difference / norm);
}

}  // namespace mmoe::test
