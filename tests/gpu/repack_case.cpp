// SPDX-License-Identifier: Apache-2.0
#include "repack_case.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "repack/marlin.h"
#include "repack/slice.h"

namespace mmoe::test {

using layout::ScaleType;

QuantConfig config_of(const RepackCase& c) {
    QuantConfig config;
    config.format = c.format;
    config.bits = c.bits;
    if (c.group != 0) config.group_size = static_cast<int32_t>(c.group);
    config.symmetry = c.asymmetric ? Symmetry::kAsymmetric : Symmetry::kSymmetric;
    config.zero_point_form = c.form;
    config.order = c.ordered ? Order::kGroup : Order::kNone;
    config.scale_type = c.scale_type;
    return config;
}

namespace {

TensorView view_of(const QuantConfig& config, const RepackCase& c, Role role, DType dtype,
                   const void* data) {
    const ExpectedTensor expected = expected_tensor(config, c.outputs, c.inputs, role);
    TensorView view;
    view.dtype = dtype;
    view.rank = expected.rank;
    std::copy_n(expected.shape, 2, view.shape);
    view.data = data;
    return view;
}

int64_t elements(const QuantConfig& config, const RepackCase& c, Role role) {
    const ExpectedTensor expected = expected_tensor(config, c.outputs, c.inputs, role);
    return expected.shape[0] * (expected.rank == 2 ? expected.shape[1] : 1);
}

}  // namespace

std::unique_ptr<FileExpert> make_expert(const RepackCase& c, std::mt19937& random) {
    const QuantConfig config = config_of(c);
    auto expert = std::make_unique<FileExpert>();
    expert->weight.resize(static_cast<size_t>(elements(config, c, Role::kWeight)));
    for (uint32_t& word : expert->weight) word = random();
    const auto scales = static_cast<size_t>(elements(config, c, Role::kScale));
    const auto scale_size = static_cast<size_t>(layout::scale_bytes(c.scale_type));
    expert->scale.resize(scales * scale_size);
    for (size_t i = 0; i < scales; ++i) {
        const float value = static_cast<float>(random() % 200 + 1) / 4096.0F;
        const uint16_t half = c.scale_type == ScaleType::kF16 ? layout::f32_to_f16(value)
                                                              : layout::f32_to_bf16(value);
        const void* from =
            c.scale_type == ScaleType::kF32 ? static_cast<const void*>(&value) : &half;
        std::memcpy(&expert->scale[i * scale_size], from, scale_size);
    }
    expert->tensors.weight = view_of(config, c, Role::kWeight, DType::kI32, expert->weight.data());
    expert->tensors.scale =
        view_of(config, c, Role::kScale, static_cast<DType>(c.scale_type), expert->scale.data());
    if (c.asymmetric) {
        const bool bytes = c.form == ZeroPointForm::kInt8;
        const int64_t count = elements(config, c, Role::kZeroPoint);
        expert->zero_point.resize(static_cast<size_t>(bytes ? (count + 3) / 4 : count));
        for (uint32_t& word : expert->zero_point) {
            word = bytes ? (random() & 0x07070707) : random();
        }
        expert->tensors.zero_point =
            view_of(config, c, Role::kZeroPoint, bytes ? DType::kI8 : DType::kI32,
                    expert->zero_point.data());
    }
    if (c.ordered) {
        expert->group_index.resize(static_cast<size_t>(c.inputs));
        for (size_t k = 0; k < expert->group_index.size(); ++k) {
            expert->group_index[k] = static_cast<int32_t>(static_cast<int64_t>(k) / c.group);
        }
        std::shuffle(expert->group_index.begin(), expert->group_index.end(), random);
        expert->tensors.group_index =
            view_of(config, c, Role::kGroupIndex, DType::kI32, expert->group_index.data());
    }
    return expert;
}

void tiles_by_column(const MarlinShape& shape, const uint8_t* by_row, uint8_t* out) {
    MarlinShape turned = shape;  // the same with the axes of tiles exchanged
    turned.inputs = shape.outputs / 64 * 16;
    turned.outputs = shape.inputs / 16 * 64;
    tiles_by_row(turned, by_row, out);
}

namespace {

// The rows that a case takes, in canonical form: whole columns, then their slice.
class Taken final : public Unpacker {
  public:
    Taken(std::unique_ptr<Unpacker> source, std::vector<int32_t> rows)
        : source_(std::move(source)), rows_(std::move(rows)) {}
    Canonical strip(int64_t first_row, int64_t rows) override {
        codes_.clear();
        scales_.clear();
        zero_points_.clear();
        Canonical strip;
        for (int64_t row = 0; row < rows; ++row) {
            strip = source_->strip(rows_[static_cast<size_t>(first_row + row)], 1);
            codes_.insert(codes_.end(), strip.codes.begin(), strip.codes.end());
            scales_.insert(scales_.end(), strip.scales.begin(), strip.scales.end());
            zero_points_.insert(zero_points_.end(), strip.zero_points.begin(),
                                strip.zero_points.end());
        }
        strip.rows = rows;
        strip.codes = codes_;
        strip.scales = scales_;
        strip.zero_points = zero_points_;
        return strip;
    }

