/* Handlers that wait: for time, for another thread; ended meanwhile by a peer that goes away, by
 * their time limit, by the end of the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "wait_fixture.h"

/* Not to be called. */
static void abort_in_thread(void *arg) {
    (void)arg;
    abort();
}

/* --- Time --- */

static int sleep_ms(struct kong *kong, struct bench *bench) {
    note_error(bench, kong_sleep(kong, *(const uint64_t *)bench->data));
    return 0;
}

static void test_sleep(void **state) {
    uint64_t ms = 30, none = 0;
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct bench *bench = bench_create(protocols[i], *state);
        uint64_t before = uv_hrtime();
        start(bench, sleep_ms, &ms);
        assert_int_equal(bench->running, 1);
        assert_false(bench->over);
        run_until_done(*state, bench);
        assert_true(uv_hrtime() - before >= ms * 1000000);
        assert_string_equal(bench_notes(bench), "ok ");
        assert_true(bench->over);
        start(bench, sleep_ms, &none);
        run_until_done(*state, bench);
        assert_string_equal(bench_notes(bench), "ok ");
        bench_destroy(bench);
    }
}

static void test_others_go_on(void **state) {
    uint64_t shorter = 1, longer = FOREVER_MS;
    struct bench *first = bench_create(PROTOCOL_PROTOBUF, *state);
    struct bench *second = bench_create(PROTOCOL_MSGPACK, *state);
    start(first, sleep_ms, &longer);
    start(second, sleep_ms, &shorter);
    run_until_done(*state, second);
    assert_true(second->over);
    assert_int_equal(first->running, 1);
    bench_close(first);
    run_until_done(*state, first);
    bench_destroy(first);
    bench_destroy(second);
    run_for_a_moment(*state);
}

static int sleep_again(struct kong *kong, struct bench *bench) {
    unsigned *early = bench->data;
    for (int i = 0; i < 40; i++) {
        uint64_t before = uv_hrtime();
        note_error(bench, kong_sleep(kong, 1));
        *early += uv_hrtime() - before < 1000000;
    }
    return 0;
}

/* At least so long, wherever in a millisecond it begins. */
static void test_sleep_is_never_short(void **state) {
    unsigned early = 0;
    struct bench *bench = bench_create(PROTOCOL_PROTOBUF, *state);
    start(bench, sleep_again, &early);
    while (bench->running > 0) {
        uv_run(*state, UV_RUN_NOWAIT); /* others keep it awake */
    }
    bench_pump(bench);
    assert_int_equal(early, 0);
    bench_destroy(bench);
}

static int sleep_then_post(struct kong *kong, struct bench *bench) {
    kong_response_set_header(kong, "X-Before", "1");
    note_error(bench, kong_sleep(kong, 1));
    note_error(bench, kong_response_clear_header(kong, "X-After"));
    return 0;
}

static void test_posts_around_sleep(void **state) {
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct bench *bench = bench_create(protocols[i], *state);
        start(bench, sleep_then_post, NULL);
        run_until_done(*state, bench);
        assert_string_equal(bench_notes(bench), "ok ok ");
        assert_int_equal(bench->call_count, 2);
        assert_string_equal(bench->calls[1].method.data, "kong.response.clear_header");
        assert_true(bench->over);
        bench_destroy(bench);
    }
}

static void test_sleep_is_cut_short(void **state) {
    uint64_t ms = FOREVER_MS;
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct bench *bench = bench_create(protocols[i], *state);
        start(bench, sleep_ms, &ms);
        bench_close(bench);
        run_until_done(*state, bench);
        assert_string_equal(bench_notes(bench), "GONE ");

        start(bench, sleep_ms, &ms);
        bench_tick(bench, 5000);
        /* Kong is answered before the handler had its turn */
        assert_int_equal(bench->running, 1);
        assert_true(bench->over || bench->error.data != NULL);
        run_until_done(*state, bench);
        assert_string_equal(bench_notes(bench), "TIMEOUT ");
        bench_destroy(bench);
    }
    run_for_a_moment(*state);
}

