/* The server process dies in the moment between a system call and the note of what it did
 * (in_flight.h): a request that is about to be read, or was just read, an answer of which a part is
 * written. This program's server does so where DIE in its environment names a directory with a file
 * "before", "recv" or "send", which it removes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process_peer.h"
#include "socket_io.h"

#define LARGE 200000 /* bytes of a configuration's text, and of an answer */

static char directory[SCRATCH_PATH];

/* NULL: this process is no server. */
static const char *file_of(const char *call) {
    static _Thread_local char path[SCRATCH_PATH + 8];
    const char *in = getenv("DIE");
    snprintf(path, sizeof path, "%s/%s", in != NULL ? in : "", call);
    return in != NULL ? path : NULL;
}

static void die_if_wanted(const char *call) {
    const char *file = file_of(call);
    if (file != NULL && unlink(file) == 0) {
        raise(SIGKILL);
    }
}

/* In the place of those of the library. */
ssize_t socket_recv(int fd, void *to, size_t len, int flags) {
    die_if_wanted("before");
    ssize_t count = recv(fd, to, len, flags);
    if (count > 0 && (memmem(to, (size_t)count, "plugin.HandleEvent", 18) != NULL ||
                      memmem(to, (size_t)count, "access", 6) != NULL)) {
        die_if_wanted("recv");
    }
    return count;
}

ssize_t socket_send(int fd, const void *from, size_t len, int flags) {
    const char *file = len >= LARGE ? file_of("send") : NULL;
    bool half = file != NULL && access(file, F_OK) == 0;
    ssize_t count = send(fd, from, half ? len / 4 : len, flags);
    if (half) {
        die_if_wanted("send");
    }
    return count;
}

static void prepare(void) {
    setenv("DIE", directory, 1);
    setenv("HURT_ON_ERROR", "closed", 1);
}

static void begin(struct process *process, struct kong_peer *peer, const char *threads) {
    const char *const options[] = {"--supervise", "yes", "--threads", threads, NULL};
    struct process_setup setup = {.options = options, .prepare = prepare};
    process_start(process, &setup);
    kong_peer_open(peer, process, PROTOCOL_MSGPACK);
    kong_peer_serves(peer);
}

static void end(struct process *process, struct kong_peer *peer) {
    assert_says(process, "was killed by signal 9");
    kong_peer_serves(peer);
    kong_peer_close(peer);
    assert_orderly(process_end(process, SIGTERM));
}

static void die_at_next(const char *call) {
    char path[SCRATCH_PATH + 8];
    snprintf(path, sizeof path, "%s/%s", directory, call);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

/* Nobody had looked at it: Kong is told to send it again. */
static void request_just_read(void **state) {
    static const char *const threads[] = {"1", "3"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct process process;
        struct kong_peer peer;
        struct sim_event event;
        begin(&process, &peer, threads[i]);
        int64_t id = kong_peer_start(&peer, "{\"mode\":\"ok\"}");
        die_at_next("recv");
        assert_int_equal(kong_peer_event(&peer, id, &event), SIM_EVENT_NO_INSTANCE);
        end(&process, &peer);
    }
}

/* What the buffer had before is not taken for it: the next process reads it, on the same
 * connection. */
static void request_not_read(void **state) {
    struct process process;
    struct kong_peer peer;
    struct sim_event event;
    (void)state;
    begin(&process, &peer, "1");
    int64_t id = kong_peer_start(&peer, "{\"mode\":\"ok\"}");
    assert_int_equal(kong_peer_event(&peer, id, &event), SIM_EVENT_OK);
    die_at_next("before");
    assert_int_equal(kong_peer_event(&peer, id, &event), SIM_EVENT_NO_INSTANCE);
    assert_string_equal(event.text, "no plugin instance");
    end(&process, &peer);
}

static void begin_2_8(struct process *process, struct kong_peer *peer) {
    static const char *const options[] = {"--supervise", "yes", "--kong-version", "2.8", NULL};
    struct process_setup setup = {.options = options, .prepare = prepare};
    process_start(process, &setup);
    kong_peer_open(peer, process, PROTOCOL_PROTOBUF);
    kong_peer_serves(peer);
}

/* Kong 2.8 sends a request again only when it is told so, on ProtoBuf:1 too. Where results of PDK
 * calls were due, they stand in front of it. */
static void request_behind_results(void **state) {
    (void)state;
    for (int joined = 0; joined < 2; joined++) {
        struct process process;
        struct kong_peer peer;
        struct sim_event event;
        begin_2_8(&process, &peer);
        sim_client_behaviour(peer.client)->late_answers = joined;
        sim_client_behaviour(peer.client)->joined_answers = joined;
        int64_t id = kong_peer_start(&peer, "{\"mode\":\"ok\"}");
        assert_int_equal(kong_peer_event(&peer, id, &event), SIM_EVENT_OK);
        assert_int_equal(event.held > 0, joined);
        die_at_next("recv");
        assert_int_equal(kong_peer_event(&peer, id, &event), SIM_EVENT_NO_INSTANCE);
        end(&process, &peer);
    }
}

/* ... and where nothing was read, they are still due to the next process. */
static void results_not_read(void **state) {
    struct process process;
    struct kong_peer peer;
    struct sim_event event;
    (void)state;
    begin_2_8(&process, &peer);
    sim_client_behaviour(peer.client)->late_answers = true;
    sim_client_behaviour(peer.client)->joined_answers = true;
    int64_t id = kong_peer_start(&peer, "{\"mode\":\"ok\"}");
    assert_int_equal(kong_peer_event(&peer, id, &event), SIM_EVENT_OK);
    assert_true(event.held > 0);
    die_at_next("before");
    assert_int_equal(kong_peer_event(&peer, id, &event), SIM_EVENT_NO_INSTANCE);
    assert_string_equal(event.text, "method \"no plugin instance\" not found");
    end(&process, &peer);
}

/* Nothing is said behind a part of an answer: Kong reads that it ends too early, and raises, which
 * is a 500. */
static void answer_partly_written(void **state) {
    struct process process;
    struct kong_peer peer;
    struct sim_event event;
    char *config = malloc(LARGE + 64);
    (void)state;
    assert_non_null(config);
    int head = snprintf(config, 64, "{\"mode\":\"text\",\"text\":\"");
    memset(config + head, 'x', LARGE);
    memcpy(config + head + LARGE, "\"}", 3);
    begin(&process, &peer, "1");
    int64_t id = kong_peer_start(&peer, config);
    die_at_next("send");
    assert_int_equal(kong_peer_event(&peer, id, &event), SIM_EVENT_RAISED);
    assert_string_equal(event.text, "missing bytes");
    end(&process, &peer);
    free(config);
}

static int setup(void **state) {
    (void)state;
    return scratch_make(directory) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    return scratch_remove(directory) ? 0 : -1;
}

int main(int argc, char **argv) {
    int status;
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_just_read),      cmocka_unit_test(request_not_read),
        cmocka_unit_test(request_behind_results), cmocka_unit_test(results_not_read),
        cmocka_unit_test(answer_partly_written),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
