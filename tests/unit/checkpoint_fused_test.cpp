// SPDX-License-Identifier: Apache-2.0
// Room checkpoint: tensors that hold several experts, or gate and up together.
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "cmocka_cpp.h"
#include "support/small_model.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

void fused_tensors_are_cut_by_expert_and_half(void**) {
    const ScratchFolder folder("checkpoint_fused");
    const auto checkpoint = open_model(folder, fused_model(), kAsymmetric4);
    expect_usable(*checkpoint, 0, "model.layers.0.mlp.experts.");
    const LayerEntry& layer = checkpoint->layers()[0];
    const TensorEntry* both =
        checkpoint->find("model.layers.0.mlp.experts.gate_up_proj.weight_packed");
    const uint64_t half_bytes = kIntermediate * (kHidden / 8) * 4;
    for (int64_t expert = 0; expert < kExperts; ++expert) {
        for (const bool up : {false, true}) {
            auto slice = checkpoint->expert_tensor(
                layer, expert, up ? Projection::kUp : Projection::kGate, Role::kWeight);
            assert_true(slice.ok());
            assert_ptr_equal(slice.value().entry, both);
            assert_int_equal(slice.value().rank, 2);
            assert_int_equal(slice.value().shape[0], kIntermediate);
            assert_int_equal(slice.value().shape[1], kHidden / 8);
            assert_int_equal(slice.value().shape[2], 0);
            assert_int_equal(slice.value().byte_count, half_bytes);
            assert_int_equal(slice.value().row_stride_bytes, 0);
            assert_int_equal(slice.value().file_offset - both->file_offset,
                             (2 * static_cast<uint64_t>(expert) + (up ? 1 : 0)) * half_bytes);
        }
    }
}

void gate_and_up_of_one_expert_may_share_a_tensor(void**) {
    const ScratchFolder folder("checkpoint_gate_up");
    SmallTensors model;
    for (int64_t expert = 0; expert < kExperts; ++expert) {
        const std::string start = "model.layers.0.mlp.experts." + std::to_string(expert) + ".";
        add_packed(&model, start + "gate_up_proj", 2 * kIntermediate, kHidden);
        add_packed(&model, start + "down_proj", kHidden, kIntermediate);
    }
    const auto checkpoint = open_model(folder, model, kAsymmetric4);
    expect_usable(*checkpoint, 0, "model.layers.0.mlp.experts.");
    const LayerEntry& layer = checkpoint->layers()[0];
    for (const Role role : {Role::kWeight, Role::kScale, Role::kZeroPoint}) {
        auto gate = checkpoint->expert_tensor(layer, 1, Projection::kGate, role);
        auto up = checkpoint->expert_tensor(layer, 1, Projection::kUp, role);
        assert_ptr_equal(gate.value().entry, up.value().entry);
        assert_int_equal(2 * gate.value().shape[0], gate.value().entry->shape[0]);
        assert_int_equal(gate.value().file_offset, gate.value().entry->file_offset);
        assert_int_equal(up.value().file_offset - gate.value().file_offset,
                         gate.value().byte_count);
    }
}

// Both projections read the same inputs.
void gate_and_up_share_their_group_index(void**) {
    const ScratchFolder folder("checkpoint_fused_order");
    SmallTensors model = fused_model();
    model["model.layers.0.mlp.experts.gate_up_proj.weight_g_idx"] = {"I32", {kExperts, kHidden}};
    model["model.layers.0.mlp.experts.down_proj.weight_g_idx"] = {"I32", {kExperts, kIntermediate}};
    const auto checkpoint = open_model(folder, model, ordered4());
    expect_usable(*checkpoint, 0, "model.layers.0.mlp.experts.");
    const LayerEntry& layer = checkpoint->layers()[0];
    for (const Projection projection : {Projection::kGate, Projection::kUp}) {
        auto slice = checkpoint->expert_tensor(layer, 1, projection, Role::kGroupIndex);
        assert_int_equal(slice.value().rank, 1);
        assert_int_equal(slice.value().shape[0], kHidden);
        assert_int_equal(slice.value().file_offset - slice.value().entry->file_offset, kHidden * 4);
    }
}

