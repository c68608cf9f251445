/* The supervisor and its child, in processes of their own: what is said of a death, how soon and
 * how often another follows, how they end, and what requests notice of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process_peer.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* --- One client --- */

struct bench {
    struct process process;
    struct sim_client *client;
    struct sim_pdk *pdk;
};

static const char *const supervised[] = {"--supervise", "yes", NULL};

static void open_client(struct bench *bench) {
    bench->pdk = sim_pdk_create();
    assert_non_null(bench->pdk);
    struct sim_client_options options = {.protocol = PROTOCOL_PROTOBUF,
                                         .connect = sim_connect_unix,
                                         .connect_ctx = bench->process.path,
                                         .pdk = sim_pdk_call,
                                         .pdk_ctx = bench->pdk,
                                         .timeout_ms = PATIENCE_MS};
    bench->client = sim_client_create(&options);
    assert_non_null(bench->client);
}

static void begin(struct bench *bench, const char *const *options) {
    struct process_setup setup = {.options = options == NULL ? supervised : options};
    process_start(&bench->process, &setup);
    open_client(bench);
}

static int end(struct bench *bench, int signal_number) {
    sim_client_destroy(bench->client);
    sim_pdk_destroy(bench->pdk);
    return process_end(&bench->process, signal_number);
}

static int64_t instance(struct bench *bench, const char *mode) {
    char config[64];
    int64_t id = 0;
    snprintf(config, sizeof config, "{\"mode\":\"%s\",\"ms\":300}", mode);
    assert_int_equal(sim_client_start(bench->client, "hurt", config, &id), SIM_EVENT_OK);
    return id;
}

static enum sim_event_outcome event(struct bench *bench, int64_t id, const char *phase) {
    assert_true(sim_pdk_reset(bench->pdk));
    assert_true(sim_pdk_set_request(bench->pdk, "GET", "/p"));
    return sim_client_event(bench->client, id, phase, NULL);
}

static void serves(struct bench *bench) {
    assert_int_equal(event(bench, instance(bench, "ok"), "access"), SIM_EVENT_OK);
}

/* --- The level of the log --- */

/* Handed on to the child, and kept for the next one. */
static void log_level(void **state) {
    struct bench bench;
    (void)state;
    begin(&bench, NULL);
    serves(&bench);
    assert_int_equal(kill(bench.process.pid, SIGUSR1), 0);
    assert_says(&bench.process, "log level debug");
    for (int i = 0; i < 100 && strstr(bench.process.said, " started\n") == NULL; i++) {
        serves(&bench); /* "instance 17 started" is a line of debug */
        process_says(&bench.process, " started\n", 50);
    }
    assert_says(&bench.process, " started\n");
    assert_orderly(end(&bench, SIGTERM));
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
        struct bench bench;
        char wanted[256];
        begin(&bench, NULL);
        pid_t first = process_child(bench.process.pid, PATIENCE_MS);
        int64_t id = instance(&bench, deaths[i].mode);
        double before = seconds_now();
        assert_int_equal(event(&bench, id, deaths[i].phase), SIM_EVENT_CLOSED);
        serves(&bench);
        double took = seconds_now() - before;
        snprintf(wanted, sizeof wanted, "server process %d %s while hurt ran %s for instance %d",
                 (int)first, deaths[i].report, deaths[i].phase, (int)id);
        assert_says(&bench.process, wanted);
        assert_says(&bench.process, "starting another in 0 ms");
        pid_t second = process_child(bench.process.pid, PATIENCE_MS);
        assert_true(second != 0 && second != first);
        print_message("  %s: another serves %.1f ms after the request that killed it\n",
                      deaths[i].mode, took * 1e3);
        assert_true(took < 2); /* not Kong's second, on a slow machine neither */
        assert_int_equal(process_count(&bench.process, "was killed by") +
                             process_count(&bench.process, "exited with status"),
                         1);
        assert_orderly(end(&bench, SIGTERM));
    }
}

