// SPDX-License-Identifier: Apache-2.0
// mmoe inspect DIR: what a checkpoint holds, layer by layer, and whether a device can run it.
#include <memory>

#include "command.h"
#include "device.h"
#include "model.h"

namespace tool {
namespace {

struct Options {
    std::string path;
    DeviceOptions device;
    bool tensors = false;
};

void report_tensors(const mmoe_checkpoint* checkpoint, Report& report) {
    report.json["tensors"] = Json::array();
    for (uint64_t index = 0; index < mmoe_checkpoint_tensor_count(checkpoint); ++index) {
        auto tensor = sized<mmoe_tensor_info>();
        call(mmoe_checkpoint_tensor_at, checkpoint, index, &tensor);
        const Json shape(std::vector<int64_t>(tensor.shape, tensor.shape + tensor.rank));
        report.line(format("  %-5s %-16s %s", dtype_name(tensor.dtype).c_str(),
                           shape.dump().c_str(), tensor.name));
        report.json["tensors"].push_back({{"name", tensor.name},
                                          {"dtype", dtype_name(tensor.dtype)},
                                          {"shape", shape},
                                          {"bytes", tensor.byte_count}});
    }
}

// Adds one layer; false if the device cannot run it.
bool report_layer(const mmoe_context* context, const ModelLayer& layer, Report& report) {
    auto support = sized<mmoe_support>();
    call(mmoe_support_query, context, layer.config.get(), &layer.shape, nullptr, &support);
    const std::string remedy = support.remedy[0] == '\0' ? "" : format(" (%s)", support.remedy);
    const std::string answer = support.supported != 0
                                   ? "supported"
                                   : format("not supported: %s", support.sentence) + remedy;
    report.line(format("layer %u: %s, %s, %s, %s", layer.place.model_layer,
                       layer_text(layer.shape, layer.place.top_k).c_str(),
                       scheme_text(layer.scheme).c_str(), byte_text(layer.place.byte_count).c_str(),
                       answer.c_str()));
    report.json["layers"].push_back({{"layer", layer.place.model_layer},
                                     {"experts", layer.shape.expert_count},
                                     {"top_k", layer.place.top_k},
                                     {"hidden_size", layer.shape.hidden_size},
                                     {"intermediate_size", layer.shape.intermediate_size},
                                     {"activation", activation_name(layer.shape.activation)},
                                     {"scheme", scheme_text(layer.scheme)},
                                     {"bits", layer.scheme.bits},
                                     {"group_size", layer.scheme.group_size},
                                     {"symmetric", layer.scheme.symmetry == MMOE_SYMMETRIC},
                                     {"bytes", layer.place.byte_count},
                                     {"names", layer.place.experts_prefix},
                                     {"supported", support.supported != 0},
                                     {"reason", support.sentence},
                                     {"remedy", support.remedy}});
    return support.supported != 0;
}

ExitCode inspect(const Options& options, Report& report) {
    const Context context = open_context(options.device);
    const Checkpoint checkpoint = open_checkpoint(context.get(), options.path);
    const uint64_t tensor_count = mmoe_checkpoint_tensor_count(checkpoint.get());
    const uint32_t layer_count = mmoe_checkpoint_layer_count(checkpoint.get());
    report.line(format("%s: %llu tensors, %u MoE layers", options.path.c_str(),
                       static_cast<unsigned long long>(tensor_count), layer_count));
    report.json = {{"path", options.path},
                   {"device", options.device.device},
                   {"tensor_count", tensor_count},
                   {"layers", Json::array()}};
    bool all_supported = true;
    for (uint32_t index = 0; index < layer_count; ++index) {
        const ModelLayer layer = read_layer(checkpoint.get(), index);
        all_supported = report_layer(context.get(), layer, report) && all_supported;
    }
    if (options.tensors) report_tensors(checkpoint.get(), report);
    return all_supported ? kExitOk : kExitCheckFailed;
}

}  // namespace

Action add_inspect(CLI::App& command) {
    auto options = std::make_shared<Options>();
    command.add_option("DIR", options->path, "checkpoint directory or safetensors file")
        ->required();
    command.add_flag("--tensors", options->tensors, "list every tensor");
    options->device.add_to(command);
    return [options](Report& report) { return inspect(*options, report); };
}

}  // namespace tool
