/* Two generations of the server on one path, under load, as at each reload of Kong: nothing is
 * lost, whichever ends first and however. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "kong_load.h"
#include "process_peer.h"

#define THREADS  8
#define SHARE    7000 /* events before, between and after */
#define DRAIN_MS 30000

static const char *const take_over[] = {"--take-over", NULL};

/* On a slow machine all connections must be idle once, at some moment. */
static const char *const patient[] = {"--drain-timeout", "30", NULL};
static const char *const patient_2_8[] = {"--drain-timeout", "30", "--kong-version", "2.8", NULL};

struct kong_kind {
    const char *name;
    enum protocol protocol;
    bool kong_2_8;
};

static struct kong_load *begin_load(const struct process *process, const struct kong_kind *kong) {
    struct kong_load_options options = {.path = process->path,
                                        .protocol = kong->protocol,
                                        .kong_2_8 = kong->kong_2_8,
                                        .threads = THREADS,
                                        .mode = "wait",
                                        .instances = 500};
    return kong_load_start(&options);
}

static void more(struct kong_load *load, uint64_t events) {
    kong_load_wait(load, kong_load_counts(load).events + events);
}

/* The next generation, on the path of the first. */
static void start_next(struct process *next, const struct process *first) {
    struct process_setup setup = {.path = first->path, .options = take_over};
    process_start(next, &setup);
    assert_says(next, "from a server that still runs (a reload, or --take-over)");
}

static struct kong_load_counts end_load(struct kong_load *load, const char *what,
                                        const struct kong_kind *kong) {
    struct kong_load_counts counts = kong_load_stop(load);
    print_message("  %s, %s: %llu events, %llu lost, %llu hit, %llu tried again, %llu refused\n",
                  kong->name, what, (unsigned long long)counts.events,
                  (unsigned long long)counts.lost, (unsigned long long)counts.hit,
                  (unsigned long long)counts.retried, (unsigned long long)counts.refused);
    if (counts.lost > 0) {
        print_message("  the first one: %s\n", counts.first);
    }
    return counts;
}

static void old_ends_first(void **state) {
    const struct kong_kind *kong = *state;
    struct process_setup setup = {.options = kong->kong_2_8 ? patient_2_8 : patient};
    struct process old;
    struct process next;
    (void)state;
    process_start(&old, &setup);
    struct kong_load *load = begin_load(&old, kong);
    more(load, SHARE);
    start_next(&next, &old);
    more(load, SHARE);
    kill(old.pid, SIGTERM);
    assert_true(process_gone(old.pid, DRAIN_MS + PATIENCE_MS));
    more(load, SHARE);
    struct kong_load_counts counts = end_load(load, "the old one ends first", kong);
    /* They have changed over; who was about to start an instance just then had nothing to repeat.
     */
    assert_true(counts.retried >= 1);
    assert_int_equal(process_count(&old, "given up after the drain"), 0);
    assert_true(counts.events >= 20000);
    assert_int_equal(counts.lost, 0);
    assert_int_equal(counts.refused, 0);
    assert_int_equal(access(old.path, F_OK), 0); /* the new one's */
    assert_orderly(process_end(&next, SIGTERM));
    process_end(&old, 0);
}

/* The new one is ended while the old one still serves its connections, as when an operator finds
 * out about a mistake. Nobody has the path then: what is connected goes on. */
static void new_ends_first(void **state) {
    const struct kong_kind *kong = *state;
    struct process_setup setup = {.options = kong->kong_2_8 ? patient_2_8 : patient};
    struct process old;
    struct process next;
    struct process last;
    (void)state;
    process_start(&old, &setup);
    struct kong_load *load = begin_load(&old, kong);
    more(load, SHARE);
    start_next(&next, &old);
    more(load, SHARE);
    /* All connections are the old one's: nothing has made Kong open another. */
    assert_orderly(process_end(&next, SIGTERM));
    more(load, SHARE);
    struct process_setup again = {.path = old.path, .options = take_over};
    process_start(&last, &again);
    kill(old.pid, SIGTERM);
    assert_true(process_gone(old.pid, DRAIN_MS + PATIENCE_MS));
    more(load, 1000);
    struct kong_load_counts counts = end_load(load, "the new one ends first", kong);
    assert_true(counts.events >= 20000);
    assert_int_equal(counts.lost, 0);
    assert_int_equal(counts.refused, 0);
    assert_orderly(process_end(&last, SIGTERM));
    process_end(&old, 0);
}

/* kill -9 of the old one: at most what is under way is hit. Nobody is left to end its connections
 * in order, as a supervisor would, so a peer whose bytes it had not read may be reset. */
static void old_is_killed(void **state) {
    const struct kong_kind *kong = *state;
    struct process_setup setup = {.options = kong->kong_2_8 ? patient_2_8 : patient};
    struct process old;
    struct process next;
    process_start(&old, &setup);
    struct kong_load *load = begin_load(&old, kong);
    more(load, SHARE);
    start_next(&next, &old);
    more(load, SHARE);
    kill(old.pid, SIGKILL);
    more(load, SHARE);
    struct kong_load_counts counts = end_load(load, "the old one is killed", kong);
    assert_true(counts.events >= 20000);
    assert_int_equal(counts.refused, 0);
    assert_true(counts.hit <= THREADS);
    assert_true(counts.lost <= (kong->protocol == PROTOCOL_PROTOBUF ? counts.reset : THREADS));
    assert_orderly(process_end(&next, SIGTERM));
    process_end(&old, 0);
}

/* The file that a killed server left is in nobody's way; nobody is said to run. */
static void stale_socket(void **state) {
    struct process_setup setup = {.options = patient};
    struct process old;
    struct process next;
    struct kong_peer peer;
    char path[96];
    (void)state;
    process_start(&old, &setup);
    kill(old.pid, SIGKILL);
    assert_true(process_gone(old.pid, PATIENCE_MS));
    assert_int_equal(access(old.path, F_OK), 0);
    assert_int_equal(raw_connect(&old), -1);
    snprintf(path, sizeof path, "%s", old.path);
    struct process_setup again = {.path = path};
    process_start(&next, &again);
    assert_int_equal(process_count(&next, "still runs"), 0);
    kong_peer_open(&peer, &next, PROTOCOL_PROTOBUF);
    kong_peer_serves(&peer);
    kong_peer_close(&peer);
    assert_orderly(process_end(&next, SIGTERM));
    assert_int_equal(access(path, F_OK), -1);
    process_end(&old, 0);
}

#define BOTH(test)                                                                                 \
    cmocka_unit_test_prestate(test, &protobuf), cmocka_unit_test_prestate(test, &msgpack)

int main(int argc, char **argv) {
    static struct kong_kind protobuf = {"ProtoBuf:1", PROTOCOL_PROTOBUF, false};
    static struct kong_kind msgpack = {"MsgPack:1", PROTOCOL_MSGPACK, false};
    static struct kong_kind old_protobuf = {"ProtoBuf:1, Kong 2.8", PROTOCOL_PROTOBUF, true};
    int status;
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        BOTH(old_ends_first), cmocka_unit_test_prestate(old_ends_first, &old_protobuf),
        BOTH(new_ends_first), cmocka_unit_test_prestate(new_ends_first, &old_protobuf),
        BOTH(old_is_killed),  cmocka_unit_test(stale_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
