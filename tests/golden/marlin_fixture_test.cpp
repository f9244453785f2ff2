// SPDX-License-Identifier: Apache-2.0
// Marlin matrices byte for byte as vLLM 073c510c makes them: single matrices from every input
// packing, then whole expert layers of real checkpoints with padding and activation order.
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "support/marlin_matrix.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

using layout::MarlinTile;

nlohmann::json read_json(const std::filesystem::path& path) {
    std::ifstream stream(path);
    return nlohmann::json::parse(stream);
}

// Compares whole arrays as bytes; says what differs.
template <class T>
void assert_same_bytes(const char* what, const std::vector<T>& got, const TensorView& want,
                       int64_t skipped_elements = 0) {
    const auto* expected = static_cast<const T*>(want.data) + skipped_elements;
    const int64_t at = first_difference(got.data(), expected, got.size());
    if (at >= 0) print_message("%s differs at element %lld\n", what, static_cast<long long>(at));
    assert_int_equal(at, -1);
}

// ---- marlin/: one matrix in three packings -----------------------------------------------------

struct Matrix {
    const FixtureFile& file;
    int64_t inputs, outputs, groups, expert;
    int bits;

    [[nodiscard]] TensorView slice(const char* name) const { return file.slice(name, expert); }
};

// compressed-tensors scales [N, G] as the [G, N] of the other formats.
std::vector<uint16_t> turned_scales(const Matrix& m) {
    const auto* source = static_cast<const uint16_t*>(m.slice("ct.weight_scale").data);
    std::vector<uint16_t> turned;
    for (int64_t g = 0; g < m.groups; ++g) {
        for (int64_t n = 0; n < m.outputs; ++n) turned.push_back(source[n * m.groups + g]);
    }
    return turned;
}

QuantConfig config_of(const Matrix& m, Format format, Order order) {
    QuantConfig config;
    config.format = format;
    config.bits = m.bits;
    config.group_size = static_cast<int32_t>(m.inputs / m.groups);
    config.symmetry = Symmetry::kAsymmetric;
    config.order = order;
    return config;
}

MarlinMatrix pack_matrix(const Matrix& m, Unpacker& unpacker, MarlinTile tile) {
    MarlinMatrix packed({.inputs = m.inputs,
                         .outputs = m.outputs,
                         .groups = m.groups,
                         .bits = m.bits,
                         .asymmetric = true,
                         .tile = tile,
                         .scale_type = layout::ScaleType::kF16});
    packed.pack(unpacker, m.outputs, 0, 64);
    return packed;
}

void check_matrix(const Matrix& m, Unpacker& unpacker, MarlinTile tile) {
    const bool a8 = tile == MarlinTile::kK32N32;
    const MarlinMatrix packed = pack_matrix(m, unpacker, tile);
    assert_same_bytes("weight", packed.weight, m.slice(a8 ? "marlin.weight_a8" : "marlin.weight"));
    assert_same_bytes("scales", packed.scale, m.slice(a8 ? "marlin.scales_a8" : "marlin.scales"));
    assert_same_bytes("qzeros", packed.zero_point,
                      m.slice(a8 ? "marlin.qzeros_a8" : "marlin.qzeros"));
}

// vLLM's own matrix read back gives the codes that went in.
void check_import(const Matrix& m, Unpacker& original) {
    const ProjectionTensors tensors{
        m.slice("marlin.weight"), m.slice("marlin.scales"), m.slice("marlin.qzeros"), {}};
    const auto unpacker = make_unpacker(config_of(m, Format::kMarlin, Order::kNone), m.outputs,
                                        m.inputs, tensors, m.outputs);
    PlainLinear want, got;
    append_strip(original.strip(0, m.outputs), &want);
    append_strip(unpacker->strip(0, m.outputs), &got);
    assert_true(got.codes == want.codes);
    assert_true(got.scales == want.scales);
    assert_true(got.zero_points == want.zero_points);
}

