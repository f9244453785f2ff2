// SPDX-License-Identifier: Apache-2.0
// The unpacker of every format: a reader for the packing, scratch memory for one strip, and the
// columns of activation order moved together.
#include "unpack/unpack.h"

#include <algorithm>

#include "base/checked.h"
#include "unpack/group_order.h"
#include "unpack/marlin.h"
#include "unpack/reader.h"
#include "unpack/row_memory.h"
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
        case Format::kGptq:
            return make_gptq_reader(shape, tensors);
        case Format::kAwq:
            return make_awq_reader(shape, tensors);
        case Format::kCompressedTensors:
        case Format::kMarlin:  // has no reader: unpack_marlin() is its unpacker
            break;
    }
    return make_compressed_tensors_reader(shape, tensors);
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

template <class T>
std::span<const T> elements(const TensorView& tensor, int64_t count) {
    return {static_cast<const T*>(tensor.data), tensor.absent() ? 0 : static_cast<size_t>(count)};
}

ConstMarlinTensors marlin_tensors(const MarlinShape& shape, const ProjectionTensors& tensors) {
    return {elements<uint32_t>(tensors.weight, shape.weight_words()),
            elements<uint8_t>(tensors.scale, shape.scale_bytes()),
            elements<uint32_t>(tensors.zero_point, shape.zero_point_words())};
}

// Which roles have a tensor, and whether strips are rows of the file.
struct Roles {
    bool weight, scale, zero_point, in_file;
};

// Memory in which columns move.
struct OrderScratch {
    std::vector<int32_t> order;  // empty: no column moves
    Buffer by_input;             // [words_per_row, kBlock] canonical words in transposed form
};

// Whether packers can read the whole matrix from the file: whole blocks, and groups of whole words.
bool packers_take(const ReaderShape& shape, const Reader& reader) {
    const cpu::Tier tier = cpu::usable_tier();
    const int64_t fields = shape.fields_per_word();
    return cpu::pack_file_tiles(tier) != nullptr && cpu::pack_file_marlin(tier) != nullptr &&
           reader.file_rows(0).has_value() && shape.outputs % cpu::kFileOutputs == 0 &&
           shape.inputs % (cpu::kFileWords * fields) == 0 &&
           shape.inputs / shape.groups % fields == 0;
}

class StripUnpacker final : public Unpacker {
  public:
    StripUnpacker(const ReaderShape& shape, Roles roles, std::unique_ptr<const Reader> reader,
                  OrderScratch order, RowMemory memory)
        : shape_(shape),
          roles_(roles),
          reader_(std::move(reader)),
          order_(std::move(order)),
          memory_(std::move(memory)) {}

    [[nodiscard]] int64_t wide_rows() const noexcept override {
        return roles_.in_file ? shape_.outputs : 0;
    }

    Canonical strip(int64_t first_row, int64_t rows) override {
        Canonical strip = memory_.view(0, rows);
        if (roles_.in_file) {
            strip.file = reader_->file_rows(first_row);
            return strip;
        }
        strip.order = order_.order;
        if (roles_.weight) read_codes(first_row, rows, &strip);
        if (roles_.scale) reader_->read_scales(first_row, rows, memory_.scales(0));
        if (roles_.zero_point) {
            reader_->read_zero_points(first_row, rows, memory_.zero_points(0));
        }
        return strip;
    }

  private:
    void read_codes(int64_t first_row, int64_t rows, Canonical* strip) {
        if (strip->codes.empty()) {
            strip->codes = {reader_->codes_in_place(first_row),
                            static_cast<size_t>(rows * shape_.words_per_row())};
        } else if (order_.order.empty()) {
            reader_->read_codes(first_row, rows, memory_.codes(0));
        } else {
            read_ordered_codes(first_row, rows);
        }
    }

    // Through a block in transposed form, where one step serves kBlock outputs.
    void read_ordered_codes(int64_t first_row, int64_t rows) {
        const int64_t words = shape_.words_per_row();
        auto* by_input = order_.by_input.as<uint32_t>().data();
        for (int64_t row = 0; row < rows; row += kBlock) {
            const int64_t count = std::min<int64_t>(kBlock, rows - row);
            uint32_t* out = memory_.codes(row);
            reader_->read_codes(first_row + row, count, out);
            transpose_words(out, words, count, words, by_input, kBlock);
            move_columns(by_input, count, order_.order, shape_.bits, out);
        }
    }

    ReaderShape shape_;
    Roles roles_;
    std::unique_ptr<const Reader> reader_;
    OrderScratch order_;
    RowMemory memory_;  // of one strip
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
                                                   std::shared_ptr<const Allocator> allocator,
                                                   CodeForm form) {
    if (config.format == Format::kMarlin) {
        const DType scales = tensors.scale.absent() ? DType::kBf16 : tensors.scale.dtype;
        const MarlinShape shape = marlin_shape(config, outputs, inputs, scales);
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
    auto reader = make_reader(config.format, shape, tensors);
    OrderScratch order{input_order(config, inputs, tensors.group_index), {}};
    const bool ordered = !tensors.weight.absent() && !order.order.empty();
    const Roles roles{
        .weight = !tensors.weight.absent(),
        .scale = !tensors.scale.absent(),
        .zero_point = config.asymmetric() && !tensors.zero_point.absent(),
        .in_file = form == CodeForm::kAny && !ordered && packers_take(shape, *reader)};
    if (ordered) {
        const auto bytes = static_cast<uint64_t>(shape.words_per_row() * kBlock * 4);
        TRY(order.by_input, Buffer::create(allocator, bytes, "activation order"));
    }
    Canonical strip;
    strip.columns = inputs;
    strip.group_size = group_size;
    strip.bits = config.bits;
    if (roles.scale) strip.scale_type = scale_type_of(tensors.scale.dtype);
    const bool in_place = !ordered && reader->codes_in_place(0) != nullptr;
    RowMemory::Pieces pieces{
        .codes = roles.weight && !in_place, .scales = roles.scale, .zero_points = roles.zero_point};
    if (roles.in_file) pieces = {.codes = false, .scales = false, .zero_points = false};
    TRY(RowMemory memory, RowMemory::create(strip, pieces, max_rows, std::move(allocator)));
    return std::unique_ptr<Unpacker>(std::make_unique<StripUnpacker>(
        shape, roles, std::move(reader), std::move(order), std::move(memory)));
}

}  // namespace mmoe
