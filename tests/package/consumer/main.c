/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest user: is the library that was found the one of the header, and does it work? */
#include <marlin_moe.h>
#include <stdio.h>

int main(void) {
    const mmoe_context_options options = {.struct_size = sizeof options,
                                          .device_kind = MMOE_DEVICE_CPU};
    mmoe_context* context = NULL;
    mmoe_error error = {0};
    if (mmoe_context_create(&options, &context, &error) != MMOE_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    mmoe_context_destroy(context);
    printf("marlin_moe %s\n", mmoe_version_string());
    return mmoe_version() >> 16 == MMOE_VERSION_MAJOR ? 0 : 1;
}
