// SPDX-License-Identifier: Apache-2.0
// mmoe_marlin_enqueue_pack() on device memory against mmoe_marlin_pack() on host memory: the same
// bytes from every format, for every role, with padding and beside another projection.
#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "cuda_device.h"
#include "parity/handles.h"
#include "parity/layer_calls.h"

namespace {

using namespace mmoe::parity;
using mmoe::test::CudaTestDevice;

struct MarlinCase {
    const char* name;
    mmoe_format format;
    int32_t bits, group_size;
    mmoe_zero_point_form form;
    mmoe_dtype file_dtype, marlin_dtype;  // of scales and biases
};

constexpr MarlinCase kMarlinCases[] = {
    {"compressed-tensors", MMOE_FORMAT_COMPRESSED_TENSORS, 4, 32, MMOE_ZERO_POINT_PACKED,
     MMOE_DTYPE_BF16, MMOE_DTYPE_BF16},
    {"compressed-tensors, a channel, int8 zero points", MMOE_FORMAT_COMPRESSED_TENSORS, 8,
     MMOE_GROUP_SIZE_CHANNEL, MMOE_ZERO_POINT_INT8, MMOE_DTYPE_F32, MMOE_DTYPE_F16},
    {"GPTQ v1", MMOE_FORMAT_GPTQ, 4, 64, MMOE_ZERO_POINT_MINUS_ONE_WORD, MMOE_DTYPE_F16,
     MMOE_DTYPE_F32},
    {"GPTQ v2, 8 bits", MMOE_FORMAT_GPTQ, 8, 32, MMOE_ZERO_POINT_PACKED, MMOE_DTYPE_F16,
     MMOE_DTYPE_BF16},
    {"AWQ", MMOE_FORMAT_AWQ, 4, 32, MMOE_ZERO_POINT_PACKED, MMOE_DTYPE_F16, MMOE_DTYPE_F16},
};

mmoe_marlin_matrix matrix_of() {
    auto matrix = sized<mmoe_marlin_matrix>();
    matrix.expert_count = 3;
    matrix.inputs = 192;
    matrix.outputs = 96;
    matrix.padded_inputs = 256;
    matrix.padded_outputs = 256;
    matrix.first_output = 128;
    return matrix;
}

struct MarlinFixture {
    Handle<mmoe_context> cpu, cuda;
    Handle<mmoe_quant_config> config;
    CudaTestDevice device;

    explicit MarlinFixture(const MarlinCase& c) {
        for (auto* context : {&cpu, &cuda}) {
            auto options = sized<mmoe_context_options>();
            options.device_kind = context == &cpu ? MMOE_DEVICE_CPU : MMOE_DEVICE_CUDA;
            mmoe_context* made = nullptr;
            Error error{c.name};
            error.expect_ok(mmoe_context_create(&options, &made, &error.value), "context");
            context->reset(made);
        }
        auto fields = sized<mmoe_quant_fields>();
        fields.format = c.format;
        fields.bits = c.bits;
        fields.group_size = c.group_size;
        fields.symmetry = MMOE_ASYMMETRIC;
        fields.zero_point_form = c.form;
        mmoe_quant_config* made = nullptr;
        Error error{c.name};
        error.expect_ok(mmoe_quant_config_create(&fields, &made, &error.value), "config");
        config.reset(made);
    }
};

// Bytes whose values pass every check: small numbers, small zero points.
std::vector<uint8_t> file_bytes(mmoe_role role, mmoe_dtype dtype, int64_t count,
                                std::mt19937& random) {
    std::vector<uint8_t> bytes(static_cast<size_t>(count) * size_bytes(dtype));
    const bool numbers = role == MMOE_ROLE_SCALE || role == MMOE_ROLE_BIAS;
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
        const uint32_t bits = numbers ? encode(dtype, static_cast<float>(random() % 997) / 4096.0F)
                              : role == MMOE_ROLE_ZERO_POINT ? random() & 0x07070707
                                                             : random();
        std::copy_n(reinterpret_cast<const uint8_t*>(&bits), size_bytes(dtype),
                    bytes.begin() + static_cast<std::ptrdiff_t>(i * size_bytes(dtype)));
    }
    return bytes;
}

int64_t count_of(const mmoe_tensor& tensor) {
    int64_t count = 1;
    for (int axis = 0; axis < tensor.rank; ++axis) count *= tensor.shape[axis];
    return count;
}

