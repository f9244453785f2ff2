// SPDX-License-Identifier: Apache-2.0
#include "bundle/support.h"

#include <cmath>
#include <numeric>
#include <optional>

#include "base/checked.h"
#include "device/cuda_memory.h"
#include "unpack/unpack.h"

namespace mmoe {
namespace {

struct Question {
    DeviceKind device;
    const QuantConfig& config;
    const Layer& layer;
    const Split& split;
    const BundleSpec& spec;
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

// Formats without padding need whole words.
Answer check_format(const Question& q) {
    if (check_bits(q) || check_shape(q) || check_group_size(q)) return {};
    const Layer& layer = q.layer;
    for (const Projection projection : {Projection::kUp, Projection::kDown}) {
        const Status status =
            check_dimensions(q.config, layer.outputs(projection), layer.inputs(projection));
        if (status.ok()) continue;
        return Refusal{std::string(projection_name(projection)) + " " + status.message(),
                       "pad the checkpoint to a multiple of " + number(32 / q.config.bits)};
    }
    return {};
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
    if (check_shape(q) || check_group_size(q)) return {};
    const Result<Shard> shard = plan_shard(q.spec);
    if (shard.ok()) return {};
    const Split& split = q.split;
    std::string remedy;
    if (split.expert_ranks > q.layer.expert_count) {
        remedy = "use at most " + number(q.layer.expert_count) + " expert ranks";
    } else if (split.tensor_rank < split.tensor_ranks && split.expert_rank < split.expert_ranks) {
        const int64_t ranks = most_ranks(q.config, q.layer.intermediate_size, split.tensor_ranks);
        remedy = "use " + number(ranks) + " tensor ranks, or split over experts";
    }
    return Refusal{shard.status().message(), remedy};
}

Answer check_device(const Question& q) {
    if (q.device == DeviceKind::kCpu) return {};
    if (!cuda_is_built()) return Refusal{"no CUDA kernel in this build", "use the CPU"};
    return {};
}

// CUDA kernels take 16 inputs at a step.
Answer check_cuda_groups(const Question& q) {
    if (q.device != DeviceKind::kCuda || !q.config.group_size || check_group_size(q)) return {};
    Result<Shard> shard = plan_shard(q.spec);
    const int64_t down_group = shard.ok() ? shard.value().slice.down_group_size : 0;
    if (*q.config.group_size % 16 == 0 && down_group % 16 == 0) return {};
    return Refusal{"CUDA: the group size must be a multiple of 16", "use the CPU"};
}

// Every reason, in the order in which sentences name them.
constexpr struct {
    Reason reason;
    Answer (*check)(const Question&);
} kChecks[] = {
    {kReasonDevice, check_device}, {kReasonBits, check_bits},
    {kReasonShape, check_shape},   {kReasonGroupSize, check_group_size},
    {kReasonFormat, check_format}, {kReasonActivation, check_activation},
    {kReasonSplit, check_split},   {kReasonGroupSize, check_cuda_groups},
};

void append(std::string& text, const std::string& clause) {
    if (clause.empty()) return;
    if (!text.empty()) text += "; ";
    text += clause;
}

}  // namespace

Support query_support(DeviceKind device, const BundleSpec& spec) {
    Support support;
    for (const auto& row : kChecks) {
        const Answer refusal = row.check({device, spec.config, spec.layer, spec.split, spec});
        if (!refusal) continue;
        support.reasons |= row.reason;
        append(support.sentence, refusal->sentence);
        append(support.remedy, refusal->remedy);
    }
    return support;
}

Status require_support(DeviceKind device, const BundleSpec& spec) {
    const Support support = query_support(device, spec);
    if (support.reasons == 0) return {};
    return Status::error(Code::kUnsupported, "%s%s%s", support.sentence.c_str(),
                         support.remedy.empty() ? "" : "; remedy: ", support.remedy.c_str());
}

}  // namespace mmoe
