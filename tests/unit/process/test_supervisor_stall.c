/* A handler that hangs, with a supervisor and without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "supervised.h"

static void stall_is_reported_and_ended(void **state) {
    static const char *const options[] = {
        "--supervise", "yes", "--event-timeout", "0.2", "--stall-timeout", "0.5", NULL};
    struct supervised bench;
    char wanted[128];
    (void)state;
    bench_begin(&bench, options);
    int64_t id = bench_instance(&bench, "hang");
    double before = seconds_now();
    assert_int_equal(bench_event(&bench, id, "access"), SIM_EVENT_NO_INSTANCE);
    double took = seconds_now() - before;
    assert_true(took >= 0.5);
    snprintf(wanted, sizeof wanted, "hurt has been running access for instance %d for ", (int)id);
    assert_says(&bench.process, wanted);
    snprintf(wanted, sizeof wanted, "access of instance %d hangs (--stall-timeout)", (int)id);
    assert_says(&bench.process, wanted);
    assert_says(&bench.process, "was killed by signal 6");
    bench_serves(&bench);
    /* Waiting is no hanging. */
    assert_int_equal(bench_event(&bench, bench_instance(&bench, "sleep"), "access"), SIM_EVENT_OK);
    assert_int_equal(process_count(&bench.process, "without a pause"), 1);
    assert_orderly(bench_end(&bench, SIGTERM));
}

static void stall_is_only_reported(void **state) {
    static const char *const options[] = {
        "--supervise", "yes", "--event-timeout", "0.1", "--drain-timeout", "0", NULL};
    struct supervised bench;
    (void)state;
    bench_begin(&bench, options);
    pid_t child = process_child(bench.process.pid, PATIENCE_MS);
    struct slow slow = {.bench = &bench, .id = bench_instance(&bench, "hang")};
    slow_start(&slow);
    assert_says(&bench.process, "without a pause: all other requests wait");
    pause_ms(600);
    assert_int_equal(process_count(&bench.process, "without a pause"), 1);
    assert_int_equal(process_child(bench.process.pid, 0), child);
    kill(bench.process.pid, SIGTERM);
    assert_int_equal(slow_end(&slow), SIM_EVENT_CLOSED);
    assert_orderly(bench_end(&bench, 0));
}

/* Nobody else looks then, and nobody starts another. */
static void stall_without_a_supervisor(void **state) {
    static const char *const options[] = {
        "--supervise", "no", "--event-timeout", "0.2", "--stall-timeout", "0.5", NULL};
    struct supervised bench;
    char wanted[128];
    (void)state;
    bench_begin(&bench, options);
    /* Waiting is no hanging. */
    assert_int_equal(bench_event(&bench, bench_instance(&bench, "sleep"), "access"), SIM_EVENT_OK);
    pause_ms(600);
    assert_int_equal(process_count(&bench.process, "without a pause"), 0);
    int64_t id = bench_instance(&bench, "hang");
    assert_int_equal(bench_event(&bench, id, "access"), SIM_EVENT_CLOSED);
    snprintf(wanted, sizeof wanted, "hurt has been running access for instance %d for ", (int)id);
    assert_says(&bench.process, wanted);
    snprintf(wanted, sizeof wanted, "access of instance %d hangs (--stall-timeout)", (int)id);
    assert_says(&bench.process, wanted);
    int status = bench_end(&bench, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void stall_is_reported_without_a_supervisor(void **state) {
    static const char *const options[] = {"--supervise", "no", "--event-timeout", "0.1", NULL};
    struct supervised bench;
    (void)state;
    bench_begin(&bench, options);
    struct slow slow = {.bench = &bench, .id = bench_instance(&bench, "hang")};
    slow_start(&slow);
    assert_says(&bench.process, "without a pause: all other requests wait");
    pause_ms(300);
    assert_int_equal(process_count(&bench.process, "without a pause"), 1);
    kill(bench.process.pid, SIGKILL);
    assert_int_equal(slow_end(&slow), SIM_EVENT_CLOSED);
    bench_end(&bench, 0);
}

int main(int argc, char **argv) {
    int status;
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stall_is_reported_and_ended),
        cmocka_unit_test(stall_is_only_reported),
        cmocka_unit_test(stall_without_a_supervisor),
        cmocka_unit_test(stall_is_reported_without_a_supervisor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
