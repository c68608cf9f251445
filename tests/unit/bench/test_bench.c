/* The measuring tools: percentiles, the wire, and that the load generator says so when a server
 * does not do what it should. Nothing here depends on time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../bench/histogram.h"
#include "../../bench/learn.h"
#include "../../bench/script.h"
#include "scratch.h"

extern char **environ;

/* --- Percentiles ------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void percentiles_are_close(void **state) {
    enum { COUNT = 10000 };
    static uint64_t values[COUNT];
    static struct histogram histogram;
    (void)state;
    uint64_t random = 1;
    for (size_t i = 0; i < COUNT; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        values[i] = random >> (32 + random % 28); /* from a few to billions */
        histogram_add(&histogram, values[i]);
    }
    qsort(values, COUNT, sizeof *values, by_value);
    for (size_t percent = 1; percent <= 100; percent++) {
        uint64_t exact = values[percent * COUNT / 100 - 1];
        uint64_t found = histogram_percentile(&histogram, (double)percent);
        assert_true(found >= exact);
        assert_true(found <= exact + exact / 256);
    }
    assert_int_equal(histogram.max, values[COUNT - 1]);
    assert_int_equal(histogram.count, COUNT);
}

static void extremes_are_counted(void **state) {
    static struct histogram histogram;
    (void)state;
    assert_int_equal(histogram_percentile(&histogram, 50), 0);
    histogram_add(&histogram, 0);
    assert_int_equal(histogram_percentile(&histogram, 50), 0);
    histogram_add(&histogram, UINT64_MAX);
    assert_int_equal(histogram.count, 2);
    assert_int_equal(histogram.max, UINT64_MAX);
    assert_int_equal(histogram_percentile(&histogram, 100),
                     (UINT64_C(1) << HISTOGRAM_MAX_BITS) - 1);
}

/* --- The wire --------------------------------------------------------------------------------- */

static void walk_is_bounded(void **state) {
    (void)state;
    struct canned *canned = calloc(1, sizeof *canned);
    assert_non_null(canned);
    script_canned(script_find("getters"), WIRE_MSGPACK, canned);
    for (size_t i = 0; i < canned->count; i++) {
        struct wire message = {.len = 0};
        bool malformed;
        mp_result_head(&message, MSGID_FIRST, 1);
        wire_put(&message, canned->calls[i].sent.data, canned->calls[i].sent.len);
        for (size_t cut = 0; cut < message.len; cut++) {
            assert_null(mp_skip(message.data, message.data + cut, &malformed));
            assert_false(malformed);
        }
        assert_ptr_equal(mp_skip(message.data, message.data + message.len, &malformed),
                         message.data + message.len);
    }
    free(canned);
}

static void walk_knows_every_head(void **state) {
    (void)state;
    bool malformed;
    static const struct {
        uint8_t bytes[20];
        size_t len;
    } values[] = {{{0x7f}, 1},
                  {{0xff}, 1},
                  {{0xc0}, 1},
                  {{0xa2, 'a', 'b'}, 3},
                  {{0xd9, 1, 'a'}, 3},
                  {{0xda, 0, 1, 'a'}, 4},
                  {{0xdb, 0, 0, 0, 1, 'a'}, 6},
                  {{0xc4, 1, 0}, 3},
                  {{0xcb, 0, 0, 0, 0, 0, 0, 0, 0}, 9},
                  {{0xd3, 0, 0, 0, 0, 0, 0, 0, 0}, 9},
                  {{0xd8, 0}, 18},
                  {{0xc7, 2, 0, 0, 0}, 5},
                  {{0xdc, 0, 2, 1, 2}, 5},
                  {{0xde, 0, 1, 1, 2}, 5},
                  {{0xdf, 0, 0, 0, 1, 1, 2}, 7},
                  {{0x92, 0x81, 1, 2, 0x90}, 5}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        const uint8_t *at = values[i].bytes;
        assert_ptr_equal(mp_skip(at, at + sizeof values[i].bytes, &malformed), at + values[i].len);
        assert_null(mp_skip(at, at + values[i].len - 1, &malformed));
    }
    static const uint8_t never = 0xc1;
    assert_null(mp_skip(&never, &never + 1, &malformed));
    assert_true(malformed);
}

static void instance_ids_are_found(void **state) {
    (void)state;
    struct wire_id id;
    /* sequence 2, instance_status {name "a", instance_id 300, started_at 1} */
    static const uint8_t usual[] = {0x08, 2, 0x8a, 2, 8, 0x0a, 1, 'a', 0x10, 0xac, 2, 0x20, 1};
    assert_true(pb_instance_id(usual, sizeof usual, &id));
    assert_int_equal(id.len, 2);
    assert_memory_equal(id.bytes, "\xac\x02", 2);
    static const uint8_t refused[] = {0x08, 2};
    assert_false(pb_instance_id(refused, sizeof refused, &id));
    for (size_t cut = 0; cut < sizeof usual; cut++) {
        assert_false(pb_instance_id(usual, cut, &id));
    }
}

/* --- The programs ----------------------------------------------------------------------------- */

struct bench {
    char load[512], limit[512], dir[64], socket[96];
    pid_t running; /* a limit server, or -1 */
};

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    char self[400];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_non_null(bench);
    assert_true(len > 0);
    self[len] = '\0';
    for (int up = 0; up < 4; up++) { /* build/tests/unit/bench/test_bench */
        *strrchr(self, '/') = '\0';
    }
    snprintf(bench->load, sizeof bench->load, "%s/bench/load", self);
    snprintf(bench->limit, sizeof bench->limit, "%s/bench/limit_server", self);
    assert_true(scratch_make(bench->dir));
    snprintf(bench->socket, sizeof bench->socket, "%s/socket", bench->dir);
    bench->running = -1;
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    if (bench->running > 0) { /* an assertion failed */
        kill(bench->running, SIGTERM);
        waitpid(bench->running, NULL, 0);
    }
    int rc = scratch_remove(bench->dir) ? 0 : -1;
    free(bench);
    return rc;
}

