// SPDX-License-Identifier: Apache-2.0
// Codes: a block owns 64 outputs by kInputs inputs of one expert. Unless order or channels scatter
// them, it reads its part of the source once, in whole rows, into shared memory, and every thread
// then gathers the fields of its words from there; else straight from the source.
// Scales and zero points: a block owns 64 outputs by kGroups groups and turns them in shared
// memory, so that reads and writes are contiguous whichever axis the source has last.
#include <cuda_runtime.h>

#include "cuda/number.h"
#include "cuda/repack.h"

namespace mmoe::cuda {
namespace {

using layout::MarlinPlace;
using layout::MarlinTile;
using layout::SourceFormat;
using layout::SourceShape;
using layout::SourceZeroPoint;

constexpr int kThreads = 256;
constexpr int kOutputs = 64;
constexpr int kInputs = 256;  // of a block of codes
constexpr int kGroups = 32;   // of a block of scales or zero points

struct RepackArgs {
    RepackSource source;
    RepackTarget target;
};

// ---- Codes -----------------------------------------------------------------------------------

// The rows of words that hold the codes of one block, in the source and in shared memory.
template <SourceFormat kFormat, int kBits>
struct Region {
    static constexpr int kFields = 32 / kBits;
    static constexpr int kTileWords = 32 * kBits;  // of a Marlin tile
    static constexpr int kRows = kFormat == SourceFormat::kGptq     ? kInputs / kFields
                                 : kFormat == SourceFormat::kAwq    ? kInputs
                                 : kFormat == SourceFormat::kMarlin ? kInputs / 16
                                                                    : kOutputs;
    static constexpr int kRowWords = kFormat == SourceFormat::kGptq     ? kOutputs
                                     : kFormat == SourceFormat::kAwq    ? kOutputs / kFields
                                     : kFormat == SourceFormat::kMarlin ? kTileWords
                                                                        : kInputs / kFields;
    // One word more: rows of the canonical form begin in other banks.
    static constexpr int kPitch = kRowWords + (kFormat == SourceFormat::kCanonical ? 1 : 0);

    // First source word of row `row` of the block at (n, k), and how many of it exist.
    struct Row {
        int64_t first;
        int64_t words;
    };
    static __device__ __forceinline__ Row row(const SourceShape& shape, int64_t n, int64_t k,
                                              int row) {
        switch (kFormat) {
            case SourceFormat::kGptq: {
                const int64_t r = k / kFields + row;
                const bool exists = r < shape.inputs / kFields;
                return {r * shape.outputs + n, exists ? shape.outputs - n : 0};
            }
            case SourceFormat::kAwq: {
                const int64_t words = shape.outputs / kFields;
                const bool exists = k + row < shape.inputs;
                return {(k + row) * words + n / kFields, exists ? words - n / kFields : 0};
            }
            case SourceFormat::kMarlin: {
                const int64_t tile = (k / 16 + row) * (shape.outputs / kOutputs) + n / kOutputs;
                const bool exists = k / 16 + row < shape.inputs / 16;
                return {tile * kTileWords, exists ? kTileWords : 0};
            }
            default: {
                const bool exists = n + row < shape.outputs;
                return {(n + row) * shape.row_words() + k / kFields,
                        exists ? shape.row_words() - k / kFields : 0};
            }
        }
    }

