// SPDX-License-Identifier: Apache-2.0
// mmoe verify DIR --reference FILE: runs every recorded case twice, with the default arithmetic
// and 16-bit output and with exact arithmetic and fp32 output, and compares.
//
// Tolerances. Default: relative L2 3e-3 of the whole output, and at most 1.5e-2 (bf16) or 2.5e-3
// (fp16) of the largest element anywhere: what 16-bit activations and outputs with fp32
// accumulation may cost. Exact: relative L2 1e-5, for fp32 sums.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "command.h"
#include "device.h"
#include "model.h"
#include "reference.h"

namespace tool {
namespace {

struct Options {
    std::string path;
    std::string reference;
    std::optional<uint32_t> layer;  // its number in the model; all if absent
    DeviceOptions device;
};

struct Comparison {
    const char* precision;  // "default" or "exact"
    double us = 0;
    double relative_l2 = 0;
    double relative_l2_limit = 0;
    double max_abs = 0;  // of the largest expected element
    double max_abs_limit = 0;
    [[nodiscard]] bool ok() const {  // false for NaN
        return relative_l2 <= relative_l2_limit && max_abs <= max_abs_limit;
    }
};

// ||got - want|| / ||want||.
double relative_l2(const std::vector<double>& got, const std::vector<double>& want) {
    double difference = 0;
    double size = 0;
    for (size_t index = 0; index < want.size(); ++index) {
        difference += (got[index] - want[index]) * (got[index] - want[index]);
        size += want[index] * want[index];
    }
    return std::sqrt(difference / size);
}

// max |got - want| / max |want|; NaN if any element is.
double relative_max_abs(const std::vector<double>& got, const std::vector<double>& want) {
    double difference = 0;
    double size = 0;
    for (size_t index = 0; index < want.size(); ++index) {
        const double here = std::fabs(got[index] - want[index]);
        if (!(here <= difference)) difference = here;
        if (std::isnan(here)) return here;
        size = std::max(size, std::fabs(want[index]));
    }
    return difference / size;
}

double max_abs_limit(mmoe_dtype output_dtype) {
    if (output_dtype == MMOE_DTYPE_F32) return 1e-5;
    return output_dtype == MMOE_DTYPE_F16 ? 2.5e-3 : 1.5e-2;
}

class Verifier {
  public:
    Verifier(const Options& options, Report& report)
        : report_(report),
          device_(describe_device(options.device)),
          context_(open_context(options.device)),
          memory_(open_memory(options.device)),
          checkpoint_(open_checkpoint(context_.get(), options.path)),
          layers_(read_layers(checkpoint_.get())) {
        report_.line(format("%s on %s", options.path.c_str(), device_text(device_).c_str()));
        report_.json = {
            {"path", options.path}, {"device", device_text(device_)}, {"results", Json::array()}};
    }

    // Both arithmetics of one case; false if either fails.
    bool verify(const ReferenceCase& reference) {
        const ModelLayer& layer = load(reference.model_layer);
        const Batch& batch = reference.batch;
        Comparison usual{"default"};
        const std::vector<double> rounded =
            run(batch, {MMOE_PRECISION_DEFAULT, batch.dtype}, usual);
        usual.relative_l2 = relative_l2(rounded, reference.exact);
        usual.relative_l2_limit = 3e-3;
        usual.max_abs = relative_max_abs(rounded, reference.rounded);
        usual.max_abs_limit = max_abs_limit(batch.dtype);
        Comparison exact{"exact"};
        const std::vector<double> unrounded =
            run(batch, {MMOE_PRECISION_EXACT, MMOE_DTYPE_F32}, exact);
        exact.relative_l2 = relative_l2(unrounded, reference.exact);
        exact.relative_l2_limit = 1e-5;
        exact.max_abs = relative_max_abs(unrounded, reference.exact);
        exact.max_abs_limit = max_abs_limit(MMOE_DTYPE_F32);
        const bool usual_ok = report(layer, batch, usual);
        return report(layer, batch, exact) && usual_ok;
    }

  private:
    // Loads a layer unless it is the one loaded last.
    const ModelLayer& load(uint32_t model_layer) {
        for (const ModelLayer& layer : layers_) {
            if (layer.place.model_layer != model_layer) continue;
            if (bundle_ == nullptr || loaded_ != model_layer) {
                bundle_ = make<mmoe_bundle>(mmoe_bundle_load, context_.get(), checkpoint_.get(),
                                            layer.index, nullptr);
                loaded_ = model_layer;
            }
            return layer;
        }
        throw UsageError(format("the reference has layer %u, the checkpoint has not", model_layer));
    }

    std::vector<double> run(const Batch& batch, const Arithmetic& arithmetic, Comparison& timed) {
        LayerRun layer_run(context_.get(), bundle_.get(), memory_, batch, arithmetic);
        layer_run.run_us();  // starts threads, touches memory
        timed.us = layer_run.run_us();
        return layer_run.output();
    }

    bool report(const ModelLayer& layer, const Batch& batch, const Comparison& result) {
        report_.line(
            format("layer %-2u %s  %3u tokens  %-7s %9.1f us  L2 %.2e (<= %.0e)  "
                   "max %.2e (<= %.1e)  %s",
                   layer.place.model_layer, scheme_text(layer.scheme).c_str(), batch.token_count,
                   result.precision, result.us, result.relative_l2, result.relative_l2_limit,
                   result.max_abs, result.max_abs_limit, result.ok() ? "ok" : "FAIL"));
        report_.json["results"].push_back({{"layer", layer.place.model_layer},
                                           {"scheme", scheme_text(layer.scheme)},
                                           {"tokens", batch.token_count},
                                           {"precision", result.precision},
                                           {"us", result.us},
                                           {"relative_l2", result.relative_l2},
                                           {"relative_l2_limit", result.relative_l2_limit},
                                           {"max_abs", result.max_abs},
                                           {"max_abs_limit", result.max_abs_limit},
                                           {"ok", result.ok()}});
        return result.ok();
    }

    Report& report_;
    mmoe_device_description device_;
    Context context_;
    std::shared_ptr<Memory> memory_;
    Checkpoint checkpoint_;
    std::vector<ModelLayer> layers_;
    Bundle bundle_;
    uint32_t loaded_ = 0;
};

ExitCode verify(const Options& options, Report& report) {
    Verifier verifier(options, report);
    const Context reader = open_context({});
    int case_count = 0;
    int failure_count = 0;
    for (const ReferenceCase& reference : read_reference(reader.get(), options.reference)) {
        if (options.layer && *options.layer != reference.model_layer) continue;
        ++case_count;
        if (!verifier.verify(reference)) ++failure_count;
    }
    if (case_count == 0) throw UsageError("the reference has no case of this layer");
    report.line(format("%d cases, %d failed", case_count, failure_count));
    report.json["ok"] = failure_count == 0;
    return failure_count == 0 ? kExitOk : kExitCheckFailed;
}

}  // namespace

Action add_verify(CLI::App& command) {
    auto options = std::make_shared<Options>();
    command.add_option("DIR", options->path, "checkpoint directory")->required();
    command
        .add_option("--reference", options->reference,
                    "safetensors file with recorded inputs and expected outputs")
        ->required();
    command.add_option("--layer", options->layer, "number of one layer in the model; else all");
    options->device.add_to(command);
    return [options](Report& report) { return verify(*options, report); };
}

}  // namespace tool
