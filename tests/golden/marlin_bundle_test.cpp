// SPDX-License-Identifier: Apache-2.0
// Whole layers that vLLM 073c510c repacked: a bundle of the checkpoint exports these very bytes,
// and one that was imported from them holds what the checkpoint's does.
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "marlin_moe.h"
#include "parity/handles.h"
#include "support/fixture_file.h"
#include "support/marlin_experts.h"
#include "support/marlin_public.h"
#include "support/test_device.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::test;
using mmoe::parity::Error;
using mmoe::parity::Handle;
using mmoe::parity::sized;

namespace {

constexpr const char* kModule = "model.layers.0.mlp.experts.0.gate_proj";

// One layer of a checkpoint.
struct Source {
    Handle<mmoe_context> context;
    Handle<mmoe_quant_config> config;
    Handle<mmoe_bundle> bundle;
    mmoe_layer layer = sized<mmoe_layer>();

    Source(const std::string& path, const std::string& name) {
        Error error{name};
        mmoe_context* made = nullptr;
        auto options = sized<mmoe_context_options>();
        options.device_kind = chosen_device_kind();
        error.expect_ok(mmoe_context_create(&options, &made, &error.value), "context");
        context.reset(made);
        mmoe_quant_config* read = nullptr;
        error.expect_ok(mmoe_quant_config_load(path.c_str(), kModule, &read, &error.value),
                        "config");
        config.reset(read);
        mmoe_checkpoint* opened = nullptr;
        error.expect_ok(mmoe_checkpoint_open(made, path.c_str(), nullptr, &opened, &error.value),
                        "open");
        const Handle<mmoe_checkpoint> checkpoint(opened);
        mmoe_bundle* loaded = nullptr;
        error.expect_ok(mmoe_bundle_load(made, opened, 0, nullptr, &loaded, &error.value), "load");
        bundle.reset(loaded);
        error.expect_ok(mmoe_bundle_info(loaded, &layer, nullptr, &error.value), "info");
    }
};

mmoe_marlin_operand operand_of(const FixtureFile& file, const std::string& name) {
    mmoe_marlin_operand operand = {};
    operand.weight = public_tensor(file.find(name + "_qweight"));
    operand.scale = public_tensor(file.find(name + "_scales"));
    if (file.has(name + "_qzeros")) {
        operand.zero_point = public_tensor(file.find(name + "_qzeros"));
    }
    return operand;
}

mmoe_marlin_experts experts_of(const FixtureFile& file) {
    auto experts = sized<mmoe_marlin_experts>();
    experts.w13 = operand_of(file, "w13");
    experts.w2 = operand_of(file, "w2");
    if (file.has("w13_g_idx_sort_indices")) {
        experts.w13_order = public_tensor(file.find("w13_g_idx_sort_indices"));
        experts.w2_order = public_tensor(file.find("w2_g_idx_sort_indices"));
    }
    return experts;
}

void expect_same(const std::string& name, const OwnedExperts& got, mmoe_marlin_experts want) {
    const std::vector<mmoe_tensor*> tensors = tensors_of(want);
    for (size_t i = 0; i < tensors.size(); ++i) {
        assert_same_bytes(name, got.bytes()[i], tensors[i]->data);
    }
}

// The bundle's experts from the first on, in the shapes of `like`.
OwnedExperts export_like(const mmoe_bundle* bundle, const mmoe_marlin_experts& like,
                         const std::string& name) {
    OwnedExperts exported(like);
    Error error{name};
    error.expect_ok(mmoe_marlin_export(bundle, 0, &exported.value(), &error.value), "export");
    return exported;
}

// vLLM's layer may have fewer experts than the checkpoint.
Handle<mmoe_bundle> import_of(const Source& source, const mmoe_marlin_experts& experts,
                              const std::string& name) {
    mmoe_layer layer = source.layer;
    layer.expert_count = static_cast<uint32_t>(experts.w13.weight.shape[0]);
    Error error{name};
    mmoe_bundle* imported = nullptr;
    error.expect_ok(mmoe_marlin_import(source.context.get(), source.config.get(), &layer, nullptr,
                                       &experts, &imported, &error.value),
                    "import");
    return Handle<mmoe_bundle>(imported);
}

void vllm_layers_are_imported_and_exported(void**) {
    const auto folder = fixture_path("marlin_moe");
    if (!folder) skip_without_fixture("marlin_moe");
    std::ifstream index(*folder / "index.json");
    for (const auto& entry : nlohmann::json::parse(index)) {
        const auto name = entry.at("file").get<std::string>();
        print_message("%s\n", name.c_str());
        const FixtureFile file(*folder / name);
        const Source source(fixture_path(entry.at("checkpoint").get<std::string>())->string(),
                            name);
        const mmoe_marlin_experts experts = experts_of(file);
        OwnedExperts loaded = export_like(source.bundle.get(), experts, name);
        // A bundle has folded the order of w2 into w13: other bytes, the same layer.
        if (entry.at("actorder").is_null()) expect_same(name, loaded, experts);
        const Handle<mmoe_bundle> imported = import_of(source, experts, name);
        expect_same(name, export_like(imported.get(), experts, name), loaded.value());
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(vllm_layers_are_imported_and_exported)};
    return cmocka_run_group_tests_name("golden_marlin_bundle", tests, nullptr, nullptr);
}
