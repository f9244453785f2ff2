// SPDX-License-Identifier: Apache-2.0
// One case of the repacker's tests: random tensors as a quantiser packs them, the matrix that they
// go into, and the bytes that the host's packer makes of them.
#pragma once

#include <cstdint>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "bundle/cuda_plan.h"
#include "cuda/launch.h"
#include "unpack/unpack.h"

namespace mmoe::test {

inline constexpr int64_t kRepackExperts = 3;
inline constexpr uint8_t kRepackPoison = 0xA5;

struct RepackCase {
    const char* name;
    Format format = Format::kCompressedTensors;
    int bits = 4;
    bool asymmetric = true;
    ZeroPointForm form = ZeroPointForm::kPacked;
    int64_t group = 32;  // 0: one scale a channel
    int64_t outputs = 192, inputs = 320;
    layout::ScaleType scale_type = layout::ScaleType::kBf16;
    bool ordered = false;
    bool channels = false;
    int64_t first_row = 0, rows = 0;        // 0: all
    int64_t first_column = 0, columns = 0;  // 0: all
    int64_t part_group = 0;                 // of the slice; 0: as the file
};

QuantConfig config_of(const RepackCase& c);

// Random tensors of one expert, as their roles expect them.
struct FileExpert {
    std::vector<uint32_t> weight, zero_point;  // words or, in int8 form, bytes
    std::vector<uint8_t> scale;
    std::vector<int32_t> group_index;
    ProjectionTensors tensors;
};

std::unique_ptr<FileExpert> make_expert(const RepackCase& c, std::mt19937& random);

// The matrix of a case: the projection's part begins at output 64.
struct RepackMatrix {
    MarlinShape shape;  // of the part
    int64_t rows, columns, group;

    explicit RepackMatrix(const RepackCase& c) {
        rows = c.rows != 0 ? c.rows : c.outputs - c.first_row;
        columns = c.columns != 0 ? c.columns : c.inputs - c.first_column;
        group = c.part_group != 0 ? c.part_group : c.group;
        const int64_t unit = group == 0 ? 64 : std::lcm(int64_t{64}, group);
        shape.inputs = (columns + unit - 1) / unit * unit;
        shape.outputs = (rows + 63) / 64 * 64;
        shape.groups = group == 0 ? 1 : shape.inputs / group;
        shape.bits = c.bits;
        shape.asymmetric = c.asymmetric;
        shape.scale_type = c.scale_type;
    }
    [[nodiscard]] cuda::Matrix matrix() const {
        cuda::Matrix matrix;
        matrix.bits = shape.bits;
        matrix.inputs = static_cast<int32_t>(shape.inputs);
        matrix.outputs = static_cast<int32_t>(shape.outputs + 64);
        matrix.group_size = static_cast<int32_t>(shape.inputs / shape.groups);
        matrix.scale_type = shape.scale_type;
        matrix.scale_order = shape.scale_order();
        matrix.tile_row_stride_bytes = marlin_tile_bytes(shape);
        matrix.tile_stride_bytes = shape.inputs / 16 * marlin_tile_bytes(shape);
        matrix.expert_stride_bytes = matrix.tile_stride_bytes * (matrix.outputs / 64);
        return matrix;
    }
};

// Of all experts, poisoned.
struct RepackBytes {
    std::vector<uint8_t> codes, scales, zero_points;  // of all experts

    RepackBytes(const RepackMatrix& target, const cuda::Matrix& matrix)
        : codes(static_cast<size_t>(kRepackExperts * matrix.expert_stride_bytes), kRepackPoison),
          scales(static_cast<size_t>(kRepackExperts * matrix.groups() * matrix.outputs *
                                     layout::scale_bytes(matrix.scale_type)),
                 kRepackPoison),
          zero_points(target.shape.asymmetric
                          ? static_cast<size_t>(kRepackExperts * matrix.groups() * matrix.outputs *
                                                matrix.bits / 8)
                          : 0,
                      kRepackPoison) {}
};

// From the host packer's order of tiles, [K/16][N/64], to the device's, [N/64][K/16].
void tiles_by_column(const MarlinShape& shape, const uint8_t* by_row, uint8_t* out);

// What the host packs of one expert, at its place among all. `rows`: the outputs that are taken.
void pack_on_host(const RepackCase& c, const RepackMatrix& target, const FileExpert& expert,
                  const std::vector<int32_t>& rows, int64_t index, RepackBytes& out);

}  // namespace mmoe::test
