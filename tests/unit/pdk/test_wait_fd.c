/* Handlers that wait for a descriptor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wait_fixture.h"

struct asked {
    int fd;
    unsigned wanted;
    uint64_t timeout_ms;
    int times; /* one behind the other */
};

static int wait_for(struct kong *kong, struct bench *bench) {
    const struct asked *asked = bench->data;
    for (int i = 0; i < asked->times; i++) {
        unsigned ready = 99;
        note_error(bench, kong_wait_fd(kong, asked->fd, asked->wanted, asked->timeout_ms, &ready));
        note(bench, "%u ", ready);
    }
    return 0;
}

static int wait_and_tell(struct kong *kong, struct bench *bench) {
    wait_for(kong, bench);
    note(bench, "%s", kong_error_text(kong));
    return 0;
}

static void make_pair(int fds[2]) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

static void close_pair(const int fds[2]) {
    close(fds[0]);
    close(fds[1]);
}

static void readable_when_something_comes(void **state) {
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        int fds[2];
        make_pair(fds);
        struct asked asked = {fds[0], KONG_READABLE, FOREVER_MS, 2};
        struct bench *bench = bench_create(protocols[i], *state);
        start(bench, wait_for, &asked);
        run_for_a_moment(*state);
        assert_int_equal(bench->running, 1);
        assert_int_equal(write(fds[1], "x", 1), 1);
        run_until_done(*state, bench);
        /* the second time it is ready already */
        assert_string_equal(bench_notes(bench), "ok 1 ok 1 ");
        assert_true(bench->over);
        bench_destroy(bench);
        close_pair(fds);
    }
}

static void what_is_ready_is_told(void **state) {
    int fds[2];
    make_pair(fds);
    struct asked both = {fds[0], KONG_READABLE | KONG_WRITABLE, KONG_NO_LIMIT, 1};
    struct asked write_only = {fds[0], KONG_WRITABLE, KONG_NO_LIMIT, 1};
    struct bench *bench = bench_create(PROTOCOL_PROTOBUF, *state);
    start(bench, wait_for, &both);
    run_until_done(*state, bench);
    assert_string_equal(bench_notes(bench), "ok 2 ");
    assert_int_equal(write(fds[1], "x", 1), 1);
    start(bench, wait_for, &both);
    run_until_done(*state, bench);
    assert_string_equal(bench_notes(bench), "ok 3 ");
    start(bench, wait_for, &write_only);
    run_until_done(*state, bench);
    assert_string_equal(bench_notes(bench), "ok 2 ");
    bench_destroy(bench);
    close_pair(fds);
}

static void a_hang_up_is_ready(void **state) {
    int fds[2];
    make_pair(fds);
    struct asked asked = {fds[0], KONG_READABLE, FOREVER_MS, 1};
    struct bench *bench = bench_create(PROTOCOL_PROTOBUF, *state);
    start(bench, wait_for, &asked);
    run_for_a_moment(*state);
    close(fds[1]);
    run_until_done(*state, bench);
    assert_string_equal(bench_notes(bench), "ok 1 ");
    bench_destroy(bench);
    close(fds[0]);
}

/* A pipe whose reader is gone: poll has no event for that but POLLERR. */
static void an_error_is_ready(void **state) {
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    close(fds[0]);
    for (uint64_t timeout = 0; timeout <= FOREVER_MS; timeout += FOREVER_MS) {
        struct asked asked = {fds[1], KONG_WRITABLE, timeout, 1};
        struct bench *bench = bench_create(PROTOCOL_PROTOBUF, *state);
        start(bench, wait_for, &asked);
        run_until_done(*state, bench);
        assert_string_equal(bench_notes(bench), "ok 2 ");
        bench_destroy(bench);
    }
    close(fds[1]);
}

static void no_error_when_the_time_is_up(void **state) {
    int fds[2];
    make_pair(fds);
    struct bench *bench = bench_create(PROTOCOL_PROTOBUF, *state);
    for (uint64_t ms = 0; ms <= 20; ms += 20) {
        struct asked asked = {fds[0], KONG_READABLE, ms, 2};
        start(bench, wait_for, &asked);
        run_until_done(*state, bench);
        assert_string_equal(bench_notes(bench), "ok 0 ok 0 ");
    }
    bench_destroy(bench);
    close_pair(fds);
}

/* Another handler computes for longer than the time: what came meanwhile counts. */
static void ready_while_the_loop_was_busy(void **state) {
    int fds[2];
    make_pair(fds);
    struct asked asked = {fds[0], KONG_READABLE, 10, 1};
    struct bench *bench = bench_create(PROTOCOL_PROTOBUF, *state);
    start(bench, wait_for, &asked);
    assert_int_equal(write(fds[1], "x", 1), 1);
    uv_sleep(30);
    run_until_done(*state, bench);
    assert_string_equal(bench_notes(bench), "ok 1 ");
    bench_destroy(bench);
    close_pair(fds);
}

static void no_time_is_a_look(void **state) {
    int fds[2];
    make_pair(fds);
    struct asked asked = {fds[0], KONG_READABLE | KONG_WRITABLE, 0, 1};
    struct bench *bench = bench_create(PROTOCOL_PROTOBUF, *state);
    start(bench, wait_for, &asked);
    assert_int_equal(bench->running, 0); /* it did not wait */
    assert_string_equal(bench_notes(bench), "ok 2 ");
    bench_destroy(bench);
    close_pair(fds);
}

