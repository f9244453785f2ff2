// SPDX-License-Identifier: Apache-2.0
// What the public Marlin functions refuse, and with which words.
#include <initializer_list>
#include <string>
#include <vector>

#include "support/marlin_public.h"

#include "cmocka_cpp.h"

using namespace mmoe::test;

namespace {

// A valid call, which a row then spoils.
struct Call {
    mmoe_quant_fields fields = {};
    mmoe_marlin_matrix matrix = {};
    mmoe_marlin_args args = {};
    bool unpack = false;
    std::vector<uint32_t> file, marlin, index;

    Call() : file(4096), marlin(4096), index(256) {
        fields.bits = 4;
        fields.group_size = 32;
        fields.symmetry = MMOE_ASYMMETRIC;
        matrix.struct_size = sizeof matrix;
        matrix.expert_count = 2;
        matrix.inputs = 64;
        matrix.outputs = 64;
        args.struct_size = sizeof args;
        args.role = MMOE_ROLE_WEIGHT;
        args.file = tensor(file, MMOE_DTYPE_I32, {2, 64, 8});
        args.marlin = tensor(marlin, MMOE_DTYPE_I32, {2, 4, 128});
    }

    static mmoe_tensor tensor(std::vector<uint32_t>& memory, mmoe_dtype dtype,
                              std::initializer_list<int64_t> shape) {
        mmoe_tensor view = {};
        view.data = memory.data();
        view.dtype = dtype;
        for (const int64_t extent : shape) view.shape[view.rank++] = extent;
        return view;
    }
    void scales() {
        args.role = MMOE_ROLE_SCALE;
        args.file = tensor(file, MMOE_DTYPE_F16, {2, 64, 2});
        args.marlin = tensor(marlin, MMOE_DTYPE_F16, {2, 2, 64});
    }
    void zero_points() {
        args.role = MMOE_ROLE_ZERO_POINT;
        args.file = tensor(file, MMOE_DTYPE_I32, {2, 8, 2});
        args.marlin = tensor(marlin, MMOE_DTYPE_I32, {2, 2, 8});
    }
    void gptq_zero_points() {
        zero_points();
        fields.format = MMOE_FORMAT_GPTQ;
        fields.zero_point_form = MMOE_ZERO_POINT_MINUS_ONE;
        args.file = tensor(file, MMOE_DTYPE_I32, {2, 2, 8});
    }
    void group_index() {
        fields.order = MMOE_ORDER_GROUP;
        for (size_t k = 0; k < 128; ++k) index[k] = static_cast<uint32_t>(k % 64 / 32);
        args.group_index = tensor(index, MMOE_DTYPE_I32, {2, 64});
    }
    void order() {
        group_index();
        args.role = MMOE_ROLE_GROUP_INDEX;
        args.file = tensor(file, MMOE_DTYPE_I32, {2, 64});
        args.marlin = tensor(marlin, MMOE_DTYPE_I32, {2, 64});
        args.group_index = {};
        unpack = true;
        for (size_t k = 0; k < 128; ++k) marlin[k] = static_cast<uint32_t>(k % 64);
    }
};

struct BadRow {
    const char* name;
    void (*spoil)(Call& call);
    mmoe_status status;
    const char* message;
};
const BadRow kBadRows[] = {
    {"no experts", [](Call& c) { c.matrix.expert_count = 0; }, MMOE_ERR_INVALID_ARGUMENT,
     "expert_count: expected 1 to 16777216, got 0"},
    {"no outputs", [](Call& c) { c.matrix.outputs = 0; }, MMOE_ERR_INVALID_ARGUMENT,
     "outputs: expected 1 to 16777216, got 0"},
    {"too many inputs", [](Call& c) { c.matrix.inputs = INT64_MAX; }, MMOE_ERR_INVALID_ARGUMENT,
     "inputs: expected 1 to 16777216, got 9223372036854775807"},
    {"padding below the inputs", [](Call& c) { c.matrix.padded_inputs = 32; },
     MMOE_ERR_INVALID_ARGUMENT, "padded_inputs: expected 64 to 16777216, got 32"},
    {"half a tile of inputs", [](Call& c) { c.matrix.padded_inputs = 72; }, MMOE_ERR_UNSUPPORTED,
     "padded_inputs: expected a multiple of 16, got 72"},
    {"half a group of inputs", [](Call& c) { c.matrix.padded_inputs = 80; }, MMOE_ERR_UNSUPPORTED,
     "padded_inputs: expected a multiple of 32, got 80"},
    {"half a block of outputs", [](Call& c) { c.matrix.padded_outputs = 96; }, MMOE_ERR_UNSUPPORTED,
     "padded_outputs: expected a multiple of 64, got 96"},
    {"unpadded outputs", [](Call& c) { c.matrix.outputs = 40; }, MMOE_ERR_UNSUPPORTED,
     "padded_outputs: expected a multiple of 64, got 40"},
    {"first output inside a block", [](Call& c) { c.matrix.first_output = 32; },
     MMOE_ERR_UNSUPPORTED, "first_output: expected a multiple of 64, got 32"},
    {"projection past the matrix", [](Call& c) { c.matrix.first_output = 64; },
     MMOE_ERR_INVALID_ARGUMENT, "padded_outputs: expected 128 to 16777216, got 64"},
    {"negative first output", [](Call& c) { c.matrix.first_output = -64; },
     MMOE_ERR_INVALID_ARGUMENT, "first_output: expected 0 to 64, got -64"},
    {"group does not divide", [](Call& c) { c.fields.group_size = 48; }, MMOE_ERR_UNSUPPORTED,
     "group size: expected a divisor of 64 inputs, got 48"},
    {"unknown activation", [](Call& c) { c.matrix.activation = 2; }, MMOE_ERR_INVALID_ARGUMENT,
     "activation: expected 0 to 1, got 2"},
    {"reserved", [](Call& c) { c.matrix.reserved = 1; }, MMOE_ERR_INVALID_ARGUMENT,
     "reserved: must be 0"},
    {"more bytes than there are",
     [](Call& c) {
         c.matrix.expert_count = 1u << 24;
         c.matrix.inputs = c.matrix.outputs = 1 << 24;
     },
     MMOE_ERR_INVALID_ARGUMENT,
     "expert_count: 16777216 matrices of 281474976710656 weights have more bytes than 63 bits can "
     "count"},
    {"no role", [](Call& c) { c.args.role = 0; }, MMOE_ERR_INVALID_ARGUMENT,
     "role: expected 1 to 5, got 0"},
    {"zero points of a symmetric config",
     [](Call& c) {
         c.zero_points();
         c.fields.symmetry = MMOE_SYMMETRIC;
     },
     MMOE_ERR_UNSUPPORTED,
     "zero points: expected an asymmetric config, got compressed-tensors 4-bit symmetric, group "
     "size 32"},
    {"order of a config without",
     [](Call& c) {
         c.order();
         c.fields.order = MMOE_ORDER_NONE;
     },
     MMOE_ERR_UNSUPPORTED,
     "group index: expected a config with activation order, got compressed-tensors 4-bit "
     "asymmetric, group size 32 without"},
    {"file of another shape", [](Call& c) { c.args.file.shape[1] = 63; }, MMOE_ERR_SHAPE,
     "file: expected [2, 64, 8], got [2, 63, 8]"},
    {"file without experts", [](Call& c) { c.args.file.rank = 2; }, MMOE_ERR_SHAPE,
     "file: expected [2, 64, 8], got [2, 64]"},
    {"matrix of another shape", [](Call& c) { c.args.marlin.shape[2] = 64; }, MMOE_ERR_SHAPE,
     "marlin: expected [2, 4, 128], got [2, 4, 64]"},
    {"codes of another type", [](Call& c) { c.args.file.dtype = MMOE_DTYPE_F32; }, MMOE_ERR_DTYPE,
     "file: expected I32, got F32"},
    {"scales of another type",
     [](Call& c) {
         c.scales();
         c.args.marlin.dtype = MMOE_DTYPE_I8;
     },
     MMOE_ERR_DTYPE, "marlin: expected BF16 or F16 or F32, got I8"},
    {"no memory", [](Call& c) { c.args.marlin.data = nullptr; }, MMOE_ERR_NULL_POINTER,
     "marlin->data: must not be NULL"},
    {"crooked memory",
     [](Call& c) { c.args.file.data = reinterpret_cast<uint8_t*>(c.args.file.data) + 2; },
     MMOE_ERR_INVALID_ARGUMENT, "file: expected an address that is a multiple of 4"},
    {"strides", [](Call& c) { c.args.file.stride[2] = 2; }, MMOE_ERR_SHAPE,
     "file: expected contiguous rows, got strides [0, 0, 2]"},
    {"group index without order",
     [](Call& c) {
         c.group_index();
         c.fields.order = MMOE_ORDER_NONE;
     },
     MMOE_ERR_INVALID_ARGUMENT,
     "group_index: expected none but for weights of a config with activation order, got [2, 64]"},
    {"no group index", [](Call& c) { c.fields.order = MMOE_ORDER_GROUP; }, MMOE_ERR_NULL_POINTER,
     "group_index->data: must not be NULL"},
    {"group index of another shape",
     [](Call& c) {
         c.group_index();
         c.args.group_index.shape[1] = 32;
     },
     MMOE_ERR_SHAPE, "group_index: expected [2, 64], got [2, 32]"},
    {"unequal groups",
     [](Call& c) {
         c.group_index();
         c.index[64] = 1;
     },
     MMOE_ERR_UNSUPPORTED,
     "expert 1: group index: expected 32 inputs in every group, got 31 in group 0"},
    {"group that does not exist",
     [](Call& c) {
         c.group_index();
         c.index[3] = 2;
     },
     MMOE_ERR_BAD_DATA, "expert 0: group index of input 3: expected 0 to 1, got 2"},
    {"infinite scale",
     [](Call& c) {
         c.scales();
         c.file[64 + 3] = 0x7C000000;
     },
     MMOE_ERR_BAD_DATA,
     "expert 1: scale of output 3, group 1: expected a finite number, got infinity or NaN"},
    {"zero point of 0 in version 1",
     [](Call& c) {
         c.gptq_zero_points();
         c.file[17] = 0x000000F0;
     },
     MMOE_ERR_BAD_DATA,
     "expert 1: zero point of output 9, group 0: expected a stored value below 15, got 15, which a "
     "zero point of 0 leaves when one is subtracted field by field"},
    {"zero point of 0 to version 1",
     [](Call& c) {
         c.gptq_zero_points();
         c.unpack = true;
     },
     MMOE_ERR_BAD_DATA,
     "expert 0: zero point of output 0, group 0: expected 1 or more where one is subtracted field "
     "by field, got 0"},
    {"order that is no permutation",
     [](Call& c) {
         c.order();
         c.marlin[70] = 5;
     },
     MMOE_ERR_BAD_DATA,
     "expert 1: group index: expected every number from 0 to 63 once, got 5 at place 6"},
};

void bad_calls_are_refused(void**) {
    for (const BadRow& row : kBadRows) {
        Call call;
        row.spoil(call);
        const ConfigHandle config = make_config(call.fields);
        const auto function = call.unpack ? mmoe_marlin_unpack : mmoe_marlin_pack;
        mmoe_error error = {};
        const mmoe_status status =
            function(nullptr, config.get(), &call.matrix, &call.args, &error);
        if (status != row.status || std::string(error.message) != row.message) {
            fail_msg("%s: expected %s '%s', got %s '%s'", row.name, mmoe_status_name(row.status),
                     row.message, mmoe_status_name(status), error.message);
        }
    }
}

void the_unspoilt_call_works(void**) {
    const Call call;
    const ConfigHandle config = make_config(call.fields);
    mmoe_error error = {};
    assert_int_equal(mmoe_marlin_pack(nullptr, config.get(), &call.matrix, &call.args, &error),
                     MMOE_OK);
    assert_int_equal(mmoe_marlin_unpack(nullptr, config.get(), &call.matrix, &call.args, &error),
                     MMOE_OK);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(bad_calls_are_refused),
        cmocka_unit_test(the_unspoilt_call_works),
    };
    return cmocka_run_group_tests_name("unit_api_marlin_bad", tests, nullptr, nullptr);
}
