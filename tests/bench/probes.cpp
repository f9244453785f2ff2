// SPDX-License-Identifier: Apache-2.0
#include "bench/probes.h"

#include <immintrin.h>

#include "cpu/unroll.h"

namespace mmoe::bench {
__attribute__((target("avx2"))) void read_all(const uint8_t* memory, size_t bytes) {
    constexpr size_t kStep = 256;
    constexpr size_t kAhead = 2048;
    __m256i sums[8] = {};
    for (size_t at = 0; at < bytes; at += kStep) {
        for (size_t line = 0; line < kStep; line += 64) {
            _mm_prefetch(reinterpret_cast<const char*>(memory + at + line + kAhead), _MM_HINT_T0);
        }
        for (size_t i = 0; i < 8; ++i) {
            const auto* from = reinterpret_cast<const __m256i*>(memory + at + i * 32);
            sums[i] = _mm256_xor_si256(sums[i], _mm256_load_si256(from));
        }
    }
    for (const __m256i sum : sums) asm volatile("" : : "x"(sum));  // or nothing would be read
}

__attribute__((target("avx512f,avx512bf16"))) void multiply_bf16(int64_t steps) {
    __m512 sums[16] = {};
    for (__m512& sum : sums) asm volatile("" : "+v"(sum));  // or equal sums would be one
    __m512i bits = _mm512_set1_epi32(0x3F803F80);
    for (int64_t step = 0; step < steps; ++step) {
        asm volatile("" : "+v"(bits));
        const auto ones = reinterpret_cast<__m512bh>(bits);
        MMOE_UNROLL
        for (int i = 0; i < 16; ++i) sums[i] = _mm512_dpbf16_ps(sums[i], ones, ones);
    }
    for (const __m512 sum : sums) asm volatile("" : : "v"(sum));
}

}  // namespace mmoe::bench
