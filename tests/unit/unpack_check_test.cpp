// SPDX-License-Identifier: Apache-2.0
// What check_projection() says of tensors that contradict their config: a good projection, one
// mistake a row, and the whole sentence.
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "unpack/unpack.h"

#include "cmocka_cpp.h"

using namespace mmoe;

namespace {

constexpr int64_t kOutputs = 16;
constexpr int64_t kInputs = 64;
constexpr int64_t kGroupSize = 32;

// A valid projection of every format that a row may spoil. Arrays are as large as any format
// needs; zero points are 8 (true), or 7 in the forms that subtract one.
struct Projection {
    QuantConfig config;
    int64_t outputs = kOutputs, inputs = kInputs;
    ProjectionTensors tensors;
    std::vector<uint32_t> codes = std::vector<uint32_t>(128);
    std::vector<float> scales = std::vector<float>(32, 0.25F);
    std::vector<uint32_t> zero_words = std::vector<uint32_t>(32, 0x88888888);
    std::vector<int8_t> zero_bytes = std::vector<int8_t>(32);
    std::vector<int32_t> group_index = std::vector<int32_t>(kInputs);

    Projection() {
        config.group_size = kGroupSize;
        config.symmetry = Symmetry::kAsymmetric;
        for (int64_t k = 0; k < kInputs; ++k) {
            group_index[static_cast<size_t>(k)] = static_cast<int32_t>(k / kGroupSize);
        }
        tensors.weight = {DType::kI32, 2, {16, 8}, codes.data()};
        tensors.scale = {DType::kF32, 2, {16, 2}, scales.data()};
        tensors.zero_point = {DType::kI32, 2, {2, 2}, zero_words.data()};
    }
    Projection(const Projection&) = delete;

