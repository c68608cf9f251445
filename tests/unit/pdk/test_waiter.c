/* Handlers that another thread wakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "wait_fixture.h"

/* What a handler and the test know of each other. */
struct shared {
    struct kong_waiter *waiter; /* to be woken */
    struct kong_waiter *foreign;
    _Atomic unsigned discarded;
    uint64_t timeout_ms;
    bool wake_first; /* before it is waited for */
    bool leave;      /* do not wait at all */
};

/* Results are one byte each, on the heap: a leak or a second free shows. */
static struct shared *seen;

static void discard(void *result) {
    free(result);
    seen->discarded++;
}

static void *a_result(char content) {
    char *result = malloc(1);
    *result = content;
    return result;
}

static void wait_once(struct kong *kong, struct bench *bench, struct kong_waiter *waiter,
                      uint64_t timeout_ms) {
    void *result = bench;
    bool woken = true;
    note_error(bench, kong_waiter_wait(kong, waiter, timeout_ms, &woken, &result));
    if (woken) {
        note(bench, "woken with %c ", *(const char *)result);
        free(result);
    } else {
        note(bench, result == NULL ? "not woken " : "a result ");
    }
}

static int wait_for_word(struct kong *kong, struct bench *bench) {
    struct shared *shared = bench->data;
    note_error(bench, kong_waiter_open(kong, discard, &shared->waiter));
    if (shared->wake_first) {
        kong_waiter_wake(shared->waiter, a_result('a'));
    }
    if (!shared->leave) {
        wait_once(kong, bench, shared->waiter, shared->timeout_ms);
    }
    return 0;
}

static struct bench *begin(uv_loop_t *loop, struct shared *shared, enum protocol protocol) {
    struct bench *bench = bench_create(protocol, loop);
    seen = shared;
    start(bench, wait_for_word, shared);
    return bench;
}

static void *wake(void *arg) {
    kong_waiter_wake(arg, a_result('b'));
    return NULL;
}

static void wake_in_a_thread(struct kong_waiter *waiter) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake, waiter), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void woken_while_it_waits(void **state) {
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct shared shared = {.timeout_ms = KONG_NO_LIMIT};
        struct bench *bench = begin(*state, &shared, protocols[i]);
        run_for_a_moment(*state);
        assert_int_equal(bench->running, 1);
        wake_in_a_thread(shared.waiter);
        run_until_done(*state, bench);
        assert_string_equal(bench_notes(bench), "ok ok woken with b ");
        assert_int_equal(shared.discarded, 0);
        assert_true(bench->over);
        bench_destroy(bench);
    }
}

static void woken_before_it_waits(void **state) {
    struct shared shared = {.timeout_ms = KONG_NO_LIMIT, .wake_first = true};
    struct bench *bench = begin(*state, &shared, PROTOCOL_PROTOBUF);
    assert_int_equal(bench->running, 0); /* it went on at once */
    assert_string_equal(bench_notes(bench), "ok ok woken with a ");
    bench_destroy(bench);
}

static void woken_after_the_handler_is_gone(void **state) {
    struct shared shared = {.leave = true};
    struct bench *bench = begin(*state, &shared, PROTOCOL_PROTOBUF);
    assert_int_equal(bench->running, 0);
    wake_in_a_thread(shared.waiter);
    assert_int_equal(shared.discarded, 1);
    assert_string_equal(bench_notes(bench), "ok ");
    bench_destroy(bench);
    /* also when nothing of its server is there any more */
    bench = begin(*state, &shared, PROTOCOL_MSGPACK);
    bench_destroy(bench);
    wake_in_a_thread(shared.waiter);
    assert_int_equal(shared.discarded, 2);
}

static void woken_and_not_waited_for(void **state) {
    struct shared shared = {.wake_first = true, .leave = true};
    struct bench *bench = begin(*state, &shared, PROTOCOL_PROTOBUF);
    assert_int_equal(shared.discarded, 1); /* when the handler had returned */
    bench_destroy(bench);
}

static int wait_in_vain_first(struct kong *kong, struct bench *bench) {
    struct shared *shared = bench->data;
    note_error(bench, kong_waiter_open(kong, discard, &shared->waiter));
    wait_once(kong, bench, shared->waiter, 0);
    wait_once(kong, bench, shared->waiter, 5);
    wait_once(kong, bench, shared->waiter, KONG_NO_LIMIT);
    wait_once(kong, bench, shared->waiter, KONG_NO_LIMIT);
    note(bench, "%s", kong_error_text(kong));
    return 0;
}

