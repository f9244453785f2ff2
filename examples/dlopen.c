/* SPDX-License-Identifier: Apache-2.0
 * The library as an optional plug-in: opened at run time, so the program also starts where it is
 * not installed. Prints version and devices.
 *
 *     cc dlopen.c -ldl;  ./a.out path/to/libmarlin_moe.so.0
 */
#include <dlfcn.h>
#include <marlin_moe.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The functions that this program uses, with the types that the header declares. */
static struct {
    uint32_t (*version)(void);
    const char* (*version_string)(void);
    mmoe_status (*device_count)(mmoe_device_kind, uint32_t*, mmoe_error*);
    mmoe_status (*device_info)(mmoe_device_kind, uint32_t, mmoe_device_description*, mmoe_error*);
} library;

/* Stores a symbol's address; 0 if there is none. memcpy, because C has no cast from a data to a
 * function pointer. */
static int find(void* handle, const char* name, void* function) {
    void* symbol = dlsym(handle, name);
    memcpy(function, &symbol, sizeof symbol);
    if (symbol == NULL) fprintf(stderr, "the library has no %s\n", name);
    return symbol != NULL;
}

static int bind(void* handle) {
    return find(handle, "mmoe_version", &library.version) &&
           find(handle, "mmoe_version_string", &library.version_string) &&
           find(handle, "mmoe_device_count", &library.device_count) &&
           find(handle, "mmoe_device_info", &library.device_info);
}

static void show_devices(mmoe_device_kind kind, const char* name) {
    mmoe_error error = {0};
    uint32_t count = 0;
    if (library.device_count(kind, &count, &error) != MMOE_OK)
        printf("%s: none: %s\n", name, error.message); /* an answer, not a failure */
    for (uint32_t index = 0; index < count; ++index) {
        mmoe_device_description device = {.struct_size = sizeof device};
        if (library.device_info(kind, index, &device, &error) == MMOE_OK)
            printf("%s:%u: %s\n", name, index, device.name);
    }
}

int main(int argc, char** argv) {
    const char* path = argc > 1 ? argv[1] : "libmarlin_moe.so.0";
    void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        fprintf(stderr, "going on without quantised experts: %s\n", dlerror());
        return 1;
    }
    if (!bind(handle)) return 1;
    printf("libmarlin_moe %s\n", library.version_string());
    /* While the major version is 0, another minor version may break. */
    const int fits = library.version() >> 8 == (MMOE_VERSION_MAJOR << 8 | MMOE_VERSION_MINOR);
    if (!fits) fprintf(stderr, "expected %d.%d\n", MMOE_VERSION_MAJOR, MMOE_VERSION_MINOR);
    show_devices(MMOE_DEVICE_CPU, "cpu");
    show_devices(MMOE_DEVICE_CUDA, "cuda");
    dlclose(handle);
    return fits ? 0 : 1;
}
