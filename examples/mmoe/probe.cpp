// SPDX-License-Identifier: Apache-2.0
#include "probe.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <new>
#include <thread>
#include <vector>

#include "peak.h"

namespace mmoe_tool {
namespace {

constexpr size_t kPageBytes = size_t{2} << 20;
constexpr size_t kBufferBytes = size_t{512} << 20;
constexpr size_t kLineBytes = 64;
// One stream and a prefetch 2 to 4 KiB ahead read fastest on the processors we measured.
constexpr size_t kAheadBytes = 3072;
constexpr int kPasses = 15;
constexpr int64_t kPeakSteps = 4'000'000;  // some 15 ms

// Seconds until `work(thread)` has run on every thread, all starting together; best of kPasses.
double best_seconds(int threads, const std::function<void(int)>& work) {
    using Clock = std::chrono::steady_clock;
    double best = 1e30;
    for (int pass = 0; pass < kPasses; ++pass) {
        std::atomic<int> ready{0};
        std::atomic<bool> go{false};
        std::vector<std::thread> pool;
        for (int t = 1; t < threads; ++t) {
            pool.emplace_back([&, t] {
                ++ready;
                while (!go) std::this_thread::yield();
                work(t);
            });
        }
        while (ready < threads - 1) std::this_thread::yield();
        const auto start = Clock::now();
        go = true;
        work(0);
        for (std::thread& thread : pool) thread.join();
        best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    }
    return best;
}

uint64_t read_all(const unsigned char* memory, size_t size_bytes) {
    uint64_t sum[8] = {};
    for (size_t offset = 0; offset < size_bytes; offset += kLineBytes) {
        const auto* line = reinterpret_cast<const uint64_t*>(memory + offset);
        __builtin_prefetch(memory + std::min(offset + kAheadBytes, size_bytes - kLineBytes));
        for (int i = 0; i < 8; ++i) sum[i] ^= line[i];
    }
    for (int i = 1; i < 8; ++i) sum[0] ^= sum[i];
    return sum[0];
}

}  // namespace

ReadProbe::ReadProbe(int threads)
    : threads_(threads),
      mapping_(mmap(nullptr, kBufferBytes + kPageBytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (mapping_ == MAP_FAILED) throw std::bad_alloc();
    const uintptr_t aligned =
        (reinterpret_cast<uintptr_t>(mapping_) + kPageBytes - 1) / kPageBytes * kPageBytes;
    auto* memory = reinterpret_cast<unsigned char*>(aligned);
    madvise(memory, kBufferBytes, MADV_HUGEPAGE);  // advice: small pages only read slower
    std::fill(memory, memory + kBufferBytes, static_cast<unsigned char>(1));
    buffer_ = memory;
}

ReadProbe::~ReadProbe() {
    munmap(mapping_, kBufferBytes + kPageBytes);
}

double ReadProbe::gbps() const {
    const size_t part = kBufferBytes / static_cast<size_t>(threads_) / kLineBytes * kLineBytes;
    std::atomic<uint64_t> sink{0};
    const double seconds = best_seconds(
        threads_, [&](int t) { sink ^= read_all(buffer_ + static_cast<size_t>(t) * part, part); });
    return static_cast<double>(part) * threads_ / seconds * 1e-9;
}

Peak measure_peak(mmoe_cpu_tier tier, int threads) {
    const PeakLoop& loop = peak_loop(tier);
    const double seconds = best_seconds(threads, [&](int) { loop.run(kPeakSteps); });
    return {loop.operations_per_step * kPeakSteps * threads / seconds * 1e-9, loop.instruction};
}

}  // namespace mmoe_tool
