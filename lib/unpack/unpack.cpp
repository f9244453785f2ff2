// SPDX-License-Identifier: Apache-2.0
// The unpacker of every format: a reader for the packing, scratch memory for one strip, and the
// columns of activation order moved together.
#include "unpack/unpack.h"

#include "base/checked.h"
#include "unpack/group_order.h"
#include "unpack/reader.h"

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
        default:
            return nullptr;
    }
}

// Empty where no column moves.
std::vector<int32_t> find_order(const QuantConfig& config, int64_t group_size,
                                const TensorView& group_index) {
    if (config.order != Order::kGroup || group_index.absent()) return {};
    const std::span<const int32_t> groups(static_cast<const int32_t*>(group_index.data),
                                          static_cast<size_t>(group_index.shape[0]));
    if (is_plain_order(groups, group_size)) return {};
    return group_order(groups, group_size);
}

// Pieces of scratch memory for one strip.
struct Scratch {
    Buffer memory;
    uint32_t* codes = nullptr;       // [max_rows, words_per_row]
    float* scales = nullptr;         // [max_rows, groups]
    uint8_t* zero_points = nullptr;  // [max_rows, groups]
    uint8_t* bytes = nullptr;        // [K], one row of codes while its columns move
};

// `copies_codes`: strips hold codes of their own; else they lie in the tensor.
Result<Scratch> allocate_scratch(const ReaderShape& shape, int64_t max_rows, bool copies_codes,
                                 std::shared_ptr<const Allocator> allocator) {
    const auto codes = checked_mul(copies_codes ? max_rows : 0, shape.words_per_row(), int64_t{4});
    const auto scales = checked_mul(max_rows, shape.groups, int64_t{4});
    const auto zero_points = checked_mul(max_rows, shape.groups);
    constexpr int64_t kSizeLimit = INT64_MAX / 8;  // four such pieces can be added
    if (!codes || !scales || !zero_points || *codes > kSizeLimit || *scales > kSizeLimit) {
        return Status::error(Code::kOutOfMemory,
                             "unpack scratch: more bytes than 63 bits can count");
    }
    constexpr int64_t kAlignment = kAlignmentBytes;
    const int64_t scales_at = round_up(*codes, kAlignment);
    const int64_t zero_points_at = scales_at + round_up(*scales, kAlignment);
    const int64_t bytes_at = zero_points_at + round_up(*zero_points, kAlignment);
    Scratch scratch;
    TRY(scratch.memory,
        Buffer::create(std::move(allocator), static_cast<uint64_t>(bytes_at + shape.inputs),
                       "unpack scratch"));
    uint8_t* base = scratch.memory.data();
    scratch.codes = reinterpret_cast<uint32_t*>(base);
    scratch.scales = reinterpret_cast<float*>(base + scales_at);
    scratch.zero_points = base + zero_points_at;
    scratch.bytes = base + bytes_at;
    return scratch;
}

class StripUnpacker final : public Unpacker {
  public:
    StripUnpacker(const ReaderShape& shape, const Canonical& constants,
                  std::unique_ptr<const Reader> reader, std::vector<int32_t> order, bool asymmetric,
                  Scratch scratch)
        : shape_(shape),
          constants_(constants),
          reader_(std::move(reader)),
          order_(std::move(order)),
          asymmetric_(asymmetric),
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
        if (asymmetric_) {
            reader_->read_zero_points(first_row, rows, scratch_.zero_points);
            strip.zero_points = {scratch_.zero_points, group_values};
        }
        return strip;
    }

  private:
    const uint32_t* codes(int64_t first_row, int64_t rows) {
        const uint32_t* source = reader_->codes_in_place(first_row);
        if (source != nullptr && order_.empty()) return source;
        if (source == nullptr) {
            reader_->read_codes(first_row, rows, scratch_.codes);
            source = scratch_.codes;
        }
        if (order_.empty()) return source;
        for (int64_t row = 0; row < rows; ++row) {
            const int64_t at = row * shape_.words_per_row();
            move_columns(source + at, order_, shape_.bits, scratch_.bytes, scratch_.codes + at);
        }
        return scratch_.codes;
    }

    ReaderShape shape_;
    Canonical constants_;  // of every strip
    std::unique_ptr<const Reader> reader_;
    std::vector<int32_t> order_;
    bool asymmetric_;
    Scratch scratch_;
};

}  // namespace

Result<std::unique_ptr<Unpacker>> Unpacker::create(const QuantConfig& config, int64_t outputs,
                                                   int64_t inputs, const ProjectionTensors& tensors,
                                                   int64_t max_rows,
                                                   std::shared_ptr<const Allocator> allocator) {
    const int64_t group_size = config.group_size_for(inputs);
    const ReaderShape shape{.outputs = outputs,
                            .inputs = inputs,
                            .groups = inputs / group_size,
                            .bits = config.bits,
                            .zero_point_form = config.zero_point_form};
    Canonical constants;
    constants.columns = inputs;
    constants.group_size = group_size;
    constants.bits = config.bits;
    constants.scale_type = scale_type_of(tensors.scale.dtype);
    auto reader = make_reader(config.format, shape, tensors);
    auto order = find_order(config, group_size, tensors.group_index);
    const bool copies_codes = !order.empty() || reader->codes_in_place(0) == nullptr;
    TRY(Scratch scratch, allocate_scratch(shape, max_rows, copies_codes, std::move(allocator)));
    return std::unique_ptr<Unpacker>(
        std::make_unique<StripUnpacker>(shape, constants, std::move(reader), std::move(order),
                                        config.asymmetric(), std::move(scratch)));
}

}  // namespace mmoe
