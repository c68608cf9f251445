/* When a handler counts as one that hangs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kong_phase.h"
#include "stall.h"

#define BEGIN 5000u

static const struct kong_plugin plugin = {.name = "slow", .version = "1.0"};
static struct plugin hosted = {.what = &plugin};
static const struct plugins table = {.name = "slow", .count = 1, .list = &hosted};

struct bench {
    int in, out; /* of the log */
    struct log *log;
    struct running running;
    struct stall stall;
    char said[4096];
};

static void begin(struct bench *bench, size_t threads, uint64_t report_ms, uint64_t stall_ms) {
    int ends[2];
    memset(bench, 0, sizeof *bench);
    assert_int_equal(pipe(ends), 0);
    bench->out = ends[0];
    bench->log = log_create(ends[1], LOG_LEVEL_ERROR, "test");
    assert_non_null(bench->log);
    bench->in = ends[1];
    struct stall_options options = {.log = bench->log,
                                    .plugins = &table,
                                    .threads = threads,
                                    .report_ms = report_ms,
                                    .stall_ms = stall_ms};
    running_clear(&bench->running);
    stall_init(&bench->stall, &options, &bench->running, BEGIN);
}

/* What was logged in all. */
static const char *end(struct bench *bench) {
    log_destroy(bench->log);
    close(bench->in);
    ssize_t len = read(bench->out, bench->said, sizeof bench->said - 1);
    assert_true(len >= 0);
    close(bench->out);
    return bench->said;
}

static int count(const char *text, const char *part) {
    int times = 0;
    for (; (text = strstr(text, part)) != NULL; text++) {
        times++;
    }
    return times;
}

static void what_pauses_is_no_stall(void **state) {
    struct bench bench;
    (void)state;
    begin(&bench, 1, 100, 200);
    assert_int_equal(stall_look(&bench.stall, BEGIN + 10000), -1); /* nothing runs */
    for (unsigned i = 0; i < 50; i++) { /* the same handler, entered again and again */
        running_enter(&bench.running.slots[0], 0, 7, KONG_PHASE_ACCESS, 0);
        assert_int_equal(stall_look(&bench.stall, BEGIN + 10000 + 90 * i), -1);
        running_leave(&bench.running.slots[0]);
    }
    assert_string_equal(end(&bench), "");
}

static void it_is_reported_once_and_ended_in_time(void **state) {
    struct bench bench;
    (void)state;
    begin(&bench, 1, 100, 250);
    running_enter(&bench.running.slots[0], 0, 7, KONG_PHASE_ACCESS, 0);
    uint64_t seen = BEGIN + 50;
    assert_int_equal(stall_look(&bench.stall, seen), -1);
    assert_int_equal(stall_look(&bench.stall, seen + 99), -1);
    assert_int_equal(stall_look(&bench.stall, seen + 120), -1);
    assert_int_equal(stall_look(&bench.stall, seen + 249), -1);
    assert_int_equal(stall_look(&bench.stall, seen + 250), 0);
    /* It has the same time to end as it had to run. */
    assert_int_equal(stall_look(&bench.stall, seen + 251), -1);
    assert_int_equal(stall_look(&bench.stall, seen + 499), -1);
    assert_int_equal(stall_look(&bench.stall, seen + 500), 0);
    const char *said = end(&bench);
    assert_int_equal(count(said, "slow has been running access for instance 7 for 0.12 s without a "
                                 "pause: all other requests wait (see --stall-timeout)"),
                     1);
    assert_int_equal(count(said, "without a pause"), 1);
    assert_int_equal(count(said, "access of instance 7 hangs (--stall-timeout)"), 2);
}

static void without_a_limit_it_is_only_reported(void **state) {
    struct bench bench;
    (void)state;
    begin(&bench, 1, 100, 0);
    running_enter(&bench.running.slots[0], 0, 7, KONG_PHASE_ACCESS, 0);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(stall_look(&bench.stall, BEGIN + 1000 * i), -1);
    }
    assert_int_equal(count(end(&bench), "\n"), 1);
}

static void each_thread_has_its_own_time(void **state) {
    struct bench bench;
    (void)state;
    begin(&bench, 3, 100, 200);
    running_enter(&bench.running.slots[2], 0, 9, KONG_PHASE_RESPONSE, 0);
    assert_int_equal(stall_look(&bench.stall, BEGIN), -1);
    running_enter(&bench.running.slots[0], 0, 8, KONG_PHASE_ACCESS, 0);
    assert_int_equal(stall_look(&bench.stall, BEGIN + 150), -1);
    assert_int_equal(stall_look(&bench.stall, BEGIN + 200), 2);
    const char *said = end(&bench);
    assert_int_equal(count(said, "all other requests of its thread wait"), 1);
    assert_int_equal(count(said, "response of instance 9 hangs"), 1);
    assert_int_equal(count(said, "instance 8"), 0);
}

static void looks_often_enough(void **state) {
    static const uint64_t cases[][3] = {
        {55000, 0, 1000}, {800, 0, 100}, {55000, 400, 50}, {400, 55000, 50}, {1, 0, 10}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stall_options options = {.report_ms = cases[i][0], .stall_ms = cases[i][1]};
        assert_int_equal(stall_poll_ms(&options), cases[i][2]);
    }
}

/* A thread that looks, started and stopped while nothing hangs. */
static void watch_comes_and_goes(void **state) {
    struct bench bench;
    (void)state;
    begin(&bench, 1, 60000, 60000);
    struct stall_watch *watch = stall_watch_start(&bench.stall.options, &bench.running);
    assert_non_null(watch);
    for (unsigned i = 0; i < 20; i++) {
        running_enter(&bench.running.slots[0], 0, 1, KONG_PHASE_ACCESS, 0);
        running_leave(&bench.running.slots[0]);
        usleep(500);
    }
    stall_watch_stop(watch);
    stall_watch_stop(NULL);
    assert_string_equal(end(&bench), "");
}

/* A frozen cgroup, Ctrl-Z: neither who looks nor the handler ran. Such time counts as one look in
 * time, and what follows counts as ever. */
static void time_in_which_nobody_ran(void **state) {
    struct bench bench;
    (void)state;
    begin(&bench, 1, 8000, 16000);
    assert_int_equal(stall_poll_ms(&bench.stall.options), 1000);
    running_enter(&bench.running.slots[0], 0, 7, KONG_PHASE_ACCESS, 0);
    assert_int_equal(stall_look(&bench.stall, BEGIN + 1000), -1);
    uint64_t later = BEGIN + 1000 + 3600000;
    assert_int_equal(stall_look(&bench.stall, later), -1);
    for (uint64_t ms = 1000; ms < 15000; ms += 1000) {
        assert_int_equal(stall_look(&bench.stall, later + ms), -1);
    }
    assert_int_equal(stall_look(&bench.stall, later + 15000), 0);
    assert_int_equal(count(end(&bench), "for 8 s without a pause"), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_in_which_nobody_ran),
        cmocka_unit_test(what_pauses_is_no_stall),
        cmocka_unit_test(it_is_reported_once_and_ended_in_time),
        cmocka_unit_test(without_a_limit_it_is_only_reported),
        cmocka_unit_test(each_thread_has_its_own_time),
        cmocka_unit_test(looks_often_enough),
        cmocka_unit_test(watch_comes_and_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
