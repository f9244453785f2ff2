// SPDX-License-Identifier: Apache-2.0
// From a model directory to the output of its layers, through the public API: checkpoints and
// answers written by other libraries (the fixtures), in the formats of all their quantisers.
//
//   ROOT/{ct,awq_gptq}/NAME/    config.json, shards, and moe_io.safetensors with the tensors
//                               layerL.mT.{hidden_states, router_logits, topk_ids, topk_weights,
//                               expected_exact} for T tokens; the answers are float64, stored
//                               as f32
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "oracle/moe_oracle.h"
#include "parity/handles.h"
#include "parity/quantized.h"
#include "support/fixture_models.h"

namespace fs = std::filesystem;
using namespace mmoe::parity;

namespace {

constexpr int64_t kTokenCounts[] = {1, 7, 33};
constexpr int kTopKLimit = 8;

// As in layer_test.cpp; the fixtures' hidden states have outlier channels.
constexpr struct {
    mmoe_precision precision;
    double tolerance;
} kPrecisions[] = {{MMOE_PRECISION_DEFAULT, 3e-4}, {MMOE_PRECISION_EXACT, 1e-5}};
constexpr double kRouterTolerance = 1e-5;  // fp32 softmax against fp32 softmax

Handle<mmoe_context> make_context(const std::string& name) {
    auto options = sized<mmoe_context_options>();
    options.device_kind = MMOE_DEVICE_CPU;
    options.thread_count = 2;
    mmoe_context* context = nullptr;
    Error error{name};
    error.expect_ok(mmoe_context_create(&options, &context, &error.value), "context");
    return Handle<mmoe_context>(context);
}

Handle<mmoe_checkpoint> open(const std::string& name, mmoe_context* context, const fs::path& path) {
    mmoe_checkpoint* checkpoint = nullptr;
    Error error{name};
    error.expect_ok(
        mmoe_checkpoint_open(context, path.string().c_str(), nullptr, &checkpoint, &error.value),
        "open");
    return Handle<mmoe_checkpoint>(checkpoint);
}

// A tensor of a file, with memory of its own.
struct FileTensor {
    mmoe_tensor view{};
    std::vector<uint8_t> bytes;

    [[nodiscard]] std::vector<double> values() const {
        std::vector<double> values(bytes.size() / size_bytes(view.dtype));
        for (size_t i = 0; i < values.size(); ++i) {
            uint32_t bits = 0;
            std::memcpy(&bits, &bytes[i * size_bytes(view.dtype)], size_bytes(view.dtype));
            values[i] = decode(view.dtype, bits);
        }
        return values;
    }
};

FileTensor read(const std::string& name, const mmoe_checkpoint* file, const std::string& tensor) {
    auto info = sized<mmoe_tensor_info>();
    Error error{name};
    error.expect_ok(mmoe_checkpoint_tensor_find(file, tensor.c_str(), &info, &error.value), "find");
    FileTensor result;
    result.bytes.resize(info.byte_count);
    error.expect_ok(mmoe_checkpoint_tensor_read(file, tensor.c_str(), result.bytes.data(),
                                                result.bytes.size(), &error.value),
                    "read");
    result.view.data = result.bytes.data();
    result.view.dtype = info.dtype;
    result.view.rank = info.rank;
    std::copy(info.shape, info.shape + info.rank, result.view.shape);
    return result;
}

// One layer of a model, loaded, with the file of its answers.
struct LoadedLayer {
    std::string name;
    mmoe_context* context;
    const mmoe_bundle* bundle;
    const mmoe_checkpoint* answers;
    uint32_t model_layer;