static pid_t start(const char *const *argv, const posix_spawn_file_actions_t *actions) {
    pid_t pid = -1;
    assert_int_equal(
        posix_spawn(&pid, argv[0], actions, NULL, (char *const *)(uintptr_t)argv, environ), 0);
    return pid;
}

static int wait_for(pid_t pid) {
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* wrong: which answer has a wrong byte; NULL for none */
static void start_limit(struct bench *bench, const char *protocol, const char *script,
                        const char *wrong) {
    const char *argv[] = {bench->limit, bench->socket, protocol, script, wrong, NULL};
    bench->running = start(argv, NULL);
    int fd = -1;
    for (int i = 0; i < 2000 && (fd = learn_connect(bench->socket, false)) < 0; i++) {
        usleep(5000);
    }
    assert_true(fd >= 0);
    close(fd);
}

static void stop_limit(struct bench *bench) {
    pid_t pid = bench->running;
    bench->running = -1;
    kill(pid, SIGTERM);
    assert_int_equal(wait_for(pid), 0);
}

/* Runs the load generator for 1,000 events; its status, and its output in `out`. */
static int run_load(const struct bench *bench, const char *protocol, const char *script,
                    const char *patience, const char *more, char *out, size_t size) {
    const char *argv[] = {bench->load,  "--socket",      bench->socket, "--protocol", protocol,
                          "--script",   script,          "--events",    "1000",       "--instances",
                          "7",          "--connections", "5",           "--idle",     "3",
                          "--patience", patience,        more,          NULL};
    posix_spawn_file_actions_t actions;
    int pipe_fds[2];
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid = start(argv, &actions);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_fds[1]);
    size_t len = 0;
    ssize_t got;
    while ((got = read(pipe_fds[0], out + len, size - 1 - len)) > 0) {
        len += (size_t)got;
    }
    out[len] = '\0';
    close(pipe_fds[0]);
    return wait_for(pid);
}

static const char *const protocols[] = {"protobuf", "msgpack"};
static const char *const names[] = {"set-header", "getters"};
static const unsigned calls_of[] = {1, 6}; /* of an event: five setters leave as one call */

static void every_event_is_counted(void **state) {
    struct bench *bench = *state;
    for (int i = 0; i < 16; i++) { /* from 8 on the limit server that Kong may talk to */
        const char *protocol = protocols[i & 1];
        if (i >= 8 && (i & 1) != 0) {
            continue;
        }
        const char *script = names[i >> 1 & 1];
        char out[2048];
        char wanted[64];
        start_limit(bench, i >= 8 ? "kong" : protocol, script, NULL);
        assert_int_equal(
            run_load(bench, protocol, script, "10", i & 4 ? "--as-kong" : NULL, out, sizeof out),
            0);
        snprintf(wanted, sizeof wanted, "\"calls_all\": %u, \"errors\": 0",
                 1000 * calls_of[i >> 1 & 1]);
        assert_non_null(strstr(out, "\"events\": 1000,"));
        assert_non_null(strstr(out, wanted));
        stop_limit(bench);
    }
}

/* A server that runs another handler, or is silent since it speaks the other protocol, is found
 * out. */
static void other_handlers_are_refused(void **state) {
    struct bench *bench = *state;
    for (int i = 0; i < 2; i++) {
        char out[2048];
        start_limit(bench, protocols[i], names[1], NULL);
        assert_int_equal(run_load(bench, protocols[i], names[0], "10", NULL, out, sizeof out), 1);
        assert_int_equal(run_load(bench, protocols[i], "nothing", "10", NULL, out, sizeof out), 1);
        assert_int_equal(run_load(bench, protocols[1 - i], names[1], "0.05", NULL, out, sizeof out),
                         1);
        stop_limit(bench);
        start_limit(bench, protocols[i], "nothing", NULL);
        assert_int_equal(run_load(bench, protocols[i], names[0], "10", NULL, out, sizeof out), 1);
        assert_int_equal(run_load(bench, protocols[i], "nothing", "10", NULL, out, sizeof out), 0);
        stop_limit(bench);
    }
    char out[2048];
    assert_int_equal(run_load(bench, protocols[0], names[0], "10", NULL, out, sizeof out), 1);
}

/* A header with another value, in the first event or long after it, among a thousand right ones. */
static void every_event_is_compared(void **state) {
    struct bench *bench = *state;
    static const char *const wrong[] = {"0", "1", "901"};
    for (int i = 0; i < 6; i++) {
        const char *protocol = protocols[i & 1];
        bool first = i < 4;
        char out[2048];
        start_limit(bench, protocol, names[0], wrong[i / 2]);
        assert_int_equal(run_load(bench, protocol, names[0], "10", NULL, out, sizeof out), 1);
        assert_true(first ? out[0] == '\0' : strstr(out, "\"errors\": 1,") != NULL);
        stop_limit(bench);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_close),
        cmocka_unit_test(extremes_are_counted),
        cmocka_unit_test(walk_is_bounded),
        cmocka_unit_test(walk_knows_every_head),
        cmocka_unit_test(instance_ids_are_found),
        cmocka_unit_test_setup_teardown(every_event_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_event_is_compared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_handlers_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
