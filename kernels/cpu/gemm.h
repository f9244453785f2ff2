// SPDX-License-Identifier: Apache-2.0
// One block of 64 outputs times a few packed rows: the walk over the records that every kernel
// shares. In order, for each group: widen its scales and zero points; for each sum block of the
// group and each pass of lanes: let the kernel sum codes times activations; scale the sums and
// add them to the outputs.
//
// Codes are centred: kernels sum (code - 2^(bits-1)) * x, so that symmetric formats are done and
// asymmetric ones subtract only (zero point - 2^(bits-1)) * sum of x.
//
// A kernel is a type with
//     Vector            the lanes, such as Avx2
//     kBits             4 or 8
//     Input             element of a packed row
//     kScaled           whether sums are multiplied with x_scale
//     sum<Tokens, Vectors>(pass, sums)    the inner loop over the tiles of one sum block
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/launch.h"
#include "cpu/unroll.h"

namespace mmoe::cpu {
namespace {

using layout::kLanes;
using layout::kTileBytes;

// What the inner loop of a kernel sees: a few vectors of lanes of one sum block.
template <class Input, int Tokens>
struct Pass {
    const uint8_t* tiles;  // the pass's lanes of the first tile
    int64_t tile_count;
    const uint8_t* prefetch;  // what to fetch: as many bytes a tile as the pass takes of it
    const Input* x[Tokens];   // of the first tile
    float x_sum[Tokens];
};

// Bytes between what is read and what is fetched: enough for the latency of memory at the
// bandwidth of one core (30 GB/s * 70 ns), measured flat between 1.5 and 4 KiB.
constexpr int64_t kPrefetchBytes = 2048;

// Passes share the lines of a tile out among them, so that memory is read in one stream, evenly,
// whatever part of a tile a pass takes.
template <int PassBytes, class Input, int Tokens>
inline void fetch_tile(const Pass<Input, Tokens>& pass, int64_t tile) {
    MMOE_UNROLL
    for (int line = 0; line < PassBytes; line += 64) {
        __builtin_prefetch(pass.prefetch + tile * PassBytes + line);
    }
}

// Scales and centred zero points of one group, widened.
struct GroupFactors {
    alignas(64) float scale[kLanes];
    alignas(64) float zero_point[kLanes];  // minus 2^(bits-1); asymmetric formats only
};

template <class Vector>
inline typename Vector::F32 load_widened(layout::ScaleType type, const uint8_t* values, int lane) {
    const auto* halves = reinterpret_cast<const uint16_t*>(values) + lane;
    switch (type) {
        case layout::ScaleType::kBf16:
            return Vector::load_bf16(halves);
        case layout::ScaleType::kF16:
            return Vector::load_f16(halves);
        default:
            return Vector::load(reinterpret_cast<const float*>(values) + lane);
    }
}

template <class Vector>
inline void load_factors(const layout::CpuRecordPlan& plan, const uint8_t* record,
                         GroupFactors& factors) {
    MMOE_UNROLL
    for (int lane = 0; lane < kLanes; lane += Vector::kWidth) {
        Vector::store(factors.scale + lane, load_widened<Vector>(plan.scale_type, record, lane));
    }
    if (!plan.asymmetric) return;
    const uint8_t* zero_points = record + plan.zero_point_offset_bytes();
    const typename Vector::F32 middle = Vector::set(static_cast<float>(1 << (plan.bits - 1)));
    MMOE_UNROLL
    for (int lane = 0; lane < kLanes; lane += Vector::kWidth) {
        Vector::store(factors.zero_point + lane,
                      Vector::sub(Vector::load_u8(zero_points + lane), middle));
    }
}

// Factors of one vector of lanes, and of one token's activations.
template <class Vector>
struct LaneFactors {
    LaneFactors(const GroupFactors& factors, int lane)
        : scale(Vector::load(factors.scale + lane)),
          zero_point(Vector::load(factors.zero_point + lane)) {}
    typename Vector::F32 scale;
    typename Vector::F32 zero_point;
};
struct TokenFactors {
    float x_sum;
    float x_scale;
};

// out += scale * (sum - zero point * sum of x)
template <class Kernel>
inline void add_to_output(typename Kernel::Vector::F32 sum,
                          const LaneFactors<typename Kernel::Vector>& lanes, TokenFactors token,
                          bool asymmetric, float* out) {
    using Vector = typename Kernel::Vector;
    if (asymmetric) sum = Vector::fnma(lanes.zero_point, Vector::set(token.x_sum), sum);
    if constexpr (Kernel::kScaled) sum = Vector::mul(sum, Vector::set(token.x_scale));
    Vector::store(out, Vector::fma(lanes.scale, sum, Vector::load(out)));
}

// The same for all sums of one pass.
template <class Kernel, int Tokens, int Vectors>
inline void add_to_outputs(const typename Kernel::Vector::F32 (&sums)[Vectors][Tokens],
                           const float (&x_sum)[Tokens], const float (&x_scale)[Tokens],
                           bool asymmetric, const GroupFactors& factors, int first_lane,
                           float* out) {
    using Vector = typename Kernel::Vector;
    MMOE_UNROLL
    for (int v = 0; v < Vectors; ++v) {
        const int lane = first_lane + v * Vector::kWidth;
        const LaneFactors<Vector> lanes(factors, lane);
        MMOE_UNROLL
        for (int t = 0; t < Tokens; ++t) {
            add_to_output<Kernel>(sums[v][t], lanes, {x_sum[t], x_scale[t]}, asymmetric,
                                  out + t * kLanes + lane);
        }
    }
}

template <class Kernel, int Tokens>
[[gnu::noinline]] void multiply_tokens(const MultiplyArgs& args) {
    using Vector = typename Kernel::Vector;
    using Input = typename Kernel::Input;
    constexpr int kVectors = Vector::pass_vectors(Tokens);
    constexpr int kPassLanes = kVectors * Vector::kWidth;
    constexpr int kTileInputs = 32 / Kernel::kBits;
    constexpr int64_t kBlockTiles = kSumBlockInputs / kTileInputs;
    static_assert(kLanes % kPassLanes == 0);

    const layout::CpuRecordPlan& plan = *args.plan;
    const int64_t group_tiles = plan.tiles_per_group();
    const uint8_t* record = args.block;
    const uint8_t* end = record + plan.block_bytes();
    const uint8_t* next = args.next_block != nullptr ? args.next_block : args.block;
    int64_t input = 0;
    int64_t sum_block = 0;
    GroupFactors factors = {};
    std::fill_n(args.out, Tokens * kLanes, 0.0F);
    for (; record != end; record += plan.record_bytes()) {
        load_factors<Vector>(plan, record, factors);
        const uint8_t* tiles = record + plan.tile_offset_bytes();
        for (int64_t tile = 0; tile < group_tiles; tile += kBlockTiles, ++sum_block) {
            Pass<Input, Tokens> pass;
            float x_scale[Tokens] = {};
            pass.tile_count = std::min(kBlockTiles, group_tiles - tile);
            // The first pass reads ahead of the others' fetches by what they have to fetch.
            pass.prefetch = tiles + tile * kTileBytes + kPrefetchBytes +
                            pass.tile_count * (kTileBytes - kPassLanes * 4);
            if (pass.prefetch >= end) pass.prefetch += next - end;
            MMOE_UNROLL
            for (int t = 0; t < Tokens; ++t) {
                pass.x[t] = static_cast<const Input*>(args.x[t]) + input;
                pass.x_sum[t] = args.x_sum[t][sum_block];
                if constexpr (Kernel::kScaled) x_scale[t] = args.x_scale[t][sum_block];
            }
            MMOE_UNROLL
            for (int lane = 0; lane < kLanes; lane += kPassLanes) {
                pass.tiles = tiles + tile * kTileBytes + lane * 4;
                typename Vector::F32 sums[kVectors][Tokens];
                Kernel::template sum<Tokens, kVectors>(pass, sums);
                add_to_outputs<Kernel, Tokens, kVectors>(sums, pass.x_sum, x_scale, plan.asymmetric,
                                                         factors, lane, args.out);
                pass.prefetch += pass.tile_count * kPassLanes * 4;
            }
            input += pass.tile_count * kTileInputs;
        }
    }
}

template <class Kernel>
void multiply(int tokens, const MultiplyArgs& args) {
    static_assert(kVectorTileTokens == 6);
    switch (tokens) {
        case 1:
            return multiply_tokens<Kernel, 1>(args);
        case 2:
            return multiply_tokens<Kernel, 2>(args);
        case 3:
            return multiply_tokens<Kernel, 3>(args);
        case 4:
            return multiply_tokens<Kernel, 4>(args);
        case 5:
            return multiply_tokens<Kernel, 5>(args);
        default:
            return multiply_tokens<Kernel, 6>(args);
    }
}

}  // namespace
}  // namespace mmoe::cpu
