// SPDX-License-Identifier: Apache-2.0
#include "oracle/moe_oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mmoe::oracle {
namespace {

// What the zeros of mmoe_layer stand for.
struct Constants {
    double alpha, beta, limit;
};

Constants constants(const mmoe_layer& shape) {
    const bool swigluoai = shape.activation == MMOE_ACTIVATION_SWIGLUOAI;
    const auto pick = [](float member, double otherwise) {
        return member != 0 ? static_cast<double>(member) : otherwise;
    };
    return {pick(shape.alpha, swigluoai ? 1.702 : 1.0), pick(shape.beta, swigluoai ? 1.0 : 0.0),
            pick(shape.limit, swigluoai ? 7.0 : std::numeric_limits<double>::infinity())};
}

double sigmoid(double a) {
    return 1.0 / (1.0 + std::exp(-a));
}

double gelu_tanh(double a) {
    const double inner = std::sqrt(2.0 / std::acos(-1.0)) * (a + 0.044715 * a * a * a);
    return 0.5 * a * (1.0 + std::tanh(inner));
}

double activate(const mmoe_layer& shape, const Constants& c, double a, double u) {
    a = std::min(a, c.limit);
    u = std::clamp(u, -c.limit, c.limit);
    switch (shape.activation) {
        case MMOE_ACTIVATION_GELU:
            return 0.5 * a * (1.0 + std::erf(a / std::sqrt(2.0))) * u;
        case MMOE_ACTIVATION_GELU_TANH:
            return gelu_tanh(a) * u;
        case MMOE_ACTIVATION_RELU2:
            return std::max(a, 0.0) * std::max(a, 0.0) * u;
        default:
            return a * sigmoid(c.alpha * a) * (u + c.beta);
    }
}

std::vector<double> multiply(const Linear& linear, const std::vector<double>& x) {
    std::vector<double> y(static_cast<size_t>(linear.outputs));
    for (int64_t n = 0; n < linear.outputs; ++n) {
        double sum = linear.bias.empty() ? 0.0 : linear.bias[n];
        for (int64_t k = 0; k < linear.inputs; ++k)
            sum += linear.weights[n * linear.inputs + k] * x[k];
        y[n] = sum;
    }
    return y;
}

// What one expert makes of one hidden state: [H].
std::vector<double> run_expert(const mmoe_layer& shape, const Expert& expert,
                               const std::vector<double>& x) {
    const Constants c = constants(shape);
    const bool gated = shape.gate_form != MMOE_GATE_NONE;
    const std::vector<double> up = multiply(expert.up, x);
    const std::vector<double> gate = gated ? multiply(expert.gate, x) : up;
    std::vector<double> inner(up.size());
    for (size_t i = 0; i < up.size(); ++i) {
        inner[i] = activate(shape, c, gate[i], gated ? up[i] : 1.0);
    }
    return multiply(expert.down, inner);
}

// The expert that an id stands for, or -1.
int64_t expert_of(const Layer& layer, const Call& call, int64_t id) {
    if (!call.expert_map.empty()) {
        if (id < 0 || id >= static_cast<int64_t>(call.expert_map.size())) return -1;
        id = call.expert_map[id];
    }
    return id < 0 || id >= static_cast<int64_t>(layer.experts.size()) ? -1 : id;
}

}  // namespace

std::vector<double> run(const Layer& layer, const Call& call) {
    const int64_t hidden_size = layer.shape.hidden_size;
    const bool on_input = (layer.shape.flags & MMOE_LAYER_ROUTER_WEIGHT_ON_INPUT) != 0;
    std::vector<double> out(static_cast<size_t>(call.tokens * hidden_size), 0.0);
    for (int64_t t = 0; t < call.tokens; ++t) {
        for (int64_t j = 0; j < call.top_k; ++j) {
            const int64_t expert = expert_of(layer, call, call.expert_ids[t * call.top_k + j]);
            if (expert < 0) continue;
            const double weight = call.expert_weights[t * call.top_k + j];
            std::vector<double> x(call.hidden.begin() + t * hidden_size,
                                  call.hidden.begin() + (t + 1) * hidden_size);
            if (on_input) {
                for (double& value : x) value *= weight;
            }
            const std::vector<double> y = run_expert(layer.shape, layer.experts[expert], x);
            for (int64_t h = 0; h < hidden_size; ++h) {
                out[t * hidden_size + h] += (on_input ? 1.0 : weight) * y[h];
            }
        }
    }
    return out;
}

double relative_error(const std::vector<double>& got, const std::vector<double>& want) {
    double difference = 0.0, length = 0.0;
    for (size_t i = 0; i < want.size(); ++i) {
        difference += (got[i] - want[i]) * (got[i] - want[i]);
        length += want[i] * want[i];
    }
    if (length == 0.0) return difference == 0.0 ? 0.0 : std::numeric_limits<double>::infinity();
    return std::sqrt(difference / length);
}

}  // namespace mmoe::oracle