void check_compressed_tensors(const Matrix& m, bool has_a8) {
    const ProjectionTensors tensors{m.slice("ct.weight_packed"),
                                    m.slice("ct.weight_scale"),
                                    m.slice("ct.weight_zero_point"),
                                    {}};
    const auto config = config_of(m, Format::kCompressedTensors, Order::kNone);
    const auto unpacker = make_unpacker(config, m.outputs, m.inputs, tensors, m.outputs);
    check_matrix(m, *unpacker, MarlinTile::kK16N64);
    if (has_a8) check_matrix(m, *unpacker, MarlinTile::kK32N32);
    check_import(m, *unpacker);
}

void check_awq(const Matrix& m) {
    const std::vector<uint16_t> scales = turned_scales(m);
    ProjectionTensors tensors{m.slice("awq.qweight"), {}, m.slice("awq.qzeros"), {}};
    tensors.scale = {DType::kF16, 2, {m.groups, m.outputs}, scales.data()};
    const auto unpacker =
        make_unpacker(config_of(m, Format::kAwq, Order::kNone), m.outputs, m.inputs, tensors, 64);
    check_matrix(m, *unpacker, MarlinTile::kK16N64);
}

// vLLM's sorted matrix and its order read back: the columns of the file.
void check_ordered_import(const Matrix& m, Unpacker& original) {
    const ProjectionTensors tensors{m.slice("marlin.weight_actorder"), m.slice("marlin.scales"),
                                    m.slice("marlin.qzeros"), m.slice("g_idx_sort_indices")};
    const auto unpacker = make_unpacker(config_of(m, Format::kMarlin, Order::kGroup), m.outputs,
                                        m.inputs, tensors, m.outputs);
    PlainLinear want, got;
    append_strip(original.strip(0, m.outputs), &want);
    append_strip(unpacker->strip(0, m.outputs), &got);
    assert_true(got.codes == want.codes);
    assert_true(got.weights == want.weights);
}

void check_activation_order(const Matrix& m) {
    const ProjectionTensors tensors{m.slice("ct.weight_packed"), m.slice("ct.weight_scale"),
                                    m.slice("ct.weight_zero_point"), m.slice("g_idx")};
    const auto config = config_of(m, Format::kCompressedTensors, Order::kGroup);
    const auto unpacker = make_unpacker(config, m.outputs, m.inputs, tensors, m.outputs);
    const MarlinMatrix packed = pack_matrix(m, *unpacker, MarlinTile::kK16N64);
    assert_same_bytes("weight", packed.weight, m.slice("marlin.weight_actorder"));
    check_ordered_import(m, *unpacker);
    const auto order = unpacker->strip(0, 1).order;
    assert_int_equal(
        -1, first_difference(order.data(),
                             static_cast<const int32_t*>(m.slice("g_idx_sort_indices").data),
                             order.size()));
}

void single_matrices_match(void**) {
    const auto folder = fixture_path("marlin");
    if (!folder) skip_without_fixture("marlin");
    for (const auto& entry : read_json(*folder / "index.json")) {
        const auto name = entry.at("file").get<std::string>();
        const FixtureFile file(*folder / name);
        for (int64_t expert = 0; expert < entry.at("experts").get<int64_t>(); ++expert) {
            print_message("%s expert %d\n", name.c_str(), static_cast<int>(expert));
            const Matrix m{file,
                           entry.at("K").get<int64_t>(),
                           entry.at("N").get<int64_t>(),
                           entry.at("num_groups").get<int64_t>(),
                           expert,
                           entry.at("bits").get<int>()};
            check_compressed_tensors(m, entry.at("has_a8").get<bool>());
            check_awq(m);
            if (entry.at("has_actorder").get<bool>()) check_activation_order(m);
        }
    }
}

// ---- marlin_moe/: whole layers ------------------------------------------------------------------

struct LayerCase {
    Layer layer;
    QuantConfig config;
    MarlinLayerPlan plan;
};

