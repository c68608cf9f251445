/* How far a conversation has come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rpc_conversation.h"

static uint64_t now_of(void *clock) {
    return *(uint64_t *)clock;
}

/* What is later in the list stays, whatever still happens; a second terminal call counts anew. */
static void it_never_goes_back(void **state) {
    uint64_t clock = 0;
    const struct rpc_env env = {.now_ms = now_of, .clock = &clock};
    (void)state;
    for (int from = RPC_OPEN; from <= RPC_CLOSED; from++) {
        for (int to = RPC_OPEN; to <= RPC_CLOSED; to++) {
            struct rpc rpc = {.env = &env, .state = (enum rpc_state)from, .state_ms = 1};
            clock = 2;
            rpc_enter(&rpc, (enum rpc_state)to);
            bool enters = to > from || (from == RPC_EXITED && to == RPC_EXITED);
            assert_int_equal(rpc.state, enters ? to : from);
            assert_int_equal(rpc.state_ms, enters ? 2 : 1);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_never_goes_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