    [[nodiscard]] FileTensor answer(int64_t tokens, const char* tensor) const {
        return read(
            name, answers,
            "layer" + std::to_string(model_layer) + ".m" + std::to_string(tokens) + "." + tensor);
    }
};

std::vector<double> run(const LoadedLayer& layer, int64_t tokens, mmoe_precision precision) {
    FileTensor hidden = layer.answer(tokens, "hidden_states");
    FileTensor ids = layer.answer(tokens, "topk_ids");
    FileTensor weights = layer.answer(tokens, "topk_weights");
    auto options = sized<mmoe_executor_options>();
    options.max_tokens = static_cast<uint32_t>(tokens);
    options.max_top_k = kTopKLimit;
    options.hidden_dtype = hidden.view.dtype;
    options.output_dtype = MMOE_DTYPE_F32;
    options.precision = precision;
    mmoe_executor* executor = nullptr;
    Error error{layer.name};
    error.expect_ok(
        mmoe_executor_create(layer.context, layer.bundle, &options, &executor, &error.value),
        "executor");
    const Handle<mmoe_executor> owned(executor);
    FileTensor output;
    output.view = hidden.view;
    output.view.dtype = MMOE_DTYPE_F32;
    output.bytes.resize(static_cast<size_t>(tokens * hidden.view.shape[1]) * sizeof(float), 0xFF);
    output.view.data = output.bytes.data();
    auto args = sized<mmoe_run_args>();
    args.hidden = hidden.view;
    args.expert_ids = ids.view;
    args.expert_weights = weights.view;
    args.output = output.view;
    error.expect_ok(mmoe_executor_run(executor, layer.bundle, &args, nullptr, &error.value), "run");
    return output.values();
}

void check_output(const LoadedLayer& layer, int64_t tokens) {
    const std::vector<double> want = layer.answer(tokens, "expected_exact").values();
    for (const auto& row : kPrecisions) {
        const std::vector<double> got = run(layer, tokens, row.precision);
        const double error = mmoe::oracle::relative_error(got, want);
        if (!(error <= row.tolerance)) {
            fail_msg("%s, %d tokens, precision %d: relative error %.3g, allowed %.3g",
                     layer.name.c_str(), static_cast<int>(tokens), row.precision, error,
                     row.tolerance);
        }
    }
}

// The router of the models: softmax over all experts, the best top_k, renormalised.
void check_router(const LoadedLayer& layer, int64_t tokens) {
    FileTensor logits = layer.answer(tokens, "router_logits");
    const FileTensor want_ids = layer.answer(tokens, "topk_ids");
    const FileTensor want_weights = layer.answer(tokens, "topk_weights");
    FileTensor ids = want_ids;
    FileTensor weights = want_weights;
    for (FileTensor* tensor : {&ids, &weights}) {
        std::fill(tensor->bytes.begin(), tensor->bytes.end(), uint8_t{0xFF});
        tensor->view.data = tensor->bytes.data();
    }
    auto args = sized<mmoe_route_args>();
    args.renormalize = 1;
    args.logits = logits.view;
    args.expert_ids = ids.view;
    args.expert_weights = weights.view;
    Error error{layer.name};
    error.expect_ok(mmoe_route(layer.context, &args, nullptr, &error.value), "route");
    if (ids.bytes != want_ids.bytes) fail_msg("%s: other experts chosen", layer.name.c_str());
    const double difference = mmoe::oracle::relative_error(weights.values(), want_weights.values());
    if (!(difference <= kRouterTolerance)) {
        fail_msg("%s: router weights differ by %.3g", layer.name.c_str(), difference);
    }
}

// The number in tensor names of a layer that the support query must grant.
uint32_t served_layer(const std::string& name, mmoe_context* context,
                      const mmoe_checkpoint* checkpoint, uint32_t index) {
    auto layer = sized<mmoe_layer>();
    auto place = sized<mmoe_layer_place>();
    auto support = sized<mmoe_support>();
    mmoe_quant_config* config = nullptr;
    Error error{name};
    error.expect_ok(
        mmoe_checkpoint_layer_info(checkpoint, index, &layer, &place, &config, &error.value),
        "layer");
    const Handle<mmoe_quant_config> owned(config);
    error.expect_ok(mmoe_support_query(context, config, &layer, nullptr, &support, &error.value),
                    "support");
    if (support.supported == 0) fail_msg("%s: %s", name.c_str(), support.sentence);
    return place.model_layer;
}

// Layers checked.
int check_model(const fs::path& path) {
    const std::string name = path.filename().string();
    const auto context = make_context(name);
    const auto checkpoint = open(name, context.get(), path);
    const auto answers = open(name, context.get(), path / "moe_io.safetensors");
    int checked = 0;
    for (uint32_t i = 0; i < mmoe_checkpoint_layer_count(checkpoint.get()); ++i) {
        const uint32_t model_layer = served_layer(name, context.get(), checkpoint.get(), i);
        mmoe_bundle* bundle = nullptr;
        Error error{name};
        error.expect_ok(
            mmoe_bundle_load(context.get(), checkpoint.get(), i, nullptr, &bundle, &error.value),
            "load");
        const Handle<mmoe_bundle> owned(bundle);
        const LoadedLayer layer{name, context.get(), bundle, answers.get(), model_layer};
        for (const int64_t tokens : kTokenCounts) {
            check_output(layer, tokens);
            check_router(layer, tokens);
        }
        ++checked;
    }
    return checked;
}

void layers_of_other_libraries_come_out_right(void** /*state*/) {
    const std::vector<fs::path> models = mmoe::fixture_models(MMOE_TEST_DATA);
    if (models.empty()) {
        print_message("no fixtures here: set MMOE_FIXTURES\n");
        skip();
    }
    int layers = 0;
    for (const fs::path& model : models) layers += check_model(model);
    print_message("%zu models, %d layers\n", models.size(), layers);
    assert_true(layers > 0);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(layers_of_other_libraries_come_out_right)};
    return cmocka_run_group_tests_name("parity_checkpoint", tests, nullptr, nullptr);
}
