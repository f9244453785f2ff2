/* SPDX-License-Identifier: Apache-2.0 */
/* What a compiled caller relies on: every declared function links, and sizes, offsets and
 * values of the public header are those of tests/abi/frozen.txt. A release may add lines to that
 * file; a line that changes breaks programs that are already compiled. The bindings read the
 * same file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "abi/tables.h"

static void every_function_links(void** state) {
    (void)state;
    for (int i = 0; i < kFunctionCount; ++i) {
        if (kFunctions[i].address == NULL) fail_msg("%s has no address", kFunctions[i].name);
    }
    print_message("%d functions\n", kFunctionCount);
}

static const struct AbiNumber* find_number(const char* name) {
    for (int i = 0; i < kNumberCount; ++i) {
        if (strcmp(kNumbers[i].name, name) == 0) return &kNumbers[i];
    }
    return NULL;
}

static void numbers_are_frozen(void** state) {
    (void)state;
    FILE* file = fopen(MMOE_FROZEN, "r");
    assert_non_null(file);
    char line[128];
    int frozen_count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        char name[96];
        long long value = 0;
        if (line[0] == '#') continue;
        if (sscanf(line, "%95s %lld", name, &value) != 2) fail_msg("cannot read '%s'", line);
        const struct AbiNumber* number = find_number(name);
        if (number == NULL) fail_msg("%s: frozen as %lld, gone from the header", name, value);
        if (number->value != value) {
            fail_msg("%s: frozen as %lld, now %lld", name, value, number->value);
        }
        ++frozen_count;
    }
    fclose(file);
    print_message("%d numbers\n", frozen_count);
    if (frozen_count != kNumberCount) {
        fail_msg("%d names are not frozen yet", kNumberCount - frozen_count);
    }
}

static int print_numbers(void) {
    for (int i = 0; i < kNumberCount; ++i) printf("%s %lld\n", kNumbers[i].name, kNumbers[i].value);
    return 0;
}

int main(int argc, char** argv) {
    if (argc == 2 && strcmp(argv[1], "--print") == 0) return print_numbers();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_links),
        cmocka_unit_test(numbers_are_frozen),
    };
    return cmocka_run_group_tests_name("abi_frozen", tests, NULL, NULL);
}
