/* The end of a server on a socket that outlives it: who comes while it drains is the next one's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "dump.h"
#include "one_plugin.h"
#include "scratch.h"
#include "server.h"

#define DRAIN_MS    20000 /* the tests end it sooner */
#define PATIENCE_MS 10000

/* [0, 7, "plugin.GetStatus", []] */
static const char ask[] = "\x94\x00\x07\xb0plugin.GetStatus\x90";

static int no_work(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    return 0;
}

static const struct kong_plugin plugin = {
    .name = "given", .version = "1.0", .handlers = {[KONG_PHASE_ACCESS] = no_work}};

struct bench {
    char directory[SCRATCH_PATH];
    struct sockaddr_un address;
    int listener; /* the manager's */
    struct socket_file socket;
    struct dump dump;
    struct plugin hosted;
    struct plugins plugins;
    struct server *server;
    pthread_t thread;
};

static void *run(void *arg) {
    server_run(arg);
    return NULL;
}

static void pause_ms(long ms) {
    const struct timespec time = {.tv_nsec = ms * 1000000};
    nanosleep(&time, NULL);
}

static void start(struct bench *bench, size_t max_connections) {
    struct server_options options;
    char error[256];
    *bench = (struct bench){.address.sun_family = AF_UNIX};
    assert_true(scratch_make(bench->directory));
    snprintf(bench->address.sun_path, sizeof bench->address.sun_path, "%s/s", bench->directory);
    bench->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(
        bind(bench->listener, (struct sockaddr *)&bench->address, sizeof bench->address), 0);
    assert_int_equal(listen(bench->listener, 16), 0);
    bench->socket = (struct socket_file){
        .fd = dup(bench->listener), .path = strdup(bench->address.sun_path), .inherited = true};
    struct options dump = {.plugin = &plugin,
                           .phases = dump_default_phases(&plugin),
                           .protocol = PROTOCOL_PROTOBUF,
                           .kong_major = 3,
                           .socket = bench->address.sun_path};
    assert_int_equal(dump_init(&bench->dump, &dump), 0);
    server_options_init(&options);
    bench->plugins = one_plugin(&bench->hosted, &plugin, NULL);
    options.plugins = &bench->plugins;
    options.info = &bench->dump.info;
    options.socket = &bench->socket;
    options.drain_ms = DRAIN_MS;
    options.max_connections = max_connections;
    assert_int_equal(server_create(&options, &bench->server, error, sizeof error), 0);
    assert_int_equal(pthread_create(&bench->thread, NULL, run, bench->server), 0);
}

static int peer(const struct bench *bench, const char *bytes, size_t len) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&bench->address, sizeof bench->address),
                     0);
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
    return fd;
}

/* Waits for an answer. */
static void hear(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    char got[4096];
    assert_int_equal(poll(&poll_fd, 1, PATIENCE_MS), 1);
    assert_true(recv(fd, got, sizeof got, 0) > 0);
}

/* A peer that the server knows, in the middle of a message: it keeps a draining server at work, as
 * long as more of the message comes. */
static int half_peer(const struct bench *bench) {
    int fd = peer(bench, ask, sizeof ask - 1);
    hear(fd);
    assert_int_equal(send(fd, ask, 3, MSG_NOSIGNAL), 3);
    return fd;
}

static void finish(struct bench *bench) {
    assert_int_equal(pthread_join(bench->thread, NULL), 0);
    server_destroy(bench->server);
    socket_file_close(&bench->socket);
    dump_free(&bench->dump);
}

static void clean_up(struct bench *bench) {
    close(bench->listener);
    assert_int_equal(unlink(bench->address.sun_path), 0); /* the server left it */
    assert_true(scratch_remove_empty(bench->directory));
}

/* True when nobody has closed it. */
static bool is_open(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN | POLLRDHUP};
    return poll(&poll_fd, 1, 0) == 0;
}

static void latecomers_wait_for_the_next(void **state) {
    struct bench bench;
    char got[16] = "";
    (void)state;
    start(&bench, 100);
    int half = half_peer(&bench);
    int idle = peer(&bench, ask, sizeof ask - 1);
    hear(idle);
    pause_ms(50); /* half's bytes are read, or it would be idle too */
    server_stop(bench.server);
    struct pollfd end = {.fd = idle, .events = POLLRDHUP};
    for (size_t i = 3; poll(&end, 1, 300) == 0; i++) { /* until it drains */
        assert_true(i < sizeof ask - 2);
        assert_int_equal(send(half, ask + i, 1, MSG_NOSIGNAL), 1);
    }
    int late = peer(&bench, "hello", 5);
    pause_ms(50);
    assert_true(is_open(half)); /* it drains still */
    close(half);
    finish(&bench);
    assert_true(is_open(late));
    int fd = accept(bench.listener, NULL, NULL);
    assert_int_equal(recv(fd, got, sizeof got, 0), 5);
    assert_string_equal(got, "hello");
    close(fd);
    close(late);
    close(idle);
    clean_up(&bench);
}

/* Who waits at the limit of connections is not lost either. */
static void waiting_at_the_limit(void **state) {
    struct bench bench;
    char got[64];
    (void)state;
    start(&bench, 1);
    int half = half_peer(&bench);
    int waiting = peer(&bench, ask, sizeof ask - 1);
    pause_ms(100);
    server_stop(bench.server);
    pause_ms(100);
    close(half);
    finish(&bench);
    assert_true(is_open(waiting));
    int fd = accept(bench.listener, NULL, NULL);
    assert_int_equal(recv(fd, got, sizeof got, 0), sizeof ask - 1);
    close(fd);
    close(waiting);
    clean_up(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latecomers_wait_for_the_next),
        cmocka_unit_test(waiting_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
