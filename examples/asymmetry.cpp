// SPDX-License-Identifier: Apache-2.0
// What zero points buy: the same weights, quantised to 4 bits with and without them, run through
// the library and compared with the layer before quantisation. The weights are heavy-tailed and
// off centre, as rows of trained models are. Ends with 1 unless zero points help at every group
// size.
//
// Order: make weights, quantise by rounding to nearest, pack as compressed-tensors does, run in
// exact precision (so that only the quantisation differs), compare.
//
//     c++ -std=c++20 asymmetry.cpp -lmarlin_moe;  ./a.out
#include <marlin_moe.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr int kBits = 4;
constexpr int kLevels = 1 << kBits;
constexpr int kCodesPerWord = 32 / kBits;
constexpr int kExperts = 4;         // E
constexpr int kTopK = 2;            // experts of a token
constexpr int kHidden = 256;        // H
constexpr int kIntermediate = 256;  // I
constexpr int kTokens = 16;         // T

// ---- The library, with owners and exceptions --------------------------------------------------

template <class Function, class... Arguments>
void call(Function function, Arguments... arguments) {
    mmoe_error error{};
    if (function(arguments..., &error) != MMOE_OK) throw std::runtime_error(error.message);
}

template <class Object, class Function, class... Arguments>
auto make(void (*destroy)(Object*), Function function, Arguments... arguments) {
    Object* object = nullptr;
    call(function, arguments..., &object);
    return std::unique_ptr<Object, void (*)(Object*)>(object, destroy);
}

template <class Struct>
Struct sized() {
    Struct structure{};
    structure.struct_size = sizeof structure;
    return structure;
}

template <class Element>
mmoe_tensor matrix(std::vector<Element>& data, mmoe_dtype dtype, int rows, int columns) {
    mmoe_tensor tensor{};
    tensor.data = data.data();
    tensor.dtype = dtype;
    tensor.rank = 2;
    tensor.shape[0] = rows;
    tensor.shape[1] = columns;
    return tensor;
}

// ---- The layer before quantisation ------------------------------------------------------------

struct Linear {
    int outputs = 0;             // N
    int inputs = 0;              // K
    std::vector<double> weight;  // [N, K]
};

// Student t with 3 degrees of freedom; every row has a spread and a mean of its own.
Linear make_linear(int outputs, int inputs, std::mt19937& random) {
    std::student_t_distribution<double> tail(3);
    std::normal_distribution<double> normal;
    Linear linear{outputs, inputs, {}};
    for (int n = 0; n < outputs; ++n) {
        const double spread = 0.03 * std::exp(0.3 * normal(random));
        const double mean = spread * normal(random);
        for (int k = 0; k < inputs; ++k) linear.weight.push_back(mean + spread * tail(random));
    }
    return linear;
}

struct Expert {
    Linear gate, up, down;
};

std::vector<double> multiply(const Linear& linear, const std::vector<double>& x) {
    std::vector<double> y(static_cast<size_t>(linear.outputs));
    for (int n = 0; n < linear.outputs; ++n) {
        for (int k = 0; k < linear.inputs; ++k) y[n] += linear.weight[n * linear.inputs + k] * x[k];
    }
    return y;
}

struct Batch {
    std::vector<float> hidden;   // [T, H]
    std::vector<int32_t> ids;    // [T, top_k]
    std::vector<float> weights;  // [T, top_k]
};

Batch make_batch(std::mt19937& random) {
    std::normal_distribution<float> normal;
    Batch batch;
    for (int i = 0; i < kTokens * kHidden; ++i) batch.hidden.push_back(normal(random));
    for (int token = 0; token < kTokens; ++token) {
        for (int slot = 0; slot < kTopK; ++slot) {
            batch.ids.push_back((token + slot) % kExperts);
            batch.weights.push_back(slot == 0 ? 0.625F : 0.375F);
        }
    }
    return batch;
}

// [T, H].
std::vector<double> unquantised_output(const std::vector<Expert>& experts, const Batch& batch) {
    std::vector<double> output(kTokens * kHidden);
    for (int slot = 0; slot < kTokens * kTopK; ++slot) {
        const int token = slot / kTopK;
        const Expert& expert = experts[batch.ids[slot]];
        const auto row = batch.hidden.begin() + token * kHidden;
        const std::vector<double> x(row, row + kHidden);
        std::vector<double> inner = multiply(expert.gate, x);  // [I]
        const std::vector<double> up = multiply(expert.up, x);
        for (int i = 0; i < kIntermediate; ++i) inner[i] *= up[i] / (1 + std::exp(-inner[i]));
        const std::vector<double> down = multiply(expert.down, inner);
        for (int h = 0; h < kHidden; ++h) {
            output[token * kHidden + h] += batch.weights[slot] * down[h];
        }
    }
    return output;
}

