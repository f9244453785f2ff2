// SPDX-License-Identifier: Apache-2.0
// A layer of random weights to time, in so many copies that a walk through them finds nothing in
// the caches.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api.h"
#include "device.h"
#include "number.h"

namespace mmoe_tool {

struct BenchLayer {
    int64_t experts = 0, top_k = 0, hidden = 0, intermediate = 0;
    int64_t bits = 4;
    int64_t group_size = 128;  // or MMOE_GROUP_SIZE_CHANNEL
    bool asymmetric = false;
    mmoe_dtype dtype = MMOE_DTYPE_BF16;  // of scales, hidden states and output
};

// "qwen3-30b" and its like, or "E,k,H,I". Throws UsageError.
void set_shape(BenchLayer* layer, const std::string& text);
std::string shape_names();

// The quant config and the layer as the library takes them.
mmoe_quant_fields quant_fields(const BenchLayer& layer);

class BenchWeights {
  public:
    BenchWeights(const Device& device, const BenchLayer& layer);

    // Bundles in turn.
    const mmoe_bundle* next();
    [[nodiscard]] const mmoe_bundle* first() const { return bundles_.front().get(); }
    [[nodiscard]] uint64_t bundle_bytes() const { return bundle_bytes_; }
    [[nodiscard]] uint64_t all_bytes() const { return bundle_bytes_ * bundles_.size(); }

  private:
    std::vector<Owned<mmoe_bundle>> bundles_;
    uint64_t bundle_bytes_ = 0;
    size_t turn_ = 0;
};

// Expert ids of call after call. One token walks through a shuffled deck, so that no expert
// comes again before all others were used; several tokens choose uniformly.
class ExpertWalk {
  public:
    ExpertWalk(const BenchLayer& layer, int64_t tokens);
    std::vector<int32_t> next();  // [T, top_k]

  private:
    BenchLayer layer_;
    int64_t tokens_;
    Random random_{1};
    std::vector<int32_t> deck_;
};

}  // namespace mmoe_tool
