// SPDX-License-Identifier: Apache-2.0
// What a warp does with one unit: 16 outputs by 128 inputs. MMAs give unscaled sums of B + code
// (dequant/biased.h), spread over a few lanes; by way of shared memory every lane gets one output's
// sum over a half of each 64 inputs and takes zero point and scale to it.
#pragma once

#include <cstdint>

#include "cuda/decode_one.h"
#include "cuda/decode_one_stream.h"
#include "cuda/ptx/shared.h"

namespace mmoe::cuda {

// x of one unit in shared memory, in one_word() order, and its sums over each 32 inputs.
struct OneX {
    const uint32_t* words;
    const float* sums;
};

// Lane l sees to output l % 16 of an item and, of each 64 inputs, to half l / 16.
struct OneLane {
    int output, half;
    int scale;        // its place among the 16 scales of a group
    int zero, shift;  // its byte among their zero points, and its bits there

    __device__ __forceinline__ OneLane(const DecodeScaleForm& form, int part) {
        const int lane = threadIdx.x % 32;
        output = lane % 16;
        half = lane / 16;
        const int right = output / 8;  // n % 2
        const int eighth = output % 8;
        scale = form.single ? eighth / 4 * 8 + eighth % 4 * 2 + right : output;
        const int field = eighth / 2 + eighth % 2 * 4;  // of a zero points' word
        zero = part % 2 * 8 + right * 4 + field / 2;
        shift = field % 2 * 4;
    }
};

// Where a warp's sums of up to two groups pass from lane to lane: [2, 4 tiles, 16 outputs].
struct OneScratch {
    float* floats;

    // Of tile a = lane / 8, the lanes with a = lane % 4 have the sums.
    __device__ __forceinline__ void put(int buffer, const float (&sums)[4][4]) const {
        const int lane = threadIdx.x % 32;
        if (lane / 8 != lane % 4) return;
        float* to = floats + buffer * 64 + lane / 4 * 8;
        const uint32_t shared = ptx::shared_address(to);
        ptx::st_shared_128(shared,
                           make_uint4(__float_as_uint(sums[0][0]), __float_as_uint(sums[0][2]),
                                      __float_as_uint(sums[1][0]), __float_as_uint(sums[1][2])));
        ptx::st_shared_128(shared + 16,
                           make_uint4(__float_as_uint(sums[2][0]), __float_as_uint(sums[2][2]),
                                      __float_as_uint(sums[3][0]), __float_as_uint(sums[3][2])));
    }
    [[nodiscard]] __device__ __forceinline__ float get(int buffer, const OneLane& lane) const {
        const float* from = floats + buffer * 64 + lane.half * 32 + lane.output;
        return from[0] + from[16];
    }
};

// Scale and zero point of this lane's output in one of a unit's groups.
template <class Type>
struct OneGroup {
    float scale, zero;

    __device__ __forceinline__ OneGroup(const DecodeScaleForm& form, const OneLane& lane,
                                        uint32_t unit, int set) {
        const uint32_t bits =
            ptx::ld_shared_16(unit + Type::kCodeBytes + set * Type::kScaleBytes + 2 * lane.scale);
        scale = form.bf16 ? Bf16::widen_low(bits) : F16::widen_low(bits);
        uint32_t code = 8;
        if (!form.symmetric) {
            code =
                ptx::ld_shared_8(unit + Type::kZeroOffset + set * Type::kZeroBytes + lane.zero) >>
                    lane.shift &
                0xF;
        }
        zero = Type::Number::widen_low(Type::Number::kCodeBias % 0x10000 + code);
    }
    // scale * (sum - (B + zero point) * sum of x), rounded wherever it is added to something.
    [[nodiscard]] __device__ __forceinline__ float of(float sum, float x_sum) const {
        return __fmul_rn(scale, fmaf(-zero, x_sum, sum));
    }
};

// The MMAs of 64 inputs; `codes`: this lane's.
template <class Type>
__device__ __forceinline__ void multiply_step(uint32_t codes, const uint32_t* x,
                                              float (&sums)[4][4]) {
    const uint4 four = ptx::ld_shared_128(codes);
    const uint32_t words[4] = {four.x, four.y, four.z, four.w};
    const uint2 pair = ptx::ld_shared_64(ptx::shared_address(x));
    const uint32_t b[2] = {pair.x, pair.y};
#pragma unroll
    for (int slice = 0; slice < 4; ++slice) {
        uint32_t a[4];
        Type::Codes::template expand<0>(&words[slice], a);
        Type::Number::mma(sums[slice], a, b);
    }
}

// This lane's part of one output's sum over the unit. `done()` is called once the warp no longer
// needs the unit.
template <class Type, class Done>
__device__ __forceinline__ float multiply_unit(const DecodeScaleForm& form, const OneLane& lane,
                                               uint32_t unit, const OneX& x,
                                               const OneScratch& scratch, const Done& done) {
    const int own = threadIdx.x % 32;
    const uint32_t codes = unit + own * 16;
    const uint32_t* words = x.words + own % 4 * 8 + own / 8 * 2;
    if constexpr (Type::kGroups == 1) {
        float sums[4][4] = {};
        multiply_step<Type>(codes, words, sums);
        multiply_step<Type>(codes + 512, words + 32, sums);
        const OneGroup<Type> group(form, lane, unit, 0);
        scratch.put(0, sums);
        __syncwarp();
        done();
        return group.of(scratch.get(0, lane), x.sums[lane.half] + x.sums[2 + lane.half]);
    } else {
        float first[4][4] = {};
        float second[4][4] = {};
        multiply_step<Type>(codes, words, first);
        multiply_step<Type>(codes + 512, words + 32, second);
        const OneGroup<Type> group(form, lane, unit, lane.half);
        const OneGroup<Type> next(form, lane, unit, 2 + lane.half);
        scratch.put(0, first);
        scratch.put(1, second);
        __syncwarp();
        done();
        return group.of(scratch.get(0, lane), x.sums[lane.half]) +
               next.of(scratch.get(1, lane), x.sums[2 + lane.half]);
    }
}

}  // namespace mmoe::cuda
