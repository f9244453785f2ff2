// SPDX-License-Identifier: Apache-2.0
// The router against a plain oracle: sort everything, take the first.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "exec/router.h"
#include "layout/number.h"

#include "cmocka_cpp.h"

using namespace mmoe;

namespace {

struct Case {
    const char* name;
    Scoring scoring;
    int64_t tokens, experts, top_k, groups, kept;
    bool renormalize, bias;
    float scale;
    cpu::Element type;
};

constexpr Case kCases[] = {
    {"Qwen3: softmax, renormalised", Scoring::kSoftmax, 33, 128, 8, 1, 1, true, false, 1.0F,
     cpu::Element::kF32},
    {"Qwen1.5: softmax, not renormalised", Scoring::kSoftmax, 5, 60, 4, 1, 1, false, false, 1.0F,
     cpu::Element::kF16},
    {"DeepSeek-V3: sigmoid, bias, 4 of 8 groups", Scoring::kSigmoid, 40, 256, 8, 8, 4, true, true,
     2.5F, cpu::Element::kF32},
    {"DeepSeek-V2: softmax, 3 of 8 groups", Scoring::kSoftmax, 9, 160, 6, 8, 3, false, false, 16.0F,
     cpu::Element::kBf16},
    {"Kimi-K2: sigmoid, bias, one group", Scoring::kSigmoid, 7, 384, 8, 1, 1, true, true, 2.827F,
     cpu::Element::kF32},
    {"Llama-4: top-1 sigmoid", Scoring::kSigmoid, 11, 16, 1, 1, 1, false, false, 1.0F,
     cpu::Element::kBf16},
    {"every expert", Scoring::kSoftmax, 3, 5, 5, 1, 1, true, false, 1.0F, cpu::Element::kF32},
    {"groups of one", Scoring::kSigmoid, 3, 8, 4, 8, 4, true, true, 1.0F, cpu::Element::kF32},
    {"896 experts", Scoring::kSigmoid, 4, 896, 16, 1, 1, true, true, 1.0F, cpu::Element::kF32},
};

struct Chosen {
    std::vector<int32_t> ids;
    std::vector<double> weights;
};

// Straight from the header's formula, with full sorts.
Chosen oracle(const Case& c, const std::vector<double>& logits, const std::vector<float>& bias) {
    const auto experts = static_cast<size_t>(c.experts);
    std::vector<double> scores(experts);
    const double highest = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const double logit : logits) sum += std::exp(logit - highest);
    for (size_t e = 0; e < experts; ++e) {
        scores[e] = c.scoring == Scoring::kSoftmax ? std::exp(logits[e] - highest) / sum
                                                   : 1 / (1 + std::exp(-logits[e]));
    }
    std::vector<double> choices = scores;
    for (size_t e = 0; e < experts && c.bias; ++e) choices[e] += bias[e];
    const size_t size = experts / static_cast<size_t>(c.groups);
    std::vector<std::pair<double, size_t>> groups;
    for (size_t g = 0; g < static_cast<size_t>(c.groups); ++g) {
        std::vector<double> values(choices.begin() + static_cast<long>(g * size),
                                   choices.begin() + static_cast<long>((g + 1) * size));
        std::sort(values.rbegin(), values.rend());
        groups.emplace_back(-(c.bias && size > 1 ? values[0] + values[1] : values[0]), g);
    }
    std::sort(groups.begin(), groups.end());
    std::vector<std::pair<double, int32_t>> candidates;
    for (size_t i = 0; i < static_cast<size_t>(c.kept); ++i) {
        for (size_t e = 0; e < size; ++e) {
            const size_t expert = groups[i].second * size + e;
            candidates.emplace_back(-choices[expert], static_cast<int32_t>(expert));
        }
    }
    std::sort(candidates.begin(), candidates.end());
    Chosen chosen;
    double total = 0;
    for (size_t j = 0; j < static_cast<size_t>(c.top_k); ++j) {
        chosen.ids.push_back(candidates[j].second);
        total += scores[static_cast<size_t>(chosen.ids[j])];
    }
    for (const int32_t id : chosen.ids) {
        chosen.weights.push_back(scores[static_cast<size_t>(id)] / (c.renormalize ? total : 1) *
                                 static_cast<double>(c.scale));
    }
    return chosen;
}

