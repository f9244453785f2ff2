/* SPDX-License-Identifier: Apache-2.0 */
/* NULL in every pointer parameter of every function. A row names a function and says of each of
 * its pointers, in order, whether the caller must give it (r) or may leave it out (o). A call
 * with NULL in a required place answers MMOE_ERR_NULL_POINTER, fills the error and leaves NULL in
 * *out; with NULL in an optional place it succeeds, as it does with none. The rows are checked
 * for completeness against the header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/null_calls.h"
#include "abi/tables.h"

static void every_pointer_has_a_letter(void** state) {
    (void)state;
    for (int f = 0; f < kFunctionCount; ++f) {
        int letters = 0;
        for (int r = 0; r < kNullRowCount; ++r) {
            if (strcmp(kNullRows[r].function, kFunctions[f].name) == 0) {
                letters = (int)strlen(kNullRows[r].pointers);
            }
        }
        if (letters != kFunctions[f].pointer_count) {
            fail_msg("%s: %d pointers in the header, %d in the table", kFunctions[f].name,
                     kFunctions[f].pointer_count, letters);
        }
    }
}

static void try_null(struct TinyLayer* tiny, const struct NullRow* row, int null_at) {
    const int refused = null_at >= 0 && row->pointers[null_at] == 'r';
    const mmoe_status want = refused ? MMOE_ERR_NULL_POINTER : MMOE_OK;
    mmoe_error error = {0};
    const mmoe_status got = row->call(&(struct Attempt){tiny, null_at, &error});
    if (got != want) {
        fail_msg("%s, NULL at %d: expected %s, got %s (%s)", row->function, null_at,
                 mmoe_status_name(want), mmoe_status_name(got), error.message);
    }
    if (refused && (error.status != want || error.message[0] == '\0')) {
        fail_msg("%s, NULL at %d: the error was not filled", row->function, null_at);
    }
    if (row->call(&(struct Attempt){tiny, null_at, NULL}) != want) {
        fail_msg("%s, NULL at %d: another status without an error", row->function, null_at);
    }
}

static void null_is_answered_everywhere(void** state) {
    int call_count = 0;
    for (int r = 0; r < kNullRowCount; ++r) {
        const int pointers = (int)strlen(kNullRows[r].pointers);
        for (int null_at = -1; null_at < pointers; ++null_at, ++call_count) {
            try_null(*state, &kNullRows[r], null_at);
        }
    }
    print_message("%d calls of %d functions\n", call_count, kNullRowCount);
}

static void null_data_is_answered(void** state) {
    struct TinyLayer* tiny = *state;
    mmoe_tensor tensor = tiny_gate_scale();
    tensor.data = NULL;
    assert_int_equal(
        mmoe_bundle_set(tiny->filling, 0, MMOE_PROJECTION_GATE, MMOE_ROLE_SCALE, &tensor, NULL),
        MMOE_ERR_NULL_POINTER);
    mmoe_expert_tensor tensors[kTinyTensorCount];
    tiny_expert_tensors(tensors);
    tensors[0].tensor.data = NULL;
    assert_int_equal(mmoe_bundle_put(tiny->sealed, 0, tensors, kTinyTensorCount, NULL),
                     MMOE_ERR_NULL_POINTER);
    static const size_t kRunOperands[] = {
        offsetof(mmoe_run_args, hidden), offsetof(mmoe_run_args, expert_ids),
        offsetof(mmoe_run_args, expert_weights), offsetof(mmoe_run_args, output)};
    for (size_t i = 0; i < sizeof kRunOperands / sizeof *kRunOperands; ++i) {
        mmoe_run_args args = tiny_run_args();
        ((mmoe_tensor*)(void*)((char*)&args + kRunOperands[i]))->data = NULL;
        assert_int_equal(mmoe_executor_run(tiny->executor, tiny->sealed, &args, NULL, NULL),
                         MMOE_ERR_NULL_POINTER);
    }
    static const size_t kRouteOperands[] = {offsetof(mmoe_route_args, logits),
                                            offsetof(mmoe_route_args, expert_ids),
                                            offsetof(mmoe_route_args, expert_weights)};
    for (size_t i = 0; i < sizeof kRouteOperands / sizeof *kRouteOperands; ++i) {
        mmoe_route_args args = tiny_route_args();
        ((mmoe_tensor*)(void*)((char*)&args + kRouteOperands[i]))->data = NULL;
        assert_int_equal(mmoe_route(tiny->context, &args, NULL, NULL), MMOE_ERR_NULL_POINTER);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pointer_has_a_letter),
        cmocka_unit_test(null_is_answered_everywhere),
        cmocka_unit_test(null_data_is_answered),
    };
    return cmocka_run_group_tests_name("abi_null", tests, tiny_layer_setup, tiny_layer_teardown);
}