// gpt-oss: gate 0, up 0, gate 1, ...
void interleaved_rows_are_read_apart(void**) {
    const ScratchFolder folder("checkpoint_interleaved");
    SmallTensors model = fused_model();
    std::erase_if(model, [](const auto& m) { return m.first.ends_with("zero_point"); });
    auto& scale = model["model.layers.0.mlp.experts.gate_up_proj.weight_scale"];
    const size_t row_bytes = kHidden / kGroup * 2;
    scale.numbers.resize(scale.bytes() / 8);
    auto* bytes = reinterpret_cast<uint8_t*>(scale.numbers.data());
    for (size_t i = 0; i < scale.bytes(); ++i) bytes[i] = static_cast<uint8_t>(i / row_bytes);
    const auto checkpoint =
        open_model(folder, model, R"("model_type":"gpt_oss","hidden_act":"silu",)" + symmetric4());
    expect_usable(*checkpoint, 0, "model.layers.0.mlp.experts.");
    const LayerEntry& layer = checkpoint->layers()[0];
    assert_true(layer.layer.gate_form == GateForm::kInterleaved);
    assert_true(layer.layer.activation == Activation::kSwigluOai);
    for (const bool up : {false, true}) {
        auto slice = checkpoint->expert_tensor(layer, 2, up ? Projection::kUp : Projection::kGate,
                                               Role::kScale);
        std::vector<uint8_t> got(slice.value().byte_count);
        assert_true(checkpoint->read(slice.value(), got).ok());
        for (size_t i = 0; i < got.size(); ++i) {
            const size_t row = 2 * 2 * kIntermediate + 2 * (i / row_bytes) + (up ? 1 : 0);
            assert_int_equal(got[i], static_cast<uint8_t>(row));
        }
        std::vector<uint8_t> too_small(got.size() - 1);
        assert_int_equal(checkpoint->read(slice.value(), too_small).code(), Code::kInvalidArgument);
    }
}

// Which tensor, its shape in the file, and what is said when an expert's part is asked for. The
// builder leaves the shapes of scales to room unpack.
struct UncutCase {
    const char* name;
    bool fused;
    const char* tensor;
    std::vector<int64_t> shape;
    Projection projection;
    Code code;
    const char* sentence;
};
const UncutCase kUncut[] = {
    {"odd rows of gate and up",
     true,
     "gate_up_proj.weight_scale",
     {kExperts, 65, 2},
     Projection::kUp,
     Code::kUnsupported,
     "model.layers.0.mlp.experts.gate_up_proj.weight_scale: expected rows that divide into gate "
     "and up, got 65"},
    {"no rows of gate and up",
     true,
     "gate_up_proj.weight_scale",
     {kExperts, 0, 2},
     Projection::kGate,
     Code::kUnsupported,
     "model.layers.0.mlp.experts.gate_up_proj.weight_scale: expected rows that divide into gate "
     "and up, got 0"},
    {"three dimensions of one expert",
     false,
     "1.down_proj.weight_scale",
     {kHidden, 1, 1},
     Projection::kDown,
     Code::kBadData,
     "model.layers.0.mlp.experts.1.down_proj.weight_scale: expected at most 2 dimensions, got "
     "[64, 1, 1]"},
};

void parts_that_cannot_be_cut_are_refused(void**) {
    const ScratchFolder folder("checkpoint_uncut");
    const std::string experts = "model.layers.0.mlp.experts.";
    for (const UncutCase& c : kUncut) {
        SmallTensors model = c.fused ? fused_model() : packed_model();
        for (auto& [name, tensor] : model) {  // every expert's, or layers would differ
            if (name == experts + c.tensor || (!c.fused && name.ends_with(c.tensor + 1))) {
                tensor = {"BF16", c.shape};
            }
        }
        const auto checkpoint = open_model(folder, model, kAsymmetric4);
        expect_usable(*checkpoint, 0, experts);
        const auto part =
            checkpoint->expert_tensor(checkpoint->layers()[0], 1, c.projection, Role::kScale);
        if (part.ok()) fail_msg("%s: accepted", c.name);
        if (part.status().code() != c.code) fail_msg("%s: %s", c.name, part.status().message());
        assert_string_equal(part.status().message(), c.sentence);
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(fused_tensors_are_cut_by_expert_and_half),
        cmocka_unit_test(gate_and_up_of_one_expert_may_share_a_tensor),
        cmocka_unit_test(gate_and_up_share_their_group_index),
        cmocka_unit_test(interleaved_rows_are_read_apart),
        cmocka_unit_test(parts_that_cannot_be_cut_are_refused),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
