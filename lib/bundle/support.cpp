// SPDX-License-Identifier: Apache-2.0
#include "bundle/support.h"

#include <cmath>
#include <numeric>
#include <optional>

#include "base/checked.h"

namespace mmoe {
namespace {

struct Question {
    DeviceKind device;
    const QuantConfig& config;
    const Layer& layer;
    const Split& split;
};

struct Refusal {
    std::string sentence;
    std::string remedy;
};

using Answer = std::optional<Refusal>;

// Dimensions up to here keep every product of two far inside 64 bits.
constexpr int64_t kMaxDimension = int64_t{1} << 24;

std::string number(int64_t value) {
    return std::to_string(value);
}

Answer check_bits(const Question& q) {
    if (q.config.bits == 4 || q.config.bits == 8) return {};
    return Refusal{"bits: expected 4 or 8, got " + number(q.config.bits),
                   "quantise to 4 or 8 bits"};
}

Answer check_shape(const Question& q) {
    const struct {
        const char* name;
        int64_t value;
    } dimensions[] = {{"expert_count", q.layer.expert_count},
                      {"hidden_size", q.layer.hidden_size},
                      {"intermediate_size", q.layer.intermediate_size}};
    for (const auto& dimension : dimensions) {
        if (dimension.value >= 1 && dimension.value <= kMaxDimension) continue;
        return Refusal{std::string(dimension.name) + ": expected 1 to " + number(kMaxDimension) +
                           ", got " + number(dimension.value),
                       ""};
    }
    // Codes, scales, zero points and padding of a weight take less than 64 bytes.
    if (checked_mul(q.layer.expert_count, q.layer.hidden_size, q.layer.intermediate_size,
                    int64_t{3 * 64})) {
        return {};
    }
    return Refusal{"expert_count x hidden_size x intermediate_size exceeds 2^55", ""};
}

// The largest group size not above `wanted` that divides every axis.
int64_t nearest_group_size(const Layer& layer, int64_t wanted) {
    const int64_t common = std::gcd(layer.hidden_size, layer.intermediate_size);
    for (int64_t size = std::min(wanted, common); size > 1; --size) {
        if (common % size == 0) return size;
    }
    return 1;
}

Answer check_group_size(const Question& q) {
    if (!q.config.group_size || check_shape(q)) return {};
    const int64_t size = *q.config.group_size;
    const struct {
        const char* name;
        int64_t value;
    } axes[] = {{"hidden_size", q.layer.hidden_size},
                {"intermediate_size", q.layer.intermediate_size}};
    for (const auto& axis : axes) {
        if (size >= 1 && axis.value % size == 0) continue;
        return Refusal{"group size " + number(size) + " does not divide " + axis.name + " " +
                           number(axis.value),
                       "quantise with group size " + number(nearest_group_size(q.layer, size)) +
                           " or one scale a channel"};
    }
    return {};
}

Answer check_order(const Question& q) {
    if (q.config.order != Order::kGroup) return {};
    return Refusal{"activation order \"group\" is not supported",
                   "quantise with activation order \"static\" or none"};
}

Answer check_activation(const Question& q) {
    const Layer& layer = q.layer;
    if (!std::isfinite(layer.alpha) || !std::isfinite(layer.beta) || std::isnan(layer.limit) ||
        layer.limit < 0) {
        return Refusal{"activation: alpha, beta or limit is not a usable number", ""};
    }
    return {};
}

Answer check_split(const Question& q) {
    const Split& split = q.split;
    if (split.tensor_rank >= split.tensor_ranks) {
        return Refusal{"tensor rank " + number(split.tensor_rank) + " of " +
                           number(split.tensor_ranks) + " does not exist",
                       ""};
    }
    if (split.expert_rank >= split.expert_ranks) {
        return Refusal{"expert rank " + number(split.expert_rank) + " of " +
                           number(split.expert_ranks) + " does not exist",
                       ""};
    }
    if (split.expert_ranks > q.layer.expert_count) {
        return Refusal{number(split.expert_ranks) + " expert ranks for " +
                           number(q.layer.expert_count) + " experts",
                       "use at most " + number(q.layer.expert_count) + " expert ranks"};
    }
    if (split.tensor_ranks != 1) {
        return Refusal{"tensor parallel splits are not supported", "split over experts instead"};
    }
    return {};
}

Answer check_device(const Question& q) {
    if (q.device == DeviceKind::kCpu) return {};
    return Refusal{"no CUDA kernel in this build", "use the CPU"};
}

// Every reason, in the order in which sentences name them.
constexpr struct {
    Reason reason;
    Answer (*check)(const Question&);
} kChecks[] = {
    {kReasonDevice, check_device}, {kReasonBits, check_bits},
    {kReasonShape, check_shape},   {kReasonGroupSize, check_group_size},
    {kReasonOrder, check_order},   {kReasonActivation, check_activation},
    {kReasonSplit, check_split},
};

void append(std::string& text, const std::string& clause) {
    if (clause.empty()) return;
    if (!text.empty()) text += "; ";
    text += clause;
}

}  // namespace

Support query_support(DeviceKind device, const QuantConfig& config, const Layer& layer,
                      const Split& split) {
    Support support;
    for (const auto& row : kChecks) {
        const Answer refusal = row.check({device, config, layer, split});
        if (!refusal) continue;
        support.reasons |= row.reason;
        append(support.sentence, refusal->sentence);
        append(support.remedy, refusal->remedy);
    }
    return support;
}

Status require_support(DeviceKind device, const QuantConfig& config, const Layer& layer,
                       const Split& split) {
    const Support support = query_support(device, config, layer, split);
    if (support.reasons == 0) return {};
    return Status::error(Code::kUnsupported, "%s%s%s", support.sentence.c_str(),
                         support.remedy.empty() ? "" : "; remedy: ", support.remedy.c_str());
}

}  // namespace mmoe
