// SPDX-License-Identifier: Apache-2.0
// A row of the parity table, and the layer, the call and the oracle's answer that it stands for.
#pragma once

#include <cstdint>
#include <vector>

#include "marlin_moe.h"
#include "oracle/moe_oracle.h"
#include "parity/quantized.h"

namespace mmoe::parity {

// What a token's expert ids look like.
enum class Routing {
    kDistinct,    // top_k different experts
    kAllOnFirst,  // every token on the first top_k experts
    kLastEmpty,   // the last expert gets nothing
    kWithHoles,   // some ids are -1, E, or far out of range
    kNobody,      // no id is valid
    kDuplicates,  // a token names an expert twice
    kMapped,      // ids go through an expert map with holes
};

// Prime, so that outliers meet every place of a group.
inline constexpr int64_t kOutlierEvery = 61;

struct Case {
    const char* name;
    int64_t tokens = 5;
    uint32_t experts = 4, top_k = 2, hidden = 128, intermediate = 96;
    Scheme scheme = {};
    mmoe_activation activation = MMOE_ACTIVATION_SILU;
    mmoe_gate_form gate_form = MMOE_GATE_SEPARATE;
    float alpha = 0, beta = 0, limit = 0;
    uint32_t flags = 0;
    mmoe_dtype hidden_dtype = MMOE_DTYPE_BF16;
    float hidden_scale = 1;    // hidden states are normal with this deviation
    float outlier_factor = 1;  // one hidden value in kOutlierEvery is this much larger
    int64_t row_padding = 0;   // elements between rows of hidden states and output
    Routing routing = Routing::kDistinct;
    uint32_t tensor_ranks = 1, expert_ranks = 1;  // outputs of all ranks are added up
    uint64_t refused = 0;  // MMOE_REASON_* bits that the support query must answer
};

struct QuantizedExpert {
    QuantizedLinear gate, up, down;
};

struct Problem {
    Case spec;
    mmoe_layer layer;
    std::vector<QuantizedExpert> experts;  // [E]
    Array hidden;                          // [T, H + row_padding]
    oracle::Layer meaning;                 // of the experts
    oracle::Call call;
    std::vector<double> want;  // [T, H]
};

// The same row gives the same problem everywhere.
Problem make_problem(const Case& spec);

}  // namespace mmoe::parity
