/* When a connection that is to end is told so, and when one that has been ended is closed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conn_drain.h"

static void closes_when_the_peer_was_quiet(void **state) {
    struct rpc rpc = {.state = RPC_ENDING, .state_ms = 1000};
    (void)state;
    assert_false(drain_closes(&rpc, 900, 1000));
    assert_false(drain_closes(&rpc, 900, 1499));
    assert_true(drain_closes(&rpc, 900, 1500));
    assert_false(drain_closes(&rpc, 1400, 1500)); /* heard from since */
    assert_true(drain_closes(&rpc, 1400, 1900));
}

/* What Kong still has to answer is waited for. */
static void waits_for_results(void **state) {
    struct rpc rpc = {.state = RPC_ENDING, .state_ms = 1000, .results_due = 1};
    (void)state;
    assert_false(drain_closes(&rpc, 900, 100000));
    rpc.results_due = 0;
    assert_true(drain_closes(&rpc, 900, 100000));
}

static void closes_only_what_has_been_ended(void **state) {
    (void)state;
    for (int i = RPC_OPEN; i <= RPC_CLOSED; i++) {
        struct rpc rpc = {.state = (enum rpc_state)i};
        assert_int_equal(drain_closes(&rpc, 0, 100000), i == RPC_ENDING);
    }
}

/* Again only when the peer has said something since. */
static void is_nudged_once(void **state) {
    struct arena scratch;
    struct rpc_env env = {.scratch = &scratch, .pid = 7};
    struct rpc rpc;
    (void)state;
    arena_init(&scratch, 0);
    rpc_init(&rpc, &env, NULL);
    rpc.protocol = PROTOCOL_MSGPACK;
    for (int i = 0; i < 2; i++) {
        assert_true(rpc_nudge(&rpc));
        assert_true(rpc.out.len > 0);
        buffer_clear(&rpc.out, 0);
        assert_false(rpc_nudge(&rpc));
        assert_int_equal(rpc.out.len, 0);
        assert_int_equal(rpc_feed(&rpc, NULL, 0), 0);
    }
    buffer_free(&rpc.out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_nudged_once),
        cmocka_unit_test(closes_when_the_peer_was_quiet),
        cmocka_unit_test(waits_for_results),
        cmocka_unit_test(closes_only_what_has_been_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
