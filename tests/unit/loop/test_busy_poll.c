/* --busy-poll: the loop does not sleep for so long after a write, and only then. The clock is the
 * test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "busy_poll.h"
#include "rig.h"

static uint64_t now_ns;

static uint64_t test_clock(void) {
    return now_ns;
}

struct fixture {
    uv_loop_t loop;
    struct stats stats;
    struct busy_poll poll;
};

static void start(struct fixture *f, unsigned span_us) {
    *f = (struct fixture){.poll = {.span_ns = 0}};
    now_ns = 1000000;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    busy_poll_init(&f->poll, &f->loop, span_us, &f->stats);
    f->poll.now_ns = test_clock;
}

static void stop(struct fixture *f) {
    busy_poll_close(&f->poll);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

/* One round of the loop. Whether it would sleep in the next. */
static bool sleeps(struct fixture *f, uint64_t passed_ns) {
    now_ns += passed_ns;
    uv_run(&f->loop, UV_RUN_NOWAIT);
    return uv_loop_alive(&f->loop) == 0; /* nothing else is in it */
}

static void test_spins_for_its_time(void **state) {
    struct fixture f;
    (void)state;
    start(&f, 20);
    assert_true(sleeps(&f, 0)); /* an idle server */
    busy_poll_wrote(&f.poll);
    assert_false(sleeps(&f, 5000));
    busy_poll_heard(&f.poll);
    assert_false(sleeps(&f, 5000));
    busy_poll_wrote(&f.poll); /* from here on again */
    assert_false(sleeps(&f, 19000));
    assert_true(sleeps(&f, 1000));
    busy_poll_heard(&f.poll); /* it slept */
    assert_true(sleeps(&f, 1000000));
    assert_int_equal(f.stats.busy_ns, 30000);
    assert_int_equal(f.stats.busy_hits, 1);
    busy_poll_wrote(&f.poll);
    assert_false(sleeps(&f, 1));
    stop(&f);
}

static void test_off(void **state) {
    struct fixture f;
    (void)state;
    start(&f, 0);
    busy_poll_wrote(&f.poll);
    busy_poll_heard(&f.poll);
    assert_true(sleeps(&f, 0));
    assert_int_equal(f.stats.busy_ns, 0);
    stop(&f);
}

/* A server with it answers, on one thread and on several, and ends while it spins. */
static void test_server(void **state) {
    enum protocol protocol = protocol_of(state);
    for (size_t threads = 1; threads <= 2; threads++) {
        struct sim_server_options options = {.busy_poll_us = BUSY_POLL_MOST_US, .threads = threads};
        struct rig rig;
        struct sim_event event;
        rig_start(&rig, protocol, &options);
        int64_t id = rig_instance(&rig, "mixed", 1);
        for (int i = 0; i < 20; i++) {
            assert_event(&rig, id, &event, SIM_EVENT_OK);
        }
        rig_stop(&rig);
    }
}

static enum protocol protobuf = PROTOCOL_PROTOBUF;
static enum protocol msgpack = PROTOCOL_MSGPACK;

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spins_for_its_time),
        cmocka_unit_test(test_off),
        RIG_TESTS(test_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