  private:
    std::unique_ptr<Unpacker> source_;
    std::vector<int32_t> rows_;
    std::vector<uint32_t> codes_;
    std::vector<float> scales_;
    std::vector<uint8_t> zero_points_;
};

}  // namespace

void pack_on_host(const RepackCase& c, const RepackMatrix& target, const FileExpert& expert,
                  const std::vector<int32_t>& rows, int64_t index, RepackBytes& out) {
    const auto allocator = std::make_shared<const Allocator>();
    std::unique_ptr<Unpacker> source = std::make_unique<Taken>(
        std::move(Unpacker::create(config_of(c), c.outputs, c.inputs, expert.tensors, 1, allocator)
                      .value()),
        rows);
    if (target.columns != c.inputs) {
        const int64_t group = target.group == 0 ? target.columns : target.group;
        source = std::move(slice_inputs(std::move(source), {c.first_column, target.columns, group},
                                        target.rows, allocator)
                               .value());
    }
    const MarlinShape& shape = target.shape;
    std::vector<uint32_t> by_row(static_cast<size_t>(shape.weight_words()));
    std::vector<uint8_t> scales(static_cast<size_t>(shape.scale_bytes()));
    std::vector<uint32_t> zeros(static_cast<size_t>(shape.zero_point_words()));
    pack_marlin(shape, source->strip(0, target.rows), 0, {by_row, scales, zeros});

    const cuda::Matrix matrix = target.matrix();
    uint8_t* codes =
        out.codes.data() + index * matrix.expert_stride_bytes + matrix.tile_stride_bytes;
    tiles_by_column(shape, reinterpret_cast<const uint8_t*>(by_row.data()), codes);
    const auto place_rows = [&](const uint8_t* from, size_t part_bytes, size_t block_bytes,
                                std::vector<uint8_t>& to) {  // a block: 64 outputs of one group
        const auto groups = static_cast<size_t>(shape.groups);
        for (size_t group = 0; group < groups; ++group) {
            const size_t row = static_cast<size_t>(index) * groups + group;
            std::memcpy(&to[row * (part_bytes + block_bytes) + block_bytes],
                        from + group * part_bytes, part_bytes);
        }
    };
    const auto outputs = static_cast<size_t>(shape.outputs);
    const auto scale_size = static_cast<size_t>(layout::scale_bytes(shape.scale_type));
    place_rows(scales.data(), outputs * scale_size, 64 * scale_size, out.scales);
    if (!shape.asymmetric) return;
    const auto bits = static_cast<size_t>(shape.bits);
    place_rows(reinterpret_cast<const uint8_t*>(zeros.data()), outputs * bits / 8, 64 * bits / 8,
               out.zero_points);
}

}  // namespace mmoe::test
