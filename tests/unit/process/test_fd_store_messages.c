/* What a child says to its supervisor of connections and of the socket: too much, too late,
 * damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "checkers.h"
#include "fd_store_bench.h"
#include "path_watch.h"

#define MANY 5000

/* More than the channel takes: nothing waits (alarm), and what could not be said is done here. */
static void keep_many(struct bench *bench) {
    char byte;
    for (int i = 0; i < MANY; i++) {
        int fd = dup(bench->server);
        fd_store_keep(bench->store, fd);
        close(fd);
    }
    (void)!recv(bench->server, &byte, 1, MSG_PEEK);
    fd_store_close(bench->store, bench->server, false);
}

/* A living child that goes on and on: what it says is taken in turns. */
static void takes_turns(void **state) {
    struct bench bench;
    (void)state;
    start(&bench, keep_many);
    assert_int_equal(send(bench.peer, "x", 1, MSG_NOSIGNAL), 1);
    await_child(&bench);
    fd_store_wait(bench.store, -1, PATIENCE_MS);
    assert_in_range(count_of(bench.store), 1, 64);
    fd_store_wait(bench.store, -1, PATIENCE_MS);
    assert_in_range(count_of(bench.store), 65, 128);
    kill_child(&bench);
    fd_store_on_death(bench.store, false);
    supervise_until(&bench, 0);
    end(&bench);
}

static void supervisor_that_does_not_listen(void **state) {
    struct bench bench;
    char byte;
    (void)state;
    start(&bench, keep_many);
    assert_int_equal(send(bench.peer, "x", 1, MSG_NOSIGNAL), 1);
    await_child(&bench);
    assert_int_equal(recv(bench.peer, &byte, 1, 0), 0);
    fd_store_wait(bench.store, -1, PATIENCE_MS);
    kill_child(&bench);
    fd_store_on_death(bench.store, false);
    supervise_until(&bench, 0);
    end(&bench);
}

/* A supervisor without descriptors keeps what it can. */
static void supervisor_without_descriptors(void **state) {
    struct bench bench;
    struct rlimit limit;
    (void)state;
    if (under_valgrind()) { /* its limit of descriptors does not bind what comes over a socket */
        skip();
    }
    start(&bench, keep_many);
    assert_int_equal(send(bench.peer, "x", 1, MSG_NOSIGNAL), 1);
    await_child(&bench);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit small = {.rlim_cur = count_descriptors() + 8, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
    fd_store_wait(bench.store, -1, PATIENCE_MS);
    assert_in_range(count_of(bench.store), 0, 10);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    kill_child(&bench);
    fd_store_on_death(bench.store, false);
    supervise_until(&bench, 0);
    end(&bench);
}

static void outlive_the_supervisor(struct bench *bench) {
    char byte;
    /* The supervisor closes its ends when the peer has said something. */
    (void)!recv(bench->server, &byte, 1, MSG_PEEK);
    fd_store_keep(bench->store, bench->server);
    fd_store_close(bench->store, bench->server, true);
}

static void supervisor_is_gone(void **state) {
    struct bench bench;
    char byte;
    (void)state;
    start(&bench, outlive_the_supervisor);
    fd_store_destroy(bench.store);
    bench.store = NULL;
    assert_int_equal(send(bench.peer, "x", 1, MSG_NOSIGNAL), 1);
    await_child(&bench); /* no SIGPIPE */
    ssize_t count = recv(bench.peer, &byte, 1, 0);
    assert_true(count == 0 || (count < 0 && errno == ECONNRESET));
    kill_child(&bench);
    end(&bench);
}

/* As fd_store_keep, with a number that no descriptor has. */
static void keep_a_wrong_number(struct bench *bench) {
    struct fd_message message = {.kind = FD_MESSAGE_KEEP, .number = INT32_MIN};
    struct iovec bytes = {.iov_base = &message, .iov_len = sizeof message};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr head = {.msg_iov = &bytes,
                          .msg_iovlen = 1,
                          .msg_control = control.space,
                          .msg_controllen = sizeof control.space};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&head);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof bench->server);
    memcpy(CMSG_DATA(rights), &bench->server, sizeof bench->server);
    if (sendmsg(bench->store->to_supervisor, &head, 0) != (ssize_t)sizeof message) {
        _exit(1);
    }
}

