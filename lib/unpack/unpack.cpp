// SPDX-License-Identifier: Apache-2.0
// The unpacker of every format: a reader for the packing, scratch memory for one strip, and the
// columns of activation order moved together.
#include "unpack/unpack.h"

#include <algorithm>

#include "base/checked.h"
#include "unpack/group_order.h"
#include "unpack/marlin.h"
#include "unpack/reader.h"
#include "unpack/transpose.h"

namespace mmoe {

namespace {

layout::ScaleType scale_type_of(DType dtype) {
    return static_cast<layout::ScaleType>(dtype);  // both are values of mmoe_dtype
}
static_assert(static_cast<int32_t>(DType::kF32) == static_cast<int32_t>(layout::ScaleType::kF32));
static_assert(static_cast<int32_t>(DType::kF16) == static_cast<int32_t>(layout::ScaleType::kF16));
static_assert(static_cast<int32_t>(DType::kBf16) == static_cast<int32_t>(layout::ScaleType::kBf16));

std::unique_ptr<const Reader> make_reader(Format format, const ReaderShape& shape,
                                          const ProjectionTensors& tensors) {
    switch (format) {
        case Format::kCompressedTensors:
            return make_compressed_tensors_reader(shape, tensors);
        case Format::kGptq:
            return make_gptq_reader(shape, tensors);
        case Format::kAwq:
            return make_awq_reader(shape, tensors);
        case Format::kMarlin:
            break;  // no reader: unpack_marlin() makes the unpacker
    }
    return nullptr;
}

// A projection as a Marlin matrix of its own.
MarlinShape marlin_shape(const QuantConfig& config, int64_t outputs, int64_t inputs,
                         DType scale_dtype) {
    return {.inputs = inputs,
            .outputs = outputs,
            .groups = inputs / config.group_size_for(inputs),
            .bits = config.bits,
            .asymmetric = config.asymmetric(),
            .scale_type = scale_type_of(scale_dtype)};
}

ConstMarlinTensors marlin_tensors(const MarlinShape& shape, const ProjectionTensors& tensors) {
    return {
        {static_cast<const uint32_t*>(tensors.weight.data),
         static_cast<size_t>(shape.weight_words())},
        {static_cast<const uint8_t*>(tensors.scale.data), static_cast<size_t>(shape.scale_bytes())},
        {static_cast<const uint32_t*>(tensors.zero_point.data),
         static_cast<size_t>(shape.zero_point_words())}};
}

// Pieces of scratch memory for one strip.
struct Scratch {
    Buffer memory;
    uint32_t* codes = nullptr;       // [max_rows, words_per_row]
    uint32_t* by_input = nullptr;    // [words_per_row, kBlock], while columns move
    float* scales = nullptr;         // [max_rows, groups]
    uint8_t* zero_points = nullptr;  // [max_rows, groups]
};

// Rows that the strips need memory for.
struct ScratchRows {
    int64_t codes = 0;
    int64_t by_input = 0;
    int64_t groups = 0;
};

Result<Scratch> allocate_scratch(const ReaderShape& shape, const ScratchRows& rows,
                                 std::shared_ptr<const Allocator> allocator) {
    const auto codes = checked_mul(rows.codes, shape.words_per_row(), int64_t{4});
    const auto by_input = checked_mul(rows.by_input, shape.words_per_row(), int64_t{4});
    const auto scales = checked_mul(rows.groups, shape.groups, int64_t{4});
    constexpr int64_t kSizeLimit = INT64_MAX / 8;  // four such pieces can be added
    if (!codes || !by_input || !scales || std::max({*codes, *by_input, *scales}) > kSizeLimit) {
        return Status::error(Code::kOutOfMemory,
                             "unpack scratch: more bytes than 63 bits can count");
    }
    constexpr int64_t kAlignment = kAlignmentBytes;
    const int64_t by_input_at = round_up(*codes, kAlignment);
    const int64_t scales_at = by_input_at + round_up(*by_input, kAlignment);
    const int64_t zero_points_at = scales_at + round_up(*scales, kAlignment);
    const int64_t end = zero_points_at + rows.groups * shape.groups;
    Scratch scratch;
    TRY(scratch.memory,
        Buffer::create(std::move(allocator), static_cast<uint64_t>(end), "unpack scratch"));
    uint8_t* base = scratch.memory.data();
    scratch.codes = reinterpret_cast<uint32_t*>(base);
    scratch.by_input = reinterpret_cast<uint32_t*>(base + by_input_at);
    scratch.scales = reinterpret_cast<float*>(base + scales_at);
    scratch.zero_points = base + zero_points_at;
    return scratch;
}

class StripUnpacker final : public Unpacker {
  public:
    StripUnpacker(const ReaderShape& shape, const Canonical& constants,
                  std::unique_ptr<const Reader> reader, std::vector<int32_t> order, Scratch scratch)
        : shape_(shape),
          constants_(constants),
          reader_(std::move(reader)),
          order_(std::move(order)),
          scratch_(std::move(scratch)) {
        constants_.order = order_;
    }

