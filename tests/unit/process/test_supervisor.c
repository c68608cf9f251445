/* The supervisor and its child, in processes of their own: what is said of a death, how soon and
 * how often another follows, what is inherited, what it costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "one_plugin.h"
#include "outcome.h"
#include "supervised.h"
#include "supervisor.h"

/* --- The level of the log --- */

/* Handed on to the child, and kept for the next one. */
static void log_level(void **state) {
    struct supervised bench;
    (void)state;
    bench_begin(&bench, NULL);
    bench_serves(&bench);
    assert_int_equal(kill(bench.process.pid, SIGUSR1), 0);
    assert_says(&bench.process, "log level debug");
    for (int i = 0; i < 100 && strstr(bench.process.said, " started\n") == NULL; i++) {
        bench_serves(&bench); /* "instance 17 started" is a line of debug */
        process_says(&bench.process, " started\n", 50);
    }
    assert_says(&bench.process, " started\n");
    assert_orderly(bench_end(&bench, SIGTERM));
}

/* --- Death --- */

static const struct death {
    const char *mode;
    const char *phase;
    const char *report;
} deaths[] = {
    {"segv", "access", "was killed by signal 11 (Segmentation fault)"},
    {"abort", "log", "was killed by signal 6 (Aborted)"},
    {"exit", "access", "exited with status 3"},
    {"exit-0", "log", "exited with status 0"},
    {"overflow", "access", "was killed by signal 11 (Segmentation fault, stack overflow)"},
};

/* Each kind names plugin, phase and instance; the next child serves at once. */
static void dies_in_a_handler(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(deaths); i++) {
        struct supervised bench;
        char wanted[256];
        bench_begin(&bench, NULL);
        pid_t first = process_child(bench.process.pid, PATIENCE_MS);
        int64_t id = bench_instance(&bench, deaths[i].mode);
        double before = seconds_now();
        assert_int_equal(bench_event(&bench, id, deaths[i].phase), SIM_EVENT_NO_INSTANCE);
        bench_serves(&bench);
        double took = seconds_now() - before;
        snprintf(wanted, sizeof wanted, "server process %d %s while hurt ran %s for instance %d",
                 (int)first, deaths[i].report, deaths[i].phase, (int)id);
        assert_says(&bench.process, wanted);
        assert_says(&bench.process, "starting another in 0 ms");
        pid_t second = process_child(bench.process.pid, PATIENCE_MS);
        assert_true(second != 0 && second != first);
        print_message("  %s: another serves %.1f ms after the request that killed it\n",
                      deaths[i].mode, took * 1e3);
        assert_int_equal(process_count(&bench.process, "was killed by") +
                             process_count(&bench.process, "exited with status"),
                         1);
        assert_orderly(bench_end(&bench, SIGTERM));
    }
}

/* Killed from outside, while no handler runs. */
static void dies_between_handlers(void **state) {
    struct supervised bench;
    (void)state;
    bench_begin(&bench, NULL);
    bench_serves(&bench);
    process_kill_child(&bench.process, SIGKILL);
    assert_says(&bench.process, "was killed by signal 9 (Killed) between handlers");
    bench_serves(&bench);
    assert_orderly(bench_end(&bench, SIGTERM));
}

/* Kills the child, for the time-th time that another is to follow after so long. */
static void followed_after(struct process *process, int delay_ms, size_t time) {
    char wanted[64];
    process_kill_child(process, SIGKILL);
    snprintf(wanted, sizeof wanted, "starting another in %d ms\n", delay_ms);
    for (int i = 0; i < PATIENCE_MS && process_count(process, wanted) < time; i++) {
        pause_ms(1);
    }
    assert_int_equal(process_count(process, wanted), time);
}

/* 5, 20, 80, 320 ms … for children that die without having served; who connects meanwhile waits. */
static void backs_off(void **state) {
    struct supervised bench;
    (void)state;
    bench_begin(&bench, NULL);
    followed_after(&bench.process, 5, 1);
    followed_after(&bench.process, 20, 1);
    followed_after(&bench.process, 80, 1);
    bench_serves(&bench);
    /* One that has served keeps nobody waiting, and delays begin anew. */
    followed_after(&bench.process, 5, 2);
    followed_after(&bench.process, 20, 2);
    followed_after(&bench.process, 80, 2);
    followed_after(&bench.process, 320, 1);
    followed_after(&bench.process, 1280, 1);
    /* SIGTERM while there is no child, and none to come soon: the end all the same. */
    assert_int_equal(process_child(bench.process.pid, 0), 0);
    assert_orderly(bench_end(&bench, SIGTERM));
}

