// SPDX-License-Identifier: Apache-2.0
// Whether AMX rows may run. Tile registers are the system's to grant, and our rows were written
// with few machines at hand: none is used before it agreed with a row without tiles on this one.
#include "cpu/amx_ready.h"

#include <array>
#include <cmath>
#include <iterator>
#include <memory>

#include "cpu/tiers.h"

#if defined(__linux__)
    #include <sys/syscall.h>
    #include <unistd.h>
#endif

namespace mmoe::cpu {
namespace {

// A process must ask for tile registers; a refusal leaves it as it was.
bool ask_for_tiles() {
#if defined(__linux__) && defined(SYS_arch_prctl)
    constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
    constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
    return false;
#endif
}

// A kernel, and the one without tiles that it must agree with.
struct Trial {
    int bits;
    void (*pack)(const PackArgs& args);
    void (*multiply)(int tokens, const MultiplyArgs& args);
    void (*reference_pack)(const PackArgs& args);
    void (*reference)(int tokens, const MultiplyArgs& args);
};
constexpr Trial kTrials[] = {
    // by AmxKernel
    {4, &avx512bf16::pack_bf16, &amxbf16::multiply_bf16_int4, &portable::pack_f32,
     &portable::multiply_f32_int4},
    {4, &avx512::pack_int16, &amxbf16::multiply_int16_int4, &avx512::pack_int16,
     &avx512::multiply_int16_int4},
    {8, &avx512::pack_int16, &amxbf16::multiply_int16_int8, &avx512::pack_int16,
     &avx512::multiply_int16_int8},
};

constexpr layout::CpuRecordPlan plan_of(int bits) {
    return {.outputs = layout::kLanes,
            .inputs = 256,
            .group_size = 128,
            .bits = bits,
            .asymmetric = true};
}

// Two groups with zero points, and tokens that fill one tile and a part of the next.
class SelfTest {
  public:
    bool passes(const Trial& trial) {
        plan_ = plan_of(trial.bits);
        fill();
        run(trial.reference_pack, trial.reference, kVectorTileTokens, want_);
        run(trial.pack, trial.multiply, kTokens, got_);
        double difference = 0;
        double norm = 0;
        for (int i = 0; i < kTokens * layout::kLanes; ++i) {
            const double error = double{got_[i]} - double{want_[i]};
            difference += error * error;
            norm += double{want_[i]} * double{want_[i]};
        }
        // fp32 sums of 256 products; a wrong one would cost more than 1e-2.
        return std::isfinite(difference) && norm > 0 && difference <= 1e-10 * norm;
    }

  private:
    static constexpr int kTokens = 23;
    static constexpr layout::CpuRecordPlan kLargest = plan_of(8);

    uint32_t random() {
        state_ = state_ * 1664525 + 1013904223;  // Numerical Recipes, ch. 7
        return state_ >> 16;
    }

    void fill() {
        for (uint8_t& byte : block_) byte = static_cast<uint8_t>(random());
        for (int64_t group = 0; group < plan_.groups(); ++group) {
            uint8_t* record = block_ + group * plan_.record_bytes();
            for (int lane = 0; lane < layout::kLanes; ++lane) {
                auto* scale = reinterpret_cast<uint16_t*>(record) + lane;
                *scale = static_cast<uint16_t>(0x3C00 + random() % 0x80);  // bf16, near 2^-7
                record[plan_.zero_point_offset_bytes() + lane] =
                    static_cast<uint8_t>(random() % 16);
            }
        }
        for (auto& row : source_) {
            for (uint16_t& x : row) {
                x = layout::f32_to_bf16(static_cast<float>(random() % 512) / 256 - 1);
            }
        }
    }

    // [kTokens, 64] in calls of at most `most` tokens.
    void run(void (*pack)(const PackArgs&), void (*multiply)(int, const MultiplyArgs&), int most,
             float* out) {
        const void* x[kTokens];
        const float* x_sum[kTokens];
        const float* x_scale[kTokens];
        for (int token = 0; token < kTokens; ++token) {
            pack({&plan_, Element::kBf16, source_[token], packed_[token], sums_[token],
                  scales_[token]});
            x[token] = packed_[token];
            x_sum[token] = sums_[token];
            x_scale[token] = scales_[token];
        }
        for (int first = 0; first < kTokens; first += most) {
            const int count = first + most <= kTokens ? most : kTokens - first;
            multiply(count, {&plan_, block_, nullptr, x + first, x_sum + first, x_scale + first,
                             out + first * layout::kLanes});
        }
    }

    uint32_t state_ = 1;
    layout::CpuRecordPlan plan_;
    alignas(64) uint8_t block_[kLargest.block_bytes()];
    alignas(64) uint8_t packed_[kTokens][kLargest.padded_inputs() * sizeof(float)];
    alignas(64) float want_[kTokens * layout::kLanes];
    alignas(64) float got_[kTokens * layout::kLanes];
    float sums_[kTokens][x_sum_count(kLargest)];
    float scales_[kTokens][x_scale_count(kLargest)];
    uint16_t source_[kTokens][kLargest.inputs];
};

using Refusals = std::array<const char*, std::size(kTrials)>;

Refusals find_refusals() {
    Refusals refusals = {};
    if (!ask_for_tiles()) {
        refusals.fill("the system does not grant tile registers");
        return refusals;
    }
    const auto test = std::make_unique<SelfTest>();
    for (size_t i = 0; i < refusals.size(); ++i) {
        if (!test->passes(kTrials[i])) refusals[i] = "its self-test failed on this machine";
    }
    return refusals;
}

}  // namespace

const char* amx_refusal(AmxKernel kernel) {
    static const Refusals refusals = find_refusals();
    return refusals[static_cast<size_t>(kernel)];
}

}  // namespace mmoe::cpu