static void kill_child(const struct process *process, int number) {
    pid_t child = process_child(process->pid, PATIENCE_MS);
    assert_true(child > 0); /* 0 is the tests themselves */
    kill(child, number);
}

/* Killed from outside, while no handler runs. */
static void dies_between_handlers(void **state) {
    struct bench bench;
    (void)state;
    begin(&bench, NULL);
    serves(&bench);
    kill_child(&bench.process, SIGKILL);
    assert_says(&bench.process, "was killed by signal 9 (Killed) between handlers");
    serves(&bench);
    assert_orderly(end(&bench, SIGTERM));
}

/* Kills the child, for the time-th time that another is to follow after so long. */
static void followed_after(struct process *process, int delay_ms, size_t time) {
    char wanted[64];
    kill_child(process, SIGKILL);
    snprintf(wanted, sizeof wanted, "starting another in %d ms\n", delay_ms);
    for (int i = 0; i < PATIENCE_MS && process_count(process, wanted) < time; i++) {
        pause_ms(1);
    }
    assert_int_equal(process_count(process, wanted), time);
}

/* 5, 20, 80, 320 ms … for children that die without having served; who connects meanwhile waits. */
static void backs_off(void **state) {
    struct bench bench;
    (void)state;
    begin(&bench, NULL);
    followed_after(&bench.process, 5, 1);
    followed_after(&bench.process, 20, 1);
    followed_after(&bench.process, 80, 1);
    serves(&bench);
    /* One that has served keeps nobody waiting, and delays begin anew. */
    followed_after(&bench.process, 5, 2);
    followed_after(&bench.process, 20, 2);
    followed_after(&bench.process, 80, 2);
    followed_after(&bench.process, 320, 1);
    followed_after(&bench.process, 1280, 1);
    /* SIGTERM while there is no child, and none to come soon: the end all the same. */
    assert_int_equal(process_child(bench.process.pid, 0), 0);
    assert_orderly(end(&bench, SIGTERM));
}

/* --- The end --- */

/* Sends an event that takes 300 ms, from a thread. */
struct slow {
    struct bench *bench;
    int64_t id;
    pthread_t thread;
    enum sim_event_outcome outcome;
};

static void *run_slow(void *arg) {
    struct slow *slow = arg;
    slow->outcome = sim_client_event(slow->bench->client, slow->id, "access", NULL);
    return NULL;
}

static void begin_slow(struct slow *slow, struct bench *bench) {
    *slow = (struct slow){.bench = bench, .id = instance(bench, "sleep")};
    assert_int_equal(pthread_create(&slow->thread, NULL, run_slow, slow), 0);
    pause_ms(100);
}

static enum sim_event_outcome end_slow(struct slow *slow) {
    pthread_join(slow->thread, NULL);
    return slow->outcome;
}

/* An event at work is finished, the socket's file goes, nobody is left. */
static void drains(void **state) {
    struct bench bench;
    struct slow slow;
    (void)state;
    begin(&bench, NULL);
    pid_t child = process_child(bench.process.pid, PATIENCE_MS);
    begin_slow(&slow, &bench);
    kill(bench.process.pid, SIGTERM);
    assert_int_equal(end_slow(&slow), SIM_EVENT_OK);
    sim_client_drop(bench.client);
    assert_true(process_gone(child, PATIENCE_MS));
    assert_orderly(end(&bench, 0));
}

/* What a terminal's ^C and a service manager do: the same signal to both. It is one request, not
 * two of which the second would mean "at once". */
static void all_are_told(void **state) {
    struct bench bench;
    struct slow slow;
    (void)state;
    begin(&bench, NULL);
    pid_t child = process_child(bench.process.pid, PATIENCE_MS);
    begin_slow(&slow, &bench);
    kill(bench.process.pid, SIGINT);
    kill(child, SIGINT);
    assert_int_equal(end_slow(&slow), SIM_EVENT_OK);
    sim_client_drop(bench.client);
    assert_orderly(end(&bench, 0));
}

