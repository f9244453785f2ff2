// SPDX-License-Identifier: Apache-2.0
// The table of values on CUDA: the same rows and outcomes as on the CPU.
#include "cuda_device.h"
#include "fault/value_table.h"

#include "cmocka_cpp.h"

namespace {

using mmoe::fault::ValueMode;

// cuda_layer_test.cpp's bound for whole layers; a token alone may have twice as much.
constexpr ValueMode kModes[] = {{MMOE_PRECISION_DEFAULT, MMOE_DTYPE_BF16, 1e-2},
                                {MMOE_PRECISION_DEFAULT, MMOE_DTYPE_F32, 1e-2}};

void every_value_has_its_outcome(void** /*state*/) {
    mmoe::test::CudaTestDevice device;
    mmoe::fault::check_value_table(device, kModes);
}

}  // namespace

int main() {
    if (const int skip = mmoe::test::skip_without_device()) return skip;
    const CMUnitTest tests[] = {cmocka_unit_test(every_value_has_its_outcome)};
    return cmocka_run_group_tests_name("cuda_values", tests, nullptr, nullptr);
}
