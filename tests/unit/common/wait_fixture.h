/* Handlers that wait, each on a bench of its own, on one loop. Included behind cmocka.h. */
#ifndef TESTS_UNIT_WAIT_FIXTURE_H
#define TESTS_UNIT_WAIT_FIXTURE_H

#include <uv.h>

#include "pdk_bench.h"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

/* Longer than any test may take. */
#define FOREVER_MS 3600000u

static const enum protocol protocols[] = {PROTOCOL_PROTOBUF, PROTOCOL_MSGPACK};

static inline int open_loop(void **state) {
    static uv_loop_t loop;
    *state = &loop;
    return uv_loop_init(&loop);
}

/* Nothing is left on it: no timer, no request. */
static inline int close_loop(void **state) {
    return uv_loop_close(*state);
}

static inline void run_for_a_moment(uv_loop_t *loop) {
    for (int i = 0; i < 20; i++) {
        uv_run(loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
}

/* Runs the loop until no handler of the bench is at work. */
static inline void run_until_done(uv_loop_t *loop, struct bench *bench) {
    uint64_t end = uv_hrtime() + UINT64_C(60000000000);
    while (bench->running > 0) {
        assert_true(uv_hrtime() < end);
        uv_run(loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
    bench_pump(bench);
}

static inline void start(struct bench *bench, bench_handler *handler, void *data) {
    bench_run(bench, handler, data, NULL, 0);
}

#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, open_loop, close_loop)

#endif
