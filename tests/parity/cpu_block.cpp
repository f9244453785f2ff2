// SPDX-License-Identifier: Apache-2.0
#include "parity/cpu_block.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace mmoe::parity {
namespace {

using layout::kLanes;
using layout::ScaleType;

// Element types and scale types have the same values.
float narrow(int32_t type, float value, uint8_t* to) {
    if (type == static_cast<int32_t>(ScaleType::kF32)) {
        std::memcpy(to, &value, 4);
        return value;
    }
    const bool f16 = type == static_cast<int32_t>(ScaleType::kF16);
    const uint16_t half = f16 ? layout::f32_to_f16(value) : layout::f32_to_bf16(value);
    std::memcpy(to, &half, 2);
    return f16 ? layout::f16_to_f32(half) : layout::bf16_to_f32(half);
}

}  // namespace

BlockProblem::BlockProblem(const BlockCase& spec, int tokens)
    : spec_(spec),
      tokens_(tokens),
      records_(spec.plan.block_bytes()),
      steps_(static_cast<size_t>(kLanes * spec.plan.inputs)),
      scales_(static_cast<size_t>(kLanes * spec.plan.groups())),
      inputs_(static_cast<size_t>(tokens * spec.plan.inputs)),
      source_(inputs_.size() * cpu::element_bytes(spec.source)) {
    std::mt19937 random(1);
    make_records(random);
    make_inputs(random);
}

void BlockProblem::make_records(std::mt19937& random) {
    const layout::CpuRecordPlan& plan = spec_.plan;
    const uint32_t mask = (1u << plan.bits) - 1;
    std::uniform_real_distribution<float> scale(0.002F, 0.006F);
    for (int lane = 0; lane < spec_.lanes; ++lane) {
        for (int64_t group = 0; group < plan.groups(); ++group) {
            uint8_t* record = records_.data() + group * plan.record_bytes();
            const int scale_bytes = layout::scale_bytes(plan.scale_type);
            scales_[static_cast<size_t>(lane * plan.groups() + group)] = narrow(
                static_cast<int32_t>(plan.scale_type), scale(random), record + lane * scale_bytes);
            uint32_t zero_point = 1u << (plan.bits - 1);
            if (plan.asymmetric) {
                zero_point = spec_.inputs == Inputs::kConstant ? 0 : random() & mask;
                record[plan.zero_point_offset_bytes() + lane] = static_cast<uint8_t>(zero_point);
            }
            for (int64_t k = 0; k < plan.group_size; ++k) {
                const uint32_t code = spec_.inputs == Inputs::kConstant ? mask : random() & mask;
                uint8_t* at = record + plan.tile_offset_bytes() +
                              k / plan.inputs_per_tile() * layout::kTileBytes + lane * 4;
                uint32_t word = 0;
                std::memcpy(&word, at, 4);
                word |= code << layout::cpu_code_shift(static_cast<int>(k % plan.inputs_per_tile()),
                                                       plan.bits);
                std::memcpy(at, &word, 4);
                steps_[static_cast<size_t>(lane * plan.inputs + group * plan.group_size + k)] =
                    static_cast<int>(code) - static_cast<int>(zero_point);
            }
        }
    }
}

void BlockProblem::make_inputs(std::mt19937& random) {
    std::normal_distribution<float> normal;
    for (int token = 0; token < tokens_; ++token) {
        for (int64_t k = 0; k < spec_.plan.inputs; ++k) {
            float value = normal(random);
            switch (spec_.inputs) {
                case Inputs::kNormal:
                    break;
                case Inputs::kShifted:
                    value += 3;
                    break;
                case Inputs::kOutliers:
                    value *= k % 61 == 0 ? 30.0F : 1.0F;
                    break;
                case Inputs::kConstant:
                    value = 1;
                    break;
                case Inputs::kTiny:
                    value *= 0x1p-100F;
                    break;
                case Inputs::kZero:
                    value = 0;
                    break;
            }
            set_input(token, k, value);
        }
    }
}

const void* BlockProblem::source(int token) const {
    return source_.data() +
           static_cast<size_t>(token * spec_.plan.inputs) * cpu::element_bytes(spec_.source);
}

void BlockProblem::set_input(int token, int64_t k, float value) {
    const auto index = static_cast<size_t>(token * spec_.plan.inputs + k);
    inputs_[index] = narrow(static_cast<int32_t>(spec_.source), value,
                            source_.data() + index * cpu::element_bytes(spec_.source));
}

std::vector<double> BlockProblem::expected(int token) const {
    const float* inputs = inputs_.data() + token * spec_.plan.inputs;
    const std::vector<double> wide(inputs, inputs + spec_.plan.inputs);
    return multiply(wide.data());
}

std::vector<double> BlockProblem::expected_of_fixed(int token, float limit) const {
    const layout::CpuRecordPlan& plan = spec_.plan;
    const float* inputs = inputs_.data() + token * plan.inputs;
    std::vector<double> fixed(static_cast<size_t>(plan.inputs));
    for (int64_t group = 0; group < plan.inputs; group += plan.group_size) {
        for (int64_t first = 0; first < plan.group_size; first += cpu::kSumBlockInputs) {
            const int64_t begin = group + first;
            const int64_t end =
                group + std::min(plan.group_size, first + int64_t{cpu::kSumBlockInputs});
            float largest = 0;
            for (int64_t k = begin; k < end; ++k) largest = std::max(largest, std::abs(inputs[k]));
            if (largest == 0) continue;
            for (int64_t k = begin; k < end; ++k) {
                const float steps = std::nearbyint(inputs[k] * (limit / largest));
                fixed[static_cast<size_t>(k)] = double{steps} * double{largest} / double{limit};
            }
        }
    }
    return multiply(fixed.data());
}

std::vector<double> BlockProblem::multiply(const double* inputs) const {
    const layout::CpuRecordPlan& plan = spec_.plan;
    std::vector<double> out(kLanes);
    for (int lane = 0; lane < kLanes; ++lane) {
        for (int64_t k = 0; k < plan.inputs; ++k) {
            out[static_cast<size_t>(lane)] +=
                scales_[static_cast<size_t>(lane * plan.groups() + k / plan.group_size)] *
                steps_[static_cast<size_t>(lane * plan.inputs + k)] * inputs[k];
        }
    }
    return out;
}

}  // namespace mmoe::parity