LayerCase layer_case(const nlohmann::json& entry, DType scale_dtype) {
    LayerCase c;
    c.layer.expert_count = entry.at("experts").get<int64_t>();
    c.layer.hidden_size = entry.at("hidden").get<int64_t>();
    c.layer.intermediate_size = entry.at("intermediate").get<int64_t>();
    const auto checkpoint = entry.at("checkpoint").get<std::string>();
    if (checkpoint.rfind("awq_gptq", 0) == 0) c.config.format = Format::kAwq;
    c.config.bits = entry.at("bits").get<int>();
    const int group_size = entry.at("group_size").get<int>();
    if (group_size > 0) c.config.group_size = group_size;
    if (!entry.at("symmetric").get<bool>()) c.config.symmetry = Symmetry::kAsymmetric;
    if (!entry.at("actorder").is_null()) c.config.order = Order::kGroup;
    c.config.scale_type = static_cast<layout::ScaleType>(scale_dtype);
    c.plan = plan_marlin_layer(
        c.config, c.layer, c.config.group_size_for(c.layer.intermediate_size), MarlinTile::kK16N64);
    return c;
}

// Packs one projection; returns its order of inputs.
std::vector<int32_t> pack_projection(const LayerCase& c, const FixtureFile& checkpoint,
                                     int64_t expert, Projection projection, MarlinMatrix* matrix) {
    constexpr const char* kNames[] = {"", "gate_proj", "up_proj", "down_proj"};
    const std::string prefix = "model.layers.0.mlp.experts." + std::to_string(expert) + "." +
                               kNames[static_cast<int>(projection)];
    const ProjectionTensors tensors = c.config.format == Format::kAwq
                                          ? gptq_tensors(checkpoint, prefix)
                                          : compressed_tensors(checkpoint, prefix);
    const int64_t rows = c.layer.outputs(projection);
    const auto unpacker = make_unpacker(c.config, rows, c.layer.inputs(projection), tensors, 128);
    matrix->pack(*unpacker, rows, c.plan.first_output(projection, c.layer.gated()), 128);
    const auto order = unpacker->strip(0, 1).order;
    return {order.begin(), order.end()};
}

void check_layer_matrix(const FixtureFile& golden, const std::string& name, int64_t expert,
                        const MarlinMatrix& matrix, const std::vector<int32_t>& order) {
    assert_same_bytes("weight", matrix.weight, golden.slice(name + "_qweight", expert));
    assert_same_bytes("scales", matrix.scale, golden.slice(name + "_scales", expert));
    if (matrix.shape.asymmetric) {
        assert_same_bytes("qzeros", matrix.zero_point, golden.slice(name + "_qzeros", expert));
    }
    if (golden.has(name + "_g_idx_sort_indices")) {
        assert_int_equal(order.size(), matrix.shape.inputs);
        assert_same_bytes("order", order, golden.slice(name + "_g_idx_sort_indices", expert));
    }
}

void whole_layers_match(void**) {
    const auto folder = fixture_path("marlin_moe");
    if (!folder) skip_without_fixture("marlin_moe");
    for (const auto& entry : read_json(*folder / "index.json")) {
        const auto name = entry.at("file").get<std::string>();
        const FixtureFile golden(*folder / name);
        const FixtureFile checkpoint(*fixture_path(entry.at("checkpoint").get<std::string>()));
        const LayerCase c = layer_case(entry, golden.find("w13_scales").dtype);
        assert_int_equal(c.plan.padded_intermediate,
                         entry.at("padded_intermediate").get<int64_t>());
        for (int64_t expert = 0; expert < c.layer.expert_count; ++expert) {
            print_message("%s expert %d\n", name.c_str(), static_cast<int>(expert));
            MarlinMatrix w13(c.plan.w13), w2(c.plan.w2);
            const auto gate = pack_projection(c, checkpoint, expert, Projection::kGate, &w13);
            const auto up = pack_projection(c, checkpoint, expert, Projection::kUp, &w13);
            const auto down = pack_projection(c, checkpoint, expert, Projection::kDown, &w2);
            assert_true(gate == up);
            check_layer_matrix(golden, "w13", expert, w13, gate);
            check_layer_matrix(golden, "w2", expert, w2, down);
        }
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(single_matrices_match),
        cmocka_unit_test(whole_layers_match),
    };
    return cmocka_run_group_tests_name("golden_marlin_fixture", tests, nullptr, nullptr);
}
