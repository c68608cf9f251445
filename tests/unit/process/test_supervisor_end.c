/* How a supervisor and its child end: who tells whom, and what becomes of the event at work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>

#include "supervised.h"

/* With a child that serves, as Kong starts it. */
static void begin_as_kong(struct supervised *bench) {
    static const char *const options[] = {"--supervise", "auto", NULL};
    struct process_setup setup = {.options = options, .as_kong = true};
    process_start(&bench->process, &setup);
    bench_open_client(bench);
}

/* The event at work is finished, and with it the connection is no longer needed. */
static void finishes(struct slow *slow) {
    assert_int_equal(slow_end(slow), SIM_EVENT_OK);
    sim_client_drop(slow->bench->client);
}

/* An event at work is finished, the socket's file goes, nobody is left. */
static void drains(void **state) {
    struct supervised bench;
    struct slow slow;
    (void)state;
    bench_begin(&bench, NULL);
    pid_t child = process_child(bench.process.pid, PATIENCE_MS);
    slow_begin(&slow, &bench);
    kill(bench.process.pid, SIGTERM);
    finishes(&slow);
    assert_true(process_gone(child, PATIENCE_MS));
    assert_orderly(bench_end(&bench, 0));
}

/* What a terminal's ^C and a service manager do: the same signal to both. It is one request, not
 * two of which the second would mean "at once". */
static void all_are_told(void **state) {
    struct supervised bench;
    struct slow slow;
    (void)state;
    bench_begin(&bench, NULL);
    pid_t child = process_child(bench.process.pid, PATIENCE_MS);
    slow_begin(&slow, &bench);
    kill(bench.process.pid, SIGINT);
    kill(child, SIGINT);
    finishes(&slow);
    assert_orderly(bench_end(&bench, 0));
}

/* The first is heard before the second is sent: two that are pending are one. */
static void tell_twice(struct supervised *bench, int number) {
    kill(bench->process.pid, number);
    assert_says(&bench->process, "ending: SIGTERM"); /* of the child */
    kill(bench->process.pid, number);
}

/* ^C twice means at once: the event would take an hour, and may. */
static void told_twice(void **state) {
    static const char *const options[] = {"--supervise", "yes", "--drain-timeout", "3600", NULL};
    struct supervised bench;
    int64_t id;
    (void)state;
    bench_begin(&bench, options);
    assert_int_equal(
        sim_client_start(bench.client, "hurt", "{\"mode\":\"sleep\",\"ms\":3600000}", &id),
        SIM_EVENT_OK);
    struct slow slow = {.bench = &bench, .id = id};
    slow_start(&slow);
    tell_twice(&bench, SIGINT);
    assert_int_equal(slow_end(&slow), SIM_EVENT_CLOSED);
    assert_orderly(bench_end(&bench, 0));
}

/* SIGTERM twice does not: Kong's worker sends one, and its end another. */
static void told_twice_by_kong(void **state) {
    struct supervised bench;
    struct slow slow;
    (void)state;
    bench_begin(&bench, NULL);
    slow_begin(&slow, &bench);
    tell_twice(&bench, SIGTERM);
    finishes(&slow);
    assert_orderly(bench_end(&bench, 0));
}

/* The child is told by itself: orderly, so the parent ends too. */
static void child_is_told(void **state) {
    struct supervised bench;
    (void)state;
    bench_begin(&bench, NULL);
    bench_serves(&bench);
    sim_client_drop(bench.client);
    process_kill_child(&bench.process, SIGTERM);
    assert_orderly(bench_end(&bench, 0));
}

/* A parent that is killed takes the child with it; the event at work is finished first. */
static void parent_is_killed(void **state) {
    struct supervised bench;
    struct slow slow;
    (void)state;
    bench_begin(&bench, NULL);
    pid_t child = process_child(bench.process.pid, PATIENCE_MS);
    slow_begin(&slow, &bench);
    kill(bench.process.pid, SIGKILL);
    finishes(&slow);
    assert_true(process_gone(child, PATIENCE_MS));
    bench_end(&bench, 0);
}

