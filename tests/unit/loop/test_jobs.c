/* Background jobs of a plugin, in a real server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kong_test.h"
#include "log.h"
#include "msgpack_rpc.h"
#include "sim_client.h"
#include "sim_server.h"
#include "value.h"

#define NEVER_MS 86400000u

/* What the jobs did; read by the test's thread. */
static struct {
    _Atomic unsigned runs, at_once, most_at_once, waiting, ended;
    _Atomic int result, phase, sleep_result;
    _Atomic unsigned queued, flushed, closed_with;
    char text[200];
} seen;

static void begin(void) {
    memset(&seen, 0, sizeof seen);
}

static void pause_ms(long ms) {
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Until it is at least that. */
static void await(const _Atomic unsigned *figure, unsigned value) {
    for (int i = 0; i < 60000 && *figure < value; i++) {
        pause_ms(1);
    }
    assert_in_range(*figure, value, UINT32_MAX);
}

static int handle(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    seen.queued++;
    return 0;
}

static struct kong_plugin with(const char *name, uint64_t interval_ms,
                               int (*run)(struct kong *kong)) {
    return (struct kong_plugin){.name = "jobs",
                                .version = "1.0",
                                .handlers = {[KONG_PHASE_ACCESS] = handle},
                                .jobs = {{name, interval_ms, run}}};
}

static struct sim_server *serve(const struct sim_server_options *options) {
    char error[256];
    struct sim_server *server = sim_server_start(options, error, sizeof error);
    if (server == NULL) {
        fail_msg("%s", error);
    }
    return server;
}

/* A server with the plugin's jobs, until the figure is at least that; it has 10 s for its end. */
static void serve_until(struct kong_plugin plugin, const _Atomic unsigned *figure, unsigned value) {
    const struct sim_server_options options = {.plugin = &plugin, .drain_ms = 10000};
    begin();
    struct sim_server *server = serve(&options);
    await(figure, value);
    sim_server_stop(server);
}

/* --- When they run --- */

static int count_run(struct kong *kong) {
    seen.phase = (int)kong_get_phase(kong);
    seen.runs++;
    return 0;
}

static void at_the_start_and_then_at_intervals(void **state) {
    (void)state;
    serve_until(with("often", 1, count_run), &seen.runs, 5);
    assert_int_equal(seen.phase, KONG_PHASE_COUNT);
    serve_until(with("once", NEVER_MS, count_run), &seen.runs, 1);
    assert_int_equal(seen.runs, 2); /* and once more at the end */
}

static int overlap(struct kong *kong) {
    unsigned now = ++seen.at_once;
    if (now > seen.most_at_once) {
        seen.most_at_once = now;
    }
    int rc = kong_sleep(kong, 10);
    seen.at_once--;
    seen.runs++;
    return rc;
}

static void never_beside_itself(void **state) {
    (void)state;
    serve_until(with("slow", 1, overlap), &seen.runs, 4);
    assert_int_equal(seen.most_at_once, 1);
    assert_int_equal(seen.at_once, 0);
}

/* … but beside others, also where there are more threads. */
static void several_beside_each_other(void **state) {
    struct kong_plugin plugin = with("slow", NEVER_MS, overlap);
    struct sim_server_options options = {.plugin = &plugin, .drain_ms = 10000, .threads = 2};
    (void)state;
    plugin.thread_safe = true;
    plugin.jobs[1] = (struct kong_job){"other", NEVER_MS, count_run};
    plugin.jobs[2] = (struct kong_job){"third", NEVER_MS, overlap};
    begin();
    struct sim_server *server = serve(&options);
    await(&seen.runs, 3);
    sim_server_stop(server);
    assert_int_equal(seen.runs, 6);
    assert_int_equal(seen.most_at_once, 2);
}

/* --- What they can do --- */

static void fn(void *arg) {
    *(bool *)arg = true;
}

static int wait_for_all(struct kong *kong) {
    int fds[2];
    unsigned ready = 0;
    bool called = false;
    if (pipe(fds) != 0 || write(fds[1], "x", 1) != 1) {
        return KONG_E_IO;
    }
    int rc = kong_wait_fd(kong, fds[0], KONG_READABLE, 10000, &ready);
    close(fds[0]);
    close(fds[1]);
    rc = rc != 0 ? rc : kong_run_blocking(kong, fn, &called);
    seen.result = rc != 0 ? rc : ready == KONG_READABLE && called ? 0 : 1;
    seen.runs++;
    return seen.result;
}

static int ask_kong(struct kong *kong) {
    struct kong_str path;
    struct kong_value value;
    int results[] = {
        kong_request_get_path(kong, &path),
        kong_response_set_header(kong, "X-Job", "1"),
        kong_call(kong, "kong.ip.is_trusted", NULL, 0, &value),
        kong_call(kong, "kong.no.such", NULL, 0, &value),
        kong_response_exit(kong, 200, kong_str("x"), kong_nil()),
    };
    seen.result = 0;
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        seen.result += results[i] == KONG_E_NO_REQUEST;
    }
    kong_request_get_path(kong, &path);
    snprintf(seen.text, sizeof seen.text, "%s", kong_error_text(kong));
    /* it goes on all the same */
    seen.sleep_result = kong_sleep(kong, 1);
    seen.sleep_result += kong_instance_state(kong) != NULL;
    seen.runs++;
    return 0;
}