/* ^C twice means at once. */
static void told_twice(void **state) {
    struct bench bench;
    struct slow slow;
    (void)state;
    begin(&bench, NULL);
    begin_slow(&slow, &bench);
    double before = seconds_now();
    kill(bench.process.pid, SIGINT);
    pause_ms(50);
    kill(bench.process.pid, SIGINT);
    assert_int_equal(end_slow(&slow), SIM_EVENT_CLOSED);
    assert_true(seconds_now() - before < 0.19 || process_is_padded());
    assert_orderly(end(&bench, 0));
}

/* SIGTERM twice does not: Kong's worker sends one, and its end another. */
static void told_twice_by_kong(void **state) {
    struct bench bench;
    struct slow slow;
    (void)state;
    begin(&bench, NULL);
    begin_slow(&slow, &bench);
    kill(bench.process.pid, SIGTERM);
    pause_ms(50);
    kill(bench.process.pid, SIGTERM);
    assert_int_equal(end_slow(&slow), SIM_EVENT_OK);
    sim_client_drop(bench.client);
    assert_orderly(end(&bench, 0));
}

/* The child is told by itself: orderly, so the parent ends too. */
static void child_is_told(void **state) {
    struct bench bench;
    (void)state;
    begin(&bench, NULL);
    serves(&bench);
    sim_client_drop(bench.client);
    kill_child(&bench.process, SIGTERM);
    assert_orderly(end(&bench, 0));
}

/* A parent that is killed takes the child with it; the event at work is finished first. */
static void parent_is_killed(void **state) {
    struct bench bench;
    struct slow slow;
    (void)state;
    begin(&bench, NULL);
    pid_t child = process_child(bench.process.pid, PATIENCE_MS);
    begin_slow(&slow, &bench);
    kill(bench.process.pid, SIGKILL);
    assert_int_equal(end_slow(&slow), SIM_EVENT_OK);
    sim_client_drop(bench.client);
    assert_true(process_gone(child, PATIENCE_MS));
    end(&bench, 0);
}

/* ... even one whose handler hangs: it hears no SIGTERM. */
static void parent_of_a_hanging_child_is_killed(void **state) {
    static const char *const options[] = {"--supervise", "yes", "--drain-timeout", "0.2", NULL};
    struct bench bench;
    (void)state;
    begin(&bench, options);
    pid_t child = process_child(bench.process.pid, PATIENCE_MS);
    sim_client_destroy(bench.client);
    sim_pdk_destroy(bench.pdk);
    open_client(&bench);
    struct slow slow = {.bench = &bench, .id = instance(&bench, "hang")};
    assert_int_equal(pthread_create(&slow.thread, NULL, run_slow, &slow), 0);
    pause_ms(100);
    double before = seconds_now();
    kill(bench.process.pid, SIGKILL);
    assert_true(process_gone(child, PATIENCE_MS));
    assert_true(seconds_now() - before < 5);
    assert_int_equal(end_slow(&slow), SIM_EVENT_CLOSED);
    end(&bench, 0);
}

/* A child that hangs at the end is killed behind its drain time-out. */
static void child_that_hangs_is_killed(void **state) {
    static const char *const options[] = {"--supervise", "yes", "--drain-timeout", "0.2", NULL};
    struct bench bench;
    (void)state;
    begin(&bench, options);
    struct slow slow = {.bench = &bench, .id = instance(&bench, "hang")};
    assert_int_equal(pthread_create(&slow.thread, NULL, run_slow, &slow), 0);
    pause_ms(100);
    double before = seconds_now();
    kill(bench.process.pid, SIGTERM);
    assert_int_equal(end_slow(&slow), SIM_EVENT_CLOSED);
    double took = seconds_now() - before;
    assert_true(took >= 1.1 && took < 5);
    assert_orderly(end(&bench, 0));
}

