// SPDX-License-Identifier: Apache-2.0
#include "parity/problem.h"

#include <algorithm>
#include <numeric>

namespace mmoe::parity {
namespace {

mmoe_layer layer_of(const Case& spec) {
    mmoe_layer layer{};
    layer.struct_size = sizeof layer;
    layer.expert_count = spec.experts;
    layer.hidden_size = spec.hidden;
    layer.intermediate_size = spec.intermediate;
    layer.activation = spec.activation;
    layer.gate_form = spec.gate_form;
    layer.alpha = spec.alpha;
    layer.beta = spec.beta;
    layer.limit = spec.limit;
    layer.flags = spec.flags;
    return layer;
}

QuantizedExpert random_expert(Random& random, const Case& spec) {
    const bool bias = (spec.flags & MMOE_LAYER_BIAS) != 0;
    const int64_t hidden = spec.hidden, inner = spec.intermediate;
    // Gate and up read the same inputs in the same order.
    const std::vector<int32_t> hidden_groups = random_group_index(random, hidden, spec.scheme);
    const std::vector<int32_t> inner_groups = random_group_index(random, inner, spec.scheme);
    QuantizedExpert expert;
    if (spec.gate_form != MMOE_GATE_NONE) {
        expert.gate = random_linear(random, inner, hidden, spec.scheme, hidden_groups, bias);
    }
    expert.up = random_linear(random, inner, hidden, spec.scheme, hidden_groups, bias);
    expert.down = random_linear(random, hidden, inner, spec.scheme, inner_groups, bias);
    return expert;
}

void fill_hidden(Random& random, const Case& spec, Problem& problem) {
    const int64_t stride = spec.hidden + spec.row_padding;
    problem.hidden = Array(spec.hidden_dtype, {spec.tokens, stride});
    for (int64_t t = 0; t < spec.tokens; ++t) {
        for (int64_t h = 0; h < stride; ++h) {
            const bool outlier = (t * stride + h) % kOutlierEvery == 0;
            const double deviation = spec.hidden_scale * (outlier ? spec.outlier_factor : 1.0F);
            const auto value = static_cast<float>(random.normal() * deviation);
            problem.hidden.set_bits(t * stride + h, encode(spec.hidden_dtype, value));
            if (h < spec.hidden) {
                problem.call.hidden.push_back(problem.hidden.value(t * stride + h));
            }
        }
    }
}

// The first top_k of a shuffled list of `count` experts.
std::vector<int32_t> distinct_ids(Random& random, uint32_t count, uint32_t top_k) {
    std::vector<int32_t> ids(count);
    std::iota(ids.begin(), ids.end(), 0);
    for (uint32_t i = 0; i < top_k; ++i) {
        std::swap(ids[i], ids[i + random.bits() % (count - i)]);
    }
    ids.resize(top_k);
    return ids;
}

std::vector<int32_t> ids_of_token(Random& random, const Case& spec) {
    std::vector<int32_t> ids = distinct_ids(random, spec.experts, spec.top_k);
    const auto experts = static_cast<int32_t>(spec.experts);
    const int32_t strays[] = {-1, experts, INT32_MAX, INT32_MIN};
    switch (spec.routing) {
        case Routing::kDistinct:
            break;
        case Routing::kAllOnFirst:
            std::iota(ids.begin(), ids.end(), 0);
            break;
        case Routing::kLastEmpty:
            ids = distinct_ids(random, spec.experts - 1, spec.top_k);
            break;
        case Routing::kWithHoles:
            ids[random.bits() % ids.size()] = strays[random.bits() % 4];
            break;
        case Routing::kNobody:
            for (int32_t& id : ids) id = strays[random.bits() % 4];
            break;
        case Routing::kDuplicates:
            std::fill(ids.begin(), ids.end(), ids[0]);
            break;
        case Routing::kMapped:
            for (int32_t& id : ids)
                id = static_cast<int32_t>(random.bits() % (spec.experts + 4)) - 1;
            break;
    }
    return ids;
}

void fill_routing(Random& random, const Case& spec, oracle::Call& call) {
    call.tokens = spec.tokens;
    call.top_k = spec.top_k;
    for (int64_t t = 0; t < spec.tokens; ++t) {
        for (const int32_t id : ids_of_token(random, spec)) {
            call.expert_ids.push_back(id);
            call.expert_weights.push_back(static_cast<float>(random.uniform() + 0.1));
        }
    }
    if (spec.routing == Routing::kMapped) {  // E + 2 entries: -1, 0, ..., E - 1, E
        call.expert_map.resize(spec.experts + 2);
        std::iota(call.expert_map.begin(), call.expert_map.end(), -1);
        std::reverse(call.expert_map.begin(), call.expert_map.end());
    }
}

}  // namespace

Problem make_problem(const Case& spec) {
    Random random(0x6D6D6F65);  // "mmoe"
    Problem problem{spec, layer_of(spec), {}, {}, {}, {}, {}};
    problem.meaning.shape = problem.layer;
    for (uint32_t e = 0; e < spec.experts; ++e) {
        problem.experts.push_back(random_expert(random, spec));
        QuantizedExpert& expert = problem.experts.back();
        problem.meaning.experts.push_back({std::move(expert.gate.plain), std::move(expert.up.plain),
                                           std::move(expert.down.plain)});
    }
    fill_hidden(random, spec, problem);
    fill_routing(random, spec, problem.call);
    problem.want = oracle::run(problem.meaning, problem.call);
    return problem;
}

}  // namespace mmoe::parity
