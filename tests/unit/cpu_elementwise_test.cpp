// SPDX-License-Identifier: Apache-2.0
// The elementwise functions of every tier that this machine runs, against double.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "cpu/launch.h"
#include "layout/number.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::cpu;
using layout::kHalfLanes;
using layout::kLanes;

namespace {

constexpr double kStep = 0x1p-23;  // one unit in the last place, at most
constexpr float kNoLimit = std::numeric_limits<float>::infinity();

struct ActivateCase {
    const char* name;
    Activation activation;
    bool gated = true;
    float alpha = 1, beta = 0, limit = kNoLimit;
    float weight = 1;
    bool bias = false;
    int64_t outputs = kHalfLanes;
};

constexpr ActivateCase kActivateCases[] = {
    {.name = "silu", .activation = Activation::kSilu},
    {.name = "silu, not gated", .activation = Activation::kSilu, .gated = false, .outputs = kLanes},
    {.name = "silu with a bias", .activation = Activation::kSilu, .bias = true},
    {.name = "silu, weight first", .activation = Activation::kSilu, .weight = 0.3F, .bias = true},
    {.name = "swiglu of gpt-oss",
     .activation = Activation::kSilu,
     .alpha = 1.702F,
     .beta = 1,
     .limit = 7},
    {.name = "gelu", .activation = Activation::kGelu},
    {.name = "gelu, not gated", .activation = Activation::kGelu, .gated = false, .outputs = 61},
    {.name = "gelu by tanh", .activation = Activation::kGeluTanh},
    {.name = "gelu by tanh, clamped", .activation = Activation::kGeluTanh, .limit = 2},
    {.name = "relu squared", .activation = Activation::kRelu2},
    {.name = "relu squared, not gated",
     .activation = Activation::kRelu2,
     .gated = false,
     .outputs = 1},
    {.name = "block ends early", .activation = Activation::kSilu, .outputs = 19},
};

double activation_of(const ActivateCase& spec, double gate) {
    switch (spec.activation) {
        case Activation::kSilu:
            return gate / (1 + std::exp(-double{spec.alpha} * gate));
        case Activation::kGelu:
            return gate * std::erfc(-gate / std::sqrt(2.0)) / 2;
        case Activation::kGeluTanh: {
            const double inner = std::sqrt(2 / M_PI) * (gate + 0.044715 * gate * gate * gate);
            return gate / (1 + std::exp(-2 * inner));
        }
        default:
            return gate > 0 ? gate * gate : 0;
    }
}

// Largest argument of e^x on the way, whose own rounding the result multiplies.
double exponent_of(const ActivateCase& spec, double gate) {
    switch (spec.activation) {
        case Activation::kSilu:
            return std::fabs(spec.alpha * gate);
        case Activation::kGelu:
            return gate * gate / 2;
        case Activation::kGeluTanh:
            return 1.6 * std::fabs(gate + 0.045 * gate * gate * gate);
        default:
            return 0;
    }
}

struct Wanted {
    double value;
    double tolerance;
};

Wanted wanted(const ActivateCase& spec, const float* values, const float* bias, int64_t i) {
    const auto at = [&](int64_t lane) {
        return double{values[lane]} * spec.weight + (spec.bias ? bias[lane] : 0.0F);
    };
    const double limit = spec.limit;
    const double gate = std::min(at(i), limit);
    double factor = 1;
    if (spec.gated) factor = std::max(-limit, std::min(at(i + kHalfLanes), limit));
    if (spec.gated && spec.activation == Activation::kSilu) factor += spec.beta;
    const double value = activation_of(spec, gate) * factor;
    // 6 roundings of the formula, and those of the exponent: gate is rounded after its bias.
    const double relative = kStep * (6 + 3 * exponent_of(spec, gate));
    // The bias may cancel most of a value, whose rounding then stands alone.
    const double cancelled = spec.bias ? kStep * 32 * (1 + std::fabs(factor)) : 0;
    // Where 1 + e^x is infinite, the result is 0 a little before it would be denormal.
    const double underflow = 0x1p-120 * (1 + std::fabs(factor));
    return {value, relative * std::fabs(value) + cancelled + underflow};
}

// Every magnitude that matters: near zero, around one, in the tails.
std::vector<float> sample_values(std::mt19937& random) {
    constexpr float kMagnitudes[] = {1e-30F, 1e-3F, 1, 3, 9, 30};
    std::normal_distribution<float> normal;
    std::vector<float> values(kLanes);
    for (size_t i = 0; i < values.size(); ++i) {
        values[i] = normal(random) * kMagnitudes[random() % std::size(kMagnitudes)];
    }
    return values;
}

ActivateArgs activate_args(const ActivateCase& spec, const float* values, const float* bias,
                           float* out) {
    return {spec.activation, spec.gated,   spec.alpha, spec.beta,
            spec.limit,      spec.outputs, values,     spec.bias ? bias : nullptr,
            spec.weight,     out};
}

// Calls check(functions) for every tier that can run here.
template <class Check>
void for_tiers(Check&& check) {
    assert_true(elementwise(Tier::kScalar).tier == Tier::kScalar);
    for (const auto& [tier, base, name] : kTiers) {
        if (!usable(tier) || elementwise(tier).tier != tier) continue;  // those of its base
        check(elementwise(tier));
    }
}

void activations_agree_with_double(void**) {
    for_tiers([](const Elementwise& functions) {
        for (const ActivateCase& spec : kActivateCases) {
            std::mt19937 random(7);
            for (int round = 0; round < 500; ++round) {
                const std::vector<float> values = sample_values(random);
                const std::vector<float> bias = sample_values(random);
                std::vector<float> out(kLanes, -1);
                functions.activate(activate_args(spec, values.data(), bias.data(), out.data()));
                for (int64_t i = 0; i < kLanes; ++i) {
                    const float got = out[static_cast<size_t>(i)];
                    if (i >= spec.outputs) {
                        assert_true(got == -1);
                        continue;
                    }
                    const Wanted want = wanted(spec, values.data(), bias.data(), i);
                    if (!(std::fabs(got - want.value) <= want.tolerance)) {
                        fail_msg("%s, %s: %.9g gives %.9g, expected %.9g +- %.2g", spec.name,
                                 tier_name(functions.tier), static_cast<double>(values[i]),
                                 static_cast<double>(got), want.value, want.tolerance);
                    }
                }
            }
        }
    });
}

// A NaN of either half reaches its output, and infinity gives what the limit of the formula is.
void activations_pass_on_what_is_no_number(void**) {
    for_tiers([](const Elementwise& functions) {
        for (const ActivateCase& spec : kActivateCases) {
            const auto first_output = [&](float gate, float up) {
                std::vector<float> values(kLanes, 1);
                std::vector<float> bias(kLanes, 0);
                std::vector<float> out(kLanes, -1);
                values[0] = gate;
                values[kHalfLanes] = up;
                functions.activate(activate_args(spec, values.data(), bias.data(), out.data()));
                return out[0];
            };
            if (!std::isnan(first_output(NAN, 1))) fail_msg("%s: NaN is lost", spec.name);
            if (spec.gated && !std::isnan(first_output(1, NAN))) {
                fail_msg("%s: NaN of the second half is lost", spec.name);
            }
            if (spec.limit == kNoLimit) {
                assert_true(std::isinf(first_output(INFINITY, 1)));
            }
        }
    });
}

void sums_take_their_share(void**) {
    for_tiers([](const Elementwise& functions) {
        std::mt19937 random(3);
        for (const int64_t outputs : {1, 8, 15, 16, 33, 64}) {
            for (const bool with_bias : {false, true}) {
                const std::vector<float> values = sample_values(random);
                const std::vector<float> bias = sample_values(random);
                const std::vector<float> before = sample_values(random);
                std::vector<float> sum = before;
                functions.combine(
                    {outputs, values.data(), with_bias ? bias.data() : nullptr, 0.7F, sum.data()});
                for (size_t i = 0; i < sum.size(); ++i) {
                    const double share =
                        double{0.7F} * (double{values[i]} + (with_bias ? bias[i] : 0.0F));
                    const double want = before[i] + (i < static_cast<size_t>(outputs) ? share : 0);
                    const double size =
                        std::fabs(before[i]) + std::fabs(values[i]) + std::fabs(bias[i]);
                    assert_true(std::fabs(sum[i] - want) <= 2 * kStep * size);
                }
            }
        }
    });
}

bool same_half(uint16_t got, uint16_t want, Element type) {
    const auto widen = [type](uint16_t half) {
        return type == Element::kF16 ? layout::f16_to_f32(half) : layout::bf16_to_f32(half);
    };
    return got == want || (std::isnan(widen(got)) && std::isnan(widen(want)));
}

void narrowing_is_the_same_on_every_tier(void**) {
    std::mt19937 random(5);
    std::vector<float> sums = {0.0F,      -0.0F,  65519, 65520,       -65536,
                               3.4e38F,   1e-45F, 6e-8F, 3e-8F,       INFINITY,
                               -INFINITY, NAN,    -NAN,  1.00390625F, 1.01171875F};
    for (int i = 0; i < 4000; ++i) {
        const auto bits = static_cast<uint32_t>(random());
        float value;
        std::memcpy(&value, &bits, 4);
        sums.push_back(value);
    }
    for_tiers([&](const Elementwise& functions) {
        for (const Element type : {Element::kF16, Element::kBf16}) {
            std::vector<uint16_t> out(sums.size() + 1, 0xABCD);
            functions.store(type, static_cast<int64_t>(sums.size()), sums.data(), out.data());
            for (size_t i = 0; i < sums.size(); ++i) {
                const uint16_t want = type == Element::kF16 ? layout::f32_to_f16(sums[i])
                                                            : layout::f32_to_bf16(sums[i]);
                if (!same_half(out[i], want, type)) {
                    fail_msg("%s: %.9g becomes %04x, expected %04x", tier_name(functions.tier),
                             static_cast<double>(sums[i]), out[i], want);
                }
            }
            assert_int_equal(out.back(), 0xABCD);
        }
        std::vector<float> copy(sums.size());
        functions.store(Element::kF32, static_cast<int64_t>(sums.size()), sums.data(), copy.data());
        assert_memory_equal(copy.data(), sums.data(), sums.size() * 4);
    });
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(activations_agree_with_double),
        cmocka_unit_test(activations_pass_on_what_is_no_number),
        cmocka_unit_test(sums_take_their_share),
        cmocka_unit_test(narrowing_is_the_same_on_every_tier),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