static int log_lines(struct kong *kong) {
    int rc = kong_log_notice(kong, "%d\nkeys", 7);
    seen.result = rc != 0 ? rc : kong_log_debug(kong, "not shown");
    seen.runs++;
    return KONG_E_FAILED;
}

static void they_wait(void **state) {
    (void)state;
    serve_until(with("waits", NEVER_MS, wait_for_all), &seen.runs, 1);
    assert_int_equal(seen.result, 0);
}

static void they_have_no_request(void **state) {
    (void)state;
    serve_until(with("asks", NEVER_MS, ask_kong), &seen.runs, 1);
    assert_int_equal(seen.result, 5);
    assert_string_equal(seen.text, "kong.request.get_path: a job has no request");
    assert_int_equal(seen.sleep_result, 0);
}

static void their_lines_go_to_the_servers_log(void **state) {
    struct kong_plugin plugin = with("talks", NEVER_MS, log_lines);
    char lines[4096] = "";
    int fds[2];
    (void)state;
    begin();
    assert_int_equal(pipe(fds), 0);
    struct log *log = log_create(fds[1], LOG_LEVEL_INFO, "jobs");
    const struct sim_server_options options = {.plugin = &plugin, .log = log, .drain_ms = 10000};
    struct sim_server *server = serve(&options);
    await(&seen.runs, 1);
    sim_server_stop(server);
    log_destroy(log);
    assert_true(read(fds[0], lines, sizeof lines - 1) > 0);
    assert_non_null(strstr(lines, "job talks: 7\\x0Akeys\n"));
    assert_null(strstr(lines, "not shown"));
    /* two runs failed: it is said once a minute */
    char *failed = strstr(lines, "job talks failed: the plugin failed");
    assert_non_null(failed);
    assert_null(strstr(failed + 1, "job talks failed"));
    close(fds[0]);
    close(fds[1]);
}

/* --- The end --- */

static int open_queue(void **data, char *error, size_t size) {
    (void)error;
    (void)size;
    *data = &seen;
    return 0;
}

static int flush(struct kong *kong) {
    /* as a batch is sent: it takes a while */
    unsigned batch = seen.queued - seen.flushed;
    int rc = kong_sleep(kong, 5);
    seen.flushed += batch;
    seen.result = kong_process_data(kong) == &seen ? rc : 1;
    seen.runs++;
    return rc;
}

static void close_queue(void *data) {
    (void)data;
    seen.closed_with = seen.queued - seen.flushed;
    seen.ended++;
}

static void nothing_is_lost_at_the_end(void **state) {
    struct kong_plugin plugin = with("flush", NEVER_MS, flush);
    const struct kong_test_options options = {.plugin = &plugin};
    struct kong_test *test;
    char error[256];
    (void)state;
    plugin.open = open_queue;
    plugin.close = close_queue;
    begin();
    assert_int_equal(kong_test_open(&options, &test, error, sizeof error), 0);
    for (int i = 0; i < 3; i++) {
        kong_test_request(test, "GET", "/");
        assert_int_equal(kong_test_run(test), KONG_TEST_OK);
    }
    kong_test_close(test);
    assert_int_equal(seen.queued, 3);
    assert_int_equal(seen.flushed, 3);
    assert_int_equal(seen.result, 0);
    assert_int_equal(seen.ended, 1);
    assert_int_equal(seen.closed_with, 0); /* the last run was before close */
}

static int hang(struct kong *kong) {
    seen.waiting++;
    seen.sleep_result = kong_sleep(kong, KONG_NO_LIMIT);
    seen.ended++;
    return seen.sleep_result;
}

static void one_that_hangs_is_given_up(void **state) {
    struct kong_plugin plugin = with("hangs", 1, hang);
    const struct sim_server_options options = {.plugin = &plugin, .drain_ms = 50};
    (void)state;
    begin();
    struct sim_server *server = serve(&options);
    await(&seen.waiting, 1);
    sim_server_stop(server);
    assert_int_equal(seen.waiting, 1); /* no run behind it: there was no time */
    assert_int_equal(seen.ended, 1);
    assert_int_equal(seen.sleep_result, KONG_E_GONE);
}

