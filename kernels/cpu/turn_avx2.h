// SPDX-License-Identifier: Apache-2.0
// turn_words() and turn_awq() with AVX2: blocks of 64 inputs by 64 outputs, a cache line or half
// of one on either side. Blocks go along the outputs first, as the file does, and the block below
// is fetched meanwhile.
#pragma once

#include <immintrin.h>

#include "cpu/dense_words_avx2.h"
#include "cpu/launch.h"

namespace mmoe::cpu {
namespace {

inline __m256i load_words(const uint32_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
inline void store_words(__m256i words, uint32_t* to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), words);
}

// out[column][row] = in[row][column] of 8 x 8 words.
inline void transpose_eight(const __m256i (&in)[8], __m256i (&out)[8]) {
    __m256i pairs[8];
    for (int i = 0; i < 8; i += 2) {
        pairs[i] = _mm256_unpacklo_epi32(in[i], in[i + 1]);
        pairs[i + 1] = _mm256_unpackhi_epi32(in[i], in[i + 1]);
    }
    __m256i fours[8];  // column i, and i + 4 in the upper lane, of rows 0 to 3, then of 4 to 7
    for (int i = 0; i < 8; i += 4) {
        fours[i] = _mm256_unpacklo_epi64(pairs[i], pairs[i + 2]);
        fours[i + 1] = _mm256_unpackhi_epi64(pairs[i], pairs[i + 2]);
        fours[i + 2] = _mm256_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
        fours[i + 3] = _mm256_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
    }
    for (int i = 0; i < 4; ++i) {
        out[i] = _mm256_permute2x128_si256(fours[i], fours[i + 4], 0x20);
        out[i + 4] = _mm256_permute2x128_si256(fours[i], fours[i + 4], 0x31);
    }
}

// Address of the lines that are read `rows_ahead` rows after those at (row, column); past the last
// row, the columns to the right follow.
inline uintptr_t rows_ahead_of(const TurnArgs& args, int64_t row, int64_t column,
                               int64_t rows_ahead) {
    row += rows_ahead;
    const bool to_the_right = row >= args.rows;
    const int64_t offset = to_the_right
                               ? (row - args.rows) * args.source_stride + column + args.columns
                               : row * args.source_stride + column;
    return reinterpret_cast<uintptr_t>(args.source) + static_cast<uintptr_t>(offset) * 4;
}

// Sixteen rows by sixteen columns: whole lines are read and written.
inline void turn_words_block(const TurnArgs& args, int64_t row, int64_t column) {
    for (int64_t half = 0; half < 16; half += 8) {
        __m256i first[8];
        __m256i second[8];
        for (int i = 0; i < 8; ++i) {
            const uint32_t* from = args.source + (row + i) * args.source_stride + column + half;
            first[i] = load_words(from);
            second[i] = load_words(from + 8 * args.source_stride);
        }
        __m256i upper[8];
        __m256i lower[8];
        transpose_eight(first, upper);
        transpose_eight(second, lower);
        for (int i = 0; i < 8; ++i) {
            uint32_t* to = args.out + (column + half + i) * args.out_stride + row;
            store_words(upper[i], to);
            store_words(lower[i], to + 8);
        }
    }
}

inline void turn_words_of(const TurnArgs& args) {
    constexpr int kBlock = 16;
    const int64_t lines_of_a_row = (args.columns + 15) / 16;
    const int64_t rows_ahead = (kAheadLines / lines_of_a_row + kBlock - 1) / kBlock * kBlock;
    for (int64_t row = 0; row < args.rows; row += kBlock) {
        for (int64_t column = 0; column < args.columns; column += kBlock) {
            prefetch_rows(rows_ahead_of(args, row, column, rows_ahead), args.source_stride, kBlock);
            turn_words_block(args, row, column);
        }
    }
}

// ---- AWQ
// -----------------------------------------------------------------------------------------

// Lower nibbles of a and b become the bytes of a, upper ones those of b.
inline void join_nibbles(__m256i& a, __m256i& b) {
    const __m256i change = _mm256_and_si256(_mm256_xor_si256(_mm256_srli_epi32(a, 4), b),
                                            _mm256_set1_epi32(0x0F0F0F0F));
    b = _mm256_xor_si256(b, change);
    a = _mm256_xor_si256(a, _mm256_slli_epi32(change, 4));
}

// Bytes of four registers, inputs 0 and 1 to 6 and 7, become words: out[j] has those of dword j in
// its low lane, and of dword j + 4 in the high one.
inline void join_bytes(const __m256i (&pairs)[4], __m256i (&out)[4]) {
    const __m256i low03 = _mm256_unpacklo_epi8(pairs[0], pairs[1]);
    const __m256i high03 = _mm256_unpackhi_epi8(pairs[0], pairs[1]);
    const __m256i low47 = _mm256_unpacklo_epi8(pairs[2], pairs[3]);
    const __m256i high47 = _mm256_unpackhi_epi8(pairs[2], pairs[3]);
    out[0] = _mm256_unpacklo_epi16(low03, low47);
    out[1] = _mm256_unpackhi_epi16(low03, low47);
    out[2] = _mm256_unpacklo_epi16(high03, high47);
    out[3] = _mm256_unpackhi_epi16(high03, high47);
}

// Dwords 0 and 2 of both, or 1 and 3.
template <int Select>
inline __m256i select_words(__m256i a, __m256i b) {
    return _mm256_castps_si256(
        _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), Select));
}

