// SPDX-License-Identifier: Apache-2.0
// mmoe bench: time of one layer of random weights, per number of tokens, with weights that come
// from memory and not from caches; on the CPU held to what reading and multiplying cost at least.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <set>

#include "bench_layer.h"
#include "commands.h"
#include "device.h"
#include "layer_view.h"
#include "options.h"
#include "probe.h"
#include "progress.h"
#include "runner.h"

namespace mmoe_tool {
namespace {

constexpr size_t kFewestSamples = 11;
constexpr size_t kMostSamples = 20'000;
constexpr int kWarmUps = 3;

struct Request {
    BenchLayer layer;
    std::string shape = "qwen3-30b", device = "cpu", group = "128", dtype = "bf16", tier = "best";
    double seconds = 1;
    std::vector<int64_t> tokens = {1, 16, 256};
    int64_t threads = 0;
    mmoe_precision precision = MMOE_PRECISION_DEFAULT;
    std::string row;
    bool sweep = false, json = false;
};

struct Samples {
    std::vector<double> microseconds;  // rising
    double active_experts = 0;         // mean of a call

    [[nodiscard]] double quantile(double share) const {
        return microseconds[static_cast<size_t>(share *
                                                static_cast<double>(microseconds.size() - 1))];
    }
};

Samples take_samples(Runner& runner, BenchWeights& weights, const BenchLayer& layer, int64_t tokens,
                     double seconds) {
    using Clock = std::chrono::steady_clock;
    using Microseconds = std::chrono::duration<double, std::micro>;
    Samples samples;
    ExpertWalk walk(layer, tokens);
    Progress progress(std::to_string(tokens) + " tokens");
    const auto start = Clock::now();
    double spent = 0;
    for (int run = -kWarmUps; samples.microseconds.size() < kMostSamples; ++run) {
        const std::vector<int32_t> ids = walk.next();
        runner.set_experts(ids);
        const mmoe_bundle* bundle = weights.next();
        const auto begin = Clock::now();
        runner.run(bundle);
        const auto end = Clock::now();
        if (run < 0) continue;
        samples.microseconds.push_back(Microseconds(end - begin).count());
        samples.active_experts += static_cast<double>(std::set(ids.begin(), ids.end()).size());
        spent = std::chrono::duration<double>(end - start).count();
        progress.show(static_cast<uint64_t>(std::min(spent, seconds) * 1000),
                      static_cast<uint64_t>(seconds * 1000));
        if (spent >= seconds && samples.microseconds.size() >= kFewestSamples) break;
    }
    samples.active_experts /= static_cast<double>(samples.microseconds.size());
    std::sort(samples.microseconds.begin(), samples.microseconds.end());
    return samples;
}

// The rows that serve, from the library's explanation: "gemm 1: NAME", not passed over.
std::string chosen_rows(const std::string& explanation) {
    std::vector<std::string> rows;
    for (const std::string& line : split(explanation, '\n')) {
        const size_t colon = line.find(": ");
        if (colon == std::string::npos || line.find(" passed over") != std::string::npos ||
            line.find(" also serves") != std::string::npos) {
            continue;
        }
        const std::string row = line.substr(colon + 2);
        if (std::find(rows.begin(), rows.end(), row) == rows.end()) rows.push_back(row);
    }
    std::string text;
    for (const std::string& row : rows) text += (text.empty() ? "" : " + ") + row;
    return text;
}

// Every row that the explanation names.
std::set<std::string> named_rows(const std::string& explanation) {
    std::set<std::string> rows;
    for (const std::string& line : split(explanation, '\n')) {
        const size_t colon = line.find(": ");
        if (colon == std::string::npos) continue;
        rows.insert(line.substr(colon + 2, line.find(' ', colon + 2) - colon - 2));
    }
    return rows;
}

// What the processor could do; measured beside every number of tokens, since a shared memory
// bus changes from minute to minute.
class Roofs {
  public:
    Roofs(const mmoe_device_description& cpu, int64_t threads, mmoe_cpu_tier tier)
        : tier_(tier == MMOE_CPU_TIER_BEST ? cpu.cpu_tier : tier),
          threads_(threads > 0 ? static_cast<int>(threads) : cpu.processor_count),
          read_(threads_) {}

    void add(Json& result, double bytes, double operations, double seconds) const {
        const double gbps = read_.gbps();
        const Peak peak = measure_peak(tier_, threads_);
        const double roof_seconds = std::max(bytes / gbps, operations / peak.gflops) * 1e-9;
        result["read_probe_gbps"] = gbps;
        result["share_of_read_probe"] = bytes / seconds * 1e-9 / gbps;
        result["peak_gflops"] = peak.gflops;
        result["peak_instruction"] = peak.instruction;
        result["share_of_peak"] = operations / seconds * 1e-9 / peak.gflops;
        result["share_of_roof"] = roof_seconds / seconds;
    }