static void cut_short(void **state) {
    int fds[2];
    make_pair(fds);
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct asked asked = {fds[0], KONG_READABLE, KONG_NO_LIMIT, 2};
        struct bench *bench = bench_create(protocols[i], *state);
        start(bench, wait_for, &asked);
        bench_close(bench);
        run_until_done(*state, bench);
        assert_string_equal(bench_notes(bench), "GONE 0 GONE 0 ");

        start(bench, wait_for, &asked);
        bench_tick(bench, 5000);
        assert_true(bench->over || bench->error.data != NULL);
        run_until_done(*state, bench);
        assert_string_equal(bench_notes(bench), "TIMEOUT 0 TIMEOUT 0 ");
        bench_destroy(bench);
    }
    /* nobody waits for it any more */
    assert_int_equal(write(fds[1], "x", 1), 1);
    run_for_a_moment(*state);
    close_pair(fds);
}

static int exit_and_wait(struct kong *kong, struct bench *bench) {
    kong_response_exit(kong, 200, kong_str("x"), kong_nil());
    return wait_for(kong, bench);
}

static void not_after_the_end(void **state) {
    struct asked asked = {0, KONG_READABLE, KONG_NO_LIMIT, 1};
    struct bench *bench = bench_create(PROTOCOL_PROTOBUF, *state);
    start(bench, exit_and_wait, &asked);
    assert_int_equal(bench->running, 0);
    assert_string_equal(bench_notes(bench), "ENDED 0 ");
    bench_destroy(bench);
}

static void refused(uv_loop_t *loop, int fd, unsigned wanted, const char *why) {
    struct asked asked = {fd, wanted, FOREVER_MS, 1};
    struct bench *bench = bench_create(PROTOCOL_PROTOBUF, loop);
    start(bench, wait_and_tell, &asked);
    run_until_done(loop, bench);
    assert_string_equal(bench_notes(bench), why);
    asked.timeout_ms = 0;
    start(bench, wait_and_tell, &asked);
    assert_int_equal(bench->running, 0);
    assert_string_equal(bench_notes(bench), why);
    bench_destroy(bench);
}

static void what_cannot_be_waited_for(void **state) {
    char wanted[200];
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(file >= 0 && directory >= 0);
    for (int fd = file; fd <= directory; fd += directory - file) {
        snprintf(wanted, sizeof wanted,
                 "INVALID 0 descriptor %d: a file is always ready: read it in kong_run_blocking, "
                 "where it may block",
                 fd);
        refused(*state, fd, KONG_READABLE, wanted);
    }
    close(file);
    close(directory);
    snprintf(wanted, sizeof wanted, "INVALID 0 descriptor %d: it is not open", file);
    refused(*state, file, KONG_READABLE, wanted);
    refused(*state, -1, KONG_READABLE, "INVALID 0 descriptor -1: it is not open");
    refused(*state, 0, 0, "INVALID 0 wait for KONG_READABLE, KONG_WRITABLE, or both");
    refused(*state, 0, 4, "INVALID 0 wait for KONG_READABLE, KONG_WRITABLE, or both");
}

/* A device that the kernel's poller does not take. */
static void a_device_that_is_never_waited_for(void **state) {
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct asked asked = {fd, KONG_READABLE, FOREVER_MS, 1};
    char wanted[200];
    assert_true(fd >= 0);
    struct bench *bench = bench_create(PROTOCOL_PROTOBUF, *state);
    start(bench, wait_and_tell, &asked);
    run_until_done(*state, bench);
    snprintf(wanted, sizeof wanted, "INVALID 0 descriptor %d: of a kind that cannot be waited for",
             fd);
    assert_string_equal(bench_notes(bench), wanted);
    bench_destroy(bench);
    close(fd);
}

/* The second is refused, and the first goes on. */
static void one_descriptor_for_two_handlers(void **state) {
    int fds[2];
    make_pair(fds);
    struct asked asked = {fds[0], KONG_READABLE, FOREVER_MS, 1};
    struct bench *first = bench_create(PROTOCOL_PROTOBUF, *state);
    struct bench *second = bench_create(PROTOCOL_PROTOBUF, *state);
    char wanted[200];
    snprintf(wanted, sizeof wanted,
             "INVALID 0 descriptor %d: a handler of this thread waits for it already", fds[0]);
    start(first, wait_for, &asked);
    start(second, wait_and_tell, &asked);
    run_until_done(*state, second);
    assert_string_equal(bench_notes(second), wanted);
    assert_int_equal(first->running, 1);
    assert_int_equal(write(fds[1], "x", 1), 1);
    run_until_done(*state, first);
    assert_string_equal(bench_notes(first), "ok 1 ");
    start(second, wait_for, &asked);
    run_until_done(*state, second);
    assert_string_equal(bench_notes(second), "ok 1 ");
    bench_destroy(first);
    bench_destroy(second);
    close_pair(fds);
}

static void without_loop(void **state) {
    struct asked asked = {0, KONG_READABLE, FOREVER_MS, 1};
    int fds[2];
    make_pair(fds);
    (void)state;
    asked.fd = fds[0];
    struct bench *bench = bench_create(PROTOCOL_PROTOBUF, NULL);
    start(bench, wait_for, &asked);
    assert_string_equal(bench_notes(bench), "IO 0 ");
    bench_destroy(bench);
    close_pair(fds);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_LOOP(readable_when_something_comes),
        WITH_LOOP(what_is_ready_is_told),
        WITH_LOOP(a_hang_up_is_ready),
        WITH_LOOP(an_error_is_ready),
        WITH_LOOP(no_error_when_the_time_is_up),
        WITH_LOOP(ready_while_the_loop_was_busy),
        WITH_LOOP(no_time_is_a_look),
        WITH_LOOP(cut_short),
        WITH_LOOP(not_after_the_end),
        WITH_LOOP(what_cannot_be_waited_for),
        WITH_LOOP(a_device_that_is_never_waited_for),
        WITH_LOOP(one_descriptor_for_two_handlers),
        cmocka_unit_test(without_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
