// SPDX-License-Identifier: Apache-2.0
// Which channels a rank holds, and which splits are possible.
#include "repack/slice.h"

#include <algorithm>
#include <cinttypes>
#include <cstddef>
#include <numeric>
#include <optional>

#include "base/checked.h"

namespace mmoe {

namespace {

// Kernels want at least this many inputs for one scale; slices of layers with one scale a channel
// are cut in such pieces too.
constexpr int64_t kSmallestPart = 32;

// Channels that an uneven split does not cut.
int64_t uneven_unit(const QuantConfig& config) noexcept {
    return config.group_size ? *config.group_size : kSmallestPart;
}

std::optional<Slice> even_slice(const QuantConfig& config, int64_t intermediate, int64_t ranks,
                                int64_t rank) noexcept {
    if (intermediate % ranks != 0) return std::nullopt;
    const int64_t size = intermediate / ranks;
    if (!config.group_size) return Slice{rank * size, size, size};
    const int64_t group_size = *config.group_size;
    const int64_t part = std::gcd(group_size, size);
    if (part < group_size && part < kSmallestPart) return std::nullopt;
    return Slice{rank * size, size, part};
}

}  // namespace

int64_t most_ranks(const QuantConfig& config, int64_t intermediate, int64_t ranks) {
    // Uneven slices serve any number of ranks up to that of their units, even ones some divisors.
    int64_t most = std::min(ranks, ceil_div(intermediate, uneven_unit(config)));
    for (int64_t divisor = 1; divisor <= intermediate / divisor; ++divisor) {
        if (most >= std::min(ranks, intermediate / divisor)) break;  // later ones are smaller
        if (intermediate % divisor != 0) continue;
        for (const int64_t even : {divisor, intermediate / divisor}) {
            if (even <= most || even > ranks) continue;
            if (even_slice(config, intermediate, even, 0)) most = even;
        }
    }
    return most;
}

Result<Slice> plan_slice(const QuantConfig& config, int64_t intermediate, int64_t ranks,
                         int64_t rank) {
    if (const auto even = even_slice(config, intermediate, ranks, rank)) return *even;
    const int64_t unit = uneven_unit(config);
    const int64_t units = ceil_div(intermediate, unit);
    if (units < ranks) {
        return Status::error(Code::kUnsupported,
                             "tensor parallel split: expected at most %" PRId64
                             " ranks for %" PRId64 " intermediate channels in groups of %" PRId64
                             ", got %" PRId64,
                             most_ranks(config, intermediate, ranks), intermediate, unit, ranks);
    }
    const int64_t first = std::min(units * rank / ranks * unit, intermediate);
    const int64_t end = std::min(units * (rank + 1) / ranks * unit, intermediate);
    return Slice{first, end - first, config.group_size ? unit : end - first};
}

Status check_same_order(std::span<const int32_t> gate, std::span<const int32_t> up) {
    const size_t columns = std::max(gate.size(), up.size());
    for (size_t k = 0; k < columns; ++k) {
        const auto place = static_cast<int32_t>(k);  // of a column that stays
        const int32_t from_gate = gate.empty() ? place : gate[k];
        const int32_t from_up = up.empty() ? place : up[k];
        if (from_gate == from_up) continue;
        return Status::error(
            Code::kUnsupported,
            "activation order of gate and up: expected the same, got input %" PRId32
            " and input %" PRId32 " at place %zu",
            from_gate, from_up, k);
    }
    return {};
}

}  // namespace mmoe
