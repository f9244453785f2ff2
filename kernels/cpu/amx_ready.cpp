// SPDX-License-Identifier: Apache-2.0
// Whether AMX rows may run. Tile registers are the system's to grant, and our rows were written
// with few machines at hand: they are not used before they agreed with the portable row on this
// one.
#include "cpu/amx_ready.h"

#include <cmath>
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

// Two groups with zero points, and tokens that fill one tile and a part of the next.
class SelfTest {
  public:
    bool passes() {
        fill();
        run(&portable::pack_f32, &portable::multiply_f32_int4, kVectorTileTokens, want_);
        run(&avx512bf16::pack_bf16, &amxbf16::multiply_bf16_int4, kTokens, got_);
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
    static constexpr layout::CpuRecordPlan kPlan = {
        .outputs = layout::kLanes, .inputs = 256, .group_size = 128, .asymmetric = true};

    uint32_t random() {
        state_ = state_ * 1664525 + 1013904223;  // Numerical Recipes, ch. 7
        return state_ >> 16;
    }

    void fill() {
        for (uint8_t& byte : block_) byte = static_cast<uint8_t>(random());
        for (int64_t group = 0; group < kPlan.groups(); ++group) {
            uint8_t* record = block_ + group * kPlan.record_bytes();
            for (int lane = 0; lane < layout::kLanes; ++lane) {
                auto* scale = reinterpret_cast<uint16_t*>(record) + lane;
                *scale = static_cast<uint16_t>(0x3C00 + random() % 0x80);  // bf16, near 2^-7
                record[kPlan.zero_point_offset_bytes() + lane] =
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
        for (int token = 0; token < kTokens; ++token) {
            pack({&kPlan, Element::kBf16, source_[token], packed_[token], sums_[token], nullptr});
            x[token] = packed_[token];
            x_sum[token] = sums_[token];
        }
        for (int first = 0; first < kTokens; first += most) {
            const int count = first + most <= kTokens ? most : kTokens - first;
            multiply(count, {&kPlan, block_, nullptr, x + first, x_sum + first, nullptr,
                             out + first * layout::kLanes});
        }
    }

    uint32_t state_ = 1;
    alignas(64) uint8_t block_[kPlan.block_bytes()];
    alignas(64) uint8_t packed_[kTokens][kPlan.padded_inputs() * sizeof(float)];
    alignas(64) float want_[kTokens * layout::kLanes];
    alignas(64) float got_[kTokens * layout::kLanes];
    float sums_[kTokens][x_sum_count(kPlan)];
    uint16_t source_[kTokens][kPlan.inputs];
};

const char* find_refusal() {
    if (!ask_for_tiles()) return "the system does not grant tile registers";
    if (!std::make_unique<SelfTest>()->passes()) return "its self-test failed on this machine";
    return nullptr;
}

}  // namespace

const char* amx_refusal() {
    static const char* const refusal = find_refusal();
    return refusal;
}

}  // namespace mmoe::cpu
