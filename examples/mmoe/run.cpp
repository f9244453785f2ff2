// SPDX-License-Identifier: Apache-2.0
// mmoe run: load a layer, send random tokens through it, print time and checksum. The same
// checkpoint, seed and device kind give the same checksum at any number of threads.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "commands.h"
#include "device.h"
#include "layer_view.h"
#include "number.h"
#include "options.h"
#include "progress.h"
#include "runner.h"

namespace mmoe_tool {
namespace {

double milliseconds(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
}

// FNV-1a, 64 bits.
std::string checksum(const std::vector<uint8_t>& bytes) {
    uint64_t hash = 0xCBF29CE484222325;
    for (const uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001B3;
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
    return text;
}

double root_mean_square(const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value * value;
    return std::sqrt(sum / static_cast<double>(values.size()));
}

struct Request {
    std::string device = "cpu";
    int64_t layer = 0, tokens = 16, threads = 0, seed = 1;
    mmoe_precision precision = MMOE_PRECISION_DEFAULT;
    bool json = false;
};

Json run_one(const Device& device, const mmoe_checkpoint* checkpoint, const LayerView& view,
             const Request& request) {
    const int64_t tokens = request.tokens;
    Progress progress("loading");
    Owned<mmoe_bundle> bundle;
    const double load_ms = milliseconds([&] {
        const mmoe_bundle_options options = progress.bundle_options();
        bundle = make<mmoe_bundle>(mmoe_bundle_load, device.context.get(), checkpoint, view.index,
                                   &options);
    });
    RunShape shape;
    shape.tokens = tokens;
    shape.top_k = std::max<int64_t>(view.place.top_k, 1);
    shape.hidden_size = view.layer.hidden_size;
    shape.hidden_dtype = shape.output_dtype = hidden_dtype(checkpoint, view);
    shape.precision = request.precision;
    Runner runner(device, bundle.get(), shape);
    Random random(static_cast<uint64_t>(request.seed));
    std::vector<float> hidden(static_cast<size_t>(tokens * shape.hidden_size));
    for (float& value : hidden) value = random.normal();
    runner.set_hidden(encode(shape.hidden_dtype, hidden));
    runner.set_experts(random_experts(random, tokens, shape.top_k, view.layer.expert_count));
    runner.set_router_weights(random_router_weights(random, tokens, shape.top_k));
    runner.run(bundle.get());  // the first run starts threads
    Json json = layer_json(view);
    json["tokens"] = tokens;
    json["dtype"] = dtype_name(shape.hidden_dtype);
    json["load_ms"] = load_ms;
    json["run_ms"] = milliseconds([&] { runner.run(bundle.get()); });
    json["output_rms"] = root_mean_square(runner.output());
    json["checksum"] = checksum(runner.output_bytes());
    json["kernels"] = runner.explain(bundle.get());
    return json;
}

}  // namespace

int run_layer(int argc, char** argv) {
    Request request;
    const auto arguments =
        parse({"run",
               "Loads a layer, sends random tokens through it, and prints time and checksum.",
               {"DIR"},
               {{"layer", "L", "which MoE layer, from 0 (0)", into(&request.layer, 0, INT32_MAX)},
                {"tokens", "T", "tokens (16)", into(&request.tokens, 1, 1 << 20)},
                {"seed", "N", "of the random numbers (1)", into(&request.seed, 0, INT64_MAX)},
                {"precision", kPrecisions, "arithmetic (default)",
                 [&](const std::string& text) { request.precision = parse_precision(text); }},
                {"device", "cpu|cuda:N", "device (cpu)", into(&request.device)},
                {"threads", "N", "CPU threads; 0: all (0)", into(&request.threads, 0, 1024)},
                {"json", nullptr, "print JSON", into(&request.json)}}},
              argc, argv);
    const Device device = open_device(request.device, request.threads);
    const auto checkpoint = make<mmoe_checkpoint>(mmoe_checkpoint_open, device.context.get(),
                                                  arguments[0].c_str(), nullptr);
    const uint32_t index = chosen_layers(checkpoint.get(), request.layer).at(0);
    const Json result =
        run_one(device, checkpoint.get(), view_layer(checkpoint.get(), index), request);
    if (request.json) {
        std::printf("%s\n", result.dump(2).c_str());
    } else {
        std::printf(
            "layer %d, %s, %s, %d tokens: load %.1f ms, run %.3f ms, rms %.4g, checksum %s\n",
            result["layer"].get<int>(), result["scheme"].get<std::string>().c_str(),
            device.name.c_str(), result["tokens"].get<int>(), result["load_ms"].get<double>(),
            result["run_ms"].get<double>(), result["output_rms"].get<double>(),
            result["checksum"].get<std::string>().c_str());
    }
    return kExitOk;
}

}  // namespace mmoe_tool