static int sleep_after_end(struct kong *kong, struct bench *bench) {
    kong_response_exit(kong, 200, kong_str("x"), kong_nil());
    note_error(bench, kong_sleep(kong, FOREVER_MS));
    note_error(bench, kong_run_blocking(kong, abort_in_thread, NULL));
    return 0;
}

static int sleep_twice(struct kong *kong, struct bench *bench) {
    note_error(bench, kong_sleep(kong, FOREVER_MS));
    note_error(bench, kong_sleep(kong, FOREVER_MS));
    note_error(bench, kong_run_blocking(kong, abort_in_thread, NULL));
    note_error(bench, kong_response_set_status(kong, 200));
    return KONG_E_FAILED;
}

static void test_nothing_waits_after_the_end(void **state) {
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct bench *bench = bench_create(protocols[i], *state);
        start(bench, sleep_after_end, NULL);
        assert_int_equal(bench->running, 0);
        assert_string_equal(bench_notes(bench), "ENDED ENDED ");
        bench_close(bench);
        start(bench, sleep_twice, NULL);
        bench_close(bench);
        run_until_done(*state, bench);
        assert_string_equal(bench_notes(bench), "GONE GONE GONE GONE ");
        bench_destroy(bench);
    }
    run_for_a_moment(*state);
}

static int wait_without_loop(struct kong *kong, struct bench *bench) {
    note_error(bench, kong_sleep(kong, 1));
    note_error(bench, kong_run_blocking(kong, abort_in_thread, NULL));
    return 0;
}

static void test_without_loop(void **state) {
    (void)state;
    struct bench *bench = bench_create(PROTOCOL_PROTOBUF, NULL);
    start(bench, wait_without_loop, NULL);
    assert_string_equal(bench_notes(bench), "IO IO ");
    assert_true(bench->over);
    bench_destroy(bench);
}

/* The connection breaks while a call is written to it: nobody would ever answer. */
static int call_into_nothing(struct kong *kong, struct bench *bench) {
    struct kong_str method;
    note_error(bench, kong_sleep(kong, 1));
    bench->close_at_write = true;
    note_error(bench, kong_request_get_method(kong, &method));
    note_str(bench, method);
    return 0;
}

static void test_peer_gone_at_write(void **state) {
    struct bench *bench = bench_create(PROTOCOL_PROTOBUF, *state);
    start(bench, call_into_nothing, NULL);
    run_until_done(*state, bench);
    assert_string_equal(bench_notes(bench), "ok GONE nil");
    assert_true(bench->closed);
    bench_destroy(bench);
}

/* --- Another thread --- */

struct gate {
    sem_t open;
    _Atomic unsigned waiting; /* so many have come to it */
};

struct errand {
    struct gate *gate; /* NULL: go on */
    pthread_t thread;
    bool begun, done;
};

static void run_errand(void *arg) {
    struct errand *errand = arg;
    errand->thread = pthread_self();
    errand->begun = true;
    if (errand->gate != NULL) {
        errand->gate->waiting++;
        while (sem_wait(&errand->gate->open) != 0) {
        }
    }
    errand->done = true;
}

static int block(struct kong *kong, struct bench *bench) {
    struct errand errand = {.gate = bench->data};
    note_error(bench, kong_run_blocking(kong, run_errand, &errand));
    note(bench, "%s", errand.done ? "done" : errand.begun ? "begun" : "not begun");
    if (errand.done && pthread_equal(errand.thread, pthread_self())) {
        note(bench, " in the same thread");
    }
    return 0;
}

static int block_and_tell(struct kong *kong, struct bench *bench) {
    block(kong, bench);
    note(bench, ": %s", kong_error_text(kong));
    return 0;
}

