// SPDX-License-Identifier: Apache-2.0
#include "bench_layer.h"

#include <algorithm>
#include <cmath>

#include "options.h"
#include "progress.h"

namespace mmoe_tool {
namespace {

struct NamedShape {
    const char* name;
    int64_t experts, top_k, hidden, intermediate;
};
constexpr NamedShape kShapes[] = {
    {"qwen3-30b", 128, 8, 2048, 768},
    {"qwen3.5-122b", 256, 8, 3072, 1024},
    {"mixtral-8x7b", 8, 2, 4096, 14336},
    {"deepseek-v3", 256, 8, 7168, 2048},
};

// More than the last-level cache that one of its threads can fill on processors we know of.
constexpr uint64_t kRotatedBytes = uint64_t{256} << 20;
constexpr uint64_t kMostBundles = 64;
// Experts differ enough for any kernel; drawing all of them would only take longer.
constexpr int64_t kDistinctExperts = 2;

// One projection in the packing of compressed-tensors: N outputs, K inputs, G groups, b bits.
struct Linear {
    mmoe_projection projection;
    std::vector<uint32_t> weight;      // [N, K*b/32]
    std::vector<uint8_t> scale;        // [N, G]
    std::vector<uint32_t> zero_point;  // [N*b/32, G]; empty if symmetric
    int64_t outputs, words, groups, zero_point_rows;
};

std::vector<uint32_t> random_words(Random& random, int64_t count) {
    std::vector<uint32_t> words(static_cast<size_t>(count));
    for (uint32_t& word : words) word = static_cast<uint32_t>(random.bits() >> 32);
    return words;
}

Linear random_linear(Random& random, const BenchLayer& layer, mmoe_projection projection) {
    const bool down = projection == MMOE_PROJECTION_DOWN;
    const int64_t inputs = down ? layer.intermediate : layer.hidden;
    const int64_t codes_per_word = 32 / layer.bits;
    Linear linear{};
    linear.projection = projection;
    linear.outputs = down ? layer.hidden : layer.intermediate;
    linear.words = (inputs + codes_per_word - 1) / codes_per_word;
    linear.groups = layer.group_size == MMOE_GROUP_SIZE_CHANNEL ? 1 : inputs / layer.group_size;
    linear.weight = random_words(random, linear.outputs * linear.words);
    // Keeps outputs near the size of inputs: codes are uniform over 2^b.
    const double usual = std::sqrt(12.0 / static_cast<double>(inputs)) / std::exp2(layer.bits);
    std::vector<float> scales(static_cast<size_t>(linear.outputs * linear.groups));
    for (float& scale : scales) scale = static_cast<float>(usual) * (random.uniform() + 0.5F);
    linear.scale = encode(layer.dtype, scales);
    if (layer.asymmetric) {
        linear.zero_point_rows = (linear.outputs + codes_per_word - 1) / codes_per_word;
        linear.zero_point = random_words(random, linear.zero_point_rows * linear.groups);
    }
    return linear;
}

void set_tensor(mmoe_bundle* bundle, uint32_t expert, const Linear& linear, mmoe_role role,
                const void* data, mmoe_dtype dtype, int64_t rows, int64_t columns) {
    mmoe_tensor tensor{};
    tensor.data = const_cast<void*>(data);  // the library only reads it
    tensor.dtype = dtype;
    tensor.rank = 2;
    tensor.shape[0] = rows;
    tensor.shape[1] = columns;
    call(mmoe_bundle_set, bundle, expert, linear.projection, role, &tensor);
}

void set_linear(mmoe_bundle* bundle, uint32_t expert, const BenchLayer& layer,
                const Linear& linear) {
    set_tensor(bundle, expert, linear, MMOE_ROLE_WEIGHT, linear.weight.data(), MMOE_DTYPE_I32,
               linear.outputs, linear.words);
    set_tensor(bundle, expert, linear, MMOE_ROLE_SCALE, linear.scale.data(), layer.dtype,
               linear.outputs, linear.groups);
    if (layer.asymmetric) {
        set_tensor(bundle, expert, linear, MMOE_ROLE_ZERO_POINT, linear.zero_point.data(),
                   MMOE_DTYPE_I32, linear.zero_point_rows, linear.groups);
    }
}

mmoe_layer layer_of(const BenchLayer& bench) {
    auto layer = sized<mmoe_layer>();
    layer.expert_count = static_cast<uint32_t>(bench.experts);
    layer.hidden_size = static_cast<uint32_t>(bench.hidden);
    layer.intermediate_size = static_cast<uint32_t>(bench.intermediate);
    return layer;
}

}  // namespace

std::string shape_names() {
    std::string names;
    for (const NamedShape& shape : kShapes) names += std::string(shape.name) + "|";
    return names + "E,k,H,I";
}

void set_shape(BenchLayer* layer, const std::string& text) {
    for (const NamedShape& shape : kShapes) {
        if (text != shape.name) continue;
        layer->experts = shape.experts;
        layer->top_k = shape.top_k;
        layer->hidden = shape.hidden;
        layer->intermediate = shape.intermediate;
        return;
    }
    std::vector<int64_t> numbers;
    for (const std::string& part : split(text, ',')) {
        numbers.push_back(parse_number(part, 1, 1 << 20));
    }
    if (numbers.size() != 4 || numbers[1] > numbers[0]) {
        throw UsageError("expected a shape " + shape_names() + ", got '" + text + "'");
    }
    layer->experts = numbers[0];
    layer->top_k = numbers[1];
    layer->hidden = numbers[2];
    layer->intermediate = numbers[3];
}

mmoe_quant_fields quant_fields(const BenchLayer& layer) {
    auto fields = sized<mmoe_quant_fields>();
    fields.bits = static_cast<int32_t>(layer.bits);
    fields.group_size = static_cast<int32_t>(layer.group_size);
    fields.symmetry = layer.asymmetric ? MMOE_ASYMMETRIC : MMOE_SYMMETRIC;
    fields.scale_dtype = layer.dtype;
    return fields;
}

BenchWeights::BenchWeights(const Device& device, const BenchLayer& layer) {
    const mmoe_quant_fields fields = quant_fields(layer);
    const auto config = make<mmoe_quant_config>(mmoe_quant_config_create, &fields);
    const mmoe_layer shape = layer_of(layer);
    auto plan = sized<mmoe_memory_plan>();
    call(mmoe_bundle_plan, device.context.get(), config.get(), &shape, nullptr, &plan);
    bundle_bytes_ = plan.resident_bytes;
    const uint64_t bundle_count =
        std::clamp<uint64_t>((kRotatedBytes + bundle_bytes_ - 1) / bundle_bytes_, 1, kMostBundles);

    Random random(7);
    std::vector<Linear> experts;  // the three projections of one after those of the other
    for (int64_t e = 0; e < kDistinctExperts; ++e) {
        for (const auto projection :
             {MMOE_PROJECTION_GATE, MMOE_PROJECTION_UP, MMOE_PROJECTION_DOWN}) {
            experts.push_back(random_linear(random, layer, projection));
        }
    }
    Progress progress("weights");
    for (uint64_t b = 0; b < bundle_count; ++b) {
        bundles_.push_back(make<mmoe_bundle>(mmoe_bundle_create, device.context.get(), config.get(),
                                             &shape, nullptr));
        for (uint32_t e = 0; e < shape.expert_count; ++e) {
            for (size_t p = 0; p < 3; ++p) {
                const size_t drawn = e % kDistinctExperts * 3 + p;
                set_linear(bundles_.back().get(), e, layer, experts[drawn]);
            }
            progress.show(b * shape.expert_count + e + 1, bundle_count * shape.expert_count);
        }
        call(mmoe_bundle_seal, bundles_.back().get());
    }
}

const mmoe_bundle* BenchWeights::next() {
    turn_ = (turn_ + 1) % bundles_.size();
    return bundles_[turn_].get();
}

ExpertWalk::ExpertWalk(const BenchLayer& layer, int64_t tokens) : layer_(layer), tokens_(tokens) {}

std::vector<int32_t> ExpertWalk::next() {
    if (tokens_ > 1) return random_experts(random_, tokens_, layer_.top_k, layer_.experts);
    if (deck_.size() < static_cast<size_t>(layer_.top_k)) {
        deck_ = random_experts(random_, 1, layer_.experts, layer_.experts);
    }
    const std::vector<int32_t> ids(deck_.end() - layer_.top_k, deck_.end());
    deck_.resize(deck_.size() - ids.size());
    return ids;
}

}  // namespace mmoe_tool
