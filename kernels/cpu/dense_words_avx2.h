// SPDX-License-Identifier: Apache-2.0
// What the AVX2 repackers share: the order of codes inside a word, stores past the cache, and how
// far ahead they read.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace mmoe::cpu {
namespace {

// Dense words to record words.
template <int Bits>
inline __m256i record_order(__m256i dense) {
    if constexpr (Bits == 8) {  // bytes 0, 2, 1, 3
        const __m256i order = _mm256_broadcastsi128_si256(
            _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15));
        return _mm256_shuffle_epi8(dense, order);
    }
    // Nibbles of one parity stand in bytes; a multiply-add by 1 and 16 joins two of them into the
    // low byte of a half, and packing drops the zeros between: all even ones, then all odd ones.
    const __m256i nibble = _mm256_set1_epi8(0x0F);
    const __m256i one_and_sixteen = _mm256_set1_epi16(0x1001);
    const __m256i even = _mm256_and_si256(dense, nibble);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi16(dense, 4), nibble);
    const __m256i joined = _mm256_packus_epi16(_mm256_maddubs_epi16(even, one_and_sixteen),
                                               _mm256_maddubs_epi16(odd, one_and_sixteen));
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
    return _mm256_shuffle_epi8(joined, order);
}

// Repackers read many short runs, each in a page of its own, which no hardware prefetcher follows.
// They ask for lines this far ahead, and into the second cache alone: requests for the first one
// wait in its few miss buffers (measured on a Zen 4 core, Marlin tiles from 512 MB: 15.1 GB/s this
// way, 7.6 into the first cache, 5.3 without; memcpy 12.1).
inline constexpr int kAheadLines = 256;

// Functions that only prefetch are always inlined: gcc finds that they change nothing and drops
// their calls.

// The address may lie outside of the memory: then nothing happens.
[[gnu::always_inline]] inline void prefetch_line(uintptr_t address) {
    _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T1);
}
// Lines of `count` rows, `stride` words apart.
[[gnu::always_inline]] inline void prefetch_rows(uintptr_t first, int64_t stride, int count) {
    for (int row = 0; row < count; ++row) {
        prefetch_line(first + static_cast<uintptr_t>(row * stride) * sizeof(uint32_t));
    }
}

// Whether a place and all that lie multiples of `strides` (OR-ed bytes) from it can be stored to
// past the cache.
inline bool is_aligned(const void* place, int64_t strides) {
    return (reinterpret_cast<uintptr_t>(place) | static_cast<uintptr_t>(strides)) % 32 == 0;
}

// Past the cache if `aligned`, which the instruction needs.
inline void store_past_cache(__m256i* to, __m256i words, bool aligned) {
    if (aligned) {
        _mm256_stream_si256(to, words);
    } else {
        _mm256_storeu_si256(to, words);
    }
}

}  // namespace
}  // namespace mmoe::cpu