/* --- What is inherited --- */

static void spoil_signals(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGCHLD, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGALRM, SIG_IGN);
}

static void inherited_signals(void **state) {
    static const char *const supervised[] = {"--supervise", "yes", NULL};
    static const char *const plain[] = {"--supervise", "no", NULL};
    const char *const *const each[] = {supervised, plain};
    (void)state;
    for (size_t i = 0; i < LENGTH(each); i++) {
        struct process_setup setup = {.options = each[i], .prepare = spoil_signals};
        struct supervised bench;
        process_start(&bench.process, &setup);
        bench_open_client(&bench);
        bench_serves(&bench);
        if (each[i] == supervised) {
            process_kill_child(&bench.process, SIGKILL);
            assert_says(&bench.process, "was killed by signal 9");
            bench_serves(&bench);
        }
        assert_orderly(bench_end(&bench, SIGTERM));
    }
}

/* --- What it costs --- */

static void memory_of_the_parent(void **state) {
    struct supervised bench;
    (void)state;
    bench_begin(&bench, NULL);
    for (int i = 0; i < 100; i++) {
        bench_serves(&bench);
    }
    long own = process_private(bench.process.pid);
    long child = process_private(process_child(bench.process.pid, PATIENCE_MS));
    print_message(
        "  private memory: supervisor %ld KiB, serving child %ld KiB; resident: %ld, %ld\n", own,
        child, process_figure(bench.process.pid, "VmRSS"),
        process_figure(process_child(bench.process.pid, 0), "VmRSS"));
    if (!process_is_padded()) {
        assert_true(own < 1024);
    }
    long cpu = process_cpu_ms(bench.process.pid);
    pause_ms(500);
    assert_true(process_cpu_ms(bench.process.pid) - cpu <= 20); /* it sleeps */
    assert_orderly(bench_end(&bench, SIGTERM));
}

/* --- What the next child is told --- */

static const struct kong_plugin plugin = {.name = "mine"};

#define CONFIG   UINT64_C(0x1234)
#define STALL_MS UINT64_C(7200000)

/* The first child crashes in a handler, the second between handlers; the third looks. */
static int crash_and_look(void *arg, struct running *running) {
    const struct quarantine_handler *handler = &running->quarantine.handlers[0];
    (void)arg;
    if (running->restarts < 2) {
        running_enter(&running->slots[0], 0, 7, KONG_PHASE_ACCESS, CONFIG);
        if (running->restarts == 0) {
            abort();
        }
        running_leave(&running->slots[0]);
        raise(SIGKILL);
    }
    bool right = running->quarantine.handler_count == 1 && handler->config == CONFIG &&
                 handler->phase == KONG_PHASE_ACCESS && handler->crashes == 1;
    /* for as long as a crash may take: a handler that hangs is ended then */
    right = right && handler->watched_until > clock_ms() + STALL_MS / 2;
    right = right && running->died_signal == SIGKILL && running->died_phase == RUNNING_NONE;
    return right ? 0 : 40;
}

static void what_the_next_child_is_told(void **state) {
    struct plugin hosted;
    const struct plugins plugins = one_plugin(&hosted, &plugin, NULL);
    const struct supervisor_options options = {
        .stall = {.plugins = &plugins, .threads = 1, .report_ms = STALL_MS, .stall_ms = STALL_MS}};
    char error[256];
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(supervisor_run(&options, crash_and_look, NULL, error, sizeof error));
    }
    assert_int_equal(outcome_status(child), 0);
}

int main(int argc, char **argv) {
    int status;
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_level),
        cmocka_unit_test(dies_in_a_handler),
        cmocka_unit_test(dies_between_handlers),
        cmocka_unit_test(backs_off),
        cmocka_unit_test(inherited_signals),
        cmocka_unit_test(memory_of_the_parent),
        cmocka_unit_test(what_the_next_child_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
