// SPDX-License-Identifier: Apache-2.0
// mmoe verify: is what the library computes what the checkpoint means? Every case is run twice,
// or in one precision that was named: with 16-bit output in the default precision, and with fp32
// output in the exact one. The answer
// comes from a reference file, or from plain double arithmetic on random tokens.
#include <chrono>
#include <cstdio>
#include <optional>

#include "commands.h"
#include "device.h"
#include "layer_view.h"
#include "number.h"
#include "options.h"
#include "oracle.h"
#include "progress.h"
#include "reference.h"
#include "runner.h"

namespace mmoe_tool {
namespace {

// Rounding the output to bf16 alone costs 1.1e-3 (uniform over 2^-9 relative); the default
// precision may add 1e-4 to 3e-4 before that.
constexpr double kDefaultTolerance = 3e-3;
// CUDA kernels also keep activations between the GEMMs in 16 bits, as other projects' do; theirs
// were measured to be off by 7.2e-3 at worst.
constexpr double kCudaTolerance = 7.2e-3;
// fp32 sums of up to ten thousand products.
constexpr double kExactTolerance = 1e-5;
// Two products with activations that were rounded to 8 bits: 2e-2 where they are even, and up to
// 5.1e-2 in checkpoints whose inputs hold outliers; their largest differences alike.
constexpr double kInt8Tolerance = 6e-2;
// Of the largest output, against weights that were rounded to 16 bits: twice what 16-bit
// evaluation by transformers was seen to be off by.
constexpr double kPeakToleranceBf16 = 1.5e-2;
constexpr double kPeakToleranceF16 = 2.5e-3;
constexpr double kPeakToleranceInt8 = kInt8Tolerance;

struct Mode {
    mmoe_dtype output_dtype;
    mmoe_precision precision;
};

RunShape run_shape(const LayerView& view, const ReferenceCase& c, const Mode& mode) {
    return {c.tokens,       c.top_k, view.layer.hidden_size, c.dtype, mode.output_dtype,
            mode.precision, {}};
}

// The CPU has an exact mode, so a refusal there is a failure; CUDA need not have one.
bool offers(const Device& device, const LayerView& view, const RunShape& shape) {
    if (shape.precision == MMOE_PRECISION_DEFAULT || device.kind == MMOE_DEVICE_CPU) return true;
    const mmoe_executor_options options = executor_options(shape);
    auto plan = sized<mmoe_memory_plan>();
    try {
        call(mmoe_executor_plan, device.context.get(), view.config.get(), &view.layer, &options,
             &plan);
    } catch (const Refused& refused) {
        if (refused.status() != MMOE_ERR_UNSUPPORTED) throw;
        return false;
    }
    return true;
}

double tolerance_of(const Device& device, mmoe_precision precision) {
    if (precision == MMOE_PRECISION_EXACT) return kExactTolerance;
    if (device.kind == MMOE_DEVICE_CUDA) return kCudaTolerance;
    return precision == MMOE_PRECISION_INT8 ? kInt8Tolerance : kDefaultTolerance;
}

double peak_tolerance_of(mmoe_dtype hidden, mmoe_precision precision) {
    if (precision == MMOE_PRECISION_INT8) return kPeakToleranceInt8;
    return hidden == MMOE_DTYPE_F16 ? kPeakToleranceF16 : kPeakToleranceBf16;
}

Json check_mode(const Device& device, const mmoe_bundle* bundle, const LayerView& view,
                const ReferenceCase& c, const Mode& mode) {
    Runner runner(device, bundle, run_shape(view, c, mode));
    runner.set_hidden(c.hidden);
    runner.set_experts(c.ids);
    runner.set_router_weights(c.weights);
    runner.run(bundle);  // the first run starts threads
    const auto start = std::chrono::steady_clock::now();
    runner.run(bundle);
    const std::chrono::duration<double, std::milli> elapsed =
        std::chrono::steady_clock::now() - start;

    const double error = relative_error(runner.output(), c.exact);
    const double tolerance = tolerance_of(device, mode.precision);
    Json json;
    json["layer"] = view.place.model_layer;
    json["scheme"] = scheme_text(view.fields);
    json["device"] = device.name;
    json["tokens"] = c.tokens;
    json["hidden"] = dtype_name(c.dtype);
    json["output"] = dtype_name(mode.output_dtype);
    json["precision"] = precision_name(mode.precision);
    json["milliseconds"] = elapsed.count();
    json["error"] = error;
    json["tolerance"] = tolerance;
    bool ok = error <= tolerance;
    if (!c.rounded.empty()) {
        const double peak = peak_error(runner.output(), c.rounded);
        const double peak_tolerance = peak_tolerance_of(c.dtype, mode.precision);
        json["peak_error"] = peak;
        json["peak_tolerance"] = peak_tolerance;
        ok = ok && peak <= peak_tolerance;
    }
    json["ok"] = ok;
    return json;
}

void print_check(const Json& check) {
    std::printf("layer %3d  %-22s %s %5d tokens  %s -> %s %-7s  %8.3f ms  error %.2e (<= %.0e)",
                check["layer"].get<int>(), check["scheme"].get<std::string>().c_str(),
                check["device"].get<std::string>().c_str(), check["tokens"].get<int>(),
                check["hidden"].get<std::string>().c_str(),
                check["output"].get<std::string>().c_str(),
                check["precision"].get<std::string>().c_str(), check["milliseconds"].get<double>(),
                check["error"].get<double>(), check["tolerance"].get<double>());
    if (check.contains("peak_error")) {
        std::printf(", peak %.2e (<= %.1e)", check["peak_error"].get<double>(),
                    check["peak_tolerance"].get<double>());
    }
    std::printf("  %s\n", check["ok"].get<bool>() ? "ok" : "FAIL");
}

std::vector<ReferenceCase> cases_of(const mmoe_checkpoint* checkpoint,
                                    const mmoe_checkpoint* reference, const LayerView& view,
                                    int64_t tokens) {
    std::vector<ReferenceCase> cases;
    if (reference == nullptr) {
        cases.push_back(oracle_case(checkpoint, view, tokens));
        return cases;
    }
    for (const std::string& prefix : case_prefixes(reference, view.place.model_layer)) {
        cases.push_back(read_case(reference, prefix, view.layer));
    }
    return cases;
}

struct Request {
    std::string directory, reference, device = "cpu";
    int64_t layer = -1, tokens = 4, threads = 0;
    std::optional<mmoe_precision> precision;
    bool json = false;
};

// The modes to check a case of this type in.
std::vector<Mode> modes_of(const Request& request, mmoe_dtype hidden) {
    const auto mode = [&](mmoe_precision precision) {
        return Mode{precision == MMOE_PRECISION_EXACT ? MMOE_DTYPE_F32 : hidden, precision};
    };
    if (request.precision) return {mode(*request.precision)};
    return {mode(MMOE_PRECISION_DEFAULT), mode(MMOE_PRECISION_EXACT)};
}

void check_layer(const Device& device, const mmoe_checkpoint* checkpoint, const LayerView& view,
                 const Request& request, const std::vector<ReferenceCase>& cases, Json& checks) {
    Progress progress("layer " + std::to_string(view.index));
    const mmoe_bundle_options options = progress.bundle_options();
    const auto bundle =
        make<mmoe_bundle>(mmoe_bundle_load, device.context.get(), checkpoint, view.index, &options);
    for (const ReferenceCase& c : cases) {
        for (const Mode& mode : modes_of(request, c.dtype)) {
            if (!offers(device, view, run_shape(view, c, mode))) continue;
            checks.push_back(check_mode(device, bundle.get(), view, c, mode));
        }
    }
}

Json verify(const Request& request) {
    const Device device = open_device(request.device, request.threads);
    const auto checkpoint = make<mmoe_checkpoint>(mmoe_checkpoint_open, device.context.get(),
                                                  request.directory.c_str(), nullptr);
    Owned<mmoe_checkpoint> reference;
    if (!request.reference.empty()) {
        reference = make<mmoe_checkpoint>(mmoe_checkpoint_open, device.context.get(),
                                          request.reference.c_str(), nullptr);
    }
    Json checks = Json::array();
    for (const uint32_t index : chosen_layers(checkpoint.get(), request.layer)) {
        const LayerView view = view_layer(checkpoint.get(), index);
        const auto cases = cases_of(checkpoint.get(), reference.get(), view, request.tokens);
        check_layer(device, checkpoint.get(), view, request, cases, checks);
    }
    return checks;
}

}  // namespace

int run_verify(int argc, char** argv) {
    Request request;
    const CommandLine line = {
        "verify",
        "Runs every case of a reference file through a checkpoint's layers; without one, random "
        "tokens\nagainst plain double arithmetic. error: relative L2; peak: largest difference / "
        "largest output.\nExit status 0: all within tolerance; 1: not, or there was no case.",
        {"DIR"},
        {{"reference", "FILE", "safetensors file of cases (none)", into(&request.reference)},
         {"layer", "L", "one MoE layer, from 0 (all)", into(&request.layer, 0, INT32_MAX)},
         {"tokens", "T", "random tokens without a reference (4)",
          into(&request.tokens, 1, 1 << 16)},
         {"precision", kPrecisions, "arithmetic (default, then exact)",
          [&](const std::string& text) { request.precision = parse_precision(text); }},
         {"device", "cpu|cuda:N", "device (cpu)", into(&request.device)},
         {"threads", "N", "CPU threads; 0: all (0)", into(&request.threads, 0, 1024)},
         {"json", nullptr, "print JSON", into(&request.json)}}};
    request.directory = parse(line, argc, argv)[0];
    const Json checks = verify(request);
    size_t passed = 0;
    for (const Json& check : checks) passed += check["ok"].get<bool>() ? 1 : 0;
    const bool ok = passed == checks.size() && !checks.empty();
    if (request.json) {
        Json report;
        report["checkpoint"] = request.directory;
        report["ok"] = ok;
        report["checks"] = checks;
        std::printf("%s\n", report.dump(2).c_str());
    } else {
        for (const Json& check : checks) print_check(check);
        std::printf("%zu of %zu checks passed: %s\n", passed, checks.size(),
                    request.directory.c_str());
    }
    return ok ? kExitOk : kExitCheckFailed;
}

}  // namespace mmoe_tool
