// SPDX-License-Identifier: Apache-2.0
// The support query as tables. Limits of vLLM's Marlin MoE have a row each, named by its section in
// that project's words: what it refuses and we run, and what we refuse, with every reason, the
// sentence and the smallest fix.
#include <cmath>
#include <string>

#include "bundle/support.h"
#include "device/cuda_memory.h"
#include "support/support_questions.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

constexpr size_t kPublicTextBytes = 248;  // of mmoe_support

template <class Change>
Layer with(Layer layer, const Change& change) {
    change(layer);
    return layer;
}

struct Case {
    const char* name;
    DeviceKind device;
    QuantConfig config;
    Layer layer;
    Split split = {};
    uint64_t reasons = 0;  // 0: supported
    const char* sentence = "";
    const char* remedy = "";
};

const QuantConfig kG128 = scheme(4, 128);
const QuantConfig kG32Zero = scheme(4, 32, true);
const Layer kQwen = shape(128, 2048, 768);

const Case kCases[] = {
    // Tile shapes (vLLM: N % 64 with K % 128, or N % 128 with K % 64): padding takes care of all.
    {"tiles: H and I are odd multiples of 64", kCpu, scheme(4, 64), shape(8, 2880, 1472)},
    {"tiles: N is no multiple of 64", kCpu, kG32Zero, shape(8, 96, 160)},
    {"tiles: K is no multiple of 16", kCpu, scheme(4, 0), shape(8, 72, 40)},
    {"tiles: K is odd", kCpu, scheme(4, 0), shape(8, 65, 33)},

    // The gate for MoE layers.
    {"gate: H % 128", kCpu, scheme(4, 32), shape(32, 2880, 2880)},
    {"gate: groups of 16", kCpu, scheme(4, 16), kQwen},
    {"gate: groups of 48", kCpu, scheme(4, 48), shape(8, 96, 192)},
    {"gate: groups of 256", kCpu, scheme(4, 256), kQwen},
    {"gate: one scale a channel, zero points", kCpu, scheme(4, 0, true), kQwen},
    {"gate: groups of 8 on CUDA",
     kCuda,
     scheme(4, 8),
     kQwen,
     {},
     kReasonGroupSize,
     "CUDA: group size: expected a multiple of 16, got 8",
     "use the CPU"},
    {"gate: parts of groups of 80 on CUDA",
     kCuda,
     scheme(4, 80),
     shape(8, 960, 720),
     {6, 0, 1, 0},
     kReasonGroupSize,
     "CUDA: group size: expected a multiple of 16, got 40",
     "use the CPU"},
    {"gate: router weight on the input", kCpu, kG128,
     with(kQwen, [](Layer& l) { l.router_weight_on_input = true; })},
    {"gate: I of a rank ends inside a tile", kCpu, scheme(4, 32), kQwen, {8, 7, 1, 0}},
    {"gate: groups straddle ranks", kCpu, kG128, kQwen, {8, 7, 1, 0}},
    {"gate: uneven ranks", kCpu, kG128, shape(128, 4096, 1408), {8, 7, 1, 0}},
    {"gate: group size does not divide H",
     kCpu,
     kG128,
     shape(32, 2880, 2816),
     {},
     kReasonGroupSize,
     "group size 128 does not divide hidden_size 2880",
     "quantise with group size 64"},
    {"gate: group size does not divide I",
     kCpu,
     kG128,
     shape(8, 2048, 1056),
     {},
     kReasonGroupSize,
     "group size 128 does not divide intermediate_size 1056",
     "quantise with group size 32"},
    {"gate: no usual group size divides",
     kCpu,
     scheme(4, 32),
     shape(8, 100, 200),
     {},
     kReasonGroupSize,
     "group size 32 does not divide hidden_size 100",
     "quantise with one scale a channel"},

    // What each of vLLM's backends refuses.
    {"backends: zero points and biases", kCpu, kG32Zero,
     with(kQwen, [](Layer& l) { l.bias = true; })},
    {"backends: biases, interleaved gate", kCpu, scheme(4, 32),
     with(shape(32, 2880, 2880),
          [](Layer& l) {
              l.bias = true;
              l.activation = Activation::kSwigluOai;
              l.gate_form = GateForm::kInterleaved;
          })},
    {"backends: not gated", kCpu, kG128,
     with(kQwen,
          [](Layer& l) {
              l.gate_form = GateForm::kNone;
              l.activation = Activation::kRelu2;
          })},
    {"backends: AWQ", kCpu, scheme(4, 128, true, Format::kAwq), kQwen},
    {"backends: AWQ, 8 bits", kCpu, scheme(8, 64, true, Format::kAwq), kQwen},
    {"backends: GPTQ with zero points", kCpu, scheme(4, 128, true, Format::kGptq), kQwen},
    {"backends: GPTQ in activation order", kCpu, ordered(scheme(4, 128, false, Format::kGptq)),
     kQwen},
    {"backends: activation order, zero points, ranks",
     kCpu,
     ordered(scheme(4, 128, true, Format::kGptq)),
     kQwen,
     {4, 1, 1, 0}},
    {"backends: group activation order", kCpu, ordered(kG128), kQwen},
    {"backends: static activation order", kCuda, ordered(kG128, Order::kStatic), kQwen},
    {"backends: activation order on CUDA", kCuda, ordered(kG128), kQwen},
    {"backends: 8 bits, zero points", kCpu, scheme(8, 128, true), kQwen},
    {"backends: 3 bits",
     kCpu,
     scheme(3, 128),
     kQwen,
     {},
     kReasonBits,
     "bits: expected 4 or 8, got 3",
     "quantise to 4 or 8 bits"},
    {"backends: 16 bits",
     kCpu,
     scheme(16, 128),
     kQwen,
     {},
     kReasonBits,
     "bits: expected 4 or 8, got 16",
     "quantise to 4 or 8 bits"},
    {"backends: half a word of AWQ",
     kCpu,
     scheme(4, 20, true, Format::kAwq),
     shape(8, 80, 20),
     {},
     kReasonFormat,
     "up_proj outputs: expected a multiple of 8 in this packing, got 20",
     "pad intermediate_size to 40"},
    {"backends: half a word of GPTQ",
     kCpu,
     scheme(4, 0, false, Format::kGptq),
     shape(8, 60, 64),
     {},
     kReasonFormat,
     "up_proj inputs: expected a multiple of 8 in this packing, got 60",
     "pad hidden_size to 64"},
    {"backends: CUDA where it is built", kCuda, kG128, kQwen},

    // Splits.
    {"split: over experts, unevenly", kCpu, kG128, kQwen, {1, 0, 3, 2}},
    {"split: a rank would be empty",
     kCpu,
     kG128,
     kQwen,
     {16, 0, 1, 0},
     kReasonSplit,
     "tensor parallel split: expected at most 12 ranks for 768 intermediate channels in groups of "
     "128, got 16",
     "use 12 tensor ranks, quantise with group size 32, or split over experts"},
    {"split: small groups, a rank would be empty",
     kCpu,
     scheme(4, 32),
     shape(8, 64, 64),
     {4, 0, 1, 0},
     kReasonSplit,
     "tensor parallel split: expected at most 2 ranks for 64 intermediate channels in groups of "
     "32, got 4",
     "use 2 tensor ranks, quantise with group size 16, or split over experts"},
    {"split: more expert ranks than experts",
     kCpu,
     kG128,
     shape(2, 2048, 768),
     {1, 0, 3, 0},
     kReasonSplit,
     "3 expert ranks for 2 experts",
     "use at most 2 expert ranks"},
    {"split: no such tensor rank",
     kCpu,
     kG128,
     kQwen,
     {2, 2, 1, 0},
     kReasonSplit,
     "tensor rank 2 of 2 does not exist",
     "count ranks from 0"},
    {"split: no such expert rank",
     kCpu,
     kG128,
     kQwen,
     {1, 0, 4, 9},
     kReasonSplit,
     "expert rank 9 of 4 does not exist",
     "count ranks from 0"},

    // Shapes and numbers.
    {"shape: no experts",
     kCpu,
     kG128,
     shape(0, 2048, 768),
     {},
     kReasonShape,
     "expert_count: expected 1 to 16777216, got 0",
     ""},
    {"shape: H beyond the limit",
     kCpu,
     scheme(4, 0),
     shape(1, int64_t{1} << 25, 64),
     {},
     kReasonShape,
     "hidden_size: expected 1 to 16777216, got 33554432",
     ""},
    {"shape: more weights than 64 bits count",
     kCpu,
     scheme(4, 0),
     shape(int64_t{1} << 24, int64_t{1} << 24, int64_t{1} << 24),
     {},
     kReasonShape,
     "expert_count x hidden_size x intermediate_size exceeds 2^55",
     ""},
    {"activation: a limit below zero",
     kCpu,
     kG128,
     with(kQwen, [](Layer& l) { l.limit = -1; }),
     {},
     kReasonActivation,
     "activation: alpha, beta or limit is not a usable number",
     ""},
    {"activation: alpha that is no number",
     kCpu,
     kG128,
     with(kQwen, [](Layer& l) { l.alpha = std::nanf(""); }),
     {},
     kReasonActivation,
     "activation: alpha, beta or limit is not a usable number",
     ""},

    // Several reasons at once: all of them.
    {"bits and split",
     kCpu,
     scheme(5, 128),
     kQwen,
     {1, 0, 200, 0},
     kReasonBits | kReasonSplit,
     "bits: expected 4 or 8, got 5; 200 expert ranks for 128 experts",
     "quantise to 4 or 8 bits; use at most 128 expert ranks"},
    {"group size and activation",
     kCpu,
     kG128,
     with(shape(8, 2880, 2880), [](Layer& l) { l.limit = -1; }),
     {},
     kReasonGroupSize | kReasonActivation,
     "group size 128 does not divide hidden_size 2880; activation: alpha, beta or limit is not a "
     "usable number",
     "quantise with group size 64"},
};