static void the_time_is_up(void **state) {
    struct shared shared = {.timeout_ms = 0};
    struct bench *bench = bench_create(PROTOCOL_PROTOBUF, *state);
    seen = &shared;
    start(bench, wait_in_vain_first, &shared);
    for (int i = 0; i < 40; i++) {
        run_for_a_moment(*state);
    }
    assert_int_equal(bench->running, 1);
    wake_in_a_thread(shared.waiter);
    run_until_done(*state, bench);
    assert_string_equal(bench_notes(bench), "ok ok not woken ok not woken ok woken with b INVALID "
                                            "not woken the waiter was woken before");
    bench_destroy(bench);
}

static void cut_short(void **state) {
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct shared shared = {.timeout_ms = KONG_NO_LIMIT};
        struct bench *bench = begin(*state, &shared, protocols[i]);
        bench_close(bench);
        run_until_done(*state, bench);
        assert_string_equal(bench_notes(bench), "ok GONE not woken ");
        wake_in_a_thread(shared.waiter);
        assert_int_equal(shared.discarded, 1);

        start(bench, wait_for_word, &shared);
        bench_tick(bench, 5000);
        run_until_done(*state, bench);
        assert_string_equal(bench_notes(bench), "ok TIMEOUT not woken ");
        wake_in_a_thread(shared.waiter);
        assert_int_equal(shared.discarded, 2);
        bench_destroy(bench);
    }
}

/* The word is on its way when the event ends: nobody takes it. */
static void woken_and_cut_short_at_once(void **state) {
    struct shared shared = {.timeout_ms = KONG_NO_LIMIT};
    struct bench *bench = begin(*state, &shared, PROTOCOL_PROTOBUF);
    run_for_a_moment(*state);
    wake_in_a_thread(shared.waiter);
    bench_close(bench);
    run_until_done(*state, bench);
    assert_string_equal(bench_notes(bench), "ok GONE not woken ");
    assert_int_equal(shared.discarded, 1);
    bench_destroy(bench);
}

static int wait_for_foreign(struct kong *kong, struct bench *bench) {
    struct shared *shared = bench->data;
    wait_once(kong, bench, shared->foreign, KONG_NO_LIMIT);
    note(bench, "%s", kong_error_text(kong));
    return 0;
}

static void a_waiter_of_another_handler(void **state) {
    struct shared shared = {.timeout_ms = KONG_NO_LIMIT};
    struct bench *bench = begin(*state, &shared, PROTOCOL_PROTOBUF);
    struct bench *other = bench_create(PROTOCOL_PROTOBUF, *state);
    shared.foreign = shared.waiter;
    start(other, wait_for_foreign, &shared);
    assert_string_equal(bench_notes(other), "INVALID not woken the waiter of another handler");
    wake_in_a_thread(shared.waiter);
    run_until_done(*state, bench);
    assert_string_equal(bench_notes(bench), "ok ok woken with b ");
    bench_destroy(other);
    bench_destroy(bench);
}

/* Many on one loop, woken by one thread while the loop runs. */
#define MANY 16

static void *wake_all(void *arg) {
    struct shared *all = arg;
    for (size_t i = 0; i < MANY; i++) {
        kong_waiter_wake(all[i].waiter, a_result((char)('a' + i)));
    }
    return NULL;
}

static void many_at_once(void **state) {
    struct shared all[MANY];
    struct bench *benches[MANY];
    pthread_t thread;
    for (size_t i = 0; i < MANY; i++) {
        all[i] = (struct shared){.timeout_ms = KONG_NO_LIMIT};
        benches[i] = begin(*state, &all[i], protocols[i % 2]);
    }
    assert_int_equal(pthread_create(&thread, NULL, wake_all, all), 0);
    for (size_t i = 0; i < MANY; i++) {
        char wanted[] = "ok ok woken with a ";
        wanted[sizeof wanted - 3] = (char)('a' + i);
        run_until_done(*state, benches[i]);
        assert_string_equal(bench_notes(benches[i]), wanted);
    }
    pthread_join(thread, NULL);
    for (size_t i = 0; i < MANY; i++) {
        bench_destroy(benches[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_LOOP(woken_while_it_waits),
        WITH_LOOP(woken_before_it_waits),
        WITH_LOOP(woken_after_the_handler_is_gone),
        WITH_LOOP(woken_and_not_waited_for),
        WITH_LOOP(the_time_is_up),
        WITH_LOOP(cut_short),
        WITH_LOOP(woken_and_cut_short_at_once),
        WITH_LOOP(a_waiter_of_another_handler),
        WITH_LOOP(many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