void check_case(const Case& c) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    const auto experts = static_cast<size_t>(c.experts);
    const int64_t stride = c.experts + 3;  // rows apart
    std::vector<float> wide(static_cast<size_t>(c.tokens * stride));
    std::vector<uint16_t> narrow(wide.size());
    for (size_t i = 0; i < wide.size(); ++i) {
        wide[i] = 2 * normal(random);
        if (c.type == cpu::Element::kF16) narrow[i] = layout::f32_to_f16(wide[i]);
        if (c.type == cpu::Element::kBf16) narrow[i] = layout::f32_to_bf16(wide[i]);
        if (c.type == cpu::Element::kF16) wide[i] = layout::f16_to_f32(narrow[i]);
        if (c.type == cpu::Element::kBf16) wide[i] = layout::bf16_to_f32(narrow[i]);
    }
    std::vector<float> bias(experts);
    for (float& value : bias) value = 0.1F * normal(random);
    std::vector<int32_t> ids(static_cast<size_t>(c.tokens * c.top_k), -7);
    std::vector<float> weights(ids.size(), std::numeric_limits<float>::quiet_NaN());
    RouterArgs args;
    args.scoring = c.scoring;
    args.group_count = c.groups;
    args.groups_kept = c.kept;
    args.renormalize = c.renormalize;
    args.scale = c.scale;
    args.tokens = c.tokens;
    args.expert_count = c.experts;
    args.top_k = c.top_k;
    args.logits_type = c.type;
    args.logits = c.type == cpu::Element::kF32 ? static_cast<const void*>(wide.data())
                                               : static_cast<const void*>(narrow.data());
    args.logits_stride = stride;
    args.correction_bias = c.bias ? bias.data() : nullptr;
    args.expert_ids = ids.data();
    args.expert_weights = weights.data();
    for (const uint32_t threads : {1u, 3u}) {
        assert_true(route(args, *Parallel::create(threads, nullptr, nullptr).value()).ok());
        for (int64_t t = 0; t < c.tokens; ++t) {
            const std::vector<double> logits(wide.begin() + t * stride,
                                             wide.begin() + t * stride + c.experts);
            const Chosen want = oracle(c, logits, bias);
            for (size_t j = 0; j < want.ids.size(); ++j) {
                const size_t place = static_cast<size_t>(t * c.top_k) + j;
                if (ids[place] != want.ids[j]) {
                    fail_msg("%s: token %d choice %zu: expected %d, got %d", c.name,
                             static_cast<int>(t), j, want.ids[j], ids[place]);
                }
                // Computed in double, rounded to fp32 once: half a unit in the last place.
                if (std::fabs(weights[place] - want.weights[j]) > 6e-8 * want.weights[j]) {
                    fail_msg("%s: token %d weight %zu: expected %g, got %g", c.name,
                             static_cast<int>(t), j, want.weights[j],
                             static_cast<double>(weights[place]));
                }
            }
        }
    }
}

void every_router_chooses_as_the_oracle(void**) {
    for (const Case& c : kCases) check_case(c);
}

struct Odd {
    const char* name;
    std::vector<float> logits;
    int32_t first, second;
};

void odd_logits_have_a_defined_choice(void**) {
    const float inf = std::numeric_limits<float>::infinity();
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const Odd odds[] = {
        {"equal logits: the lower id", {1, 1, 1, 1}, 0, 1},
        {"NaN is never preferred", {nan, 0, nan, -5}, 1, 3},
        {"nothing but NaN", {nan, nan, nan, nan}, 0, 1},
        {"one infinity takes all", {0, 0, inf, 0}, 2, 0},
        {"all at minus infinity", {-inf, -inf, -inf, -inf}, 0, 1},
    };
    for (const Odd& odd : odds) {
        for (const Scoring scoring : {Scoring::kSoftmax, Scoring::kSigmoid}) {
            int32_t ids[2] = {-7, -7};
            float weights[2] = {};
            RouterArgs args;
            args.scoring = scoring;
            args.renormalize = true;
            args.tokens = 1;
            args.expert_count = 4;
            args.top_k = 2;
            args.logits = odd.logits.data();
            args.logits_stride = 4;
            args.expert_ids = ids;
            args.expert_weights = weights;
            assert_true(route(args, *Parallel::create(1, nullptr, nullptr).value()).ok());
            if (ids[0] != odd.first || ids[1] != odd.second) {
                fail_msg("%s: expected %d %d, got %d %d", odd.name, odd.first, odd.second, ids[0],
                         ids[1]);
            }
        }
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(every_router_chooses_as_the_oracle),
        cmocka_unit_test(odd_logits_have_a_defined_choice),
    };
    return cmocka_run_group_tests_name("unit_exec_router", tests, nullptr, nullptr);
}