// ---- Quantisation -----------------------------------------------------------------------------

struct Scheme {
    int group_size;  // or MMOE_GROUP_SIZE_CHANNEL
    mmoe_symmetry symmetry;
};

struct Range {
    float scale;
    int zero;  // unsigned
};

// The grid that covers a group: around zero, or from its lowest to its highest weight.
Range choose_range(const double* group, int count, mmoe_symmetry symmetry) {
    const auto [least, most] = std::minmax_element(group, group + count);
    const double low = std::min(*least, 0.0);
    const double high = std::max(*most, 0.0);
    if (symmetry == MMOE_SYMMETRIC) {
        const auto scale = static_cast<float>(std::max(-low, high) / ((kLevels - 1) / 2.0));
        return {scale, kLevels / 2};
    }
    const auto scale = static_cast<float>((high - low) / (kLevels - 1));
    return {scale, std::clamp(static_cast<int>(std::lround(-low / scale)), 0, kLevels - 1)};
}

// compressed-tensors: codes packed along the inputs, zero points along the outputs.
struct Packed {
    std::vector<uint32_t> codes;  // [N, K/8]
    std::vector<uint32_t> zeros;  // [N/8, G]
    std::vector<float> scales;    // [N, G]
    int groups = 0;               // G
};

Packed quantise(const Linear& linear, const Scheme& scheme) {
    const int group_size =
        scheme.group_size == MMOE_GROUP_SIZE_CHANNEL ? linear.inputs : scheme.group_size;
    Packed packed;
    packed.groups = linear.inputs / group_size;
    packed.codes.resize(linear.weight.size() / kCodesPerWord);
    packed.zeros.resize(static_cast<size_t>(linear.outputs / kCodesPerWord * packed.groups));
    for (int n = 0; n < linear.outputs; ++n) {
        for (int group = 0; group < packed.groups; ++group) {
            const int first = n * linear.inputs + group * group_size;
            const Range range = choose_range(&linear.weight[first], group_size, scheme.symmetry);
            packed.scales.push_back(range.scale);
            packed.zeros[n / kCodesPerWord * packed.groups + group] |=
                static_cast<uint32_t>(range.zero) << n % kCodesPerWord * kBits;
            for (int index = first; index < first + group_size; ++index) {
                const auto step = static_cast<int>(std::lround(linear.weight[index] / range.scale));
                const auto code =
                    static_cast<uint32_t>(std::clamp(step + range.zero, 0, kLevels - 1));
                packed.codes[index / kCodesPerWord] |= code << index % kCodesPerWord * kBits;
            }
        }
    }
    return packed;
}

// ---- The quantised layer, run by the library --------------------------------------------------

void set_projection(mmoe_bundle* bundle, uint32_t expert, mmoe_projection projection,
                    const Linear& linear, const Scheme& scheme) {
    Packed packed = quantise(linear, scheme);
    const mmoe_tensor codes =
        matrix(packed.codes, MMOE_DTYPE_I32, linear.outputs, linear.inputs / kCodesPerWord);
    const mmoe_tensor scales = matrix(packed.scales, MMOE_DTYPE_F32, linear.outputs, packed.groups);
    call(mmoe_bundle_set, bundle, expert, projection, MMOE_ROLE_WEIGHT, &codes);
    call(mmoe_bundle_set, bundle, expert, projection, MMOE_ROLE_SCALE, &scales);
    if (scheme.symmetry == MMOE_SYMMETRIC) return;
    const mmoe_tensor zeros =
        matrix(packed.zeros, MMOE_DTYPE_I32, linear.outputs / kCodesPerWord, packed.groups);
    call(mmoe_bundle_set, bundle, expert, projection, MMOE_ROLE_ZERO_POINT, &zeros);
}

