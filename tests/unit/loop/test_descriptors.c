/* A server that is out of descriptors, and one that has many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kong_load.h"
#include "process_peer.h"

/* --- What is in the way of accept: seen by the server's process only --- */

/* The system's table of files cannot be filled here; while this is set accept4 says that it is. */
static volatile sig_atomic_t table_is_full;

int __real_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags) {
    if (table_is_full) {
        errno = ENFILE;
        return -1;
    }
    return __real_accept4(fd, address, len, flags);
}

static void toggle(int number) {
    (void)number;
    table_is_full = !table_is_full;
}

/* In the server's process, by the environment: limits that a checker like valgrind imposes on the
 * test's own process are not those of the system. */
static void limit_files(void) {
    const char *files = getenv("TEST_FILES");
    const char *taken = getenv("TEST_FILES_TAKEN");
    if (files != NULL) {
        struct rlimit limit = {.rlim_cur = strtoul(files, NULL, 10)};
        limit.rlim_max = limit.rlim_cur;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    for (unsigned long i = 0; taken != NULL && i < strtoul(taken, NULL, 10); i++) {
        (void)!dup(STDERR_FILENO);
    }
}

/* 100 descriptors, and 80 that the server knows nothing of, as Kong leaves some to it. */
static void few_descriptors(void) {
    setenv("TEST_FILES", "100", 1);
    setenv("TEST_FILES_TAKEN", "80", 1);
}

static void hundred_descriptors(void) {
    setenv("TEST_FILES", "100", 1);
}

/* --- Without spinning --- */

#define WATCHED_MS 1500

/* While accept fails: next to no CPU time, a line a second at most; the others are served. */
static void assert_calm(struct process *process, struct kong_peer *other, const char *error) {
    size_t before = process_count(process, error);
    long cpu = process_cpu_ms(process->pid);
    pause_ms(WATCHED_MS);
    cpu = process_cpu_ms(process->pid) - cpu;
    size_t lines = process_count(process, error) - before;
    print_message("  \"%s\" for %d ms: %ld ms of CPU time, %zu lines\n", error, WATCHED_MS, cpu,
                  lines);
    assert_true(cpu <= WATCHED_MS / 10);
    assert_true(lines <= 2);
    kong_peer_serves(other);
    assert_int_equal(sim_client_counts(other->client)->connections, 1);
}

static void out_of_descriptors(void **state) {
    struct process_setup setup = {.prepare = few_descriptors};
    struct process process;
    struct kong_peer other;
    struct kong_peer late;
    int fds[40];
    (void)state;
    process_start(&process, &setup);
    assert_says(&process, "limit of 100 descriptors: at most 68 connections instead of 16384");
    kong_peer_open(&other, &process, PROTOCOL_PROTOBUF);
    kong_peer_serves(&other);
    for (size_t i = 0; i < 40; i++) {
        fds[i] = raw_connect(&process);
        assert_true(fds[i] >= 0);
    }
    assert_says(&process, "accept: Too many open files: new connections wait");
    assert_calm(&process, &other, "accept: Too many open files");
    assert_true(process_descriptors(process.pid) >= 100);
    /* Nobody was turned away. */
    for (size_t i = 0; i < 40; i++) {
        assert_false(raw_closed(fds[i], 0));
        close(fds[i]);
    }
    kong_peer_open(&late, &process, PROTOCOL_MSGPACK);
    kong_peer_serves(&late);
    kong_peer_close(&late);
    kong_peer_close(&other);
    assert_orderly(process_end(&process, SIGTERM));
}

static void table_of_files_is_full(void **state) {
    struct process_setup setup = {.silent = false};
    struct process process;
    struct kong_peer other;
    struct kong_peer late;
    (void)state;
    process_start(&process, &setup);
    kong_peer_open(&other, &process, PROTOCOL_PROTOBUF);
    kong_peer_serves(&other);
    kill(process.pid, SIGURG);
    pause_ms(50);
    int waiting = raw_connect(&process);
    assert_true(waiting >= 0);
    assert_says(&process, "accept: Too many open files in system: new connections wait");
    assert_calm(&process, &other, "accept: Too many open files in system");
    kill(process.pid, SIGURG);
    kong_peer_open(&late, &process, PROTOCOL_PROTOBUF);
    kong_peer_serves(&late);
    assert_false(raw_closed(waiting, 0));
    close(waiting);
    kong_peer_close(&late);
    kong_peer_close(&other);
    assert_orderly(process_end(&process, SIGTERM));
}

/* The limit of descriptors is one of connections: nobody gets so far as to fail. */
static void limit_of_descriptors(void **state) {
    struct process_setup setup = {.prepare = hundred_descriptors};
    struct process process;
    struct kong_peer other;
    int fds[100];
    (void)state;
    process_start(&process, &setup);
    kong_peer_open(&other, &process, PROTOCOL_PROTOBUF);
    kong_peer_serves(&other);
    for (size_t i = 0; i < 100; i++) {
        fds[i] = raw_connect(&process);
        assert_true(fds[i] >= 0);
    }
    assert_says(&process,
                "68 connections, limit 68: others wait (the process' limit of descriptors)");
    assert_calm(&process, &other, "68 connections, limit 68");
    for (size_t i = 0; i < 100; i++) {
        close(fds[i]);
    }
    kong_peer_close(&other);
    assert_orderly(process_end(&process, SIGTERM));
}

/* --- Many --- */

#define IDLE   10000
#define ACTIVE 1000

/* What an instance's event leaves on a connection: it was used once, and is idle since. */
static void use_connection(int fd, const void *call, size_t len, size_t answer_len) {
    char answer[4096];
    size_t got = 0;
    assert_int_equal(send(fd, call, len, MSG_NOSIGNAL), len);
    while (got < answer_len) {
        ssize_t n = recv(fd, answer, sizeof answer, 0);
        assert_true(n > 0);
        got += (size_t)n;
    }
}

static void leave_idle(int *fds, const struct process *process) {
    static const uint8_t names[] = {5, 0, 0, 0, 0x08, 1, 0xfa, 0x01, 0}; /* CmdGetPluginNames */
    for (size_t i = 0; i < IDLE; i++) {
        fds[i] = raw_connect(process);
        assert_true(fds[i] >= 0);
        use_connection(fds[i], names, sizeof names, 4 + 2 + 3 + 6);
    }
}

/* ACTIVE events at work at a time, each in the middle of its handler. */
static void put_to_work(int *fds, const struct process *process, int64_t id) {
    uint8_t call[64] = {0};
    size_t len = 4;
    call[len++] = 0x08; /* sequence 1 */
    call[len++] = 1;
    call[len++] = 0xa2; /* cmd_handle_event */
    call[len++] = 0x02;
    size_t at = len++;
    call[len++] = 0x08; /* instance_id */
    for (uint64_t value = (uint64_t)id; len < sizeof call; value >>= 7) {
        call[len++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        if (value <= 0x7f) {
            break;
        }
    }
    memcpy(call + len,
           "\x12\x06"
           "access",
           8);
    len += 8;
    call[at] = (uint8_t)(len - at - 1);
    call[0] = (uint8_t)(len - 4);
    for (size_t i = 0; i < ACTIVE; i++) {
        fds[i] = raw_connect(process);
        assert_true(fds[i] >= 0);
        use_connection(fds[i], call, len, 4 + sizeof "kong.request.get_header" - 1 + 4 + 6);
    }
}

static void many_connections(void **state) {
    static const char *const options[] = {"--max-connections", "16384", NULL};
    struct process_setup setup = {.options = options};
    struct process process;
    struct kong_peer other;
    struct rlimit limit;
    (void)state;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < IDLE + ACTIVE + 200) {
        print_message("  SKIPPED: %d connections need as many descriptors, the limit is %llu\n",
                      IDLE + ACTIVE, (unsigned long long)limit.rlim_cur);
        skip();
    }
    int *fds = calloc(IDLE + ACTIVE, sizeof *fds);
    assert_non_null(fds);
    process_start(&process, &setup);
    kong_peer_open(&other, &process, PROTOCOL_PROTOBUF);
    kong_peer_serves(&other);
    long before = process_figure(process.pid, "VmRSS");
    leave_idle(fds, &process);
    long idle = process_figure(process.pid, "VmRSS");
    put_to_work(fds + IDLE, &process, kong_peer_start(&other, "{\"mode\":\"wait\"}"));
    long active = process_figure(process.pid, "VmRSS");
    print_message("  resident: %ld KiB; with %d idle connections %ld KiB, %.2f KiB each; with %d "
                  "events at work besides %ld KiB, %.2f KiB each\n",
                  before, IDLE, idle, (double)(idle - before) / IDLE, ACTIVE, active,
                  (double)(active - idle) / ACTIVE);
    assert_true(process_descriptors(process.pid) > IDLE + ACTIVE);
    kong_peer_serves(&other);
    if (!process_is_padded()) {
        assert_true(idle - before <= IDLE * 2); /* KiB each */
        assert_true(active - idle <= ACTIVE * 24);
    }
    for (size_t i = 0; i < IDLE + ACTIVE; i++) {
        close(fds[i]);
    }
    for (int i = 0; process_descriptors(process.pid) > 40; i++) {
        assert_true(i < PATIENCE_MS / 10);
        pause_ms(10);
    }
    kong_peer_serves(&other);
    kong_peer_close(&other);
    assert_orderly(process_end(&process, SIGTERM));
    free(fds);
}

int main(int argc, char **argv) {
    int status;
    if (argc > 1) {
        signal(SIGURG, toggle);
        limit_files();
    }
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(out_of_descriptors),
        cmocka_unit_test(table_of_files_is_full),
        cmocka_unit_test(limit_of_descriptors),
        cmocka_unit_test(many_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