void check_role(const MarlinCase& c, mmoe_role role, MarlinFixture& fixture, std::mt19937& random) {
    const mmoe_marlin_matrix matrix = matrix_of();
    auto description = sized<mmoe_marlin_description>();
    Error error{c.name};
    error.expect_ok(
        mmoe_marlin_describe(fixture.config.get(), &matrix, role, &description, &error.value),
        "describe");
    auto args = sized<mmoe_marlin_args>();
    args.role = role;
    args.file = description.file;
    args.marlin = description.marlin;
    if (role == MMOE_ROLE_SCALE || role == MMOE_ROLE_BIAS) {
        args.file.dtype = c.file_dtype;
        args.marlin.dtype = c.marlin_dtype;
    }
    std::vector<uint8_t> file = file_bytes(role, args.file.dtype, count_of(args.file), random);
    std::vector<uint8_t> want(
        static_cast<size_t>(count_of(args.marlin)) * size_bytes(args.marlin.dtype), kPoison);
    std::vector<uint8_t> got = want;
    const auto device_file = place(fixture.device, file.data(), file.size());
    const auto device_marlin = place(fixture.device, got.data(), got.size());
    args.file.data = file.data();
    args.marlin.data = want.data();
    error.expect_ok(mmoe_marlin_enqueue_pack(fixture.cpu.get(), fixture.config.get(), &matrix,
                                             &args, nullptr, &error.value),
                    "on the CPU");
    args.file.data = device_file.get();
    args.marlin.data = device_marlin.get();
    error.expect_ok(mmoe_marlin_enqueue_pack(fixture.cuda.get(), fixture.config.get(), &matrix,
                                             &args, nullptr, &error.value),
                    "on CUDA");
    fixture.device.synchronize();
    fixture.device.download(got.data(), device_marlin.get(), got.size());
    if (got != want) fail_msg("%s: role %d differs", c.name, role);
}

// 8-bit activations have other tiles, for which nothing here multiplies on the device: the host
// packs them, whatever the context is.
void what_the_device_refuses_the_host_packs(void** /*state*/) {
    const MarlinCase& c = kMarlinCases[0];
    MarlinFixture fixture(c);
    std::mt19937 random(5);
    mmoe_marlin_matrix matrix = matrix_of();
    matrix.activation = MMOE_MARLIN_8_BIT;
    auto description = sized<mmoe_marlin_description>();
    Error error{"8-bit activations"};
    error.expect_ok(mmoe_marlin_describe(fixture.config.get(), &matrix, MMOE_ROLE_WEIGHT,
                                         &description, &error.value),
                    "describe");
    auto args = sized<mmoe_marlin_args>();
    args.role = MMOE_ROLE_WEIGHT;
    args.file = description.file;
    args.marlin = description.marlin;
    std::vector<uint8_t> file =
        file_bytes(MMOE_ROLE_WEIGHT, MMOE_DTYPE_I32, count_of(args.file), random);
    std::vector<uint8_t> packed(description.marlin_bytes, kPoison);
    args.file.data = file.data();
    args.marlin.data = packed.data();
    assert_int_equal(mmoe_marlin_enqueue_pack(fixture.cuda.get(), fixture.config.get(), &matrix,
                                              &args, nullptr, nullptr),
                     MMOE_ERR_UNSUPPORTED);
    assert_true(packed == std::vector<uint8_t>(packed.size(), kPoison));
    error.expect_ok(
        mmoe_marlin_pack(fixture.cuda.get(), fixture.config.get(), &matrix, &args, &error.value),
        "on the host");
    assert_true(packed != std::vector<uint8_t>(packed.size(), kPoison));
}

void the_device_packs_the_hosts_bytes(void** /*state*/) {
    std::mt19937 random(3);
    for (const MarlinCase& c : kMarlinCases) {
        MarlinFixture fixture(c);
        for (const mmoe_role role :
             {MMOE_ROLE_WEIGHT, MMOE_ROLE_SCALE, MMOE_ROLE_ZERO_POINT, MMOE_ROLE_BIAS}) {
            check_role(c, role, fixture, random);
        }
    }
}

}  // namespace

int main() {
    if (const int skip = mmoe::test::skip_without_device()) return skip;
    const CMUnitTest tests[] = {
        cmocka_unit_test(the_device_packs_the_hosts_bytes),
        cmocka_unit_test(what_the_device_refuses_the_host_packs),
    };
    return cmocka_run_group_tests_name("cuda_marlin", tests, nullptr, nullptr);
}
