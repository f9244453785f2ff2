// SPDX-License-Identifier: Apache-2.0
// Room checkpoint: what the quantisers' libraries really write opens, and says of itself what
// the fixtures' own page says.
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "cmocka_cpp.h"
#include "support/fixture_file.h"

using namespace mmoe;

namespace {

struct FixtureCase {
    const char* name;
    const char* experts_prefix;  // of the first layer
    size_t layers;
    int64_t experts, hidden, intermediate;
    uint32_t top_k;
    QuantConfig config;
};

constexpr auto kBf16 = layout::ScaleType::kBf16;
constexpr auto kF16 = layout::ScaleType::kF16;
constexpr auto kSym = Symmetry::kSymmetric;
constexpr auto kAsym = Symmetry::kAsymmetric;
constexpr auto kNoOrder = Order::kNone;
constexpr auto kGroupOrder = Order::kGroup;
constexpr const char* kMlp = "model.layers.0.mlp.experts.";
constexpr const char* kSparse = "model.layers.0.block_sparse_moe.experts.";

QuantConfig packed(int bits, std::optional<int32_t> group, Symmetry symmetry, Order order,
                   layout::ScaleType scale) {
    return {Format::kCompressedTensors, bits,  group, symmetry,
            ZeroPointForm::kPacked,     order, scale};
}
QuantConfig gptq(int bits, int32_t group, Symmetry symmetry, ZeroPointForm form, Order order) {
    return {Format::kGptq, bits, group, symmetry, form, order, kF16};
}
QuantConfig awq(int32_t group) {
    return {Format::kAwq, 4, group, kAsym, ZeroPointForm::kPacked, kNoOrder, kF16};
}

const FixtureCase kFixtures[] = {
    // name, prefix, layers, E, H, I, top_k, config
    {"ct/w4a16_sym_g128", kMlp, 2, 8, 256, 128, 2, packed(4, 128, kSym, kNoOrder, kBf16)},
    {"ct/w4a16_asym_g128", kMlp, 1, 7, 256, 384, 2, packed(4, 128, kAsym, kNoOrder, kBf16)},
    {"ct/w4a16_asym_g32_fp16", kMlp, 1, 8, 256, 160, 3, packed(4, 32, kAsym, kNoOrder, kF16)},
    {"ct/w4a16_asym_channel", kMlp, 1, 8, 256, 192, 2, packed(4, {}, kAsym, kNoOrder, kBf16)},
    {"ct/w8a16_sym_g128", kMlp, 1, 6, 256, 128, 2, packed(8, 128, kSym, kNoOrder, kBf16)},
    {"ct/w8a16_asym_g64", kMlp, 1, 6, 256, 128, 2, packed(8, 64, kAsym, kNoOrder, kBf16)},
    {"ct/w4a16_sym_g128_actorder_group", kMlp, 1, 6, 256, 256, 2,
     packed(4, 128, kSym, kGroupOrder, kBf16)},
    {"ct/w4a16_asym_g128_sharded", kMlp, 2, 8, 256, 128, 2, packed(4, 128, kAsym, kNoOrder, kBf16)},
    {"ct/mixtral_w4a16_asym_g128_fp16", kSparse, 1, 8, 256, 128, 2,
     packed(4, 128, kAsym, kNoOrder, kF16)},
    {"ct/mixtral_proj_names_w4a16_asym_g64", kSparse, 1, 5, 256, 128, 2,
     packed(4, 64, kAsym, kNoOrder, kBf16)},
    {"ct/w4a16_asym_g64_mixed_groups", kMlp, 1, 4, 256, 64, 2,
     packed(4, 64, kAsym, kNoOrder, kBf16)},
    {"awq_gptq/awq_w4_g128", kMlp, 1, 4, 256, 128, 2, awq(128)},
    {"awq_gptq/awq_w4_g32_i96", kMlp, 1, 4, 256, 96, 2, awq(32)},
    {"awq_gptq/gptq_v1_w4_sym_g128", kMlp, 1, 4, 256, 128, 2,
     gptq(4, 128, kSym, ZeroPointForm::kMinusOne, kNoOrder)},
    {"awq_gptq/gptq_v1_w4_sym_g64_desc_act", kMlp, 1, 4, 128, 192, 2,
     gptq(4, 64, kSym, ZeroPointForm::kMinusOne, kGroupOrder)},
    {"awq_gptq/gptq_v2_w4_asym_g64_desc_act", kMlp, 1, 4, 128, 192, 2,
     gptq(4, 64, kAsym, ZeroPointForm::kPacked, kGroupOrder)},
    {"awq_gptq/gptq_v1_w4_asym_g128", kMlp, 1, 4, 256, 128, 2,
     gptq(4, 128, kAsym, ZeroPointForm::kMinusOneWord, kNoOrder)},
    {"awq_gptq/gptq_v1_w8_sym_g64", kMlp, 1, 4, 128, 128, 2,
     gptq(8, 64, kSym, ZeroPointForm::kMinusOneWord, kNoOrder)},
};

constexpr Projection kProjections[] = {Projection::kGate, Projection::kUp, Projection::kDown};
constexpr Role kRoles[] = {Role::kWeight, Role::kScale, Role::kZeroPoint, Role::kGroupIndex,
                           Role::kBias};

struct FoundCase {
    const FixtureCase* row;
    std::filesystem::path path;
};

// The fixtures that are here; a test without any is skipped, and says so.
std::vector<FoundCase> found_cases() {
    std::vector<FoundCase> found;
    for (const FixtureCase& row : kFixtures) {
        if (const auto path = test::fixture_path(row.name)) found.push_back({&row, *path});
    }
    if (found.empty()) test::skip_without_fixture("ct or awq_gptq");
    return found;
}

void check_layer(const LayerEntry& layer, const FixtureCase& row) {
    if (!layer.problem.ok()) print_error("%s\n", layer.problem.message());
    assert_true(layer.problem.ok());
    assert_int_equal(layer.layer.expert_count, row.experts);
    assert_int_equal(layer.layer.hidden_size, row.hidden);
    assert_int_equal(layer.layer.intermediate_size, row.intermediate);
    assert_int_equal(layer.top_k, row.top_k);
    assert_true(layer.layer.activation == Activation::kSilu);
    assert_true(layer.layer.gate_form == GateForm::kSeparate);
    assert_false(layer.layer.bias);
    assert_true(layer.config == row.config);
}

// Name, in the files, of what expert_tensor() finds by role.
std::string fixture_name(const FixtureCase& row, const LayerEntry& layer, int64_t expert,
                         Projection projection, Role role) {
    const bool short_names = std::strcmp(row.name, "ct/mixtral_w4a16_asym_g128_fp16") == 0;
    const char* const part = projection == Projection::kGate ? (short_names ? "w1" : "gate_proj")
                             : projection == Projection::kUp ? (short_names ? "w3" : "up_proj")
                                                             : (short_names ? "w2" : "down_proj");
    static const char* const kPacked[] = {".weight_packed", ".weight_scale", ".weight_zero_point",
                                          ".weight_g_idx", ".bias"};
    static const char* const kWords[] = {".qweight", ".scales", ".qzeros", ".g_idx", ".bias"};
    const auto index = static_cast<size_t>(role) - 1;
    const bool words = row.config.format != Format::kCompressedTensors;
    return layer.experts_prefix + std::to_string(expert) + "." + part +
           (words ? kWords[index] : kPacked[index]);
}

// Every byte of every expert tensor is what a reader of another make finds under its name.
uint64_t check_tensors(const Checkpoint& checkpoint, const LayerEntry& layer,
                       const FixtureCase& row, const test::FixtureFile& oracle) {
    uint64_t total_bytes = 0;
    for (int64_t expert = 0; expert < row.experts; ++expert) {
        for (const Projection projection : kProjections) {
            for (const Role role : kRoles) {
                const auto tensor = checkpoint.expert_tensor(layer, expert, projection, role);
                const TensorView wanted =
                    oracle.find(fixture_name(row, layer, expert, projection, role));
                auto found = tensor;
                assert_true(found.ok());
                assert_int_equal(found.value().entry == nullptr, wanted.absent());
                if (wanted.absent()) continue;
                const ExpertTensor& slice = found.value();
                assert_int_equal(slice.entry->dtype, wanted.dtype);
                assert_int_equal(slice.rank, wanted.rank);
                assert_memory_equal(slice.shape, wanted.shape, sizeof wanted.shape);
                std::vector<uint8_t> bytes(slice.byte_count);
                assert_true(checkpoint.read(slice, bytes).ok());
                assert_memory_equal(bytes.data(), wanted.data, bytes.size());
                total_bytes += bytes.size();
            }
        }
    }
    return total_bytes;
}

void fixtures_open_with_their_shapes(void**) {
    for (const auto& [found, path] : found_cases()) {
        const FixtureCase& row = *found;
        print_message("    %s\n", row.name);
        auto opened = Checkpoint::open(path.string(), {}, Log());
        if (!opened.ok()) print_error("%s\n", opened.status().message());
        assert_true(opened.ok());
        const Checkpoint& checkpoint = *opened.value();
        assert_int_equal(checkpoint.layers().size(), row.layers);
        assert_string_equal(checkpoint.layers()[0].experts_prefix.c_str(), row.experts_prefix);
        const test::FixtureFile oracle(path);
        for (const LayerEntry& layer : checkpoint.layers()) {
            check_layer(layer, row);
            // The rest is weight_shape, two numbers a projection.
            const uint64_t shape_bytes =
                row.config.format == Format::kCompressedTensors ? row.experts * 3 * 16 : 0;
            assert_int_equal(check_tensors(checkpoint, layer, row, oracle) + shape_bytes,
                             layer.byte_count);
        }
    }
}

void fixture_configs_are_read_by_module(void**) {
    for (const auto& [found, path] : found_cases()) {
        const FixtureCase& row = *found;
        print_message("    %s\n", row.name);
        const bool short_names = std::strcmp(row.name, "ct/mixtral_w4a16_asym_g128_fp16") == 0;
        const std::string module =
            std::string(row.experts_prefix) + (short_names ? "0.w1" : "0.gate_proj");
        auto config = load_quant_config(path.string(), module);
        assert_true(config.ok());
        QuantConfig wanted = row.config;
        wanted.scale_type.reset();  // only the tensors say it
        assert_true(config.value() == wanted);
        assert_true(load_quant_config((path / "config.json").string(), module).ok());
        const bool mixed = std::strcmp(row.name, "ct/w4a16_asym_g64_mixed_groups") == 0;
        auto only = load_quant_config(path.string(), "");
        assert_int_equal(only.ok(), !mixed);
        if (mixed) assert_int_equal(only.status().code(), Code::kUnsupported);
        // The router is in every ignore list, and AutoGPTQ and GPTQModel never quantise it.
        if (row.config.format != Format::kGptq) {
            std::string router = row.experts_prefix;
            router.resize(router.size() - std::strlen("experts."));
            auto ignored = load_quant_config(path.string(), router + "gate");
            assert_false(ignored.ok());
            assert_int_equal(ignored.status().code(), Code::kUnsupported);
        }
    }
}

void a_single_file_has_tensors_and_no_layers(void**) {
    const auto path = test::fixture_path("ct_edge/linear_edge_cases.safetensors");
    if (!path) test::skip_without_fixture("ct_edge");
    auto opened = Checkpoint::open(path->string(), {}, Log());
    assert_true(opened.ok());
    assert_true(opened.value()->layers().empty());
    const TensorEntry* shape = opened.value()->find("n33_k44_w4_sym_channel.weight_shape");
    assert_non_null(shape);
    int64_t numbers[2] = {};
    assert_true(opened.value()
                    ->read(*shape, 0, {reinterpret_cast<uint8_t*>(numbers), sizeof numbers})
                    .ok());
    assert_int_equal(numbers[0], 33);
    assert_int_equal(numbers[1], 44);
    assert_null(opened.value()->find("n33"));
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(fixtures_open_with_their_shapes),
        cmocka_unit_test(fixture_configs_are_read_by_module),
        cmocka_unit_test(a_single_file_has_tensors_and_no_layers),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
