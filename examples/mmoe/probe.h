// SPDX-License-Identifier: Apache-2.0
// What the processor can do at most, measured in this process with as many threads as the layer
// may use: the two roofs that a benchmark is held to.
#pragma once

#include <marlin_moe.h>

#include <cstddef>

namespace mmoe_tool {

// Streaming reads of a buffer of large pages that no cache holds.
class ReadProbe {
  public:
    explicit ReadProbe(int threads);
    ~ReadProbe();
    ReadProbe(const ReadProbe&) = delete;
    ReadProbe& operator=(const ReadProbe&) = delete;
    [[nodiscard]] double gbps() const;  // 10^9 bytes a second, best of several passes

  private:
    int threads_;
    void* mapping_;
    const unsigned char* buffer_;
};

struct Peak {
    double gflops;            // multiplications and additions, best of several passes
    const char* instruction;  // that was counted
};

// The fastest product of the tier's kernels.
Peak measure_peak(mmoe_cpu_tier tier, int threads);

}  // namespace mmoe_tool