    Canonical strip(int64_t first_row, int64_t rows) override {
        Canonical strip = constants_;
        strip.rows = rows;
        const auto words = static_cast<size_t>(rows * shape_.words_per_row());
        const auto group_values = static_cast<size_t>(rows * shape_.groups);
        strip.codes = {codes(first_row, rows), words};
        reader_->read_scales(first_row, rows, scratch_.scales);
        strip.scales = {scratch_.scales, group_values};
        if (shape_.asymmetric) {
            reader_->read_zero_points(first_row, rows, scratch_.zero_points);
            strip.zero_points = {scratch_.zero_points, group_values};
        }
        return strip;
    }

  private:
    const uint32_t* codes(int64_t first_row, int64_t rows) {
        if (!order_.empty()) {
            move_all_columns(first_row, rows);
            return scratch_.codes;
        }
        const uint32_t* in_place = reader_->codes_in_place(first_row);
        if (in_place != nullptr) return in_place;
        reader_->read_codes(first_row, rows, scratch_.codes);
        return scratch_.codes;
    }

    // Through a block in transposed form, where one step serves kBlock outputs.
    void move_all_columns(int64_t first_row, int64_t rows) {
        const int64_t words = shape_.words_per_row();
        for (int64_t row = 0; row < rows; row += kBlock) {
            const int64_t count = std::min<int64_t>(kBlock, rows - row);
            uint32_t* out = scratch_.codes + row * words;
            reader_->read_codes(first_row + row, count, out);
            transpose_words(out, words, count, words, scratch_.by_input, kBlock);
            move_columns(scratch_.by_input, count, order_, shape_.bits, out);
        }
    }

    ReaderShape shape_;
    Canonical constants_;  // of every strip
    std::unique_ptr<const Reader> reader_;
    std::vector<int32_t> order_;
    Scratch scratch_;
};

}  // namespace

std::vector<int32_t> input_order(const QuantConfig& config, int64_t inputs,
                                 const TensorView& group_index) {
    if (config.order != Order::kGroup || group_index.absent()) return {};
    const std::span<const int32_t> index(static_cast<const int32_t*>(group_index.data),
                                         static_cast<size_t>(inputs));
    if (config.format == Format::kMarlin) return {index.begin(), index.end()};
    const int64_t group_size = config.group_size_for(inputs);
    if (is_plain_order(index, group_size)) return {};
    return group_order(index, group_size);
}

Result<std::unique_ptr<Unpacker>> Unpacker::create(const QuantConfig& config, int64_t outputs,
                                                   int64_t inputs, const ProjectionTensors& tensors,
                                                   int64_t max_rows,
                                                   std::shared_ptr<const Allocator> allocator) {
    if (config.format == Format::kMarlin) {
        const MarlinShape shape = marlin_shape(config, outputs, inputs, tensors.scale.dtype);
        return unpack_marlin(shape,
                             {0, outputs, inputs, input_order(config, inputs, tensors.group_index)},
                             marlin_tensors(shape, tensors), max_rows, std::move(allocator));
    }
    const int64_t group_size = config.group_size_for(inputs);
    const ReaderShape shape{.outputs = outputs,
                            .inputs = inputs,
                            .groups = inputs / group_size,
                            .bits = config.bits,
                            .asymmetric = config.asymmetric(),
                            .zero_point_form = config.zero_point_form};
    Canonical constants;
    constants.columns = inputs;
    constants.group_size = group_size;
    constants.bits = config.bits;
    constants.scale_type = scale_type_of(tensors.scale.dtype);
    auto reader = make_reader(config.format, shape, tensors);
    auto order = input_order(config, inputs, tensors.group_index);
    const bool in_place = order.empty() && reader->codes_in_place(0) != nullptr;
    const ScratchRows rows{.codes = in_place ? 0 : max_rows,
                           .by_input = order.empty() ? 0 : int64_t{kBlock},
                           .groups = max_rows};
    TRY(Scratch scratch, allocate_scratch(shape, rows, std::move(allocator)));
    return std::unique_ptr<Unpacker>(std::make_unique<StripUnpacker>(
        shape, constants, std::move(reader), std::move(order), std::move(scratch)));
}

}  // namespace mmoe
