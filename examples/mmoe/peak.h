// SPDX-License-Identifier: Apache-2.0
// Loops of nothing but independent multiply-adds, one source file an instruction set.
#pragma once

#include <marlin_moe.h>

#include <cstdint>

namespace mmoe_tool {

struct PeakLoop {
    void (*run)(int64_t steps);
    double operations_per_step;  // a multiplication and an addition count as two
    const char* instruction;
};

// The loop for what the tier's kernels multiply with.
const PeakLoop& peak_loop(mmoe_cpu_tier tier);

extern const PeakLoop kPeakPortable;
#if defined(__x86_64__)
extern const PeakLoop kPeakAvx2;
extern const PeakLoop kPeakAvxVnni;
extern const PeakLoop kPeakAvx512;
extern const PeakLoop kPeakAvx512Bf16;
#endif

// Enough sums to hide the latency of any multiply-add at two a cycle.
constexpr int kPeakSums = 12;

// `Step` has a Vector type and add(sum, a, b). The empty statements hide the operands from the
// compiler and use the sums, so that every step is executed.
template <class Step>
void run_peak_loop(int64_t steps, typename Step::Vector a, typename Step::Vector b) {
    __asm__ volatile("" : "+m"(a), "+m"(b));
    typename Step::Vector sum[kPeakSums];
    for (auto& s : sum) s = a;
    for (int64_t step = 0; step < steps; ++step) {
        for (auto& s : sum) s = Step::add(s, a, b);
    }
    for (auto& s : sum) __asm__ volatile("" : : "m"(s));
}

}  // namespace mmoe_tool