static void test_blocking(void **state) {
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct bench *bench = bench_create(protocols[i], *state);
        start(bench, block, NULL);
        assert_int_equal(bench->running, 1);
        run_until_done(*state, bench);
        assert_string_equal(bench_notes(bench), "ok done");
        assert_true(bench->over);
        bench_destroy(bench);
    }
}

static void open_gate(struct gate *gate) {
    sem_post(&gate->open);
}

static void make_gate(struct gate *gate) {
    gate->waiting = 0;
    assert_int_equal(sem_init(&gate->open, 0, 0), 0);
}

/* Until `count` threads in all have come to the gate. */
static void await_at_gate(struct gate *gate, unsigned count) {
    for (int i = 0; i < 60000 && gate->waiting < count; i++) {
        uv_sleep(1);
    }
    assert_int_equal(gate->waiting, count);
}

static void test_others_go_on_while_blocked(void **state) {
    struct gate gate;
    uint64_t ms = 1;
    make_gate(&gate);
    struct bench *blocked = bench_create(PROTOCOL_PROTOBUF, *state);
    struct bench *other = bench_create(PROTOCOL_PROTOBUF, *state);
    start(blocked, block, &gate);
    start(other, sleep_ms, &ms);
    run_until_done(*state, other);
    assert_true(other->over);
    assert_int_equal(blocked->running, 1);
    open_gate(&gate);
    run_until_done(*state, blocked);
    assert_string_equal(bench_notes(blocked), "ok done");
    bench_destroy(blocked);
    bench_destroy(other);
    sem_destroy(&gate.open);
}

/* What the thread uses lies on the handler's stack: the handler stays until it is done. */
static void test_blocking_outlives_its_event(void **state) {
    struct gate gate;
    make_gate(&gate);
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct bench *bench = bench_create(protocols[i], *state);
        start(bench, block, &gate);
        await_at_gate(&gate, (unsigned)(2 * i + 1));
        bench_close(bench);
        run_for_a_moment(*state);
        assert_int_equal(bench->running, 1);
        open_gate(&gate);
        run_until_done(*state, bench);
        assert_string_equal(bench_notes(bench), "GONE done");

        start(bench, block, &gate);
        await_at_gate(&gate, (unsigned)(2 * i + 2));
        bench_tick(bench, 5000);
        assert_true(bench->over || bench->error.data != NULL);
        run_for_a_moment(*state);
        assert_int_equal(bench->running, 1);
        open_gate(&gate);
        run_until_done(*state, bench);
        assert_string_equal(bench_notes(bench), "TIMEOUT done");
        bench_destroy(bench);
    }
    sem_destroy(&gate.open);
}

/* One that waits for a thread is dropped at once. */
static void test_queued_is_dropped(void **state) {
    struct gate gate;
    struct bench *busy[BENCH_THREADS];
    make_gate(&gate);
    struct blocking_pool *pool = blocking_pool_create(BENCH_THREADS);
    for (size_t i = 0; i < BENCH_THREADS; i++) {
        busy[i] = bench_create_sharing(PROTOCOL_PROTOBUF, *state, pool, 0);
        start(busy[i], block, &gate);
    }
    await_at_gate(&gate, BENCH_THREADS);
    struct bench *bench = bench_create_sharing(PROTOCOL_PROTOBUF, *state, pool, 0);
    start(bench, block, &gate);
    run_for_a_moment(*state);
    bench_close(bench);
    run_until_done(*state, bench);
    assert_string_equal(bench_notes(bench), "GONE not begun");
    bench_destroy(bench);
    for (size_t i = 0; i < BENCH_THREADS; i++) {
        assert_int_equal(busy[i]->running, 1);
        open_gate(&gate);
    }
    for (size_t i = 0; i < BENCH_THREADS; i++) {
        run_until_done(*state, busy[i]);
        assert_string_equal(bench_notes(busy[i]), "ok done");
        bench_destroy(busy[i]);
    }
    struct blocking_stats stats;
    blocking_pool_stats(pool, &stats);
    assert_int_equal(stats.most, BENCH_THREADS);
    assert_int_equal(stats.threads, BENCH_THREADS);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(stats.ran, BENCH_THREADS);
    assert_int_equal(stats.withdrawn, 1);
    assert_true(stats.longest_wait_ns > 0);
    blocking_pool_destroy(pool);
    sem_destroy(&gate.open);
}

