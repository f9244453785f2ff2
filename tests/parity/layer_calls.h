// SPDX-License-Identifier: Apache-2.0
// The calls of a parity problem through the public API, on whichever device a test has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "marlin_moe.h"
#include "parity/handles.h"
#include "parity/problem.h"
#include "support/test_device.h"

namespace mmoe::parity {

inline constexpr uint8_t kPoison = 0xFF;  // NaN in every type

Handle<mmoe_quant_config> make_config(const Case& spec);

Handle<mmoe_bundle> create_bundle(const Problem& problem, mmoe_context* context,
                                  const mmoe_split& split);
// Every tensor in turn, and the seal; stops at the first failure.
mmoe_status fill_bundle(mmoe_bundle* bundle, Problem& problem, mmoe_error* error);
// Both.
Handle<mmoe_bundle> make_bundle(Problem& problem, mmoe_context* context, const mmoe_split& split);

// Memory of a device that is released with its last owner; `bytes` may be null. The device must
// outlive it.
std::shared_ptr<void> place(TestDevice& device, const void* bytes, size_t size_bytes);

// The operands of a problem's run in the memory of a device.
class PlacedRun {
  public:
    PlacedRun(Problem& problem, TestDevice& device, mmoe_dtype output_dtype);
    // The device is told how many tokens there are.
    void count_tokens(int32_t count);
    [[nodiscard]] mmoe_run_args& args() { return args_; }

    // Poisons the output first.
    mmoe_status enqueue(mmoe_executor* executor, const mmoe_bundle* bundle, void* stream,
                        mmoe_error* error);
    // Waits for the device. [T, H + row_padding]
    std::vector<uint8_t> output();

  private:
    // No elements still have an address.
    template <class T>
    void put(mmoe_tensor& tensor, const std::vector<T>& data) {
        memory_.push_back(place(device_, data.data(), data.size() * sizeof(T)));
        tensor.data = memory_.back().get();
    }

    TestDevice& device_;
    mmoe_run_args args_;
    size_t output_bytes_ = 0;
    std::vector<std::shared_ptr<void>> memory_;
};

}  // namespace mmoe::parity
