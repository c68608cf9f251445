/* The supervisor's duplicates of connections. A forked process is the child, this one the
 * supervisor and the peer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "fd_store_bench.h"

/* Bytes that the dead process had not read: an orderly end, behind which the peer can still write;
 * it is over when the peer closes. */
static void death_is_an_orderly_end(void **state) {
    struct bench bench;
    char byte;
    (void)state;
    start(&bench, keep_one);
    await_child(&bench);
    assert_int_equal(send(bench.peer, "unread", 6, MSG_NOSIGNAL), 6);
    kill_child(&bench);
    fd_store_on_death(bench.store, false);
    assert_int_equal(count_of(bench.store), 1);
    assert_int_equal(recv(bench.peer, &byte, 1, 0), 0);
    assert_int_equal(send(bench.peer, "late", 4, MSG_NOSIGNAL), 4);
    fd_store_wait(bench.store, -1, 0);
    assert_int_equal(count_of(bench.store), 1);
    close(bench.peer);
    bench.peer = -1;
    supervise_until(&bench, 0);
    end(&bench);
}

static void keep_nothing(struct bench *bench) {
    (void)bench;
}

/* What the store is for: without it the kernel tells the peer otherwise. */
static void death_without_a_duplicate(void **state) {
    struct bench bench;
    char byte;
    (void)state;
    start(&bench, keep_nothing);
    await_child(&bench);
    assert_int_equal(send(bench.peer, "unread", 6, MSG_NOSIGNAL), 6);
    kill_child(&bench);
    fd_store_on_death(bench.store, false);
    assert_int_equal(recv(bench.peer, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    end(&bench);
}

/* One that does not close is given up. */
static void peer_that_stays(void **state) {
    struct bench bench;
    (void)state;
    start(&bench, keep_one);
    await_child(&bench);
    kill_child(&bench);
    fd_store_on_death(bench.store, false);
    assert_int_equal(count_of(bench.store), 1);
    supervise_until(&bench, 0);
    assert_int_equal(send(bench.peer, "late", 4, MSG_NOSIGNAL), -1);
    end(&bench);
}

static void be_busy(struct bench *bench) {
    fd_store_keep(bench->store, bench->server);
    fd_store_in_flight(bench->store, bench->server)->what = IN_FLIGHT_OTHER;
}

/* Nobody else knows what it was about. */
static void busy_ones_end(void **state) {
    struct bench bench;
    char byte;
    (void)state;
    start(&bench, be_busy);
    await_child(&bench);
    assert_int_equal(send(bench.peer, "unread", 6, MSG_NOSIGNAL), 6);
    kill_child(&bench);
    fd_store_on_death(bench.store, true);
    assert_int_equal(recv(bench.peer, &byte, 1, 0), 0);
    supervise_until(&bench, 0);
    end(&bench);
}

static void owe_results(struct bench *bench) {
    fd_store_keep(bench->store, bench->server);
    fd_store_in_flight(bench->store, bench->server)->what = 3;
}

/* Takes over what the first left: answers the byte that is there with the state. */
static void run_next(struct bench *bench) {
    char byte;
    fd_store_enter_child(bench->store);
    int fd = fd_store_take(bench->store);
    uint8_t found = fd < 0 ? 0 : fd_store_in_flight(bench->store, fd)->what;
    if (fd < 0 || fd_store_take(bench->store) >= 0 || recv(fd, &byte, 1, 0) != 1) {
        _exit(1);
    }
    (void)!send(fd, &found, 1, MSG_NOSIGNAL);
    fd_store_in_flight(bench->store, fd)->what = IN_FLIGHT_OTHER;
    _exit(0);
}

/* In the child: event 7 is at work, or a part of it is there. */
static void be_at_work(struct bench *bench) {
    fd_store_keep(bench->store, bench->server);
    in_flight_set_request(fd_store_in_flight(bench->store, bench->server), 7,
                          IN_FLIGHT_MSGPACK_EVENT);
}

static void have_read_half(struct bench *bench) {
    fd_store_keep(bench->store, bench->server);
    in_flight_set_request(fd_store_in_flight(bench->store, bench->server), 7,
                          IN_FLIGHT_MSGPACK_EVENT | IN_FLIGHT_HALF);
}

static void assert_reads(int fd, const char *text) {
    char bytes[64] = "";
    assert_int_equal(recv(fd, bytes, sizeof bytes - 1, 0), strlen(text));
    assert_string_equal(bytes, text);
}

/* The dead child's request is answered, and its connection goes on with nothing under way. */
static void request_at_work_is_answered(void **state) {
    struct bench bench;
    (void)state;
    start(&bench, be_at_work);
    await_child(&bench);
    kill_child(&bench);
    fd_store_on_death(bench.store, true);
    assert_reads(bench.peer, "(e0 7 1)");
    assert_int_equal(count_of(bench.store), 1);
    fd_store_before_child(bench.store);
    int fd = fd_store_take(bench.store);
    assert_true(fd >= 0);
    assert_int_equal(fd_store_in_flight(bench.store, fd)->what, 0);
    close(fd);
    end(&bench);
}

/* Nobody is there to go on with it: it is answered, and ends. */
static void last_request_is_answered(void **state) {
    struct bench bench;
    char byte;
    (void)state;
    start(&bench, be_at_work);
    await_child(&bench);
    kill_child(&bench);
    fd_store_on_death(bench.store, false);
    assert_reads(bench.peer, "(e0 7 0)");
    assert_int_equal(recv(bench.peer, &byte, 1, 0), 0);
    supervise_until(&bench, 0);
    end(&bench);
}

/* The rest of a message is nobody's: it is thrown away behind the answer. */
static void half_request_is_answered(void **state) {
    struct bench bench;
    char byte;
    (void)state;
    start(&bench, have_read_half);
    await_child(&bench);
    assert_int_equal(send(bench.peer, "rest", 4, MSG_NOSIGNAL), 4);
    kill_child(&bench);
    fd_store_on_death(bench.store, true);
    assert_reads(bench.peer, "(f0 7 1)");
    assert_int_equal(recv(bench.peer, &byte, 1, 0), 0);
    assert_int_equal(send(bench.peer, "more", 4, MSG_NOSIGNAL), 4);
    assert_int_equal(fd_store_take(bench.store), -1);
    supervise_until(&bench, 0);
    end(&bench);
}

static void answer_and_die(struct bench *bench) {
    be_at_work(bench);
    (void)!send(bench->server, "answer", 6, MSG_NOSIGNAL);
}

/* The child died between its answer and the note of it: there is no second one, whether the peer
 * has read the first or not; and what it asked next is for the next child. */
static void answer_that_was_not_noted(void **state) {
    struct bench bench;
    (void)state;
    for (int reads_first = 0; reads_first < 2; reads_first++) {
        start(&bench, answer_and_die);
        await_child(&bench);
        if (reads_first) {
            assert_reads(bench.peer, "answer");
            assert_int_equal(send(bench.peer, "next", 4, MSG_NOSIGNAL), 4);
        }
        kill_child(&bench);
        fd_store_on_death(bench.store, true);
        if (!reads_first) {
            assert_reads(bench.peer, "answer");
        }
        char byte;
        assert_int_equal(recv(bench.peer, &byte, 1, MSG_DONTWAIT), -1);
        int fd = fd_store_take(bench.store);
        assert_true(fd >= 0);
        if (reads_first) {
            assert_reads(fd, "next");
        }
        close(fd);
        end(&bench);
    }
}

static void read_something(struct bench *bench, const char *bytes) {
    char *buffer = fd_store_read_buffer(bench->store, 3);
    fd_store_keep(bench->store, bench->server);
    memset(buffer, IN_FLIGHT_UNREAD, IN_FLIGHT_HEAD);
    in_flight_set_reading(fd_store_in_flight(bench->store, bench->server), 3, 2);
    memcpy(buffer, bytes, strlen(bytes));
}

static void be_about_to_read(struct bench *bench) {
    read_something(bench, "");
}

static void have_just_read(struct bench *bench) {
    read_something(bench, "request");
}

/* The child died before it could note what it had read: that is in its buffer. Where nothing is
 * there, the request goes on to the next child, with the results that are due before it. */
static void unnoted_request_is_answered(void **state) {
    struct bench bench;
    char byte;
    (void)state;
    start(&bench, have_just_read);
    await_child(&bench);
    kill_child(&bench);
    fd_store_on_death(bench.store, true);
    assert_reads(bench.peer, "(request 1)");
    assert_int_equal(recv(bench.peer, &byte, 1, 0), 0);
    assert_int_equal(fd_store_take(bench.store), -1);
    supervise_until(&bench, 0);
    end(&bench);

    start(&bench, be_about_to_read);
    await_child(&bench);
    assert_int_equal(send(bench.peer, "unread", 6, MSG_NOSIGNAL), 6);
    kill_child(&bench);
    fd_store_on_death(bench.store, true);
    fd_store_before_child(bench.store);
    int fd = fd_store_take(bench.store);
    assert_true(fd >= 0);
    assert_int_equal(fd_store_in_flight(bench.store, fd)->what, 2); /* results, still due */
    assert_reads(fd, "unread");
    close(fd);
    end(&bench);
}

/* An id that does not fit is none. */
static void id_that_does_not_fit(void **state) {
    struct in_flight in_flight = {.what = 0};
    (void)state;
    in_flight_set_request(&in_flight, UINT32_MAX, IN_FLIGHT_MSGPACK_EVENT);
    assert_int_equal(in_flight.what, IN_FLIGHT_MSGPACK_EVENT);
    assert_true(in_flight.id == UINT32_MAX);
    in_flight_set_request(&in_flight, (int64_t)UINT32_MAX + 1, IN_FLIGHT_MSGPACK_EVENT);
    assert_int_equal(in_flight.what, IN_FLIGHT_OTHER);
    in_flight_set_request(&in_flight, -1, IN_FLIGHT_MSGPACK_EVENT);
    assert_int_equal(in_flight.what, IN_FLIGHT_OTHER);
}

/* Its bytes and what is known of it go to the next child, through one that dies before it can take
 * them; then the byte is the next child's. */
static void others_go_on(void **state) {
    struct bench bench;
    uint8_t answer = 0;
    int status;
    (void)state;
    start(&bench, owe_results);
    await_child(&bench);
    assert_int_equal(send(bench.peer, "r", 1, MSG_NOSIGNAL), 1);
    kill_child(&bench);
    fd_store_on_death(bench.store, true);
    assert_int_equal(count_of(bench.store), 1);
    for (int i = 0; i < 2; i++) {
        fd_store_before_child(bench.store);
        pid_t next = fork();
        assert_true(next >= 0);
        if (next == 0 && i == 1) {
            run_next(&bench);
        } else if (next == 0) {
            _exit(0);
        }
        assert_int_equal(waitpid(next, &status, 0), next);
        assert_int_equal(status, 0);
        fd_store_on_death(bench.store, true);
    }
    assert_int_equal(recv(bench.peer, &answer, 1, 0), 1);
    assert_int_equal(answer, 3);
    assert_int_equal(recv(bench.peer, &answer, 1, 0), 0); /* it was busy when it died */
    supervise_until(&bench, 0);
    end(&bench);
}

static void keep_and_close(struct bench *bench) {
    fd_store_keep(bench->store, bench->server);
    fd_store_close(bench->store, bench->server, true);
}

/* The peer reads the end although the supervisor, which still has its duplicate, does nothing. Then
 * the duplicate goes too. */
static void close_is_seen_at_once(void **state) {
    struct bench bench;
    char byte;
    (void)state;
    start(&bench, keep_and_close);
    assert_int_equal(recv(bench.peer, &byte, 1, 0), 0);
    assert_int_equal(send(bench.peer, "x", 1, MSG_NOSIGNAL), -1);
    await_child(&bench);
    fd_store_wait(bench.store, -1, PATIENCE_MS);
    supervise_until(&bench, 0);
    kill_child(&bench);
    end(&bench);
}

static void keep_and_reset(struct bench *bench) {
    char byte;
    (void)!recv(bench->server, &byte, 1, MSG_PEEK);
    fd_store_keep(bench->store, bench->server);
    fd_store_close(bench->store, bench->server, false);
}

/* A peer that broke the protocol reads what close() means. */
static void close_that_is_not_orderly(void **state) {
    struct bench bench;
    char byte;
    (void)state;
    start(&bench, keep_and_reset);
    assert_int_equal(send(bench.peer, "unread", 6, MSG_NOSIGNAL), 6);
    await_child(&bench);
    fd_store_wait(bench.store, -1, PATIENCE_MS);
    assert_int_equal(count_of(bench.store), 0);
    assert_int_equal(recv(bench.peer, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    kill_child(&bench);
    end(&bench);
}

/* Without memory for a store all that is left is close(), and waiting. */
static void no_store(void **state) {
    int ends[2];
    char byte;
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fd_store_enter_child(NULL);
    fd_store_keep(NULL, ends[0]);
    fd_store_close(NULL, ends[0], true);
    assert_int_equal(recv(ends[1], &byte, 1, 0), 0);
    fd_store_wait(NULL, ends[1], PATIENCE_MS); /* readable: returns */
    assert_null(fd_store_in_flight(NULL, 3));
    assert_int_equal(fd_store_take(NULL), -1);
    fd_store_before_child(NULL);
    fd_store_on_death(NULL, true);
    fd_store_destroy(NULL);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(death_is_an_orderly_end),
        cmocka_unit_test(death_without_a_duplicate),
        cmocka_unit_test(peer_that_stays),
        cmocka_unit_test(busy_ones_end),
        cmocka_unit_test(request_at_work_is_answered),
        cmocka_unit_test(last_request_is_answered),
        cmocka_unit_test(half_request_is_answered),
        cmocka_unit_test(answer_that_was_not_noted),
        cmocka_unit_test(unnoted_request_is_answered),
        cmocka_unit_test(id_that_does_not_fit),
        cmocka_unit_test(others_go_on),
        cmocka_unit_test(close_is_seen_at_once),
        cmocka_unit_test(close_that_is_not_orderly),
        cmocka_unit_test(no_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
