// SPDX-License-Identifier: Apache-2.0
#include "bundle/support.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/checked.h"
#include "bundle/cpu_plan.h"
#include "bundle/cuda_plan.h"
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

// Quantisers write groups of 16 to 128, in powers of two.
constexpr int64_t kUsualGroupSizes[] = {128, 64, 32, 16};

// The largest usual group size below `wanted` that `serves`; 0: none.
template <class Serves>
int64_t smaller_group_size(int64_t wanted, const Serves& serves) {
    for (const int64_t size : kUsualGroupSizes) {
        if (size < wanted && serves(size)) return size;
    }
    return 0;
}

bool divides_layer(const Layer& layer, int64_t size) {
    return size >= 1 && layer.hidden_size % size == 0 && layer.intermediate_size % size == 0;
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
        const int64_t smaller =
            smaller_group_size(size, [&](int64_t other) { return divides_layer(q.layer, other); });
        const std::string groups =
            smaller != 0 ? "with group size " + number(smaller) : "with one scale a channel";
        return Refusal{"group size " + number(size) + " does not divide " + axis.name + " " +
                           number(axis.value),
                       "quantise " + groups};
    }
    return {};
}

// The smallest dimension from `size` on that the format can hold as outputs and as inputs.
int64_t padded_for_format(const QuantConfig& config, int64_t size) {
    const int64_t step = config.group_size.value_or(1);  // `size` is a multiple already
    while (!check_dimensions(config, size, size).ok()) size += step;
    return size;
}

// Formats without padding need whole words. Both dimensions are outputs of one projection and
// inputs of another.
Answer check_format(const Question& q) {
    if (check_bits(q) || check_shape(q) || check_group_size(q)) return {};
    const Layer& layer = q.layer;
    for (const Projection projection : {Projection::kUp, Projection::kDown}) {
        const Status status =
            check_dimensions(q.config, layer.outputs(projection), layer.inputs(projection));
        if (status.ok()) continue;
        const int64_t hidden = padded_for_format(q.config, layer.hidden_size);
        const bool pads_hidden = hidden != layer.hidden_size;
        return Refusal{std::string(projection_name(projection)) + " " + status.message(),
                       pads_hidden
                           ? "pad hidden_size to " + number(hidden)
                           : "pad intermediate_size to " +
                                 number(padded_for_format(q.config, layer.intermediate_size))};
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

// Whether the layer could be quantised and split so.
bool serves_split(const Question& q, int64_t group_size) {
    QuantConfig config = q.config;
    config.group_size = static_cast<int32_t>(group_size);
    const int64_t ranks = q.split.tensor_ranks;
    return divides_layer(q.layer, group_size) &&
           most_ranks(config, q.layer.intermediate_size, ranks) == ranks;
}

std::string split_remedy(const Question& q) {
    const Split& split = q.split;
    if (split.expert_ranks > q.layer.expert_count) {
        return "use at most " + number(q.layer.expert_count) + " expert ranks";
    }
    if (split.tensor_rank >= split.tensor_ranks || split.expert_rank >= split.expert_ranks) {
        return "count ranks from 0";
    }
    std::string remedy =
        "use " + number(most_ranks(q.config, q.layer.intermediate_size, split.tensor_ranks)) +
        " tensor ranks";
    const int64_t smaller = smaller_group_size(q.config.group_size.value_or(0),
                                               [&](int64_t size) { return serves_split(q, size); });
    if (smaller != 0) remedy += ", quantise with group size " + number(smaller);
    return remedy + ", or split over experts";
}

Answer check_split(const Question& q) {
    if (check_shape(q) || check_group_size(q)) return {};
    const Result<Shard> shard = plan_shard(q.spec);
    if (shard.ok()) return {};
    return Refusal{shard.status().message(), split_remedy(q)};
}

Answer check_device(const Question& q) {
    if (q.device == DeviceKind::kCpu) return {};
    if (!cuda_is_built()) return Refusal{"no CUDA kernel in this build", "use the CPU"};
    return {};
}

// CUDA kernels take 16 inputs at a step.
Answer check_cuda_groups(const Question& q) {
    if (q.device != DeviceKind::kCuda || !q.config.group_size || check_group_size(q)) return {};
    constexpr int64_t kStep = 16;
    const Result<Shard> shard = plan_shard(q.spec);
    int64_t size = *q.config.group_size;
    if (size % kStep == 0 && shard.ok()) size = shard.value().slice.down_group_size;
    if (size % kStep == 0) return {};
    return Refusal{"CUDA: group size: expected a multiple of 16, got " + number(size),
                   "use the CPU"};
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

// A remedy may serve two reasons.
void append(std::string& text, const std::string& clause) {
    if (clause.empty() || text.find(clause) != std::string::npos) return;
    if (!text.empty()) text += "; ";
    text += clause;
}

void fill_part(DeviceKind device, const BundleSpec& spec, Support& support) {
    constexpr uint64_t kSplits = kReasonSplit;
    if ((support.reasons & ~kSplits) != 0) return;
    support.most_tensor_ranks = most_ranks(spec.config, spec.layer.intermediate_size,
                                           std::max<int64_t>(spec.split.tensor_ranks, 1));
    if (support.reasons != 0) return;
    const Result<Shard> planned = plan_shard(spec);
    const Shard& shard = planned.value();
    support.local_intermediate = shard.slice.size;
    support.down_group_size = shard.slice.down_group_size;
    support.padded_intermediate = device == DeviceKind::kCuda
                                      ? plan_cuda_bundle(spec, shard).layer.padded_intermediate
                                      : plan_cpu_bundle(spec, shard).gate_up.padded_outputs();
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
    fill_part(device, spec, support);
    return support;
}

Status require_support(DeviceKind device, const BundleSpec& spec) {
    const Support support = query_support(device, spec);
    if (support.reasons == 0) return {};
    return Status::error(Code::kUnsupported, "%s%s%s", support.sentence.c_str(),
                         support.remedy.empty() ? "" : "; remedy: ", support.remedy.c_str());
}

}  // namespace mmoe