// Eight words of each of eight rows of a file become words of eight inputs: out[j] has those of the
// outputs of word j, in order. Even fields hold columns 0, 4, 1, 5, odd ones 2, 6, 3, 7.
inline void turn_awq_words(const uint32_t* rows, int64_t stride, __m256i (&out)[8]) {
    __m256i even[4];
    __m256i odd[4];
    for (int i = 0; i < 4; ++i) {
        even[i] = load_words(rows + 2 * i * stride);
        odd[i] = load_words(rows + (2 * i + 1) * stride);
        join_nibbles(even[i], odd[i]);
    }
    __m256i even_words[4];
    __m256i odd_words[4];
    join_bytes(even, even_words);
    join_bytes(odd, odd_words);
    for (int j = 0; j < 4; ++j) {
        const __m256i low = select_words<0x88>(even_words[j], odd_words[j]);
        const __m256i high = select_words<0xDD>(even_words[j], odd_words[j]);
        out[j] = _mm256_permute2x128_si256(low, high, 0x20);
        out[j + 4] = _mm256_permute2x128_si256(low, high, 0x31);
    }
}

// 64 inputs by eight file words: half a line of each of 64 outputs.
inline void turn_awq_block(const TurnArgs& args, int64_t input, int64_t column) {
    __m256i words[8][8];  // [file word, word of eight inputs]
    for (int word = 0; word < 8; ++word) {
        __m256i turned[8];
        turn_awq_words(args.source + (input + 8 * word) * args.source_stride + column,
                       args.source_stride, turned);
        for (int j = 0; j < 8; ++j) words[j][word] = turned[j];
    }
    for (int j = 0; j < 8; ++j) {
        __m256i outputs[8];
        transpose_eight(words[j], outputs);
        uint32_t* to = args.out + 8 * (column + j) * args.out_stride + input / 8;
        for (int i = 0; i < 8; ++i) store_words(outputs[i], to + i * args.out_stride);
    }
}

inline void turn_awq_of(const TurnArgs& args) {
    constexpr int kInputs = 64;
    constexpr int kLine = 16;  // file words
    const int64_t lines_of_a_row = (args.columns + kLine - 1) / kLine;
    const int64_t rows_ahead = (kAheadLines / lines_of_a_row + kInputs - 1) / kInputs * kInputs;
    for (int64_t input = 0; input < args.rows; input += kInputs) {
        for (int64_t column = 0; column < args.columns; column += 8) {
            if (column % kLine == 0) {
                prefetch_rows(rows_ahead_of(args, input, column, rows_ahead), args.source_stride,
                              kInputs);
            }
            turn_awq_block(args, input, column);
        }
    }
}

}  // namespace
}  // namespace mmoe::cpu
