// SPDX-License-Identifier: Apache-2.0
// The repacker on the device against the one on the host: the same bytes from every packing, with
// activation order, slices, channels and padding; what lies outside a projection's part is left
// alone. Prints how fast a layer is repacked.
#include <cuda_runtime.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "cuda/repack.h"
#include "cuda_device.h"
#include "repack_case.h"
#include "unpack/unpack.h"

#include "cmocka_cpp.h"

namespace {

using namespace mmoe;
using namespace mmoe::test;
using layout::ScaleType;
using layout::SourceFormat;
using layout::SourceZeroPoint;

constexpr int64_t kExperts = kRepackExperts;

const RepackCase kCases[] = {
    {.name = "compressed-tensors"},
    {.name = "compressed-tensors, symmetric", .asymmetric = false},
    {.name = "compressed-tensors, 8 bits", .bits = 8, .group = 64},
    {.name = "compressed-tensors, int8 zero points", .form = ZeroPointForm::kInt8},
    {.name = "compressed-tensors, a channel", .group = 0, .scale_type = ScaleType::kF32},
    {.name = "compressed-tensors, spare bits and padding",
     .group = 0,
     .outputs = 100,
     .inputs = 100},
    {.name = "compressed-tensors, many groups", .group = 16, .inputs = 1024},
    {.name = "GPTQ", .format = Format::kGptq, .form = ZeroPointForm::kMinusOne},
    {.name = "GPTQ, words less one",
     .format = Format::kGptq,
     .form = ZeroPointForm::kMinusOneWord,
     .scale_type = ScaleType::kF16},
    {.name = "GPTQ, 8 bits", .format = Format::kGptq, .bits = 8},
    {.name = "GPTQ, 8 bits less one",
     .format = Format::kGptq,
     .bits = 8,
     .form = ZeroPointForm::kMinusOne},
    {.name = "GPTQ, activation order", .format = Format::kGptq, .ordered = true},
    {.name = "GPTQ, 8 bits, activation order, channels",
     .format = Format::kGptq,
     .bits = 8,
     .ordered = true,
     .channels = true},
    {.name = "AWQ", .format = Format::kAwq},
    {.name = "AWQ, 8 bits, padding",
     .format = Format::kAwq,
     .bits = 8,
     .outputs = 136,
     .inputs = 96},
    {.name = "AWQ, a rank's outputs", .format = Format::kAwq, .first_row = 64, .rows = 96},
    {.name = "AWQ, a rank's outputs inside a word",
     .format = Format::kAwq,
     .first_row = 36,
     .rows = 100},
    {.name = "compressed-tensors, channels", .channels = true},
    {.name = "compressed-tensors, a rank's inputs", .first_column = 64, .columns = 128},
    {.name = "GPTQ, a group that straddles ranks",
     .format = Format::kGptq,
     .group = 64,
     .first_column = 160,
     .columns = 160,
     .part_group = 32},
    {.name = "compressed-tensors, inputs inside a word",
     .group = 0,
     .first_column = 36,
     .columns = 100},
};

SourceFormat source_format(Format format) {
    return format == Format::kGptq  ? SourceFormat::kGptq
           : format == Format::kAwq ? SourceFormat::kAwq
                                    : SourceFormat::kCompressedTensors;
}

// Device memory for the length of a test.
class Arena {
  public:
    ~Arena() {
        for (void* block : blocks_) device_.release(block);
    }
    template <class T>
    T* upload(const std::vector<T>& data) {
        blocks_.push_back(device_.allocate(data.size() * sizeof(T)));
        device_.upload(blocks_.back(), data.data(), data.size() * sizeof(T));
        return static_cast<T*>(blocks_.back());
    }
    template <class T>
    void download(std::vector<T>& to, const void* from) {
        device_.download(to.data(), from, to.size() * sizeof(T));
    }
    void synchronize() { device_.synchronize(); }

