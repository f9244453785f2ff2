// SPDX-License-Identifier: Apache-2.0
// The table of values on the CPU, in both precisions; gpu/cuda_values_test.cpp has it on CUDA.
#include "fault/value_table.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::fault;

namespace {

// The parity tests' bounds for whole layers; a token alone may have twice as much.
constexpr ValueMode kModes[] = {{MMOE_PRECISION_DEFAULT, MMOE_DTYPE_F32, 2e-4},
                                {MMOE_PRECISION_EXACT, MMOE_DTYPE_F32, 2e-5}};

void every_value_has_its_outcome(void** /*state*/) {
    CpuTestDevice device;
    check_value_table(device, kModes);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(every_value_has_its_outcome)};
    return cmocka_run_group_tests_name("fault_values", tests, nullptr, nullptr);
}