auto make_bundle(mmoe_context* context, const std::vector<Expert>& experts, const Scheme& scheme) {
    auto fields = sized<mmoe_quant_fields>();
    fields.bits = kBits;
    fields.group_size = scheme.group_size;
    fields.symmetry = scheme.symmetry;
    fields.scale_dtype = MMOE_DTYPE_F32;
    auto layer = sized<mmoe_layer>();
    layer.expert_count = kExperts;
    layer.hidden_size = kHidden;
    layer.intermediate_size = kIntermediate;
    const auto config = make(&mmoe_quant_config_destroy, mmoe_quant_config_create, &fields);
    auto bundle =
        make(&mmoe_bundle_destroy, mmoe_bundle_create, context, config.get(), &layer, nullptr);
    for (uint32_t e = 0; e < kExperts; ++e) {
        set_projection(bundle.get(), e, MMOE_PROJECTION_GATE, experts[e].gate, scheme);
        set_projection(bundle.get(), e, MMOE_PROJECTION_UP, experts[e].up, scheme);
        set_projection(bundle.get(), e, MMOE_PROJECTION_DOWN, experts[e].down, scheme);
    }
    call(mmoe_bundle_seal, bundle.get());
    return bundle;
}

// [T, H].
std::vector<float> quantised_output(mmoe_context* context, const std::vector<Expert>& experts,
                                    Batch batch, const Scheme& scheme) {
    const auto bundle = make_bundle(context, experts, scheme);
    auto options = sized<mmoe_executor_options>();
    options.max_tokens = kTokens;
    options.max_top_k = kTopK;
    options.hidden_dtype = MMOE_DTYPE_F32;
    options.precision = MMOE_PRECISION_EXACT;
    const auto executor =
        make(&mmoe_executor_destroy, mmoe_executor_create, context, bundle.get(), &options);
    std::vector<float> output(kTokens * kHidden);
    auto args = sized<mmoe_run_args>();
    args.hidden = matrix(batch.hidden, MMOE_DTYPE_F32, kTokens, kHidden);
    args.expert_ids = matrix(batch.ids, MMOE_DTYPE_I32, kTokens, kTopK);
    args.expert_weights = matrix(batch.weights, MMOE_DTYPE_F32, kTokens, kTopK);
    args.output = matrix(output, MMOE_DTYPE_F32, kTokens, kHidden);
    call(mmoe_executor_run, executor.get(), bundle.get(), &args, nullptr);
    return output;
}

// ||got - want|| / ||want||.
double relative_error(const std::vector<float>& got, const std::vector<double>& want) {
    double difference = 0;
    double size = 0;
    for (size_t i = 0; i < want.size(); ++i) {
        difference += (got[i] - want[i]) * (got[i] - want[i]);
        size += want[i] * want[i];
    }
    return std::sqrt(difference / size);
}

// One line a group size; whether zero points helped at all of them.
bool compare() {
    std::mt19937 random(1);
    std::vector<Expert> experts;
    for (int e = 0; e < kExperts; ++e) {
        Linear gate = make_linear(kIntermediate, kHidden, random);
        Linear up = make_linear(kIntermediate, kHidden, random);
        experts.push_back(
            {std::move(gate), std::move(up), make_linear(kHidden, kIntermediate, random)});
    }
    const Batch batch = make_batch(random);
    const std::vector<double> want = unquantised_output(experts, batch);
    auto options = sized<mmoe_context_options>();
    options.device_kind = MMOE_DEVICE_CPU;
    const auto context = make(&mmoe_context_destroy, mmoe_context_create, &options);
    bool always_better = true;
    std::printf("error of a layer with %d-bit weights against the unquantised one\n", kBits);
    std::printf("%-8s  %9s  %10s  %5s\n", "group", "symmetric", "asymmetric", "ratio");
    for (const int group_size : {32, 64, 128, MMOE_GROUP_SIZE_CHANNEL}) {
        const auto error_of = [&](mmoe_symmetry symmetry) {
            return relative_error(
                quantised_output(context.get(), experts, batch, {group_size, symmetry}), want);
        };
        const double symmetric = error_of(MMOE_SYMMETRIC);
        const double asymmetric = error_of(MMOE_ASYMMETRIC);
        const std::string group =
            group_size == MMOE_GROUP_SIZE_CHANNEL ? "channel" : std::to_string(group_size);
        std::printf("%-8s  %9.4f  %10.4f  %5.2f\n", group.c_str(), symmetric, asymmetric,
                    asymmetric / symmetric);
        always_better = always_better && asymmetric < symmetric;
    }
    return always_better;
}

}  // namespace

int main() {
    try {
        const bool always_better = compare();
        std::printf("zero points %s\n",
                    always_better ? "help at every group size" : "did NOT help");
        return always_better ? 0 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
