// SPDX-License-Identifier: Apache-2.0
// mmoe convert: repack one layer once and keep it in a file, which opens with one copy. The file
// is opened again with its checksums, so that what the command says has been seen to be there.
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "commands.h"
#include "device.h"
#include "layer_view.h"
#include "options.h"
#include "progress.h"

namespace mmoe_tool {
namespace {

double milliseconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
}

Json convert(const Device& device, const std::string& directory, uint32_t index,
             const std::string& path) {
    const auto checkpoint = make<mmoe_checkpoint>(mmoe_checkpoint_open, device.context.get(),
                                                  directory.c_str(), nullptr);
    const uint32_t chosen = chosen_layers(checkpoint.get(), index).at(0);
    Json json = layer_json(view_layer(checkpoint.get(), chosen));
    Progress progress("repacking");
    const mmoe_bundle_options options = progress.bundle_options();
    const auto load_start = std::chrono::steady_clock::now();
    const auto bundle = make<mmoe_bundle>(mmoe_bundle_load, device.context.get(), checkpoint.get(),
                                          chosen, &options);
    json["load_ms"] = milliseconds_since(load_start);
    call(mmoe_bundle_save, bundle.get(), path.c_str());
    const auto open_start = std::chrono::steady_clock::now();
    make<mmoe_bundle>(mmoe_bundle_open, device.context.get(), path.c_str(), nullptr);
    json["open_ms"] = milliseconds_since(open_start);
    json["path"] = path;
    json["saved_bytes"] = std::filesystem::file_size(path);
    return json;
}

}  // namespace

int run_convert(int argc, char** argv) {
    std::string device_name = "cpu";
    int64_t threads = 0;
    bool json = false;
    const auto arguments =
        parse({"convert",
               "Repacks one layer of a checkpoint for a device and saves it as FILE, for "
               "mmoe_bundle_open. An\nexisting file is replaced, whole or not at all.",
               {"DIR", "LAYER", "FILE"},
               {{"device", "cpu|cuda:N", "device to repack for (cpu)", into(&device_name)},
                {"threads", "N", "CPU threads; 0: all (0)", into(&threads, 0, 1024)},
                {"json", nullptr, "print JSON", into(&json)}}},
              argc, argv);
    const auto index = static_cast<uint32_t>(parse_number(arguments[1], 0, INT32_MAX));
    const Device device = open_device(device_name, threads);
    const Json result = convert(device, arguments[0], index, arguments[2]);
    if (json) {
        std::printf("%s\n", result.dump(2).c_str());
    } else {
        std::printf("layer %d, %s: repacked in %.1f ms, opens in %.1f ms, %s in %s\n",
                    result["layer"].get<int>(), result["scheme"].get<std::string>().c_str(),
                    result["load_ms"].get<double>(), result["open_ms"].get<double>(),
                    bytes_text(result["saved_bytes"]).c_str(), arguments[2].c_str());
    }
    return kExitOk;
}

}  // namespace mmoe_tool
