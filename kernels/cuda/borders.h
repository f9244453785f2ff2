// SPDX-License-Identifier: Apache-2.0
// Which row serves how many tokens: the borders between rows, one table an architecture. Rows are
// found by their tiles, so that all types and bits of a tile share a border. A row outside its
// borders still serves whoever asks for it.
#pragma once

#include <cstdint>
#include <cstring>

#include "cuda/launch.h"

namespace mmoe::cuda {

struct Border {
    const char* tile;     // part of the row's name
    int32_t least, most;  // mean tokens of an expert of the layer
    int64_t most_slots = INT64_MAX;
};

// Any architecture, general rows. Routing is uneven: a tile that is just as wide as the mean would
// leave every second expert with a second, almost empty tile.
constexpr Border kGeneralBorders[] = {
    {".n256m64k64.sm80", 11, INT32_MAX},  // from here on faster than n128m16, on an H100
    {".n128m8k128.sm80", 0, 5},          {".n128m16k64.sm80", 0, 10},
    {".n128m32k64.sm80", 0, 20},         {".n128m64k64.sm80", 0, INT32_MAX},
};

// Hopper, by measurement on an H100 (docs/benchmarks/README.md). From two tokens on, prefill rows
// stream weights faster than the general ones, where no decode row can serve. Each block of a
// decode row routes all slots itself: at four tokens an expert it wins with 32 slots (Mixtral) and
// 512 (Qwen3-30B), and loses with 1,024 (Qwen3.5-122B, DeepSeek-V3). Later chips have no prefill
// rows; what they get beyond these borders is a general row.
constexpr Border kHopperBorders[] = {
    {"int4.n128m8k128.sm90", 0, 4, 512},  {"moe_decode.", 0, 8},
    {".n512m32k128.sm90a", 2, 22},        {".n512m64k128.sm90a", 2, 44},
    {".int4.n256m128k128.sm90a", 2, 108}, {".sm90a", 2, INT32_MAX},
};

inline Border border_of(const Row& row) noexcept {
    for (const Border& border : kHopperBorders) {
        if (std::strstr(row.name, border.tile) != nullptr) return border;
    }
    for (const Border& border : kGeneralBorders) {
        if (std::strstr(row.name, border.tile) != nullptr) return border;
    }
    return {row.name, 0, INT32_MAX};
}

}  // namespace mmoe::cuda
