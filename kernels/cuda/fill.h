// SPDX-License-Identifier: Apache-2.0
// Words that host and device can both compute: what the copy check writes and expects.
#pragma once

#include <cstdint>

namespace mmoe::cuda {

// Every bit of the result depends on index and seed (the finaliser of MurmurHash3).
[[nodiscard]] constexpr uint32_t fill_word(uint32_t index, uint32_t seed) noexcept {
    uint32_t word = index ^ seed;
    word = (word ^ (word >> 16)) * 0x85EBCA6B;
    word = (word ^ (word >> 13)) * 0xC2B2AE35;
    return word ^ (word >> 16);
}

// Enqueues words[i] = fill_word(i, seed) on a cudaStream_t; returns a cudaError_t.
int fill(uint32_t* words, uint32_t count, uint32_t seed, void* stream);

}  // namespace mmoe::cuda