/* A server that cannot start is not tried again: who started it decides. */
static void cannot_start(void **state) {
    struct process process;
    struct process_setup setup = {
        .options = supervised, .path = "/nonexistent/socket", .silent = true};
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
    static const char *const options[] = {"--supervise", "auto", NULL};
    struct process_setup setup = {.options = options, .as_kong = true};
    struct bench bench;
    struct slow slow;
    (void)state;
    process_start(&bench.process, &setup);
    open_client(&bench);
    pid_t child = process_child(bench.process.pid, PATIENCE_MS);
    assert_true(child != 0);
    begin_slow(&slow, &bench);
    kill(bench.process.pid, SIGTERM);
    kill(bench.process.pid, SIGKILL);
    assert_int_equal(end_slow(&slow), SIM_EVENT_OK);
    sim_client_drop(bench.client);
    assert_true(process_gone(child, PATIENCE_MS));
    end(&bench, 0);
}

/* Kong is killed: both end, in order. */
static void kong_is_killed(void **state) {
    static const char *const options[] = {"--supervise", "auto", NULL};
    struct process_setup setup = {.options = options, .as_kong = true};
    struct bench bench;
    struct slow slow;
    (void)state;
    process_start(&bench.process, &setup);
    open_client(&bench);
    pid_t child = process_child(bench.process.pid, PATIENCE_MS);
    begin_slow(&slow, &bench);
    kill(bench.process.starter, SIGKILL);
    assert_int_equal(end_slow(&slow), SIM_EVENT_OK);
    sim_client_drop(bench.client);
    assert_true(process_gone(child, PATIENCE_MS));
    end(&bench, 0);
}

/* SIGTERM first, and gone a moment later: the second signal that this makes is not "at once". */
static void kong_asks_and_goes(void **state) {
    static const char *const options[] = {"--supervise", "auto", NULL};
    struct process_setup setup = {.options = options, .as_kong = true};
    struct bench bench;
    struct slow slow;
    (void)state;
    process_start(&bench.process, &setup);
    open_client(&bench);
    begin_slow(&slow, &bench);
    kill(bench.process.pid, SIGTERM);
    pause_ms(50);
    kill(bench.process.starter, SIGKILL);
    assert_int_equal(end_slow(&slow), SIM_EVENT_OK);
    sim_client_drop(bench.client);
    end(&bench, 0);
}

/* Started by anything else, `auto` means no. */
static void not_started_by_kong(void **state) {
    static const char *const options[] = {"--supervise", "auto", NULL};
    struct bench bench;
    (void)state;
    begin(&bench, options);
    serves(&bench);
    assert_int_equal(process_child(bench.process.pid, 0), 0);
    assert_orderly(end(&bench, SIGTERM));
}

/* --- What hangs --- */

static void stall_is_reported_and_ended(void **state) {
    static const char *const options[] = {
        "--supervise", "yes", "--event-timeout", "0.2", "--stall-timeout", "0.5", NULL};
    struct bench bench;
    char wanted[128];
    (void)state;
    begin(&bench, options);
    int64_t id = instance(&bench, "hang");
    double before = seconds_now();
    assert_int_equal(event(&bench, id, "access"), SIM_EVENT_CLOSED);
    double took = seconds_now() - before;
    assert_true(took >= 0.5 && took < 5);
    snprintf(wanted, sizeof wanted, "hurt has been running access for instance %d for 0.", (int)id);
    assert_says(&bench.process, wanted);
    snprintf(wanted, sizeof wanted, "access of instance %d hangs (--stall-timeout)", (int)id);
    assert_says(&bench.process, wanted);
    assert_says(&bench.process, "was killed by signal 6");
    serves(&bench);
    /* Waiting is no hanging. */
    assert_int_equal(event(&bench, instance(&bench, "sleep"), "access"), SIM_EVENT_OK);
    assert_int_equal(process_count(&bench.process, "without a pause"), 1);
    assert_orderly(end(&bench, SIGTERM));
}

