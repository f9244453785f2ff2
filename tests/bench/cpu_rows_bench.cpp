// SPDX-License-Identifier: Apache-2.0
// Speed of every CPU row on one core, beside what the machine allows: how fast one core reads the
// same memory, and how fast it issues multiply-adds that never wait. Prints; judges nothing.
//
//     cpu_rows_bench [part of a row's name]
//
// A row walks one matrix after another, far more than the caches hold ("memory"), or one block
// again and again ("cache"). Times are the thread's own, the best of several rounds.
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "bench/probes.h"
#include "cpu/launch.h"

namespace {

using namespace mmoe;
using namespace mmoe::cpu;

constexpr size_t kMemoryBytes = size_t{256} << 20;
constexpr int kRounds = 5;

double thread_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Best seconds of `work`.
template <class Work>
double best_seconds(Work&& work) {
    double best = 1e30;
    for (int round = 0; round < kRounds; ++round) {
        const double start = thread_seconds();
        work();
        best = std::min(best, thread_seconds() - start);
    }
    return best;
}

// On large pages where the system grants them, filled with bits that are finite as bf16 scales.
uint8_t* make_memory() {
    void* memory =
        mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::exit(1);
    madvise(memory, kMemoryBytes, MADV_HUGEPAGE);
    std::memset(memory, 0x3C, kMemoryBytes);
    return static_cast<uint8_t*>(memory);
}

// Packed rows of one activation.
struct Packed {
    std::vector<float> source, sum, scale;
    std::vector<uint16_t> halves;
    std::vector<uint8_t> memory;
    void* x = nullptr;
};

Packed pack(const Row& row, const layout::CpuRecordPlan& plan) {
    Packed packed;
    const auto inputs = static_cast<size_t>(plan.inputs);
    packed.source.assign(inputs, 0.5F);
    packed.halves.assign(inputs, 0x3F00);
    packed.sum.resize(static_cast<size_t>(x_sum_count(plan)));
    packed.scale.resize(static_cast<size_t>(x_scale_count(plan)));
    packed.memory.resize(static_cast<size_t>(x_elements(plan)) * 4 + 64);
    void* at = packed.memory.data();
    size_t space = packed.memory.size();
    packed.x = std::align(64, space - 64, at, space);
    PackArgs args = {};
    args.plan = &plan;
    args.source_type = row.format == ActivationFormat::kBf16 ? Element::kBf16 : Element::kF32;
    args.source = row.format == ActivationFormat::kBf16
                      ? static_cast<const void*>(packed.halves.data())
                      : packed.source.data();
    args.x = packed.x;
    args.x_sum = packed.sum.data();
    args.x_scale = packed.scale.data();
    row.pack(args);
    return packed;
}

// Multiplies all the blocks that `bytes` hold; returns how many.
int64_t walk(const Row& row, const layout::CpuRecordPlan& plan, const Packed& packed, int tokens,
             const uint8_t* memory, size_t bytes) {
    alignas(64) static float out[kMaxTileTokens * layout::kLanes];
    const void* x[kMaxTileTokens];
    const float* sum[kMaxTileTokens];
    const float* scale[kMaxTileTokens];
    std::fill_n(x, kMaxTileTokens, packed.x);
    std::fill_n(sum, kMaxTileTokens, packed.sum.data());
    std::fill_n(scale, kMaxTileTokens, packed.scale.data());
    const auto blocks = static_cast<int64_t>(bytes) / plan.block_bytes();
    for (int64_t block = 0; block < blocks; ++block) {
        const uint8_t* records = memory + block * plan.block_bytes();
        row.multiply(tokens, {&plan, records, records + plan.block_bytes(), x, sum, scale, out});
    }
    return blocks;
}

void measure(const Row& row, bool asymmetric, const uint8_t* memory) {
    const layout::CpuRecordPlan plan{.outputs = 64,
                                     .inputs = 2048,
                                     .group_size = 128,
                                     .bits = row.bits,
                                     .asymmetric = asymmetric};
    const Packed packed = pack(row, plan);
    for (const int tokens : {1, 2, 4, 6, 16, 32, 64}) {
        if (tokens > row.most_tokens) break;
        int64_t blocks = 0;
        const double memory_seconds =
            best_seconds([&] { blocks = walk(row, plan, packed, tokens, memory, kMemoryBytes); });
        const double bytes = static_cast<double>(blocks * plan.block_bytes());
        const double cached_seconds = best_seconds([&] {
            for (int64_t i = 0; i < blocks / 4; ++i) {
                walk(row, plan, packed, tokens, memory, static_cast<size_t>(plan.block_bytes()));
            }
        });
        const double operations = 2.0 * 64 * 2048 * tokens * static_cast<double>(blocks / 4);
        std::printf("%-36s %s tokens %d: %6.2f GB/s memory, %6.2f GB/s cache, %6.1f GFLOP/s\n",
                    row.name, asymmetric ? "asym" : "sym ", tokens, bytes / memory_seconds * 1e-9,
                    bytes / 4 / cached_seconds * 1e-9, operations / cached_seconds * 1e-9);
        std::fflush(stdout);
    }
}

void probe(const uint8_t* memory) {
    double seconds = best_seconds([&] { bench::read_all(memory, kMemoryBytes); });
    std::printf("one core reads %.2f GB/s\n", static_cast<double>(kMemoryBytes) / seconds * 1e-9);
    if (!usable(Tier::kAvx512Bf16)) return;
    seconds = best_seconds([] { bench::multiply_bf16(bench::kProbeSteps); });
    std::printf(
        "one core multiplies %.1f GFLOP/s in bf16\n",
        static_cast<double>(bench::kProbeSteps) * bench::kOperationsPerStep / seconds * 1e-9);
}

}  // namespace

int main(int argc, char** argv) {
    const uint8_t* memory = make_memory();
    probe(memory);
    for (const Row& row : rows()) {
        if (!usable(row.tier) || row.tier == Tier::kScalar) continue;
        if (argc > 1 && std::strstr(row.name, argv[1]) == nullptr) continue;
        measure(row, false, memory);
        if (row.bits == 4) measure(row, true, memory);
    }
    probe(memory);
    return 0;
}