/* ... even one whose handler hangs: it hears no SIGTERM. */
static void parent_of_a_hanging_child_is_killed(void **state) {
    static const char *const options[] = {"--supervise", "yes", "--drain-timeout", "0.2", NULL};
    struct supervised bench;
    (void)state;
    bench_begin(&bench, options);
    pid_t child = process_child(bench.process.pid, PATIENCE_MS);
    sim_client_destroy(bench.client);
    sim_pdk_destroy(bench.pdk);
    bench_open_client(&bench);
    struct slow slow = {.bench = &bench, .id = bench_instance(&bench, "hang")};
    slow_start(&slow);
    kill(bench.process.pid, SIGKILL);
    assert_true(process_gone(child, PATIENCE_MS));
    assert_int_equal(slow_end(&slow), SIM_EVENT_CLOSED);
    bench_end(&bench, 0);
}

/* A child that hangs at the end is killed behind its drain time-out. */
static void child_that_hangs_is_killed(void **state) {
    static const char *const options[] = {"--supervise", "yes", "--drain-timeout", "0.2", NULL};
    struct supervised bench;
    (void)state;
    bench_begin(&bench, options);
    struct slow slow = {.bench = &bench, .id = bench_instance(&bench, "hang")};
    slow_start(&slow);
    double before = seconds_now();
    kill(bench.process.pid, SIGTERM);
    assert_int_equal(slow_end(&slow), SIM_EVENT_CLOSED);
    assert_true(seconds_now() - before >= 1.1);
    assert_orderly(bench_end(&bench, 0));
}

/* A server that cannot start is not tried again: who started it decides. */
static void cannot_start(void **state) {
    struct process process;
    static const char *const options[] = {"--supervise", "yes", NULL};
    struct process_setup setup = {
        .options = options, .path = "/nonexistent/socket", .silent = true};
    (void)state;
    process_start(&process, &setup);
    assert_says(&process, "/nonexistent");
    int status = process_end(&process, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

/* --- Kong as the parent --- */

/* `auto`, and what Kong does at the end of a worker: SIGTERM, and SIGKILL right behind it. The
 * supervisor dies of that; the child lives for as long as the event at work needs, no longer. */
static void killed_by_kong(void **state) {
    struct supervised bench;
    struct slow slow;
    (void)state;
    begin_as_kong(&bench);
    pid_t child = process_child(bench.process.pid, PATIENCE_MS);
    assert_true(child != 0);
    slow_begin(&slow, &bench);
    kill(bench.process.pid, SIGTERM);
    kill(bench.process.pid, SIGKILL);
    finishes(&slow);
    assert_true(process_gone(child, PATIENCE_MS));
    bench_end(&bench, 0);
}

/* Kong is killed: both end, in order. */
static void kong_is_killed(void **state) {
    struct supervised bench;
    struct slow slow;
    (void)state;
    begin_as_kong(&bench);
    pid_t child = process_child(bench.process.pid, PATIENCE_MS);
    slow_begin(&slow, &bench);
    kill(bench.process.starter, SIGKILL);
    finishes(&slow);
    assert_true(process_gone(child, PATIENCE_MS));
    bench_end(&bench, 0);
}

/* SIGTERM first, and gone a moment later: the second signal that this makes is not "at once". */
static void kong_asks_and_goes(void **state) {
    struct supervised bench;
    struct slow slow;
    (void)state;
    begin_as_kong(&bench);
    slow_begin(&slow, &bench);
    kill(bench.process.pid, SIGTERM);
    assert_says(&bench.process, "ending: SIGTERM");
    kill(bench.process.starter, SIGKILL);
    finishes(&slow);
    bench_end(&bench, 0);
}

/* Started by anything else, `auto` means no. */
static void not_started_by_kong(void **state) {
    static const char *const options[] = {"--supervise", "auto", NULL};
    struct supervised bench;
    (void)state;
    bench_begin(&bench, options);
    bench_serves(&bench);
    assert_int_equal(process_child(bench.process.pid, 0), 0);
    assert_orderly(bench_end(&bench, SIGTERM));
}

int main(int argc, char **argv) {
    int status;
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drains),
        cmocka_unit_test(all_are_told),
        cmocka_unit_test(told_twice),
        cmocka_unit_test(told_twice_by_kong),
        cmocka_unit_test(child_is_told),
        cmocka_unit_test(parent_is_killed),
        cmocka_unit_test(parent_of_a_hanging_child_is_killed),
        cmocka_unit_test(child_that_hangs_is_killed),
        cmocka_unit_test(cannot_start),
        cmocka_unit_test(killed_by_kong),
        cmocka_unit_test(kong_is_killed),
        cmocka_unit_test(kong_asks_and_goes),
        cmocka_unit_test(not_started_by_kong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
