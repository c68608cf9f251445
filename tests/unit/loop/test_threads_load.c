/* A server with several threads under load, its end and its death: nothing is lost. */
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
#include <unistd.h>

#include "kong_load.h"
#include "log.h"
#include "process_peer.h"
#include "rig.h"
#include "value.h"

#define MOST_THREADS 4

static struct kong_load_counts stop(struct kong_load *load, const char *what, bool protobuf) {
    struct kong_load_counts counts = kong_load_stop(load);
    print_message("  %s, %s: %llu events, %llu lost, %llu hit, %llu tried again\n", what,
                  protobuf ? "ProtoBuf:1" : "MsgPack:1", (unsigned long long)counts.events,
                  (unsigned long long)counts.lost, (unsigned long long)counts.hit,
                  (unsigned long long)counts.retried);
    if (counts.lost > 0) {
        print_message("  the first one: %s\n", counts.first);
    }
    return counts;
}

/* --- Load of both protocols at once --- */

static int64_t started(struct sim_server *server, int64_t *open) {
    struct arena arena;
    struct rpc_call call = {.command = RPC_GET_STATUS};
    struct rpc_reply reply;
    struct sim_client_options options = {.protocol = PROTOCOL_MSGPACK,
                                         .connect = sim_connect_unix,
                                         .connect_ctx = sim_server_path(server),
                                         .timeout_ms = PATIENCE_MS};
    struct sim_client *client = sim_client_create(&options);
    arena_init(&arena, (size_t)16 << 20);
    assert_non_null(client);
    assert_int_equal(sim_client_command(client, &call, &arena, &reply, NULL), SIM_EVENT_OK);
    const struct kong_value *plugin = value_get(value_get(&reply.status, "Plugins"), "hurt");
    int64_t count = value_get(plugin, "EventsStarted")->integer;
    *open = value_get(value_get(&reply.status, "Connections"), "Open")->integer;
    sim_client_destroy(client);
    arena_free(&arena);
    return count;
}

/* Whole lines, whichever thread wrote them. */
static void check_lines(FILE *file) {
    char *line = NULL;
    size_t size = 0;
    unsigned lines = 0;
    rewind(file);
    while (getline(&line, &size, file) > 0) {
        char level[8];
        long pid;
        int end = 0;
        assert_int_equal(
            sscanf(line, "%*4d-%*2d-%*2dT%*2d:%*2d:%*fZ %7s hurt[%ld]: %n", level, &pid, &end), 2);
        assert_true(end > 0 && pid == getpid());
        assert_true(strncmp(line + end, "instance ", 9) == 0 ||
                    strncmp(line + end, "ending", 6) == 0);
        lines++;
    }
    free(line);
    assert_true(lines > 50);
}

static void load_of_both_protocols(size_t threads) {
    char error[256];
    FILE *file = tmpfile();
    assert_non_null(file);
    struct log *log = log_create(fileno(file), LOG_LEVEL_DEBUG, "hurt");
    struct sim_server_options options = {.plugin = &hurt_plugin, .threads = threads, .log = log};
    struct sim_server *server = sim_server_start(&options, error, sizeof error);
    assert_non_null(server);
    struct kong_load_options load = {.path = sim_server_path(server),
                                     .protocol = PROTOCOL_PROTOBUF,
                                     .threads = 4,
                                     .mode = "wait",
                                     .instances = 20};
    struct kong_load *protobuf = kong_load_start(&load);
    load.protocol = PROTOCOL_MSGPACK;
    load.connections = 5; /* most Steps come over another thread's connection than their event's */
    struct kong_load *msgpack = kong_load_start(&load);
    kong_load_wait(protobuf, 1500);
    kong_load_wait(msgpack, 1500);
    struct kong_load_counts one = stop(protobuf, "plain", true);
    struct kong_load_counts two = stop(msgpack, "plain", false);
    assert_int_equal(one.lost + two.lost, 0);
    assert_int_equal(one.hit + two.hit, 0);
    assert_int_equal(one.retried + two.retried, 0);
    int64_t open;
    assert_int_equal(started(server, &open), one.events + two.events);
    for (int i = 0; open > 1 && i < 12000; i++) { /* the one that asks */
        usleep(5000);
        started(server, &open);
    }
    assert_int_equal(open, 1);
    sim_server_stop(server);
    check_lines(file);
    assert_int_equal(log_dropped(log), 0);
    log_destroy(log);
    fclose(file);
}

static void load_on_one_to_four_threads(void **state) {
    (void)state;
    for (size_t threads = 1; threads <= MOST_THREADS; threads++) {
        print_message("  %zu threads\n", threads);
        load_of_both_protocols(threads);
    }
}

/* --- Handlers stay where they are --- */

struct config {
    const char *mode;
};

static const KONG_FIELDS(struct config) fields[] = {KONG_STRING_FIELD(struct config, mode)};

static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

static _Atomic unsigned moved, ran;

static void note_thread(void *arg) {
    *(pthread_t *)arg = pthread_self();
}

