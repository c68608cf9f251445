/* What peers notice of the death of a supervised process: their connections, and the socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kong_load.h"
#include "process_peer.h"

static const char *const supervised[] = {"--supervise", "yes", NULL};

static void kill_child(const struct process *process, int number) {
    pid_t child = process_child(process->pid, PATIENCE_MS);
    assert_true(child > 0); /* 0 is the tests themselves */
    kill(child, number);
}

static void begin(struct process *process, struct kong_peer *peer) {
    struct process_setup setup = {.options = supervised};
    process_start(process, &setup);
    kong_peer_open(peer, process, PROTOCOL_PROTOBUF);
    kong_peer_serves(peer);
}

static void end(struct process *process, struct kong_peer *peer) {
    kong_peer_close(peer);
    assert_orderly(process_end(process, SIGTERM));
}

/* A peer whose bytes nobody has read when the child dies reads an orderly end, and what it writes
 * then is still taken. */
static void unread_bytes(void **state) {
    struct process process;
    struct kong_peer peer;
    struct kong_peer later;
    char byte;
    (void)state;
    begin(&process, &peer);
    int fd = raw_connect(&process);
    assert_true(fd >= 0);
    kong_peer_open(&later, &process, PROTOCOL_PROTOBUF);
    kong_peer_serves(&later); /* so `fd`, which came before, is accepted */
    kill_child(&process, SIGSTOP);
    assert_int_equal(send(fd, "\0\0\0\1", 4, MSG_NOSIGNAL), 4);
    kill_child(&process, SIGKILL);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    assert_int_equal(send(fd, "\0", 1, MSG_NOSIGNAL), 1);
    close(fd);
    assert_says(&process, "was killed by signal 9");
    kong_peer_serves(&peer);
    kong_peer_close(&later);
    end(&process, &peer);
}

/* A connection that the child closes is closed at once, and one that its peer closed is not kept:
 * the supervisor has no more descriptors than before (but that of `peer`, kept meanwhile). */
static void nothing_is_kept_for_ever(void **state) {
    struct process process;
    struct kong_peer peer;
    (void)state;
    begin(&process, &peer);
    size_t before = process_descriptors(process.pid);
    for (int i = 0; i < 50; i++) {
        int fd = raw_connect(&process);
        assert_true(fd >= 0);
        if (i % 2 == 0) {
            assert_int_equal(send(fd, "\xff\xff\xff\xff\xff", 5, MSG_NOSIGNAL), 5);
            assert_true(raw_closed(fd, PATIENCE_MS));
        }
        close(fd);
    }
    kong_peer_serves(&peer);
    for (int i = 0; process_descriptors(process.pid) > before + 1; i++) {
        assert_true(i < PATIENCE_MS / 10);
        pause_ms(10);
    }
    end(&process, &peer);
}

/* The path was taken away, and the child made the socket again: who connects when that child is
 * dead waits for the next one. */
static void socket_made_again(void **state) {
    struct process process;
    struct kong_peer peer;
    (void)state;
    begin(&process, &peer);
    assert_int_equal(unlink(process.path), 0);
    assert_says(&process, "made again");
    for (int i = 0; i < 2; i++) {
        pid_t child = process_child(process.pid, PATIENCE_MS);
        assert_true(child > 0);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_true(process_gone(child, PATIENCE_MS));
        int fd = raw_connect(&process);
        assert_true(fd >= 0);
        close(fd);
        kong_peer_serves(&peer);
    }
    assert_int_equal(process_count(&process, "made again"), 1);
    end(&process, &peer);
    assert_int_not_equal(access(process.path, F_OK), 0);
}

#define KILLS   4
#define THREADS 8

/* kill -9 of the child at 1,000 events/s: at most what is under way is hit; nobody is refused.
 * ProtoBuf: Kong tries again, so nothing is lost at all. */
static void killed_under_load(void **state) {
    enum protocol protocol = *(enum protocol *)*state;
    struct process_setup setup = {.options = supervised};
    struct process process;
    process_start(&process, &setup);
    struct kong_load_options options = {.path = process.path,
                                        .protocol = protocol,
                                        .threads = THREADS,
                                        .rate = 1000,
                                        .mode = "wait"};
    double before = seconds_now();
    struct kong_load *load = kong_load_start(&options);
    for (int i = 0; i < KILLS; i++) {
        kong_load_wait(load, kong_load_counts(load).events + 300);
        kill_child(&process, SIGKILL);
    }
    kong_load_wait(load, kong_load_counts(load).events + 500);
    struct kong_load_counts counts = kong_load_stop(load);
    print_message("  %s: %llu events at %.0f/s, child killed %d times: %llu connections hit under "
                  "an event, %llu tried again, %llu lost (%llu by a reset), %llu refused\n",
                  protocol == PROTOCOL_PROTOBUF ? "ProtoBuf:1" : "MsgPack:1",
                  (unsigned long long)counts.events,
                  (double)counts.events / (seconds_now() - before), KILLS,
                  (unsigned long long)counts.hit, (unsigned long long)counts.retried,
                  (unsigned long long)counts.lost, (unsigned long long)counts.reset,
                  (unsigned long long)counts.refused);
    assert_int_equal(process_count(&process, "was killed by signal 9"), KILLS);
    assert_int_equal(counts.refused, 0);
    assert_int_equal(counts.reset, 0);
    assert_true(counts.hit <= KILLS * THREADS);
    if (protocol == PROTOCOL_PROTOBUF) {
        assert_int_equal(counts.lost, 0);
    } else {
        print_message("  the first that was lost: %s\n", counts.first);
        assert_true(counts.lost <= KILLS * THREADS);
    }
    assert_orderly(process_end(&process, SIGTERM));
}

int main(int argc, char **argv) {
    static enum protocol protobuf = PROTOCOL_PROTOBUF;
    static enum protocol msgpack = PROTOCOL_MSGPACK;
    int status;
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unread_bytes),
        cmocka_unit_test(nothing_is_kept_for_ever),
        cmocka_unit_test(socket_made_again),
        cmocka_unit_test_prestate(killed_under_load, &protobuf),
        cmocka_unit_test_prestate(killed_under_load, &msgpack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
