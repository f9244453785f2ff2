// SPDX-License-Identifier: Apache-2.0
// The support query as tables. Limits of vLLM's Marlin MoE have a row each, named by its section in
// that project's words: what it refuses and we run, and what we refuse, with every reason, the
// sentence and the smallest fix. Then every cell of the grid of real models by tensor ranks.
#include <cmath>
#include <string>

#include "bundle/support.h"
#include "device/cuda_memory.h"

#include "cmocka_cpp.h"

using namespace mmoe;

namespace {

constexpr size_t kPublicTextBytes = 248;  // of mmoe_support

constexpr DeviceKind kCpu = DeviceKind::kCpu;
constexpr DeviceKind kCuda = DeviceKind::kCuda;

QuantConfig scheme(int bits, int group, bool asymmetric = false,
                   Format format = Format::kCompressedTensors) {
    QuantConfig config;
    config.format = format;
    config.bits = bits;
    if (group > 0) config.group_size = group;
    config.symmetry = asymmetric ? Symmetry::kAsymmetric : Symmetry::kSymmetric;
    return config;
}

QuantConfig ordered(QuantConfig config, Order order = Order::kGroup) {
    config.order = order;
    return config;
}

Layer shape(int64_t experts, int64_t hidden, int64_t intermediate) {
    Layer layer;
    layer.expert_count = experts;
    layer.hidden_size = hidden;
    layer.intermediate_size = intermediate;
    return layer;
}

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

// ---- The grid ----

// How the channels of a layer are divided over ranks.
enum class Verdict {
    kWhole,    // equal ranks of whole groups
    kParts,    // equal ranks, groups cut into equal parts
    kUneven,   // whole groups, ranks differ by one
    kRefused,  // a rank would be empty
    kGroup,    // the group size does not divide the layer
};

struct Cell {
    Verdict verdict;
    int64_t number;  // kParts: channels of a part; kRefused: ranks that work; else I of rank 0
};
constexpr Cell whole(int64_t size) {
    return {Verdict::kWhole, size};
}
constexpr Cell parts(int64_t size) {
    return {Verdict::kParts, size};
}
constexpr Cell uneven(int64_t size) {
    return {Verdict::kUneven, size};
}
constexpr Cell refused(int64_t ranks) {
    return {Verdict::kRefused, ranks};
}
constexpr Cell kNoGroups = {Verdict::kGroup, 64};  // the group size that would do

constexpr int64_t kRanks128[] = {1, 2, 4, 8, 16};
constexpr int64_t kRanks32[] = {4, 8, 16};

struct Shape {
    int64_t experts, hidden, intermediate;
};
struct Model {
    const char* name;
    Shape shape;
    Cell g128[std::size(kRanks128)];
    Cell g32[std::size(kRanks32)];
};
// Models of one shape share a row.
const Model kModels[] = {
    {"Qwen3-30B-A3B",
     {128, 2048, 768},
     {whole(768), whole(384), parts(64), parts(32), refused(12)},
     {whole(192), whole(96), uneven(32)}},
    {"Qwen3-235B, GLM-4.5, MiniMax-M2",
     {128, 4096, 1536},
     {whole(1536), whole(768), whole(384), parts(64), parts(32)},
     {whole(384), whole(192), whole(96)}},
    {"Qwen3.5-35B, Qwen3-Next",
     {256, 2048, 512},
     {whole(512), whole(256), whole(128), parts(64), parts(32)},
     {whole(128), whole(64), whole(32)}},
    {"Qwen3.5-122B",
     {256, 3072, 1024},
     {whole(1024), whole(512), whole(256), whole(128), parts(64)},
     {whole(256), whole(128), whole(64)}},
    {"DeepSeek-V3, Kimi-K2",
     {384, 7168, 2048},
     {whole(2048), whole(1024), whole(512), whole(256), whole(128)},
     {whole(512), whole(256), whole(128)}},
    {"Kimi-K3",
     {896, 3584, 3072},
     {whole(3072), whole(1536), whole(768), whole(384), parts(64)},
     {whole(768), whole(384), whole(192)}},
    {"GLM-4.5-Air, Qwen1.5-MoE",
     {128, 4096, 1408},
     {whole(1408), parts(64), parts(32), uneven(128), refused(11)},
     {whole(352), uneven(160), uneven(64)}},
    {"gpt-oss",
     {128, 2880, 2880},
     {kNoGroups, kNoGroups, kNoGroups, kNoGroups, kNoGroups},
     {uneven(704), uneven(352), uneven(160)}},
    {"Mixtral",
     {8, 4096, 14336},
     {whole(14336), whole(7168), whole(3584), whole(1792), whole(896)},
     {whole(3584), whole(1792), whole(896)}},
    {"Llama-4",
     {128, 5120, 8192},
     {whole(8192), whole(4096), whole(2048), whole(1024), whole(512)},
     {whole(2048), whole(1024), whole(512)}},
};

// What the query says of every rank must be one verdict.
void check_cell(const Model& model, int group, int64_t ranks, const Cell& cell) {
    const std::string where =
        std::string(model.name) + ", g" + std::to_string(group) + ", " + std::to_string(ranks);
    const auto [experts, hidden, intermediate] = model.shape;
    int64_t channels = 0;
    for (int64_t rank = 0; rank < ranks; ++rank) {
        const Support answer = query_support(
            kCpu,
            {scheme(4, group, true), shape(experts, hidden, intermediate), {ranks, rank, 1, 0}, 0});
        channels += answer.local_intermediate;
        const int64_t local = answer.local_intermediate, part = answer.down_group_size;
        const int64_t units = intermediate / group;
        bool ok = false;
        switch (cell.verdict) {
            case Verdict::kWhole:
                ok = answer.reasons == 0 && local == cell.number && part == group &&
                     local * ranks == intermediate;
                break;
            case Verdict::kParts:
                ok = answer.reasons == 0 && part == cell.number && group % part == 0 &&
                     part < group && local * ranks == intermediate;
                break;
            case Verdict::kUneven:
                ok = answer.reasons == 0 && part == group && (rank > 0 || local == cell.number) &&
                     (local == units / ranks * group || local == (units / ranks + 1) * group);
                break;
            case Verdict::kRefused:
                ok = answer.reasons == kReasonSplit && answer.most_tensor_ranks == cell.number &&
                     answer.remedy.starts_with("use " + std::to_string(cell.number) +
                                               " tensor ranks");
                break;
            case Verdict::kGroup:
                ok = answer.reasons == kReasonGroupSize && answer.most_tensor_ranks == 0 &&
                     answer.remedy == "quantise with group size " + std::to_string(cell.number);
                break;
        }
        if (!ok) {
            fail_msg("%s, rank %d: got %d channels in groups of %d, \"%s\", \"%s\"", where.c_str(),
                     static_cast<int>(rank), static_cast<int>(local), static_cast<int>(part),
                     answer.sentence.c_str(), answer.remedy.c_str());
        }
    }
    const bool runs = cell.verdict != Verdict::kRefused && cell.verdict != Verdict::kGroup;
    if (channels != (runs ? intermediate : 0)) fail_msg("%s: channels are lost", where.c_str());
}

// "At most n ranks" means that n work, and no number between.
void check_refusal(const Model& model, int64_t ranks, const Cell& cell) {
    if (cell.verdict != Verdict::kRefused) return;
    const auto [experts, hidden, intermediate] = model.shape;
    for (int64_t fewer = cell.number; fewer <= ranks; ++fewer) {
        const Support answer = query_support(
            kCpu,
            {scheme(4, 128, true), shape(experts, hidden, intermediate), {fewer, 0, 1, 0}, 0});
        assert_int_equal(answer.reasons == 0, fewer == cell.number);
    }
}

void real_models_are_split_as_the_grid_says(void**) {
    for (const Model& model : kModels) {
        for (size_t i = 0; i < std::size(kRanks128); ++i) {
            check_cell(model, 128, kRanks128[i], model.g128[i]);
            check_refusal(model, kRanks128[i], model.g128[i]);
        }
        for (size_t i = 0; i < std::size(kRanks32); ++i) {
            check_cell(model, 32, kRanks32[i], model.g32[i]);
        }
    }
}

// ---- Padding ----

struct PaddingCase {
    const char* name;
    DeviceKind device;
    int group;
    int64_t intermediate, ranks;
    bool gated;
    int64_t local, padded;  // of rank 0
};
constexpr PaddingCase kPaddingCases[] = {
    {"a rank of the CPU fills its blocks", kCpu, 128, 768, 8, true, 96, 96},
    {"blocks of gate and up", kCpu, 0, 200, 1, true, 200, 224},
    {"blocks of up alone", kCpu, 0, 200, 1, false, 200, 256},
    {"CUDA tiles", kCuda, 32, 768, 8, true, 96, 128},
    {"CUDA tiles and groups", kCuda, 96, 288, 1, true, 288, 384},
    {"CUDA, gpt-oss", kCuda, 32, 2880, 2, true, 1440, 1472},
};

void ranks_are_padded(void**) {
    for (const PaddingCase& c : kPaddingCases) {
        if (c.device == kCuda && !cuda_is_built()) continue;
        Layer layer = shape(8, 5760, c.intermediate);
        if (!c.gated) layer.gate_form = GateForm::kNone;
        const Support answer =
            query_support(c.device, {scheme(4, c.group), layer, {c.ranks, 0, 1, 0}, 0});
        if (answer.reasons != 0 || answer.local_intermediate != c.local ||
            answer.padded_intermediate != c.padded) {
            fail_msg("%s: got %d, padded %d, \"%s\"", c.name,
                     static_cast<int>(answer.local_intermediate),
                     static_cast<int>(answer.padded_intermediate), answer.sentence.c_str());
        }
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(every_refusal_is_explained),
        cmocka_unit_test(real_models_are_split_as_the_grid_says),
        cmocka_unit_test(ranks_are_padded),
    };
    return cmocka_run_group_tests_name("unit_support", tests, nullptr, nullptr);
}
