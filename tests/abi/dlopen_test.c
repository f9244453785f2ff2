/* SPDX-License-Identifier: Apache-2.0 */
/* A program that knows the library by its file name alone: load it, use it and its threads,
 * unload it, a thousand times. With no GPU, driver or toolkit there must still be a CPU. Linked
 * with libdl only. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "marlin_moe.h"

enum { kRepeats = 1000 };

/* A symbol as a function pointer; ISO C has no cast for it. */
typedef void (*AnyFunction)(void);
static AnyFunction find_function(void* library, const char* name) {
    AnyFunction function = NULL;
    void* symbol = dlsym(library, name);
    if (symbol == NULL) fail_msg("%s: %s", name, dlerror());
    memcpy(&function, &symbol, sizeof function);
    return function;
}

static void use_once(void* library) {
    uint32_t (*version)(void) = (uint32_t(*)(void))find_function(library, "mmoe_version");
    mmoe_status (*device_count)(mmoe_device_kind, uint32_t*, mmoe_error*) = (mmoe_status(*)(
        mmoe_device_kind, uint32_t*, mmoe_error*))find_function(library, "mmoe_device_count");
    mmoe_status (*context_create)(const mmoe_context_options*, mmoe_context**, mmoe_error*) =
        (mmoe_status(*)(const mmoe_context_options*, mmoe_context**, mmoe_error*))find_function(
            library, "mmoe_context_create");
    mmoe_status (*route)(const mmoe_context*, const mmoe_route_args*, void*, mmoe_error*) =
        (mmoe_status(*)(const mmoe_context*, const mmoe_route_args*, void*,
                        mmoe_error*))find_function(library, "mmoe_route");
    void (*context_destroy)(mmoe_context*) =
        (void (*)(mmoe_context*))find_function(library, "mmoe_context_destroy");

    assert_int_equal(version() >> 16, MMOE_VERSION_MAJOR);
    uint32_t count = 0;
    assert_int_equal(device_count(MMOE_DEVICE_CPU, &count, NULL), MMOE_OK);
    assert_int_equal(count, 1);
    const mmoe_context_options options = {
        .struct_size = sizeof options, .device_kind = MMOE_DEVICE_CPU, .thread_count = 2};
    mmoe_context* context = NULL;
    assert_int_equal(context_create(&options, &context, NULL), MMOE_OK);
    float logits[2] = {1, 2}, weight = 0;
    int32_t id = -1;
    mmoe_route_args args = {.struct_size = sizeof args};
    args.logits = (mmoe_tensor){logits, MMOE_DTYPE_F32, 2, {1, 2}, {0}};
    args.expert_ids = (mmoe_tensor){&id, MMOE_DTYPE_I32, 2, {1, 1}, {0}};
    args.expert_weights = (mmoe_tensor){&weight, MMOE_DTYPE_F32, 2, {1, 1}, {0}};
    assert_int_equal(route(context, &args, NULL, NULL), MMOE_OK); /* starts the threads */
    assert_int_equal(id, 1);
    context_destroy(context);
}

static void loads_and_unloads(void** state) {
    (void)state;
    const char* path = getenv("MMOE_LIBRARY");
    assert_non_null(path);
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
        void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (library == NULL) fail_msg("%s", dlerror());
        use_once(library);
        assert_int_equal(dlclose(library), 0);
    }
    assert_null(dlopen(path, RTLD_NOW | RTLD_NOLOAD)); /* unloading was real */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(loads_and_unloads)};
    return cmocka_run_group_tests_name("abi_dlopen", tests, NULL, NULL);
}
