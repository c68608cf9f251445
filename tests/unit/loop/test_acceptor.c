/* The listening socket on its loop: it moves to another socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "acceptor.h"

struct bench {
    uv_loop_t loop;
    struct acceptor acceptor;
    uv_poll_t other; /* watches the acceptor's descriptor, which one handle of a loop can */
    bool watches;
    size_t accepted;
};

/* A name in the abstract namespace that the kernel chooses. */
static int listen_somewhere(struct sockaddr_un *address, socklen_t *len) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof address->sun_family), 0);
    assert_int_equal(listen(fd, 8), 0);
    *len = sizeof *address;
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, len), 0);
    return fd;
}

static int connect_to(const struct sockaddr_un *address, socklen_t len) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)address, len), 0);
    return fd;
}

static void on_other(uv_poll_t *poll, int status, int events) {
    (void)poll;
    (void)status;
    (void)events;
}

/* While the acceptor moves: from now on it cannot watch its descriptor. */
static void accept_and_watch(struct acceptor *acceptor, int fd) {
    struct bench *bench = acceptor->owner;
    close(fd);
    bench->accepted++;
    if (!bench->watches) {
        bench->watches = true;
        uv_poll_stop(&acceptor->poll);
        assert_int_equal(uv_poll_init(&bench->loop, &bench->other, acceptor->fd), 0);
        assert_int_equal(uv_poll_start(&bench->other, UV_DISCONNECT, on_other), 0);
    }
}

/* The new descriptor is closed once, and listened to as soon as that can be. */
static void moves_before_it_can_watch(void **state) {
    struct sockaddr_un first, second;
    socklen_t first_len, second_len;
    struct bench bench = {.acceptor = {.accepted = accept_and_watch}};
    (void)state;
    alarm(60);
    bench.acceptor.owner = &bench;
    assert_int_equal(uv_loop_init(&bench.loop), 0);
    int from = listen_somewhere(&first, &first_len);
    int to = listen_somewhere(&second, &second_len);
    assert_int_equal(acceptor_open(&bench.acceptor, &bench.loop, from), 0);
    int one = connect_to(&first, first_len);
    assert_int_equal(acceptor_move(&bench.acceptor, to), 0);
    assert_int_equal(bench.accepted, 1);
    assert_int_equal(fcntl(to, F_GETFD), -1);
    assert_int_equal(errno, EBADF);
    uv_poll_stop(&bench.other);
    uv_close((uv_handle_t *)&bench.other, NULL);
    int two = connect_to(&second, second_len);
    while (bench.accepted < 2) {
        uv_run(&bench.loop, UV_RUN_ONCE);
    }
    acceptor_close(&bench.acceptor);
    uv_run(&bench.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bench.loop), 0);
    close(one);
    close(two);
    alarm(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_before_it_can_watch),
    };
    return cmocka_run_group_tests_name("test_acceptor", tests, NULL, NULL);
}