static void stall_is_only_reported(void **state) {
    static const char *const options[] = {
        "--supervise", "yes", "--event-timeout", "0.1", "--drain-timeout", "0", NULL};
    struct bench bench;
    (void)state;
    begin(&bench, options);
    pid_t child = process_child(bench.process.pid, PATIENCE_MS);
    struct slow slow = {.bench = &bench, .id = instance(&bench, "hang")};
    assert_int_equal(pthread_create(&slow.thread, NULL, run_slow, &slow), 0);
    assert_says(&bench.process, "without a pause: all other requests wait");
    pause_ms(600);
    assert_int_equal(process_count(&bench.process, "without a pause"), 1);
    assert_int_equal(process_child(bench.process.pid, 0), child);
    kill(bench.process.pid, SIGTERM);
    assert_int_equal(end_slow(&slow), SIM_EVENT_CLOSED);
    assert_orderly(end(&bench, 0));
}

/* Nobody else looks then, and nobody starts another. */
static void stall_without_a_supervisor(void **state) {
    static const char *const options[] = {
        "--supervise", "no", "--event-timeout", "0.2", "--stall-timeout", "0.5", NULL};
    struct bench bench;
    char wanted[128];
    (void)state;
    begin(&bench, options);
    /* Waiting is no hanging. */
    assert_int_equal(event(&bench, instance(&bench, "sleep"), "access"), SIM_EVENT_OK);
    pause_ms(600);
    assert_int_equal(process_count(&bench.process, "without a pause"), 0);
    int64_t id = instance(&bench, "hang");
    assert_int_equal(event(&bench, id, "access"), SIM_EVENT_CLOSED);
    snprintf(wanted, sizeof wanted, "hurt has been running access for instance %d for 0.", (int)id);
    assert_says(&bench.process, wanted);
    snprintf(wanted, sizeof wanted, "access of instance %d hangs (--stall-timeout)", (int)id);
    assert_says(&bench.process, wanted);
    int status = end(&bench, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void stall_is_reported_without_a_supervisor(void **state) {
    static const char *const options[] = {"--supervise", "no", "--event-timeout", "0.1", NULL};
    struct bench bench;
    (void)state;
    begin(&bench, options);
    struct slow slow = {.bench = &bench, .id = instance(&bench, "hang")};
    assert_int_equal(pthread_create(&slow.thread, NULL, run_slow, &slow), 0);
    assert_says(&bench.process, "without a pause: all other requests wait");
    pause_ms(300);
    assert_int_equal(process_count(&bench.process, "without a pause"), 1);
    kill(bench.process.pid, SIGKILL);
    assert_int_equal(end_slow(&slow), SIM_EVENT_CLOSED);
    end(&bench, 0);
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
    static const char *const plain[] = {"--supervise", "no", NULL};
    const char *const *const each[] = {supervised, plain};
    (void)state;
    for (size_t i = 0; i < LENGTH(each); i++) {
        struct process_setup setup = {.options = each[i], .prepare = spoil_signals};
        struct bench bench;
        process_start(&bench.process, &setup);
        open_client(&bench);
        serves(&bench);
        if (each[i] == supervised) {
            kill_child(&bench.process, SIGKILL);
            assert_says(&bench.process, "was killed by signal 9");
            serves(&bench);
        }
        assert_orderly(end(&bench, SIGTERM));
    }
}

/* --- What it costs --- */

static void memory_of_the_parent(void **state) {
    struct bench bench;
    (void)state;
    begin(&bench, NULL);
    for (int i = 0; i < 100; i++) {
        serves(&bench);
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
    assert_orderly(end(&bench, SIGTERM));
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
        cmocka_unit_test(stall_is_reported_and_ended),
        cmocka_unit_test(stall_is_only_reported),
        cmocka_unit_test(stall_without_a_supervisor),
        cmocka_unit_test(stall_is_reported_without_a_supervisor),
        cmocka_unit_test(inherited_signals),
        cmocka_unit_test(memory_of_the_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
