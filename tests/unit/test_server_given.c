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
#include "server.h"

#define DRAIN_MS 300

static int no_work(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    return 0;
}

static const struct kong_plugin plugin = {
    .name = "given", .version = "1.0", .handlers = {[KONG_PHASE_ACCESS] = no_work}};

struct bench {
    char directory[64];
    struct sockaddr_un address;
    int listener; /* the manager's */
    struct socket_file socket;
    struct dump dump;
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
    *bench = (struct bench){.directory = "/tmp/given-XXXXXX", .address.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(bench->directory));
    snprintf(bench->address.sun_path, sizeof bench->address.sun_path, "%s/s", bench->directory);
    bench->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(
        bind(bench->listener, (struct sockaddr *)&bench->address, sizeof bench->address), 0);
    assert_int_equal(listen(bench->listener, 16), 0);
    bench->socket = (struct socket_file){
        .fd = dup(bench->listener), .path = strdup(bench->address.sun_path), .given = true};
    struct dump_options dump = {.plugin = &plugin,
                                .phases = dump_default_phases(&plugin),
                                .protocol = PROTOCOL_PROTOBUF,
                                .kong_major = 3,
                                .socket_path = bench->address.sun_path};
    assert_int_equal(dump_init(&bench->dump, &dump), 0);
    server_options_init(&options);
    options.plugin = &plugin;
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

static void finish(struct bench *bench) {
    assert_int_equal(pthread_join(bench->thread, NULL), 0);
    server_destroy(bench->server);
    socket_file_close(&bench->socket);
    dump_free(&bench->dump);
}

static void clean_up(struct bench *bench) {
    close(bench->listener);
    assert_int_equal(unlink(bench->address.sun_path), 0); /* the server left it */
    assert_int_equal(rmdir(bench->directory), 0);
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
    int half = peer(&bench, "\x0f\x00", 2); /* keeps the server at work until the drain time-out */
    pause_ms(50);
    server_stop(bench.server);
    pause_ms(50);
    int late = peer(&bench, "hello", 5);
    assert_true(is_open(half)); /* it drains still */
    finish(&bench);
    assert_true(is_open(late));
    int fd = accept(bench.listener, NULL, NULL);
    assert_int_equal(recv(fd, got, sizeof got, 0), 5);
    assert_string_equal(got, "hello");
    close(fd);
    close(late);
    close(half);
    clean_up(&bench);
}

/* At the limit of connections nobody is taken out of the backlog only to be dropped at the end. */
static void who_waits_at_the_limit_is_left_to_the_next(void **state) {
    static const char ask[] = "ask";
    struct bench bench;
    char got[16] = "";
    (void)state;
    start(&bench, 1);
    int half = peer(&bench, "\x0f\x00", 2);
    pause_ms(50);
    int between = peer(&bench, ask, sizeof ask - 1);
    pause_ms(50);
    server_stop(bench.server);
    finish(&bench);
    assert_true(is_open(between));
    int fd = accept(bench.listener, NULL, NULL);
    assert_int_equal(recv(fd, got, sizeof got, 0), sizeof ask - 1);
    assert_string_equal(got, ask);
    close(fd);
    close(between);
    close(half);
    clean_up(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latecomers_wait_for_the_next),
        cmocka_unit_test(who_waits_at_the_limit_is_left_to_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