/* … and after its time. */
static void test_a_thread_is_waited_for_so_long(void **state) {
    struct gate gate;
    make_gate(&gate);
    struct blocking_pool *pool = blocking_pool_create(1);
    struct bench *busy = bench_create_sharing(PROTOCOL_PROTOBUF, *state, pool, 20);
    struct bench *bench = bench_create_sharing(PROTOCOL_PROTOBUF, *state, pool, 20);
    start(busy, block, &gate);
    await_at_gate(&gate, 1);
    start(bench, block_and_tell, &gate);
    run_until_done(*state, bench);
    assert_string_equal(bench_notes(bench),
                        "IO not begun: kong_run_blocking: no thread was free for 0.02 s "
                        "(--blocking-threads, --blocking-wait)");
    assert_true(bench->over);
    /* the one that has a thread keeps it */
    assert_int_equal(busy->running, 1);
    open_gate(&gate);
    run_until_done(*state, busy);
    assert_string_equal(bench_notes(busy), "ok done");
    bench_destroy(bench);
    bench_destroy(busy);
    blocking_pool_destroy(pool);
    sem_destroy(&gate.open);
}

/* fn uses what the handler has, its memory and what Kong has answered, also when the event is over
 * meanwhile. */
struct copying {
    struct gate *gate;
    struct kong_str from;
    char *to;
};

static void copy_slowly(void *arg) {
    struct copying *copying = arg;
    copying->gate->waiting++;
    while (sem_wait(&copying->gate->open) != 0) {
    }
    memcpy(copying->to, copying->from.data, copying->from.len + 1);
}

static int use_what_the_handler_has(struct kong *kong, struct bench *bench) {
    struct copying copying = {.gate = bench->data};
    note_error(bench, kong_request_get_method(kong, &copying.from));
    copying.to = kong_alloc(kong, copying.from.len + 1);
    note_error(bench, kong_run_blocking(kong, copy_slowly, &copying));
    note(bench, "%s", copying.to);
    return KONG_E_FAILED;
}

static void test_what_fn_may_touch(void **state) {
    const struct bench_answer answer = {.kind = BENCH_JSON, .text = "\"GET\""};
    struct gate gate;
    make_gate(&gate);
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct bench *bench = bench_create(protocols[i], *state);
        bench_run(bench, use_what_the_handler_has, &gate, &answer, 1);
        await_at_gate(&gate, (unsigned)i + 1);
        bench_tick(bench, 5000); /* reports the failure, in the event's memory */
        open_gate(&gate);
        run_until_done(*state, bench);
        assert_string_equal(bench_notes(bench), "ok TIMEOUT GET");
        bench_destroy(bench);
    }
    sem_destroy(&gate.open);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_LOOP(test_sleep),
        WITH_LOOP(test_sleep_is_never_short),
        WITH_LOOP(test_others_go_on),
        WITH_LOOP(test_posts_around_sleep),
        WITH_LOOP(test_sleep_is_cut_short),
        WITH_LOOP(test_nothing_waits_after_the_end),
        cmocka_unit_test(test_without_loop),
        WITH_LOOP(test_peer_gone_at_write),
        WITH_LOOP(test_blocking),
        WITH_LOOP(test_others_go_on_while_blocked),
        WITH_LOOP(test_blocking_outlives_its_event),
        WITH_LOOP(test_queued_is_dropped),
        WITH_LOOP(test_a_thread_is_waited_for_so_long),
        WITH_LOOP(test_what_fn_may_touch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
