// SPDX-License-Identifier: Apache-2.0
// A driver that is older than the build's CUDA, on any machine: CTest puts a libcuda.so.1 of the
// test's own (old_driver.c) first on the library path.
#include <cstring>
#include <string>

#include "parity/handles.h"

namespace {

using namespace mmoe::parity;

void expect_both_versions(const mmoe_error& error) {
    const std::string text = error.message;
    if (text.find("12.4") == std::string::npos || text.find("needs CUDA") == std::string::npos) {
        fail_msg("the text names no versions: %s", error.message);
    }
}

void the_count_says_that_the_driver_is_too_old(void** /*state*/) {
    mmoe_error error = {};
    uint32_t count = 7;
    assert_int_equal(mmoe_device_count(MMOE_DEVICE_CUDA, &count, &error), MMOE_ERR_DRIVER_TOO_OLD);
    assert_int_equal(count, 0);
    expect_both_versions(error);
    auto description = sized<mmoe_device_description>();
    assert_int_equal(mmoe_device_info(MMOE_DEVICE_CUDA, 0, &description, &error),
                     MMOE_ERR_DRIVER_TOO_OLD);
}

void a_context_on_cuda_is_refused(void** /*state*/) {
    auto options = sized<mmoe_context_options>();
    options.device_kind = MMOE_DEVICE_CUDA;
    mmoe_context* context = nullptr;
    mmoe_error error = {};
    assert_int_equal(mmoe_context_create(&options, &context, &error), MMOE_ERR_DRIVER_TOO_OLD);
    assert_null(context);
    expect_both_versions(error);
}

void a_context_on_any_device_is_one_on_the_cpu(void** /*state*/) {
    mmoe_context* context = nullptr;
    Error error{"any device"};
    error.expect_ok(mmoe_context_create(nullptr, &context, &error.value), "create");
    const Handle<mmoe_context> owned(context);
    auto description = sized<mmoe_device_description>();
    error.expect_ok(mmoe_context_info(context, &description, &error.value), "info");
    assert_int_equal(description.kind, MMOE_DEVICE_CPU);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(the_count_says_that_the_driver_is_too_old),
        cmocka_unit_test(a_context_on_cuda_is_refused),
        cmocka_unit_test(a_context_on_any_device_is_one_on_the_cpu),
    };
    return cmocka_run_group_tests_name("cuda_old_driver", tests, nullptr, nullptr);
}