  private:
    mmoe_cpu_tier tier_;
    int threads_;
    ReadProbe read_;
};

RunShape run_shape(const Request& request, int64_t tokens, const std::string& row) {
    const BenchLayer& layer = request.layer;
    RunShape shape;
    shape.tokens = tokens;
    shape.top_k = layer.top_k;
    shape.hidden_size = layer.hidden;
    shape.hidden_dtype = shape.output_dtype = layer.dtype;
    shape.precision = request.precision;
    shape.row = row;
    return shape;
}

Json bench_tokens(const Device& device, const Request& request, BenchWeights& weights,
                  const Roofs* roofs, int64_t tokens, const std::string& row) {
    const BenchLayer& layer = request.layer;
    const RunShape shape = run_shape(request, tokens, row);
    Runner runner(device, weights.first(), shape);
    Random random(3);
    std::vector<float> hidden(static_cast<size_t>(tokens * layer.hidden));
    for (float& value : hidden) value = random.normal();
    runner.set_hidden(encode(layer.dtype, hidden));
    runner.set_router_weights(random_router_weights(random, tokens, layer.top_k));
    const Samples samples = take_samples(runner, weights, layer, tokens, request.seconds);

    const double seconds = samples.quantile(0.5) * 1e-6;
    const double bytes = static_cast<double>(weights.bundle_bytes()) * samples.active_experts /
                         static_cast<double>(layer.experts);
    const double operations = 2.0 * static_cast<double>(tokens * layer.top_k) * 3.0 *
                              static_cast<double>(layer.hidden * layer.intermediate);
    Json result;
    result["tokens"] = tokens;
    result["us_median"] = samples.quantile(0.5);
    result["us_p10"] = samples.quantile(0.1);
    result["us_p90"] = samples.quantile(0.9);
    result["samples"] = samples.microseconds.size();
    result["active_experts"] = samples.active_experts;
    result["weight_gbps"] = bytes / seconds * 1e-9;
    result["gflops"] = operations / seconds * 1e-9;
    result["row"] = chosen_rows(runner.explain(weights.first()));
    if (roofs != nullptr) roofs->add(result, bytes, operations, seconds);
    return result;
}

void print_result(const Json& result) {
    std::printf("%6d tokens  %10.1f us (p10 %.1f, p90 %.1f, %d samples)  %6.1f GB/s  %8.1f GFLOP/s",
                result["tokens"].get<int>(), result["us_median"].get<double>(),
                result["us_p10"].get<double>(), result["us_p90"].get<double>(),
                result["samples"].get<int>(), result["weight_gbps"].get<double>(),
                result["gflops"].get<double>());
    if (result.contains("share_of_roof")) {
        std::printf(
            "  %3.0f %% of read (%.1f), %3.0f %% of peak (%.0f), %3.0f %% of roof",
            100 * result["share_of_read_probe"].get<double>(),
            result["read_probe_gbps"].get<double>(), 100 * result["share_of_peak"].get<double>(),
            result["peak_gflops"].get<double>(), 100 * result["share_of_roof"].get<double>());
    }
    std::printf("  %s\n", result["row"].get<std::string>().c_str());
}

// Times every row that can serve, beside `chosen`; adds them to it as `other_rows`, and the
// fastest, if that is another one, as `better_row`.
void sweep_rows(const Device& device, const Request& request, BenchWeights& weights, Json* chosen) {
    const auto tokens = (*chosen)["tokens"].get<int64_t>();
    const Runner asked(device, weights.first(), run_shape(request, tokens, request.row));
    (*chosen)["other_rows"] = Json::array();
    double best = (*chosen)["us_median"].get<double>();
    for (const std::string& row : named_rows(asked.explain(weights.first()))) {
        if (row == (*chosen)["row"].get<std::string>()) continue;
        try {
            Json result = bench_tokens(device, request, weights, nullptr, tokens, row);
            if (!request.json) print_result(result);
            if (result["us_median"].get<double>() < best) {
                best = result["us_median"].get<double>();
                (*chosen)["better_row"] = row;
            }
            (*chosen)["other_rows"].push_back(std::move(result));
        } catch (const Refused& refused) {
            if (refused.status() != MMOE_ERR_UNSUPPORTED) throw;  // this one cannot serve
        }
    }
    if (request.json) return;
    const bool better = chosen->contains("better_row");
    std::printf("%6d tokens  %s\n", static_cast<int>(tokens),
                better ? ("better: " + (*chosen)["better_row"].get<std::string>()).c_str()
                       : "nothing is better than the row that was chosen");
}

Request parse_request(int argc, char** argv) {
    Request request;
    const std::string shapes = shape_names();
    parse({"bench",
           "Times one layer of random weights. Experts are chosen uniformly; weights come from "
           "memory, not\nfrom caches. JSON: `results`, one object a number of tokens.",
           {},
           {{"shape", shapes.c_str(), "layer (qwen3-30b)", into(&request.shape)},
            {"bits", "4|8", "bits of a weight (4)", into(&request.layer.bits, 4, 8)},
            {"group", "N|channel", "weights that share a scale (128)", into(&request.group)},
            {"asymmetric", nullptr, "with zero points", into(&request.layer.asymmetric)},
            {"dtype", "bf16|fp16", "of scales and hidden states (bf16)", into(&request.dtype)},
            {"precision", kPrecisions, "arithmetic (default)",
             [&](const std::string& text) { request.precision = parse_precision(text); }},
            {"tokens", "T,T,...", "tokens of a call (1,16,256)", into(&request.tokens, 1, 1 << 20)},
            {"seconds", "S", "time for every number of tokens (1)",
             into(&request.seconds, 0.001, 3600)},
            {"device", "cpu|cuda:N", "device (cpu)", into(&request.device)},
            {"threads", "N", "CPU threads; 0: all (0)", into(&request.threads, 0, 1024)},
            {"tier", "NAME", "best CPU instructions to use, such as avx2 (best)",
             into(&request.tier)},
            {"row", "NAME", "part of the names of the CUDA kernels that may serve (all)",
             into(&request.row)},
            {"sweep", nullptr, "time every CUDA kernel that can serve, and say what is better",
             into(&request.sweep)},
            {"json", nullptr, "print JSON", into(&request.json)}}},
          argc, argv);
    set_shape(&request.layer, request.shape);
    if (request.layer.bits != 4 && request.layer.bits != 8) {
        throw UsageError("--bits: expected 4 or 8");
    }
    request.layer.group_size = request.group == "channel" ? MMOE_GROUP_SIZE_CHANNEL
                                                          : parse_number(request.group, 1, 1 << 20);
    if (request.device == "cpu" && (request.sweep || !request.row.empty())) {
        throw UsageError("--row and --sweep: the CPU has one kernel a GEMM, choose a CUDA device");
    }
    if (request.dtype != "bf16" && request.dtype != "fp16") {
        throw UsageError("--dtype: expected bf16 or fp16, got '" + request.dtype + "'");
    }
    request.layer.dtype = request.dtype == "fp16" ? MMOE_DTYPE_F16 : MMOE_DTYPE_BF16;
    return request;
}

}  // namespace

int run_bench(int argc, char** argv) {
    const Request request = parse_request(argc, argv);
    const mmoe_cpu_tier tier = parse_tier(request.tier);
    const Device device = open_device(request.device, request.threads, tier);
    auto description = sized<mmoe_device_description>();
    call(mmoe_device_info, device.kind, static_cast<uint32_t>(device.index), &description);
    BenchWeights weights(device, request.layer);
    std::optional<Roofs> roofs;
    if (device.kind == MMOE_DEVICE_CPU) {
        roofs.emplace(description, request.threads, tier);
    }

    Json report;
    report["version"] = mmoe_version_string();
    report["device"] = device.name;
    report["device_name"] = description.name;
    report["threads"] = request.threads;
    report["tier"] = request.tier;
    report["shape"] = request.shape;
    report["experts"] = request.layer.experts;
    report["top_k"] = request.layer.top_k;
    report["hidden_size"] = request.layer.hidden;
    report["intermediate_size"] = request.layer.intermediate;
    report["scheme"] = scheme_text(quant_fields(request.layer));
    report["dtype"] = request.dtype;
    report["precision"] = precision_name(request.precision);
    report["bundle_bytes"] = weights.bundle_bytes();
    report["rotated_bytes"] = weights.all_bytes();
    report["results"] = Json::array();
    if (!request.json) {
        std::printf("%s on %s, %s, %s, %s of weights in rotation\n", request.shape.c_str(),
                    device.name.c_str(), report["scheme"].get<std::string>().c_str(),
                    request.dtype.c_str(), bytes_text(weights.all_bytes()).c_str());
    }
    for (const int64_t tokens : request.tokens) {
        Json chosen =
            bench_tokens(device, request, weights, roofs ? &*roofs : nullptr, tokens, request.row);
        if (!request.json) print_result(chosen);
        if (request.sweep) sweep_rows(device, request, weights, &chosen);
        report["results"].push_back(std::move(chosen));
    }
    if (request.json) std::printf("%s\n", report.dump(2).c_str());
    return kExitOk;
}

}  // namespace mmoe_tool
