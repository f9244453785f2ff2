// SPDX-License-Identifier: Apache-2.0
// Kernels in AMX tiles over emulated instructions, against rows without tiles that pack alike: any
// number of tokens, groups of one and of several steps. Fixed point has exact sums, so the same
// bits; bf16 sums in another order. What the processor makes of it, the rows' self-test asks.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "cpu/tiers.h"
#include "parity/cpu_block.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::cpu;
using namespace mmoe::parity;
using layout::kLanes;

namespace mmoe::cpu::amx_emulated {
void multiply_bf16_int4(int tokens, const MultiplyArgs& args);
void multiply_int16_int4(int tokens, const MultiplyArgs& args);
void multiply_int16_int8(int tokens, const MultiplyArgs& args);
}  // namespace mmoe::cpu::amx_emulated

namespace {

using Multiply = void (*)(int tokens, const MultiplyArgs& args);

struct Kernel {
    const char* name;
    int bits;
    void (*pack)(const PackArgs& args);
    Multiply in_tiles;
    Multiply plain;
    double tolerance;  // relative; fp32 sums of 128 exact products in another order
};
constexpr Kernel kKernels[] = {
    {"bf16, 4 bits", 4, &avx512bf16::pack_bf16, &amx_emulated::multiply_bf16_int4,
     &avx512bf16::multiply_bf16_int4, 1e-6},
    {"int16, 4 bits", 4, &avx512::pack_int16, &amx_emulated::multiply_int16_int4,
     &avx512::multiply_int16_int4, 0},
    {"int16, 8 bits", 8, &avx512::pack_int16, &amx_emulated::multiply_int16_int8,
     &avx512::multiply_int16_int8, 0},
};

constexpr int64_t kGroupSizes[] = {32, 64, 96, 128, 160, 192, 256, 1024};
constexpr int kTokenCounts[] = {1, 2, 15, 16, 17, 31, 32, 33, 47, 50, 64};

// The tokens of a problem packed for a kernel.
struct Packed {
    Packed(const Kernel& kernel, const BlockCase& spec, const BlockProblem& problem) {
        for (int token = 0; token < kAmxTokens; ++token) {
            const auto take = [&](int64_t bytes) {
                memory.emplace_back(bytes, uint8_t{0xFF});
                return memory.back().data();
            };
            uint8_t* row = take(x_elements(spec.plan) * 2);
            auto* row_sum = reinterpret_cast<float*>(take(x_sum_count(spec.plan) * 4));
            auto* row_scale = reinterpret_cast<float*>(take(x_scale_count(spec.plan) * 4));
            kernel.pack({&spec.plan, spec.source, problem.source(token), row, row_sum, row_scale});
            x[token] = row;
            sum[token] = row_sum;
            scale[token] = row_scale;
        }
    }
    std::vector<Aligned> memory;
    const void* x[kAmxTokens];
    const float* sum[kAmxTokens];
    const float* scale[kAmxTokens];
};

// [tokens, 64], in calls of at most `most` tokens.
std::vector<float> run(Multiply multiply, int tokens, int most, const BlockCase& spec,
                       const BlockProblem& problem, const Packed& packed) {
    Aligned out(int64_t{tokens} * kLanes * 4, 0xFF);
    for (int first = 0; first < tokens; first += most) {
        const int count = std::min(most, tokens - first);
        multiply(count,
                 {&spec.plan, problem.records(), nullptr, packed.x + first, packed.sum + first,
                  packed.scale + first, reinterpret_cast<float*>(out.data()) + first * kLanes});
    }
    std::vector<float> values(static_cast<size_t>(tokens * kLanes));
    std::memcpy(values.data(), out.data(), values.size() * 4);
    return values;
}

double relative_difference(const std::vector<float>& got, const std::vector<float>& want) {
    double difference = 0;
    double norm = 0;
    for (size_t i = 0; i < want.size(); ++i) {
        difference += (double{got[i]} - want[i]) * (double{got[i]} - want[i]);
        norm += double{want[i]} * want[i];
    }
    return std::sqrt(difference / norm);
}

void check(const Kernel& kernel, int64_t group_size, bool asymmetric) {
    const BlockCase spec = {kernel.name,
                            {.outputs = kLanes,
                             .inputs = 3 * group_size,
                             .group_size = group_size,
                             .bits = kernel.bits,
                             .asymmetric = asymmetric}};
    const BlockProblem problem(spec, kAmxTokens);
    const Packed packed(kernel, spec, problem);
    for (const int tokens : kTokenCounts) {
        const auto got = run(kernel.in_tiles, tokens, kAmxTokens, spec, problem, packed);
        const auto want = run(kernel.plain, tokens, kVectorTileTokens, spec, problem, packed);
        const double difference = relative_difference(got, want);
        if (!(difference <= kernel.tolerance)) {
            fail_msg("%s, groups of %d%s, %d tokens: differs by %.3g", kernel.name,
                     static_cast<int>(group_size), asymmetric ? " with zero points" : "", tokens,
                     difference);
        }
    }
}

void tiles_agree_with_vectors(void**) {
    if (!usable(Tier::kAvx512Bf16)) {
        print_message("no AVX512-BF16 here, which the emulated tiles are made of\n");
        skip();
    }
    for (const Kernel& kernel : kKernels) {
        for (const int64_t group_size : kGroupSizes) {
            for (const bool asymmetric : {false, true}) check(kernel, group_size, asymmetric);
        }
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(tiles_agree_with_vectors)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
