/* SPDX-License-Identifier: Apache-2.0 */
/* A program that was compiled with the next version's header (header.py next) on today's library:
 * what it does not ask for changes nothing, what it asks for is refused and not dropped, and what
 * the library cannot fill is zero. The other pair, today's programs on the next version's library,
 * needs no program of its own: CMakeLists.txt runs those of today. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/tiny_layer.h"

static mmoe_error error;

static void the_version_tells_them_apart(void** state) {
    (void)state;
    assert_int_equal(mmoe_version() >> 16, MMOE_VERSION_MAJOR);
    assert_int_equal((mmoe_version() >> 8 & 255) + 1, MMOE_VERSION_MINOR);
}

static void new_functions_are_not_found(void** state) {
    (void)state;
    assert_non_null(dlsym(RTLD_DEFAULT, "mmoe_version"));
    assert_null(dlsym(RTLD_DEFAULT, "mmoe_next_function"));
}

/* The setup has made every object with structures of the next version; this runs one. */
static void old_wishes_are_met(void** state) {
    struct TinyLayer* tiny = *state;
    const mmoe_run_args args = tiny_run_args();
    assert_int_equal(mmoe_executor_run(tiny->executor, tiny->sealed, &args, NULL, &error), MMOE_OK);
    const mmoe_route_args route = tiny_route_args();
    assert_int_equal(mmoe_route(tiny->context, &route, NULL, &error), MMOE_OK);
}

static void expect_newer(mmoe_status status) {
    assert_int_equal(status, MMOE_ERR_STRUCT_SIZE);
    assert_non_null(strstr(error.message, "the header is newer than the library"));
}

static void new_wishes_are_refused(void** state) {
    struct TinyLayer* tiny = *state;
    const mmoe_context_options context_options = {.struct_size = sizeof context_options,
                                                  .next_member = 1};
    mmoe_context* context;
    expect_newer(mmoe_context_create(&context_options, &context, &error));
    assert_null(context);

    mmoe_executor_options executor_options = tiny->executor_options;
    executor_options.next_member = 1;
    mmoe_executor* executor;
    expect_newer(
        mmoe_executor_create(tiny->context, tiny->sealed, &executor_options, &executor, &error));
    assert_null(executor);

    mmoe_run_args args = tiny_run_args();
    args.next_member = 1;
    expect_newer(mmoe_executor_run(tiny->executor, tiny->sealed, &args, NULL, &error));
}

static void new_answers_are_zero(void** state) {
    struct TinyLayer* tiny = *state;
    mmoe_device_description device;
    memset(&device, 0xA5, sizeof device);
    device.struct_size = sizeof device;
    assert_int_equal(mmoe_device_info(MMOE_DEVICE_CPU, 0, &device, &error), MMOE_OK);
    assert_int_equal(device.kind, MMOE_DEVICE_CPU);
    assert_int_equal(device.next_member, 0);

    mmoe_bundle_description bundle;
    memset(&bundle, 0xA5, sizeof bundle);
    bundle.struct_size = sizeof bundle;
    assert_int_equal(mmoe_bundle_info(tiny->sealed, NULL, &bundle, &error), MMOE_OK);
    assert_int_equal(bundle.expert_count, 1);
    assert_int_equal(bundle.next_member, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_tells_them_apart),
        cmocka_unit_test(new_functions_are_not_found),
        cmocka_unit_test(old_wishes_are_met),
        cmocka_unit_test(new_wishes_are_refused),
        cmocka_unit_test(new_answers_are_zero),
    };
    return cmocka_run_group_tests(tests, tiny_layer_setup, tiny_layer_teardown);
}