static int stay(struct kong *kong, const void *config) {
    pthread_t self = pthread_self();
    pthread_t other = self;
    struct kong_str value;
    (void)config;
    kong_sleep(kong, 1);
    moved += !pthread_equal(self, pthread_self());
    kong_run_blocking(kong, note_thread, &other);
    moved += !pthread_equal(self, pthread_self()) || pthread_equal(self, other);
    kong_request_get_header(kong, "X-In", &value);
    moved += !pthread_equal(self, pthread_self());
    ran++;
    return kong_response_set_header(kong, "X-Pid", "1");
}

static const struct kong_plugin staying = {.name = "hurt",
                                           .version = "0.1",
                                           .thread_safe = true,
                                           .schema = &schema,
                                           .handlers = {[KONG_PHASE_ACCESS] = stay}};

static void a_handler_stays_on_its_thread(void **state) {
    char error[256];
    struct sim_server_options options = {.plugin = &staying, .threads = 3};
    struct sim_server *server = sim_server_start(&options, error, sizeof error);
    assert_non_null(server);
    (void)state;
    moved = ran = 0;
    struct kong_load_options load = {.path = sim_server_path(server),
                                     .protocol = PROTOCOL_MSGPACK,
                                     .threads = 6,
                                     .connections = 3,
                                     .mode = "any"};
    struct kong_load *msgpack = kong_load_start(&load);
    kong_load_wait(msgpack, 300);
    struct kong_load_counts counts = stop(msgpack, "waiting of all kinds", false);
    assert_int_equal(counts.lost, 0);
    assert_int_equal(ran, counts.events);
    assert_int_equal(moved, 0);
    sim_server_stop(server);
}

/* --- The end --- */

static const char *const three_threads[] = {"--threads", "3",           "--drain-timeout",
                                            "30",        "--take-over", NULL};

/* Reloads: the next server takes the path over, the first one ends, Steps find their way between
 * two processes with several threads each. */
static void reloads_lose_nothing(void **state) {
    enum { RELOADS = 3, SHARE = 600 };
    struct process_setup setup = {.options = three_threads};
    struct process servers[RELOADS + 1];
    struct kong_load *loads[2];
    (void)state;
    process_start(&servers[0], &setup);
    for (int i = 0; i < 2; i++) {
        struct kong_load_options options = {.path = servers[0].path,
                                            .protocol =
                                                i == 0 ? PROTOCOL_PROTOBUF : PROTOCOL_MSGPACK,
                                            .threads = 4,
                                            .connections = i == 0 ? 0 : 3,
                                            .mode = "wait",
                                            .instances = 100};
        loads[i] = kong_load_start(&options);
    }
    for (int i = 1; i <= RELOADS; i++) {
        kong_load_wait(loads[0], kong_load_counts(loads[0]).events + SHARE);
        struct process_setup next = {.path = servers[0].path, .options = three_threads};
        process_start(&servers[i], &next);
        assert_says(&servers[i], "from a server that still runs");
        kong_load_wait(loads[1], kong_load_counts(loads[1]).events + SHARE);
        kill(servers[i - 1].pid, SIGTERM);
        assert_true(process_gone(servers[i - 1].pid, 30000 + PATIENCE_MS));
        assert_int_equal(process_count(&servers[i - 1], "given up after the drain"), 0);
    }
    for (int i = 0; i < 2; i++) {
        struct kong_load_counts counts = stop(loads[i], "reloads", i == 0);
        assert_int_equal(counts.lost, 0);
        assert_int_equal(counts.refused, 0);
    }
    assert_orderly(process_end(&servers[RELOADS], SIGTERM));
    for (int i = 0; i < RELOADS; i++) {
        assert_orderly(process_end(&servers[i], 0));
    }
}

/* What sleeps on another thread is given up after the time-out, or at a second SIGINT. */
static void the_end_can_be_hurried(void **state) {
    const char *const quick[] = {"--threads", "3", "--drain-timeout", "0.3", NULL};
    const char *const slow[] = {"--threads", "3", "--drain-timeout", "100", NULL};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct process_setup setup = {.options = i == 0 ? quick : slow};
        struct process process;
        struct kong_peer peer;
        int fds[6];
        process_start(&process, &setup);
        kong_peer_open(&peer, &process, PROTOCOL_PROTOBUF);
        kong_peer_serves(&peer);
        for (size_t k = 0; k < 6; k++) {
            fds[k] = raw_connect(&process);
            assert_true(fds[k] >= 0);
        }
        pause_ms(50);
        for (size_t k = 0; k < 6; k++) { /* half a message: never idle */
            assert_int_equal(write(fds[k], "\0\0\0", 3), 3);
        }
        pause_ms(50);
        if (i == 1) {
            kill(process.pid, SIGINT);
            assert_says(&process, "ending: SIGINT");
            assert_false(process_gone(process.pid, 300));
        }
        assert_orderly(process_end(&process, i == 0 ? SIGTERM : SIGINT));
        for (size_t k = 0; k < 6; k++) {
            close(fds[k]);
        }
        kong_peer_close(&peer);
    }
}

int main(int argc, char **argv) {
    int status;
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_on_one_to_four_threads),
        cmocka_unit_test(a_handler_stays_on_its_thread),
        cmocka_unit_test(reloads_lose_nothing),
        cmocka_unit_test(the_end_can_be_hurried),
    };
    return cmocka_run_group_tests_name("test_threads_load", tests, NULL, NULL);
}
