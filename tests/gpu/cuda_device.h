// SPDX-License-Identifier: Apache-2.0
// A CUDA device as the home of a test's tensors, and the skip where there is none.
#pragma once

#include "support/test_device.h"

namespace mmoe::test {

class CudaTestDevice final : public TestDevice {
  public:
    [[nodiscard]] mmoe_device_kind kind() const override { return MMOE_DEVICE_CUDA; }
    void* allocate(size_t size_bytes) override;
    void release(void* memory) override;
    void upload(void* to, const void* from, size_t size_bytes) override;
    void download(void* to, const void* from, size_t size_bytes) override;
    void synchronize() override;
};

// CTest's SKIP_RETURN_CODE, after a line that says why; or 0 where a device can be used.
int skip_without_device();

}  // namespace mmoe::test