  private:
    test::CudaTestDevice device_;
    std::vector<void*> blocks_;
};

template <class T>
void append(std::vector<T>& all, const std::vector<T>& one) {
    all.insert(all.end(), one.begin(), one.end());
}

void check_case(const RepackCase& c) {
    std::mt19937 random(5);
    const QuantConfig config = config_of(c);
    const RepackMatrix target(c);
    const cuda::Matrix matrix = target.matrix();
    RepackBytes want(target, matrix);
    std::vector<uint32_t> codes, zeros;
    std::vector<uint8_t> scales;
    std::vector<int32_t> orders, channels;
    for (int64_t index = 0; index < kExperts; ++index) {
        const std::unique_ptr<FileExpert> expert = make_expert(c, random);
        std::vector<int32_t> rows(static_cast<size_t>(target.rows));
        std::iota(rows.begin(), rows.end(), static_cast<int32_t>(c.first_row));
        if (c.channels) std::shuffle(rows.begin(), rows.end(), random);
        pack_on_host(c, target, *expert, rows, index, want);
        append(codes, expert->weight);
        append(scales, expert->scale);
        append(zeros, expert->zero_point);
        append(orders, input_order(config, c.inputs, expert->tensors.group_index));
        append(channels, rows);
    }
    Arena arena;
    cuda::RepackSource source;
    source.shape = {.format = source_format(c.format),
                    .zero_point = static_cast<SourceZeroPoint>(c.form),
                    .bits = c.bits,
                    .outputs = c.outputs,
                    .inputs = c.inputs,
                    .groups = c.group == 0 ? 1 : c.inputs / c.group};
    source.codes = arena.upload(codes);
    source.codes_stride = static_cast<int64_t>(codes.size()) / kExperts;
    source.scales = arena.upload(scales);
    source.scales_stride_bytes = static_cast<int64_t>(scales.size()) / kExperts;
    source.scale_type = c.scale_type;
    if (c.asymmetric) {
        source.zero_points = arena.upload(zeros);
        source.zero_points_stride_bytes = 4 * static_cast<int64_t>(zeros.size()) / kExperts;
    }
    if (c.ordered) {
        source.order = arena.upload(orders);
        source.order_stride = c.inputs;
    }
    if (c.channels) {
        source.channels = arena.upload(channels);
        source.channels_stride = target.rows;
    }
    source.first_row = c.first_row;
    source.first_column = c.first_column;
    RepackBytes got(target, matrix);
    cuda::RepackTarget to;
    to.matrix = matrix;
    to.codes = arena.upload(got.codes);
    to.scales = arena.upload(got.scales);
    to.zero_points = reinterpret_cast<uint32_t*>(arena.upload(got.zero_points));
    to.first_output = 64;
    to.rows = static_cast<int32_t>(target.rows);
    to.columns = static_cast<int32_t>(target.columns);
    to.expert_count = kExperts;
    assert_int_equal(cuda::launch_repack(source, to, nullptr), cudaSuccess);
    arena.synchronize();
    arena.download(got.codes, to.codes);
    arena.download(got.scales, to.scales);
    arena.download(got.zero_points, to.zero_points);
    if (got.codes != want.codes) fail_msg("%s: codes differ", c.name);
    if (got.scales != want.scales) fail_msg("%s: scales differ", c.name);
    if (got.zero_points != want.zero_points) fail_msg("%s: zero points differ", c.name);
}

void every_packing_gives_the_hosts_bytes(void** /*state*/) {
    for (const RepackCase& c : kCases) check_case(c);
}

// vLLM's order is a packing too: to the device's order and back, nothing changes.
void marlin_matrices_are_turned(void** /*state*/) {
    for (const int bits : {4, 8}) {
        std::mt19937 random(7);
        constexpr int64_t kOutputs = 192, kInputs = 320, kGroup = 64;
        cuda::Matrix by_row;
        by_row.bits = bits;
        by_row.inputs = kInputs;
        by_row.outputs = kOutputs;
        by_row.group_size = kGroup;
        by_row.expert_stride_bytes = kOutputs * kInputs * bits / 8;
        by_row.tile_stride_bytes = 128 * bits;
        by_row.tile_row_stride_bytes = kOutputs / 64 * by_row.tile_stride_bytes;
        cuda::Matrix by_column = by_row;
        by_column.tile_row_stride_bytes = 128 * bits;
        by_column.tile_stride_bytes = kInputs / 16 * by_column.tile_row_stride_bytes;
        const auto fill = [&](int64_t words) {
            std::vector<uint32_t> data(static_cast<size_t>(words));
            for (uint32_t& word : data) word = random();
            return data;
        };
        const std::vector<uint32_t> codes = fill(kExperts * kOutputs * kInputs * bits / 32);
        const std::vector<uint32_t> scales = fill(kExperts * kOutputs * (kInputs / kGroup) / 2);
        const std::vector<uint32_t> zeros =
            fill(kExperts * kOutputs * (kInputs / kGroup) * bits / 32);
        Arena arena;
        cuda::RepackSource source;
        source.shape = {SourceFormat::kMarlin, SourceZeroPoint::kPacked, bits, kOutputs, kInputs,
                        kInputs / kGroup};
        source.codes = arena.upload(codes);
        source.codes_stride = kOutputs * kInputs * bits / 32;
        source.scales = arena.upload(scales);
        source.scales_stride_bytes = kOutputs * (kInputs / kGroup) * 2;
        source.zero_points = arena.upload(zeros);
        source.zero_points_stride_bytes = kOutputs * (kInputs / kGroup) * bits / 8;
        std::vector<uint32_t> got_codes(codes.size()), got_scales(scales.size()),
            got_zeros(zeros.size());
        cuda::RepackTarget target;
        target.matrix = by_column;
        target.codes = arena.upload(got_codes);
        target.scales = arena.upload(got_scales);
        target.zero_points = arena.upload(got_zeros);
        target.rows = kOutputs;
        target.columns = kInputs;
        target.expert_count = kExperts;
        assert_int_equal(cuda::launch_repack(source, target, nullptr), cudaSuccess);
        arena.synchronize();
        arena.download(got_codes, target.codes);
        arena.download(got_scales, target.scales);
        arena.download(got_zeros, target.zero_points);
        std::vector<uint32_t> want(codes.size());
        MarlinShape shape;
        shape.inputs = kInputs;
        shape.outputs = kOutputs;
        shape.bits = bits;
        for (int64_t expert = 0; expert < kExperts; ++expert) {
            const int64_t first = expert * source.codes_stride;
            tiles_by_column(shape,
                            reinterpret_cast<const uint8_t*>(&codes[static_cast<size_t>(first)]),
                            reinterpret_cast<uint8_t*>(&want[static_cast<size_t>(first)]));
        }
        assert_true(got_codes == want);
        assert_true(got_scales == scales);
        assert_true(got_zeros == zeros);
    }
}

// Not a test of speed: how many bytes a second are read and written, for whoever looks.
void a_large_layer_is_repacked(void** /*state*/) {
    constexpr int64_t kMany = 64, kOutputs = 2048, kInputs = 2048, kGroup = 128;
    constexpr int kRepeats = 20;
    for (const Format format : {Format::kCompressedTensors, Format::kGptq, Format::kAwq}) {
        Arena arena;
        const std::vector<uint32_t> codes(kMany * kOutputs * kInputs / 8);
        const std::vector<uint16_t> scales(kMany * kOutputs * (kInputs / kGroup));
        const std::vector<uint32_t> zeros(kMany * kOutputs * (kInputs / kGroup) / 8);
        cuda::RepackSource source;
        source.shape = {source_format(format), SourceZeroPoint::kPacked, 4, kOutputs, kInputs,
                        kInputs / kGroup};
        source.codes = arena.upload(codes);
        source.codes_stride = kOutputs * kInputs / 8;
        source.scales = arena.upload(scales);
        source.scales_stride_bytes = kOutputs * (kInputs / kGroup) * 2;
        source.zero_points = arena.upload(zeros);
        source.zero_points_stride_bytes = kOutputs * (kInputs / kGroup) / 2;
        cuda::RepackTarget target;
        target.matrix.inputs = kInputs;
        target.matrix.outputs = kOutputs;
        target.matrix.group_size = kGroup;
        target.matrix.tile_row_stride_bytes = 512;
        target.matrix.tile_stride_bytes = kInputs / 16 * 512;
        target.matrix.expert_stride_bytes = kOutputs / 64 * target.matrix.tile_stride_bytes;
        target.codes = arena.upload(codes);
        target.scales = arena.upload(scales);
        target.zero_points = arena.upload(zeros);
        target.rows = kOutputs;
        target.columns = kInputs;
        target.expert_count = kMany;
        cudaEvent_t start = nullptr;
        cudaEvent_t stop = nullptr;
        cudaEventCreate(&start);
        cudaEventCreate(&stop);
        assert_int_equal(cuda::launch_repack(source, target, nullptr), cudaSuccess);
        cudaEventRecord(start, nullptr);
        for (int i = 0; i < kRepeats; ++i) cuda::launch_repack(source, target, nullptr);
        cudaEventRecord(stop, nullptr);
        arena.synchronize();
        float milliseconds = 0;
        cudaEventElapsedTime(&milliseconds, start, stop);
        cudaEventDestroy(start);
        cudaEventDestroy(stop);
        const double bytes =
            2.0 * kRepeats *
            static_cast<double>(4 * (codes.size() + zeros.size()) + 2 * scales.size());
        print_message("%-20s %.0f GB/s read and written\n", format_name(format),
                      bytes / milliseconds * 1e-6);
    }
}

}  // namespace

int main() {
    if (const int skip = test::skip_without_device()) return skip;
    const CMUnitTest tests[] = {
        cmocka_unit_test(every_packing_gives_the_hosts_bytes),
        cmocka_unit_test(marlin_matrices_are_turned),
        cmocka_unit_test(a_large_layer_is_repacked),
    };
    return cmocka_run_group_tests_name("cuda_repack", tests, nullptr, nullptr);
}