static void one_that_lasts_too_long_times_out(void **state) {
    struct kong_plugin plugin = with("hangs", NEVER_MS, hang);
    const struct sim_server_options options = {.plugin = &plugin, .drain_ms = 50, .event_ms = 20};
    (void)state;
    begin();
    struct sim_server *server = serve(&options);
    await(&seen.ended, 1);
    assert_int_equal(seen.sleep_result, KONG_E_TIMEOUT);
    sim_server_stop(server);
}

/* The only event that there may be is another job's, until that may end. */
static int occupy(struct kong *kong) {
    int rc = 0;
    seen.waiting++;
    while (rc == 0 && seen.ended == 0) {
        rc = kong_sleep(kong, 1);
    }
    return rc;
}

static void one_that_cannot_start_is_tried_again(void **state) {
    struct kong_plugin plugin = with("occupies", NEVER_MS, occupy);
    char lines[4096] = "";
    int fds[2];
    (void)state;
    plugin.jobs[1] = (struct kong_job){"other", 2, count_run};
    begin();
    assert_int_equal(pipe(fds), 0);
    struct log *log = log_create(fds[1], LOG_LEVEL_ERROR, "jobs");
    const struct sim_server_options options = {
        .plugin = &plugin, .log = log, .drain_ms = 10000, .max_events = 1};
    struct sim_server *server = serve(&options);
    assert_true(read(fds[0], lines, sizeof lines - 1) > 0);
    assert_non_null(strstr(lines, "job other failed: too many events at work: limit 1 "
                                  "(--max-events)\n"));
    assert_int_equal(seen.waiting, 1);
    seen.ended = 1;
    await(&seen.runs, 2);
    sim_server_stop(server);
    log_destroy(log);
    close(fds[0]);
    close(fds[1]);
}

/* --- Figures --- */

static const struct kong_value *status_of(struct sim_server *server, struct sim_client *client,
                                          struct arena *arena, struct rpc_reply *reply) {
    struct rpc_call call = {.command = RPC_GET_STATUS};
    const char *text = NULL;
    (void)server;
    assert_int_equal(sim_client_command(client, &call, arena, reply, &text), SIM_EVENT_OK);
    const struct kong_value *plugin = kong_map_get(kong_map_get(&reply->status, "Plugins"), "jobs");
    return kong_map_get(kong_map_get(plugin, "Jobs"), "talks");
}

static int64_t integer_at(const struct kong_value *map, const char *key) {
    int64_t integer;
    assert_true(kong_to_integer(kong_map_get(map, key), &integer));
    return integer;
}

static double number_at(const struct kong_value *map, const char *key) {
    double number;
    assert_true(kong_to_number(kong_map_get(map, key), &number));
    return number;
}

static void they_are_in_the_status(void **state) {
    struct kong_plugin plugin = with("talks", NEVER_MS, log_lines);
    const struct sim_server_options options = {.plugin = &plugin, .drain_ms = 10000};
    double before = (double)time(NULL);
    struct rpc_reply reply;
    struct arena arena;
    (void)state;
    begin();
    arena_init(&arena, 1 << 20);
    struct sim_server *server = serve(&options);
    await(&seen.runs, 1);
    struct sim_client_options kong = {.protocol = PROTOCOL_MSGPACK,
                                      .connect = sim_connect_unix,
                                      .connect_ctx = sim_server_path(server),
                                      .timeout_ms = 60000};
    struct sim_client *client = sim_client_create(&kong);
    const struct kong_value *job = status_of(server, client, &arena, &reply);
    assert_non_null(job);
    assert_int_equal(integer_at(job, "Runs"), 1);
    assert_int_equal(integer_at(job, "Failures"), 1);
    assert_true(number_at(job, "Interval") == NEVER_MS / 1e3);
    assert_true(number_at(job, "LastRun") >= before);
    assert_true(number_at(job, "LastTook") > 0);
    assert_true(number_at(job, "LongestTook") >= number_at(job, "LastTook"));
    assert_false(kong_map_get(job, "Running")->boolean);
    sim_client_destroy(client);
    arena_free(&arena);
    sim_server_stop(server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_the_start_and_then_at_intervals),
        cmocka_unit_test(never_beside_itself),
        cmocka_unit_test(several_beside_each_other),
        cmocka_unit_test(they_wait),
        cmocka_unit_test(they_have_no_request),
        cmocka_unit_test(their_lines_go_to_the_servers_log),
        cmocka_unit_test(nothing_is_lost_at_the_end),
        cmocka_unit_test(one_that_hangs_is_given_up),
        cmocka_unit_test(one_that_lasts_too_long_times_out),
        cmocka_unit_test(one_that_cannot_start_is_tried_again),
        cmocka_unit_test(they_are_in_the_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
