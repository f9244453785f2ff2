// SPDX-License-Identifier: Apache-2.0
// The contract of an executor on the CPU; gpu/cuda_layer_test.cpp asks the same of CUDA.
#include "parity/executor_contract.h"

#include "cmocka_cpp.h"

namespace {

using namespace mmoe;

void token_counts_are_read_when_the_run_gets_there(void** /*state*/) {
    CpuTestDevice device;
    parity::check_token_count(device);
}

void workspaces_may_be_the_callers(void** /*state*/) {
    CpuTestDevice device;
    parity::check_given_workspace(device);
}

void kernels_may_be_asked_for(void** /*state*/) {
    CpuTestDevice device;
    parity::check_asked_rows(device);
}

void poll_tells_of_ids_out_of_range(void** /*state*/) {
    CpuTestDevice device;
    parity::check_poll(device);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(token_counts_are_read_when_the_run_gets_there),
        cmocka_unit_test(workspaces_may_be_the_callers),
        cmocka_unit_test(kernels_may_be_asked_for),
        cmocka_unit_test(poll_tells_of_ids_out_of_range),
    };
    return cmocka_run_group_tests_name("parity_executor", tests, nullptr, nullptr);
}
