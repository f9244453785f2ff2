// SPDX-License-Identifier: Apache-2.0
// A libcuda.so.1 that serves CUDA 12.4 and nothing else, for cuda_old_driver_test.cpp.
#include <stdint.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int cuDriverGetVersion(int* version);
EXPORT int cuInit(unsigned flags);
EXPORT int cuGetProcAddress(const char* name, void** function, int version, uint64_t flags);
EXPORT int cuGetProcAddress_v2(const char* name, void** function, int version, uint64_t flags,
                               void* status);

int cuDriverGetVersion(int* version) {
    *version = 12040;
    return 0;
}

int cuInit(unsigned flags) {
    (void)flags;
    return 0;
}

static int refuse(void) {
    const int not_initialised = 3;  // CUDA_ERROR_NOT_INITIALIZED
    return not_initialised;
}

int cuGetProcAddress(const char* name, void** function, int version, uint64_t flags) {
    (void)flags;
    *function = (void*)&refuse;
    if (strcmp(name, "cuDriverGetVersion") == 0) *function = (void*)&cuDriverGetVersion;
    if (strcmp(name, "cuInit") == 0) *function = (void*)&cuInit;
    if (strcmp(name, "cuGetProcAddress") == 0) {
        *function = version >= 12000 ? (void*)&cuGetProcAddress_v2 : (void*)&cuGetProcAddress;
    }
    return 0;
}

int cuGetProcAddress_v2(const char* name, void** function, int version, uint64_t flags,
                        void* status) {
    (void)status;
    return cuGetProcAddress(name, function, version, flags);
}