/* A child whose memory is damaged does not bring its supervisor down: the connection ends. */
static void damaged_message(void **state) {
    struct bench bench;
    char byte;
    (void)state;
    start(&bench, keep_a_wrong_number);
    await_child(&bench);
    supervise_until(&bench, 1);
    kill_child(&bench);
    fd_store_on_death(bench.store, true);
    assert_int_equal(read(bench.peer, &byte, 1), 0);
    close(bench.peer);
    bench.peer = -1;
    supervise_until(&bench, 0);
    end(&bench);
}

/* A message of so many bytes, with so many descriptors. */
static void send_raw(const struct bench *bench, size_t size, size_t count) {
    struct fd_message message = {.kind = FD_MESSAGE_KEEP, .number = 5};
    struct iovec bytes = {.iov_base = &message, .iov_len = size};
    int fds[2] = {bench->server, bench->server};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof fds)];
    } control = {0};
    struct msghdr head = {.msg_iov = &bytes,
                          .msg_iovlen = 1,
                          .msg_control = control.space,
                          .msg_controllen = CMSG_SPACE(count * sizeof fds[0])};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&head);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(count * sizeof fds[0]);
    memcpy(CMSG_DATA(rights), fds, count * sizeof fds[0]);
    if (sendmsg(bench->store->to_supervisor, &head, 0) != (ssize_t)size) {
        _exit(1);
    }
}

static void say_too_little(struct bench *bench) {
    send_raw(bench, 1, 1);
    fd_store_keep(bench->store, bench->server);
}

static void give_too_many(struct bench *bench) {
    send_raw(bench, sizeof(struct fd_message), 2);
}

/* A message that is cut, or has more than one descriptor, leaves none behind (`end` counts them),
 * and hides none that comes behind it. */
static void damaged_descriptors(void **state) {
    child_fn *const damages[] = {say_too_little, give_too_many};
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        struct bench bench;
        start(&bench, damages[i]);
        await_child(&bench);
        kill_child(&bench);
        fd_store_on_death(bench.store, false);
        assert_int_equal(count_of(bench.store), 1);
        supervise_until(&bench, 0);
        end(&bench);
    }
}

/* Messages that say nothing, as many as there is room for. */
static void fill_the_stream(struct bench *bench) {
    static const struct fd_message nothing = {.kind = FD_MESSAGE_NONE};
    while (send(bench->store->to_supervisor, &nothing, sizeof nothing, MSG_DONTWAIT) > 0) {
    }
}

static void hand_back_a_socket_late(struct bench *bench) {
    struct socket_file made = {.fd = bench->server, .device = 12, .inode = 34};
    struct path_watch watch = {.socket = &made, .store = bench->store, .untold = true};
    fill_the_stream(bench);
    path_watch_tick(&watch, 0);
    bool untold = watch.untold;
    (void)!write(bench->say, "", 1); /* from now on it may be read */
    while (fd_store_is_behind(bench->store)) {
        usleep(1000);
    }
    path_watch_tick(&watch, 0);
    if (!untold || watch.untold) {
        _exit(1);
    }
}

/* A supervisor that was too slow to be told of it gets it later. */
static void the_socket_comes_late(void **state) {
    struct bench bench;
    (void)state;
    start(&bench, hand_back_a_socket_late);
    await_child(&bench);
    for (int i = 0; bench.socket.fd < 0; i++) {
        assert_true(i < PATIENCE_MS / 10);
        fd_store_wait(bench.store, -1, 10);
    }
    await_child(&bench);
    kill_child(&bench);
    assert_int_equal(bench.socket.inode, 34);
    end(&bench);
}

static void hand_back_a_socket(struct bench *bench) {
    struct socket_file made = {.fd = bench->server, .device = 12, .inode = 34};
    fd_store_keep_socket(bench->store, &made);
}

/* Its old descriptor is closed; the new one is the one that the child has. */
static void socket_is_handed_back(void **state) {
    struct bench bench;
    char byte;
    (void)state;
    start(&bench, hand_back_a_socket);
    bench.socket.fd = dup(STDERR_FILENO);
    await_child(&bench);
    kill_child(&bench);
    fd_store_on_death(bench.store, false);
    assert_int_equal(bench.socket.device, 12);
    assert_int_equal(bench.socket.inode, 34);
    assert_int_equal(send(bench.socket.fd, "s", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(recv(bench.peer, &byte, 1, 0), 1);
    end(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_turns),
        cmocka_unit_test(supervisor_that_does_not_listen),
        cmocka_unit_test(supervisor_without_descriptors),
        cmocka_unit_test(supervisor_is_gone),
        cmocka_unit_test(socket_is_handed_back),
        cmocka_unit_test(the_socket_comes_late),
        cmocka_unit_test(damaged_message),
        cmocka_unit_test(damaged_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
