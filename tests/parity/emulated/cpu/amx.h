// SPDX-License-Identifier: Apache-2.0
// In place of kernels/cpu/amx.h: the instructions in plain loops, so that kernels in tiles are
// tested on machines without AMX. Shapes that do not fit each other end the program, as they would
// on the processor.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "layout/number.h"

namespace mmoe::cpu {
namespace {

constexpr int kAmxRows = 16;
constexpr int kAmxRowBytes = 64;

struct AmxShapes {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};

struct AmxRegisters {
    AmxShapes shapes;
    bool configured = false;
    uint8_t tiles[8][kAmxRows][kAmxRowBytes];
};
inline AmxRegisters amx;

inline void amx_configure(const AmxShapes& shapes) {
    amx = {};
    amx.shapes = shapes;
    amx.configured = true;
}
inline void amx_release() {
    amx.configured = false;
}
inline void amx_expect(bool right) {
    if (!right || !amx.configured) std::abort();
}

template <int Tile>
inline void amx_zero() {
    amx_expect(true);
    std::memset(amx.tiles[Tile], 0, sizeof amx.tiles[Tile]);
}
template <int Tile>
inline void amx_load(const void* from) {
    amx_zero<Tile>();
    for (int row = 0; row < amx.shapes.rows[Tile]; ++row) {
        std::memcpy(amx.tiles[Tile][row], static_cast<const uint8_t*>(from) + row * kAmxRowBytes,
                    amx.shapes.row_bytes[Tile]);
    }
}
template <int Tile>
inline void amx_store(void* to) {
    amx_expect(true);
    for (int row = 0; row < amx.shapes.rows[Tile]; ++row) {
        std::memcpy(static_cast<uint8_t*>(to) + row * kAmxRowBytes, amx.tiles[Tile][row],
                    amx.shapes.row_bytes[Tile]);
    }
}

// Sums [m][n] += dot(word k of row m of A, word n of row k of B), over k.
template <int Sums, int A, int B, class Sum, class Dot>
inline void amx_dot(Dot&& dot) {
    const AmxShapes& shapes = amx.shapes;
    amx_expect(shapes.rows[A] == shapes.rows[Sums] && shapes.row_bytes[A] == shapes.rows[B] * 4 &&
               shapes.row_bytes[B] == shapes.row_bytes[Sums]);
    for (int m = 0; m < shapes.rows[Sums]; ++m) {
        for (int n = 0; n < shapes.row_bytes[Sums] / 4; ++n) {
            Sum sum;
            std::memcpy(&sum, amx.tiles[Sums][m] + 4 * n, sizeof sum);
            for (int k = 0; k < shapes.rows[B]; ++k) {
                sum += dot(amx.tiles[A][m] + 4 * k, amx.tiles[B][k] + 4 * n);
            }
            std::memcpy(amx.tiles[Sums][m] + 4 * n, &sum, sizeof sum);
        }
    }
}

template <int Sums, int A, int B>
inline void amx_dot_bf16() {
    amx_dot<Sums, A, B, float>([](const uint8_t* a, const uint8_t* b) {
        uint16_t x[2];
        uint16_t y[2];
        std::memcpy(x, a, sizeof x);
        std::memcpy(y, b, sizeof y);
        return layout::bf16_to_f32(x[0]) * layout::bf16_to_f32(y[0]) +
               layout::bf16_to_f32(x[1]) * layout::bf16_to_f32(y[1]);
    });
}
template <int Sums, int A, int B>
inline void amx_dot_signed() {
    amx_dot<Sums, A, B, int32_t>([](const uint8_t* a, const uint8_t* b) {
        int32_t sum = 0;
        for (int i = 0; i < 4; ++i) sum += static_cast<int8_t>(a[i]) * b[i];
        return sum;
    });
}
template <int Sums, int A, int B>
inline void amx_dot_unsigned() {
    amx_dot<Sums, A, B, int32_t>([](const uint8_t* a, const uint8_t* b) {
        int32_t sum = 0;
        for (int i = 0; i < 4; ++i) sum += a[i] * b[i];
        return sum;
    });
}

}  // namespace
}  // namespace mmoe::cpu
