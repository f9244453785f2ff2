// SPDX-License-Identifier: Apache-2.0
#include "oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace mmoe_tool {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The parameters of a gated activation after the defaults of mmoe_layer.
struct Gate {
    double alpha, beta, limit;
};

Gate gate_of(const mmoe_layer& layer) {
    const bool oai = layer.activation == MMOE_ACTIVATION_SWIGLUOAI;
    Gate gate{layer.alpha, layer.beta, layer.limit};
    if (layer.alpha == 0) gate.alpha = oai ? 1.702 : 1.0;
    if (layer.beta == 0) gate.beta = oai ? 1.0 : 0.0;
    if (layer.limit == 0) gate.limit = oai ? 7.0 : kInfinity;
    return gate;
}

double activate(const mmoe_layer& layer, double a, double u) {
    const Gate gate = gate_of(layer);
    a = std::min(a, gate.limit);
    u = layer.gate_form == MMOE_GATE_NONE ? 1.0 : std::clamp(u, -gate.limit, gate.limit);
    switch (layer.activation) {
        case MMOE_ACTIVATION_GELU:
            return 0.5 * a * (1 + std::erf(a / std::sqrt(2.0))) * u;
        case MMOE_ACTIVATION_GELU_TANH:
            return 0.5 * a * (1 + std::tanh(std::sqrt(2 / M_PI) * (a + 0.044715 * a * a * a))) * u;
        case MMOE_ACTIVATION_RELU2:
            return a > 0 ? a * a * u : 0.0;
        default:
            return a / (1 + std::exp(-gate.alpha * a)) * (u + gate.beta);
    }
}

// One expert's weights, [I, H] and [H, I].
struct Expert {
    std::vector<float> gate, up, down;
};

std::vector<float> dequantize(const mmoe_checkpoint* checkpoint, uint32_t layer_index,
                              int32_t expert, mmoe_projection projection, size_t count) {
    std::vector<float> weights(count);
    call(mmoe_checkpoint_dequantize, checkpoint, layer_index, static_cast<uint32_t>(expert),
         projection, weights.data(), weights.size());
    return weights;
}

double dot(const float* weights, const double* values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; ++i) sum += weights[i] * values[i];
    return sum;
}

// Adds scale * expert(input) to output.
void add_expert(const mmoe_layer& layer, const Expert& expert, const double* input, double scale,
                double* output) {
    const size_t hidden = layer.hidden_size, inner = layer.intermediate_size;
    const bool on_input = (layer.flags & MMOE_LAYER_ROUTER_WEIGHT_ON_INPUT) != 0;
    std::vector<double> scaled(input, input + hidden);
    if (on_input) {
        for (double& value : scaled) value *= scale;
        scale = 1;
    }
    std::vector<double> activated(inner);
    for (size_t i = 0; i < inner; ++i) {
        const double up = dot(&expert.up[i * hidden], scaled.data(), hidden);
        const double a =
            expert.gate.empty() ? up : dot(&expert.gate[i * hidden], scaled.data(), hidden);
        activated[i] = activate(layer, a, up);
    }
    for (size_t h = 0; h < hidden; ++h) {
        output[h] += scale * dot(&expert.down[h * inner], activated.data(), inner);
    }
}

}  // namespace

std::vector<double> oracle_output(const mmoe_checkpoint* checkpoint, uint32_t layer_index,
                                  const mmoe_layer& layer, const OracleCall& call) {
    if ((layer.flags & MMOE_LAYER_BIAS) != 0) {
        throw std::runtime_error("the layer has biases: give a --reference");
    }
    const size_t hidden = layer.hidden_size;
    const size_t count = hidden * layer.intermediate_size;
    std::vector<int32_t> experts = call.ids;
    std::sort(experts.begin(), experts.end());
    experts.erase(std::unique(experts.begin(), experts.end()), experts.end());
    std::vector<double> output(static_cast<size_t>(call.tokens) * hidden);
    for (const int32_t e : experts) {
        Expert expert;
        if (layer.gate_form != MMOE_GATE_NONE) {
            expert.gate = dequantize(checkpoint, layer_index, e, MMOE_PROJECTION_GATE, count);
        }
        expert.up = dequantize(checkpoint, layer_index, e, MMOE_PROJECTION_UP, count);
        expert.down = dequantize(checkpoint, layer_index, e, MMOE_PROJECTION_DOWN, count);
        for (size_t slot = 0; slot < call.ids.size(); ++slot) {
            if (call.ids[slot] != e) continue;
            const size_t token = slot / static_cast<size_t>(call.top_k);
            add_expert(layer, expert, &call.hidden[token * hidden], call.weights[slot],
                       &output[token * hidden]);
        }
    }
    return output;
}

double relative_error(const std::vector<double>& got, const std::vector<double>& want) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < want.size(); ++i) {
        difference += (got[i] - want[i]) * (got[i] - want[i]);
        size += want[i] * want[i];
    }
    const double error = std::sqrt(difference / size);
    return std::isfinite(error) ? error : kInfinity;
}

double peak_error(const std::vector<double>& got, const std::vector<double>& want) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < want.size(); ++i) {
        if (!std::isfinite(got[i])) return kInfinity;
        difference = std::max(difference, std::fabs(got[i] - want[i]));
        size = std::max(size, std::fabs(want[i]));
    }
    return size > 0 ? difference / size : kInfinity;
}

}  // namespace mmoe_tool