    void add_group_index() {
        tensors.group_index = {DType::kI32, 1, {kInputs}, group_index.data()};
    }
    void make_int8() {
        config.zero_point_form = ZeroPointForm::kInt8;
        tensors.zero_point = {DType::kI8, 2, {16, 2}, zero_bytes.data()};
    }
    void make_gptq(ZeroPointForm form) {
        config.format = Format::kGptq;
        config.zero_point_form = form;
        if (form != ZeroPointForm::kPacked) zero_words.assign(32, 0x77777777);
        tensors.weight.shape[0] = 8;
        tensors.weight.shape[1] = 16;
        tensors.scale.shape[0] = 2;
        tensors.scale.shape[1] = 16;
        add_group_index();
    }
    void make_awq() {
        config.format = Format::kAwq;
        tensors.weight.shape[0] = 64;
        tensors.weight.shape[1] = 2;
        tensors.scale.shape[0] = 2;
        tensors.scale.shape[1] = 16;
    }
    void make_marlin() {
        config.format = Format::kMarlin;
        outputs = 64;
        codes.resize(512);
        scales.resize(128, 0.25F);
        tensors.weight = {DType::kI32, 2, {4, 128}, codes.data()};
        tensors.scale = {DType::kF32, 2, {2, 64}, scales.data()};
        tensors.zero_point = {DType::kI32, 2, {2, 8}, zero_words.data()};
    }
};

struct Row {
    const char* name;
    void (*spoil)(Projection& p);
    Code code;             // kOk: the projection is good
    const char* sentence;  // "" if good
};

const Row kRows[] = {
    {"compressed-tensors", [](Projection&) {}, Code::kOk, ""},
    {"signed bytes", [](Projection& p) { p.make_int8(); }, Code::kOk, ""},
    {"gptq v2", [](Projection& p) { p.make_gptq(ZeroPointForm::kPacked); }, Code::kOk, ""},
    {"gptq v1 fields", [](Projection& p) { p.make_gptq(ZeroPointForm::kMinusOne); }, Code::kOk, ""},
    {"gptq v1 words", [](Projection& p) { p.make_gptq(ZeroPointForm::kMinusOneWord); }, Code::kOk,
     ""},
    {"gptq symmetric",
     [](Projection& p) {
         p.make_gptq(ZeroPointForm::kMinusOne);
         p.config.symmetry = Symmetry::kSymmetric;
     },
     Code::kOk, ""},
    {"gptq symmetric without zero points",
     [](Projection& p) {
         p.make_gptq(ZeroPointForm::kMinusOne);
         p.config.symmetry = Symmetry::kSymmetric;
         p.tensors.zero_point = {};
     },
     Code::kOk, ""},
    {"awq", [](Projection& p) { p.make_awq(); }, Code::kOk, ""},
    {"marlin", [](Projection& p) { p.make_marlin(); }, Code::kOk, ""},
    {"group index that says nothing", [](Projection& p) { p.add_group_index(); }, Code::kOk, ""},

    {"no weight", [](Projection& p) { p.tensors.weight = {}; }, Code::kMissingTensor,
     "weight: expected I32 [16, 8], got no tensor"},
    {"no scale", [](Projection& p) { p.tensors.scale = {}; }, Code::kMissingTensor,
     "scale: expected F16 or BF16 or F32 [16, 2], got no tensor"},
    {"no zero point", [](Projection& p) { p.tensors.zero_point = {}; }, Code::kMissingTensor,
     "zero point: expected I32 [2, 2], got no tensor"},
    {"no group index", [](Projection& p) { p.config.order = Order::kGroup; }, Code::kMissingTensor,
     "group index: expected I32 [64], got no tensor"},
    {"zero point in a symmetric layer",
     [](Projection& p) { p.config.symmetry = Symmetry::kSymmetric; }, Code::kBadData,
     "zero point: expected no tensor by the config, got I32 [2, 2]"},
    {"group index in awq",
     [](Projection& p) {
         p.make_awq();
         p.add_group_index();
     },
     Code::kBadData, "group index: expected no tensor by the config, got I32 [64]"},

    {"weight not transposed",
     [](Projection& p) {
         p.tensors.weight.shape[0] = 8;
         p.tensors.weight.shape[1] = 16;
     },
     Code::kShape, "weight: expected [16, 8], got [8, 16]"},
    {"weight of rank 3",
     [](Projection& p) {
         p.tensors.weight = {DType::kI32, 3, {1, 16, 8}, p.codes.data()};
     },
     Code::kShape, "weight: expected [16, 8], got [1, 16, 8]"},
    {"scales of another group size", [](Projection& p) { p.tensors.scale.shape[1] = 4; },
     Code::kShape, "scale: expected [16, 2], got [16, 4]"},
    {"zero points along the inputs",
     [](Projection& p) {
         p.tensors.zero_point = {DType::kI32, 2, {16, 1}, p.zero_words.data()};
     },
     Code::kShape, "zero point: expected [2, 2], got [16, 1]"},
    {"short group index",
     [](Projection& p) {
         p.add_group_index();
         p.tensors.group_index.shape[0] = 63;
     },
     Code::kShape, "group index: expected [64], got [63]"},
    {"weight of bytes", [](Projection& p) { p.tensors.weight.dtype = DType::kU8; }, Code::kDtype,
     "weight: expected I32, got U8"},
    {"scale of integers", [](Projection& p) { p.tensors.scale.dtype = DType::kI32; }, Code::kDtype,
     "scale: expected F16 or BF16 or F32, got I32"},
    {"scale of another type than the config says",
     [](Projection& p) { p.config.scale_type = layout::ScaleType::kBf16; }, Code::kDtype,
     "scale: expected BF16, got F32"},

    {"group size that does not divide", [](Projection& p) { p.config.group_size = 48; },
     Code::kUnsupported, "group size: expected a divisor of 64 inputs, got 48"},
    {"gptq with half a word of inputs",
     [](Projection& p) {
         p.make_gptq(ZeroPointForm::kPacked);
         p.config.group_size = 12;
         p.inputs = 60;
     },
     Code::kUnsupported, "inputs: expected a multiple of 8 in this packing, got 60"},
    {"awq with half a word of outputs",
     [](Projection& p) {
         p.make_awq();
         p.outputs = 20;
     },
     Code::kUnsupported, "outputs: expected a multiple of 8 in this packing, got 20"},

    {"marlin with half a block of outputs",
     [](Projection& p) {
         p.make_marlin();
         p.outputs = 96;
     },
     Code::kUnsupported, "outputs: expected a multiple of 64 in this packing, got 96"},
    {"marlin order with an input twice",
     [](Projection& p) {
         p.make_marlin();
         p.config.order = Order::kGroup;
         p.add_group_index();
     },
     Code::kBadData, "group index: expected every number from 0 to 63 once, got 0 at place 1"},
    {"infinite scale", [](Projection& p) { p.scales[7] = std::numeric_limits<float>::infinity(); },
     Code::kBadData, "scale of output 3, group 1: expected a finite number, got infinity or NaN"},
    {"scale that is no number", [](Projection& p) { p.scales[0] = std::nanf(""); }, Code::kBadData,
     "scale of output 0, group 0: expected a finite number, got infinity or NaN"},
    {"signed zero point too low",
     [](Projection& p) {
         p.make_int8();
         p.zero_bytes[5] = -9;
     },
     Code::kBadData, "zero point of output 2, group 1: expected -8 to 7, got -9"},
    {"signed zero point too high",
     [](Projection& p) {
         p.make_int8();
         p.zero_bytes[31] = 8;
     },
     Code::kBadData, "zero point of output 15, group 1: expected -8 to 7, got 8"},
    {"zero point that is 0 or 16",
     [](Projection& p) {
         p.make_gptq(ZeroPointForm::kMinusOne);
         p.zero_words[3] = 0x777777F7;
     },
     Code::kBadData,
     "zero point of output 9, group 1: expected a stored value below 15, got 15, which a zero "
     "point of 0 leaves when one is subtracted field by field"},
    {"symmetric v1 read as v2",
     [](Projection& p) {
         p.make_gptq(ZeroPointForm::kPacked);
         p.config.symmetry = Symmetry::kSymmetric;
         p.zero_words.assign(32, 0x77777777);
     },
     Code::kBadData, "zero point of output 0, group 0: expected 8 in a symmetric layer, got 7"},
    {"group that does not exist",
     [](Projection& p) {
         p.config.order = Order::kGroup;
         p.add_group_index();
         p.group_index[9] = 2;
     },
     Code::kBadData, "group index of input 9: expected 0 to 1, got 2"},
    {"negative group",
     [](Projection& p) {
         p.config.order = Order::kGroup;
         p.add_group_index();
         p.group_index[0] = -1;
     },
     Code::kBadData, "group index of input 0: expected 0 to 1, got -1"},
    {"groups of unequal size",
     [](Projection& p) {
         p.config.order = Order::kGroup;
         p.add_group_index();
         p.group_index[63] = 0;
     },
     Code::kUnsupported, "group index: expected 32 inputs in every group, got 33 in group 0"},
    {"activation order that the config does not name",
     [](Projection& p) {
         p.add_group_index();
         std::swap(p.group_index[0], p.group_index[63]);
     },
     Code::kBadData,
     "group index: expected input / 32 because the config names no activation order, got another "
     "order"},
};

void sentences_name_the_mistake(void**) {
    for (const Row& row : kRows) {
        print_message("%s\n", row.name);
        Projection p;
        row.spoil(p);
        const Status status = check_projection(p.config, p.outputs, p.inputs, p.tensors);
        assert_int_equal(status.code(), row.code);
        if (row.code != Code::kOk) assert_string_equal(status.message(), row.sentence);
    }
}

void scratch_that_cannot_be_counted_is_refused(void**) {
    const Projection p;
    const auto unpacker = Unpacker::create(p.config, p.outputs, p.inputs, p.tensors, INT64_MAX / 2,
                                           std::make_shared<const Allocator>());
    assert_false(unpacker.ok());
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(sentences_name_the_mistake),
        cmocka_unit_test(scratch_that_cannot_be_counted_is_refused),
    };
    return cmocka_run_group_tests_name("unit_unpack_check", tests, nullptr, nullptr);
}
