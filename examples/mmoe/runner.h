// SPDX-License-Identifier: Apache-2.0
// One executor with the tensors of its calls: upload inputs, run bundles, read the output.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api.h"
#include "device.h"

namespace mmoe_tool {

struct RunShape {
    int64_t tokens = 1;
    int64_t top_k = 1;
    int64_t hidden_size = 0;
    mmoe_dtype hidden_dtype = MMOE_DTYPE_BF16;
    mmoe_dtype output_dtype = MMOE_DTYPE_BF16;
    mmoe_precision precision = MMOE_PRECISION_DEFAULT;
    std::string row;  // part of the names of the CUDA kernels that may serve; empty: all
};

// Good as long as `shape`.
mmoe_executor_options executor_options(const RunShape& shape);

// Values of --precision, for --help. parse_precision() throws UsageError.
inline constexpr const char* kPrecisions = "default|exact|int8";
mmoe_precision parse_precision(const std::string& text);
const char* precision_name(mmoe_precision precision);

class Runner {
  public:
    // Sized for layers as large as `bundle`'s.
    Runner(const Device& device, const mmoe_bundle* bundle, const RunShape& shape);

    void set_hidden(const std::vector<uint8_t>& hidden);         // [T, H] in hidden_dtype
    void set_experts(const std::vector<int32_t>& ids);           // [T, top_k]
    void set_router_weights(const std::vector<float>& weights);  // [T, top_k]

    void run(const mmoe_bundle* bundle);               // returns when the output is there
    [[nodiscard]] std::vector<double> output() const;  // [T, H]
    [[nodiscard]] std::vector<uint8_t> output_bytes() const { return output_.download(); }
    [[nodiscard]] std::string explain(const mmoe_bundle* bundle) const;

  private:
    const Device& device_;
    RunShape shape_;
    Owned<mmoe_executor> executor_;
    DeviceArray hidden_, ids_, weights_, output_;
    mmoe_run_args args_;
};

}  // namespace mmoe_tool