    // Where code (n, k) of the block lies in shared memory.
    static __device__ __forceinline__ MarlinPlace place(int n, int k) {
        switch (kFormat) {
            case SourceFormat::kGptq:
                return {k / kFields * kPitch + n, k % kFields};
            case SourceFormat::kAwq:
                return {k * kPitch + n / kFields, layout::awq_column_field(n % kFields, kBits)};
            case SourceFormat::kMarlin: {
                const MarlinPlace inside =
                    layout::marlin_place_in_tile(k % 16, n, kBits, MarlinTile::kK16N64);
                return {k / 16 * kPitch + inside.word, inside.field};
            }
            default:
                return {n * kPitch + k / kFields, k % kFields};
        }
    }
};

template <class Region>
__device__ __forceinline__ void stage_region(const SourceShape& shape, const uint32_t* codes,
                                             int64_t n, int64_t k, uint32_t* staged) {
    constexpr int kWords = Region::kRows * Region::kRowWords;
#pragma unroll 4
    for (int i = threadIdx.x; i < kWords; i += kThreads) {
        const int row = i / Region::kRowWords;
        const int word = i % Region::kRowWords;
        const typename Region::Row from = Region::row(shape, n, k, row);
        staged[row * Region::kPitch + word] =
            word < from.words ? __ldg(codes + from.first + word) : 0;
    }
    __syncthreads();
}

// One word of a tile: `code(n, k)` gives the code at local output n and input k of the block, and
// where not all of them exist, `kWhole` is false.
template <int kBits, bool kWhole, class Code>
__device__ __forceinline__ uint32_t assemble(int word, int first_k, int rows, int columns,
                                             const Code& code) {
    uint32_t assembled = 0;
#pragma unroll
    for (int field = 0; field < 32 / kBits; ++field) {
        const auto from = layout::marlin_source_in_tile(word, field, kBits, MarlinTile::kK16N64);
        const auto n = static_cast<int>(from.n);
        const int k = first_k + static_cast<int>(from.k);
        if (kWhole || (n < rows && k < columns)) assembled |= code(n, k) << (kBits * field);
    }
    return assembled;
}

template <SourceFormat kFormat, int kBits, bool kStaged>
__global__ void __launch_bounds__(kThreads) repack_codes(const RepackArgs args) {
    using Part = Region<kFormat, kBits>;
    __shared__ uint32_t staged[kStaged ? Part::kRows * Part::kPitch : 1];
    const RepackSource& source = args.source;
    const RepackTarget& target = args.target;
    const int expert = blockIdx.z;
    const int first_n = blockIdx.y * kOutputs;
    const int first_k = blockIdx.x * kInputs;
    const uint32_t* codes = source.codes + expert * source.codes_stride;
    if constexpr (kStaged) {
        stage_region<Part>(source.shape, codes, source.first_row + first_n,
                           source.first_column + first_k, staged);
    }
    const auto code = [&](int n, int k) {
        MarlinPlace place;
        uint32_t word = 0;
        if constexpr (kStaged) {
            place = Part::place(n, k);
            word = staged[place.word];
        } else {
            const int64_t row = source.channels != nullptr
                                    ? source.channels[expert * source.channels_stride + first_n + n]
                                    : source.first_row + first_n + n;
            const int64_t column = source.order != nullptr
                                       ? source.order[expert * source.order_stride + first_k + k]
                                       : source.first_column + first_k + k;
            SourceShape shape = source.shape;  // the compiler folds the switch
            shape.format = kFormat;
            shape.bits = kBits;
            place = layout::source_code_place(shape, row, column);
            word = __ldg(codes + place.word);
        }
        return (word >> (kBits * place.field)) & ((1u << kBits) - 1);
    };
    const Matrix& matrix = target.matrix;
    const int tiles = min(kInputs, matrix.inputs - first_k) / 16;
    auto* out = static_cast<uint8_t*>(target.codes) + expert * matrix.expert_stride_bytes +
                (target.first_output + first_n) / kOutputs * matrix.tile_stride_bytes +
                first_k / 16 * matrix.tile_row_stride_bytes;
    const int rows = target.rows - first_n;
    const int columns = target.columns - first_k;
    const bool whole = rows >= kOutputs && columns >= kInputs;
#pragma unroll 2
    for (int i = threadIdx.x; i < tiles * Part::kTileWords; i += kThreads) {
        const int tile = i / Part::kTileWords;
        const int word = i % Part::kTileWords;
        reinterpret_cast<uint32_t*>(out + tile * matrix.tile_row_stride_bytes)[word] =
            whole ? assemble<kBits, true>(word, 16 * tile, rows, columns, code)
                  : assemble<kBits, false>(word, 16 * tile, rows, columns, code);
    }
}

// ---- Scales and zero points -------------------------------------------------------------------

// What both look up in the source: the output and group of a place in the matrix.
struct GroupPlace {
    int64_t row;
    int64_t group;
    bool exists;
};

__device__ __forceinline__ GroupPlace locate(const RepackArgs& args, int expert, int n, int group) {
    const RepackSource& source = args.source;
    const RepackTarget& target = args.target;
    const int64_t row = source.channels != nullptr && n < target.rows
                            ? source.channels[expert * source.channels_stride + n]
                            : source.first_row + n;
    const int64_t column = int64_t{group} * target.matrix.group_size;
    const int64_t source_size = source.shape.inputs / source.shape.groups;
    return {row, source.shape.groups == 1 ? 0 : (source.first_column + column) / source_size,
            n < target.rows && column < target.columns};
}

// Calls `load(n, group)` for every pair of a block, neighbours in the source one after another.
template <class Load>
__device__ __forceinline__ void for_pairs(const SourceShape& shape, const Load& load) {
    const bool groups_last = shape.format == SourceFormat::kCanonical ||
                             shape.format == SourceFormat::kCompressedTensors;
    for (int i = threadIdx.x; i < kOutputs * kGroups; i += kThreads) {
        if (groups_last) {
            load(i / kGroups, i % kGroups);
        } else {
            load(i % kOutputs, i / kOutputs);
        }
    }
    __syncthreads();
}

__device__ __forceinline__ uint32_t read_scale(layout::ScaleType type, const void* scales,
                                               int64_t place) {
    return type == layout::ScaleType::kF32 ? static_cast<const uint32_t*>(scales)[place]
                                           : static_cast<const uint16_t*>(scales)[place];
}

// Rounds to nearest even; what came from a type is exact in it.
__device__ __forceinline__ uint32_t convert_scale(layout::ScaleType from, layout::ScaleType to,
                                                  uint32_t bits) {
    if (from == to) return bits;
    float value = __uint_as_float(bits);
    if (from == layout::ScaleType::kF16) value = F16::widen(static_cast<uint16_t>(bits));
    if (from == layout::ScaleType::kBf16) value = Bf16::widen(static_cast<uint16_t>(bits));
    if (to == layout::ScaleType::kF32) return __float_as_uint(value);
    return to == layout::ScaleType::kF16 ? F16::narrow(value) : Bf16::narrow(value);
}

__global__ void __launch_bounds__(kThreads) repack_scales(const RepackArgs args) {
    __shared__ uint32_t turned[kGroups][kOutputs + 1];
    const RepackSource& source = args.source;
    const RepackTarget& target = args.target;
    const Matrix& matrix = target.matrix;
    const int expert = blockIdx.z;
    const int first_n = blockIdx.y * kOutputs;
    const int first_group = blockIdx.x * kGroups;
    const int groups = min(kGroups, matrix.groups() - first_group);
    const auto* scales =
        static_cast<const uint8_t*>(source.scales) + expert * source.scales_stride_bytes;
    for_pairs(source.shape, [&](int n, int group) {
        const GroupPlace place = locate(args, expert, first_n + n, first_group + group);
        uint32_t bits = 0;
        if (place.exists && group < groups) {
            bits = convert_scale(
                source.scale_type, matrix.scale_type,
                read_scale(source.scale_type, scales,
                           layout::source_scale_place(source.shape, place.row, place.group)));
        }
        turned[group][n] = bits;
    });
    const int64_t first = (int64_t{expert} * matrix.groups() + first_group) * matrix.outputs +
                          target.first_output + first_n;
    for (int i = threadIdx.x; i < groups * kOutputs; i += kThreads) {
        const int group = i / kOutputs;
        const int place = i % kOutputs;
        const uint32_t bits = turned[group][layout::marlin_scale_source(place, matrix.scale_order)];
        const int64_t to = first + int64_t{group} * matrix.outputs + place;
        if (matrix.scale_type == layout::ScaleType::kF32) {
            static_cast<uint32_t*>(target.scales)[to] = bits;
        } else {
            static_cast<uint16_t*>(target.scales)[to] = static_cast<uint16_t>(bits);
        }
    }
}

__device__ __forceinline__ uint32_t read_zero_point(const RepackSource& source, int expert,
                                                    const GroupPlace& place) {
    const SourceShape& shape = source.shape;
    const auto* stored =
        static_cast<const uint8_t*>(source.zero_points) + expert * source.zero_points_stride_bytes;
    if (shape.zero_point == SourceZeroPoint::kByte || shape.zero_point == SourceZeroPoint::kInt8) {
        const uint32_t offset =
            shape.zero_point == SourceZeroPoint::kInt8 ? 1u << (shape.bits - 1) : 0;
        return (stored[place.row * shape.groups + place.group] + offset) & ((1u << shape.bits) - 1);
    }
    const MarlinPlace at = layout::source_zero_point_place(shape, place.row, place.group);
    return layout::source_zero_point(reinterpret_cast<const uint32_t*>(stored)[at.word], at.field,
                                     shape.bits, shape.zero_point);
}

__global__ void __launch_bounds__(kThreads) repack_zero_points(const RepackArgs args) {
    __shared__ uint8_t turned[kGroups][kOutputs + 4];
    const RepackTarget& target = args.target;
    const Matrix& matrix = target.matrix;
    const int bits = matrix.bits;
    const int expert = blockIdx.z;
    const int first_n = blockIdx.y * kOutputs;
    const int first_group = blockIdx.x * kGroups;
    const int groups = min(kGroups, matrix.groups() - first_group);
    for_pairs(args.source.shape, [&](int n, int group) {
        const GroupPlace place = locate(args, expert, first_n + n, first_group + group);
        const bool exists = place.exists && group < groups;
        turned[group][n] =
            static_cast<uint8_t>(exists ? read_zero_point(args.source, expert, place) : 0);
    });
    const int words = kOutputs * bits / 32;
    const int64_t row_words = int64_t{matrix.outputs} * bits / 32;
    const int64_t first = (int64_t{expert} * matrix.groups() + first_group) * row_words +
                          int64_t{target.first_output + first_n} * bits / 32;
    for (int i = threadIdx.x; i < groups * words; i += kThreads) {
        const int group = i / words;
        const int word = i % words;
        uint32_t assembled = 0;
        for (int field = 0; field < 32 / bits; ++field) {
            const int64_t n =
                layout::marlin_zero_point_source(word, field, bits, MarlinTile::kK16N64);
            assembled |= uint32_t{turned[group][n]} << (bits * field);
        }
        target.zero_points[first + group * row_words + word] = assembled;
    }
}

// ---- Launches ----------------------------------------------------------------------------------

unsigned blocks(int64_t count, int64_t per_block) {
    return static_cast<unsigned>((count + per_block - 1) / per_block);
}

// Whole words, tiles and blocks of the source lie where those of the matrix do.
bool stageable(const RepackSource& source) noexcept {
    return source.order == nullptr && source.channels == nullptr &&
           source.first_row % kOutputs == 0 && source.first_column % 16 == 0;
}

using CodesKernel = void (*)(RepackArgs);

template <SourceFormat kFormat>
CodesKernel codes_kernel_of(int bits, bool staged) noexcept {
    if (bits == 4)
        return staged ? &repack_codes<kFormat, 4, true> : &repack_codes<kFormat, 4, false>;
    return staged ? &repack_codes<kFormat, 8, true> : &repack_codes<kFormat, 8, false>;
}

CodesKernel codes_kernel(const RepackSource& source) noexcept {
    const int bits = source.shape.bits;
    const bool staged = stageable(source);
    switch (source.shape.format) {
        case SourceFormat::kGptq:
            return codes_kernel_of<SourceFormat::kGptq>(bits, staged);
        case SourceFormat::kAwq:
            return codes_kernel_of<SourceFormat::kAwq>(bits, staged);
        case SourceFormat::kMarlin:
            return codes_kernel_of<SourceFormat::kMarlin>(bits, staged);
        default:
            return codes_kernel_of<SourceFormat::kCanonical>(bits, staged);
    }
}

}  // namespace

int launch_repack(const RepackSource& source, const RepackTarget& target, void* stream) noexcept {
    const RepackArgs args = {source, target};
    const auto on = static_cast<cudaStream_t>(stream);
    const unsigned columns = blocks(target.rows, kOutputs);
    const auto experts = static_cast<unsigned>(target.expert_count);
    if (columns == 0 || experts == 0) return cudaSuccess;
    const dim3 code_blocks(blocks(target.matrix.inputs, kInputs), columns, experts);
    if (source.codes != nullptr) codes_kernel(source)<<<code_blocks, kThreads, 0, on>>>(args);
    const dim3 group_blocks(blocks(target.matrix.groups(), kGroups), columns, experts);
    if (source.scales != nullptr) repack_scales<<<group_blocks, kThreads, 0, on>>>(args);
    if (source.zero_points != nullptr) {
        repack_zero_points<<<group_blocks, kThreads, 0, on>>>(args);
    }
    return cudaGetLastError();
}

}  // namespace mmoe::cuda
