// SPDX-License-Identifier: Apache-2.0
#include "fault/small_world.h"

#include <filesystem>
#include <random>

using namespace mmoe::test;

namespace mmoe::fault {
namespace {

bool ends_with(const std::string& text, const char* end) {
    const std::string suffix = end;
    return text.size() >= suffix.size() &&
           text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

// Scales lie in [2^-7, 2^-6), everything else is any bits; groups of an activation order take
// turns.
void fill(const std::string& name, const SmallTensor& tensor, std::mt19937& random, char* data) {
    if (!tensor.numbers.empty()) return;
    for (size_t i = 0; i < tensor.bytes(); i += tensor.dtype == "BF16" ? 2 : 4) {
        if (tensor.dtype == "BF16") {
            const auto bits = static_cast<uint16_t>(0x3C00 + random() % 0x80);
            std::memcpy(data + i, &bits, sizeof bits);
            continue;
        }
        auto word = static_cast<uint32_t>(random());
        if (ends_with(name, "g_idx"))
            word = static_cast<uint32_t>(i / 4 * kGroup % tensor.shape[0] / kGroup);
        std::memcpy(data + i, &word, sizeof word);
    }
}

void add_group_indices(SmallTensors* model) {
    const SmallTensors plain = *model;
    for (const auto& [name, tensor] : plain) {
        if (!ends_with(name, ".weight_shape")) continue;
        const std::string module = name.substr(0, name.rfind('.'));
        (*model)[module + ".weight_g_idx"] = {"I32", {tensor.numbers[1]}};
    }
}

}  // namespace

std::string file_with_numbers(const SmallTensors& tensors) {
    std::string file = safetensors_of(tensors);
    size_t data_bytes = 0;
    for (const auto& [name, tensor] : tensors) data_bytes += tensor.bytes();
    std::mt19937 random(1);
    size_t at = file.size() - data_bytes;
    for (const auto& [name, tensor] : tensors) {
        fill(name, tensor, random, file.data() + at);
        at += tensor.bytes();
    }
    return file;
}

void write_model(const ScratchFolder& folder, bool ordered) {
    SmallTensors all = packed_model();
    if (ordered) add_group_indices(&all);
    SmallTensors first, second;
    for (const auto& [name, tensor] : all) {
        (first.size() * 2 < all.size() ? first : second)[name] = tensor;
    }
    folder.write("model-1.safetensors", file_with_numbers(first));
    folder.write("model-2.safetensors", file_with_numbers(second));
    folder.write("model.safetensors.index.json",
                 index_of({{"model-1.safetensors", first}, {"model-2.safetensors", second}}));
    folder.write("config.json", "{" + (ordered ? ordered4() : kAsymmetric4) + "}");
}

Call::Call()
    : output(kTokens * kHidden),
      hidden_(kTokens * kHidden),
      ids_(kTokens * kTopK),
      weights_(kTokens * kTopK, 0.5F) {
    for (size_t i = 0; i < hidden_.size(); ++i) hidden_[i] = static_cast<float>(i % 17) / 8 - 1;
    for (size_t i = 0; i < ids_.size(); ++i) ids_[i] = static_cast<int32_t>(i % kExperts);
}

mmoe_run_args Call::args() {
    auto args = sized<mmoe_run_args>();
    args.hidden = {hidden_.data(), MMOE_DTYPE_F32, 2, {kTokens, kHidden}, {}};
    args.expert_ids = {ids_.data(), MMOE_DTYPE_I32, 2, {kTokens, kTopK}, {}};
    args.expert_weights = {weights_.data(), MMOE_DTYPE_F32, 2, {kTokens, kTopK}, {}};
    args.output = {output.data(), MMOE_DTYPE_F32, 2, {kTokens, kHidden}, {}};
    return args;
}

mmoe_status Call::run(mmoe_executor* executor, const mmoe_bundle* bundle, mmoe_error* error) {
    const mmoe_run_args operands = args();
    return mmoe_executor_run(executor, bundle, &operands, nullptr, error);
}

mmoe_executor_options executor_options() {
    auto options = sized<mmoe_executor_options>();
    options.max_tokens = Call::kTokens;
    options.max_top_k = Call::kTopK;
    options.hidden_dtype = MMOE_DTYPE_F32;
    return options;
}

ExpertMemory::ExpertMemory(uint32_t seed) {
    std::mt19937 random(seed);
    const struct {
        mmoe_projection projection;
        int64_t n, k;
    } linears[] = {{MMOE_PROJECTION_GATE, kIntermediate, kHidden},
                   {MMOE_PROJECTION_UP, kIntermediate, kHidden},
                   {MMOE_PROJECTION_DOWN, kHidden, kIntermediate}};
    for (const auto& [projection, n, k] : linears) {
        const struct {
            mmoe_role role;
            mmoe_dtype dtype;
            int64_t rows, columns;
        } parts[] = {{MMOE_ROLE_WEIGHT, MMOE_DTYPE_I32, n, k / 8},
                     {MMOE_ROLE_SCALE, MMOE_DTYPE_BF16, n, k / kGroup},
                     {MMOE_ROLE_ZERO_POINT, MMOE_DTYPE_I32, n / 8, k / kGroup}};
        for (const auto& [role, dtype, rows, columns] : parts) {
            std::vector<uint32_t>& memory = words.emplace_back(static_cast<size_t>(rows * columns));
            for (uint32_t& word : memory) {
                word = role == MMOE_ROLE_SCALE ? 0x3C103C20U : static_cast<uint32_t>(random());
            }
            tensors.push_back({projection, role, {memory.data(), dtype, 2, {rows, columns}, {}}});
        }
    }
}

Handle<mmoe_context> make_context(const mmoe_context_options& options) {
    mmoe_context* context = nullptr;
    Error error{"context"};
    error.expect_ok(mmoe_context_create(&options, &context, &error.value), "create");
    return Handle<mmoe_context>(context);
}

Handle<mmoe_quant_config> make_config() {
    auto fields = sized<mmoe_quant_fields>();
    fields.bits = 4;
    fields.group_size = kGroup;
    fields.symmetry = MMOE_ASYMMETRIC;
    mmoe_quant_config* config = nullptr;
    Error error{"config"};
    error.expect_ok(mmoe_quant_config_create(&fields, &config, &error.value), "create");
    return Handle<mmoe_quant_config>(config);
}

mmoe_layer small_layer() {
    auto layer = sized<mmoe_layer>();
    layer.expert_count = kExperts;
    layer.hidden_size = kHidden;
    layer.intermediate_size = kIntermediate;
    return layer;
}

Handle<mmoe_checkpoint> open_checkpoint(mmoe_context* context, const std::string& path) {
    mmoe_checkpoint* checkpoint = nullptr;
    Error error{"checkpoint"};
    error.expect_ok(mmoe_checkpoint_open(context, path.c_str(), nullptr, &checkpoint, &error.value),
                    "open");
    return Handle<mmoe_checkpoint>(checkpoint);
}

Handle<mmoe_bundle> load_bundle(mmoe_context* context, const mmoe_checkpoint* checkpoint) {
    mmoe_bundle* bundle = nullptr;
    Error error{"bundle"};
    error.expect_ok(mmoe_bundle_load(context, checkpoint, 0, nullptr, &bundle, &error.value),
                    "load");
    return Handle<mmoe_bundle>(bundle);
}

Handle<mmoe_executor> make_executor(mmoe_context* context, const mmoe_bundle* bundle) {
    const mmoe_executor_options options = executor_options();
    mmoe_executor* executor = nullptr;
    Error error{"executor"};
    error.expect_ok(mmoe_executor_create(context, bundle, &options, &executor, &error.value),
                    "create");
    return Handle<mmoe_executor>(executor);
}

int open_descriptors() {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        (void)entry;
        ++count;
    }
    return count;
}

}  // namespace mmoe::fault