// What a build without CUDA kernels says before everything else.
std::string behind(const char* first, const char* rest) {
    if (*rest == 0 || std::string(rest) == first) return first;
    return std::string(first) + "; " + rest;
}

void every_refusal_is_explained(void**) {
    for (const Case& c : kCases) {
        const bool lacks_device = c.device == kCuda && !cuda_is_built();
        const uint64_t reasons =
            c.reasons | (lacks_device ? static_cast<uint64_t>(kReasonDevice) : 0);
        const std::string sentence =
            lacks_device ? behind("no CUDA kernel in this build", c.sentence) : c.sentence;
        const std::string remedy = lacks_device ? behind("use the CPU", c.remedy) : c.remedy;
        const Support answer = query_support(c.device, {c.config, c.layer, c.split, 0});
        if (answer.reasons != reasons || answer.sentence != sentence || answer.remedy != remedy) {
            fail_msg("%s: expected %llx \"%s\" \"%s\", got %llx \"%s\" \"%s\"", c.name,
                     static_cast<unsigned long long>(reasons), sentence.c_str(), remedy.c_str(),
                     static_cast<unsigned long long>(answer.reasons), answer.sentence.c_str(),
                     answer.remedy.c_str());
        }
        assert_true(answer.sentence.size() < kPublicTextBytes);
        assert_true(answer.remedy.size() < kPublicTextBytes);
    }
    print_message("%zu cases\n", std::size(kCases));
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(every_refusal_is_explained),
    };
    return cmocka_run_group_tests_name("unit_support", tests, nullptr, nullptr);
}
