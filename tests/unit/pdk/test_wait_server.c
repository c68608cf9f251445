/* A server that is told to end while its handlers sleep or have another thread at work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "msgpack_rpc.h"
#include "protobuf_rpc.h"
#include "sim_server.h"
#include "sim_wire.h"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

#define DRAIN_MS  100
#define ERRAND_MS 1500 /* much longer than what begins with seen.stopping takes */

static const enum protocol protocols[] = {PROTOCOL_PROTOBUF, PROTOCOL_MSGPACK};

/* Written by the server's threads. */
static struct {
    _Atomic unsigned started, errands, ended;
    _Atomic int result;
    _Atomic bool stopping;
} seen;

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void pause_ms(long ms) {
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static int sleeping(struct kong *kong, const void *config) {
    (void)config;
    seen.started++;
    seen.result = kong_sleep(kong, 3600000);
    seen.ended++;
    return seen.result;
}

static void errand(void *arg) {
    unsigned *done = arg;
    seen.started++;
    while (!seen.stopping) {
        pause_ms(1);
    }
    pause_ms(ERRAND_MS);
    *done = 1;
    seen.errands++;
}

static int blocking(struct kong *kong, const void *config) {
    unsigned done = 0;
    (void)config;
    seen.result = kong_run_blocking(kong, errand, &done);
    seen.ended += done;
    return seen.result;
}

static const struct kong_plugin plugin = {
    .name = "waits",
    .version = "1.0",
    .handlers = {[KONG_PHASE_REWRITE] = sleeping, [KONG_PHASE_ACCESS] = blocking},
};

/* --- Kong's side --- */

static int connect_to(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_call(struct wire *wire, enum protocol protocol, struct rpc_call *call) {
    struct buffer out;
    buffer_init(&out, 65536);
    int rc = protocol == PROTOCOL_PROTOBUF ? protobuf_encode_call(&out, call)
                                           : msgpack_encode_call(&out, call);
    assert_int_equal(rc, 0);
    assert_int_equal(wire_write(wire, out.data, out.len), WIRE_OK);
    buffer_free(&out);
}

static int64_t start_instance(struct wire *wire, enum protocol protocol) {
    struct rpc_call call = {.command = RPC_START_INSTANCE,
                            .sequence = 1,
                            .name = kong_str("waits"),
                            .config = kong_str("{}")};
    struct rpc_reply reply;
    struct frame frame;
    struct arena arena;
    int64_t pid;
    arena_init(&arena, 65536);
    send_call(wire, protocol, &call);
    assert_int_equal(wire_read(wire, &frame), WIRE_OK);
    if (protocol == PROTOCOL_PROTOBUF) {
        assert_int_equal(protobuf_decode_reply(&arena, frame.data, frame.len, &reply), 0);
    } else {
        assert_true(msgpack_decode_server_pid(frame.data, frame.len, &pid));
        assert_int_equal(wire_read(wire, &frame), WIRE_OK);
        assert_int_equal(
            msgpack_decode_reply(&arena, frame.data, frame.len, RPC_START_INSTANCE, &reply), 0);
    }
    assert_int_equal(reply.kind, RPC_REPLY_INSTANCE);
    arena_free(&arena);
    return reply.instance.id;
}

/* A server with one event at work in that phase, ended meanwhile; gives how long that took. */
static uint64_t end_during(enum protocol protocol, const char *phase) {
    const struct sim_server_options options = {.plugin = &plugin, .drain_ms = DRAIN_MS};
    char error[200];
    struct wire wire;
    seen.started = seen.errands = seen.ended = 0;
    seen.result = 1;
    seen.stopping = false;
    struct sim_server *server = sim_server_start(&options, error, sizeof error);
    assert_non_null(server);
    wire_init(&wire, connect_to(sim_server_path(server)), protocol, 60000);
    struct rpc_call call = {.command = RPC_HANDLE_EVENT,
                            .sequence = 2,
                            .instance_id = start_instance(&wire, protocol),
                            .event = kong_str(phase)};
    send_call(&wire, protocol, &call);
    for (int i = 0; i < 60000 && seen.started == 0; i++) {
        pause_ms(1);
    }
    assert_int_equal(seen.started, 1);
    uint64_t before = now_ms();
    seen.stopping = true;
    sim_server_stop(server); /* asserts that the loop and the events have nothing left */
    uint64_t took = now_ms() - before;
    wire_close(&wire);
    assert_int_equal(seen.ended, 1);
    return took;
}

/* On MsgPack:1 Kong is told, as of an event over its time (rpc_give_up). */
static int given_up(enum protocol protocol) {
    return protocol == PROTOCOL_MSGPACK ? KONG_E_TIMEOUT : KONG_E_GONE;
}

static void test_end_while_sleeping(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        uint64_t took = end_during(protocols[i], "rewrite");
        assert_int_equal(seen.result, given_up(protocols[i]));
        assert_true(took >= DRAIN_MS && took < 60000);
    }
}

static void test_end_while_blocked(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        uint64_t took = end_during(protocols[i], "access");
        assert_int_equal(seen.result, given_up(protocols[i]));
        assert_int_equal(seen.errands, 1); /* waited for, and only that */
        assert_true(took >= DRAIN_MS && took < ERRAND_MS + 60000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end_while_sleeping),
        cmocka_unit_test(test_end_while_blocked),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
