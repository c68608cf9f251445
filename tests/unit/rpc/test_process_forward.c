/* A reload on MsgPack:1: the Steps of an event that one server began reach the next one on its
 * path, over new connections, as from a worker of Kong that is ending. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "frame.h"
#include "limit.h"
#include "msgpack_rpc.h"
#include "rig.h"
#include "scratch.h"
#include "sim_reply.h"

struct pair {
    char directory[SCRATCH_PATH];
    char path[96];
    struct sim_server *first, *second;
    struct arena arena;
    int64_t msgid;
};

static struct sim_server *start_with(struct pair *pair, const struct kong_plugin *plugin) {
    char error[256];
    struct sim_server_options options = {
        .plugin = plugin, .socket_path = pair->path, .drain_ms = 3000};
    struct sim_server *server = sim_server_start(&options, error, sizeof error);
    if (server == NULL) {
        fail_msg("%s", error);
    }
    return server;
}

static struct sim_server *start(struct pair *pair) {
    return start_with(pair, &rig_plugin);
}

static int setup(void **state) {
    struct pair *pair = calloc(1, sizeof *pair);
    assert_non_null(pair);
    assert_true(scratch_make(pair->directory));
    snprintf(pair->path, sizeof pair->path, "%s/socket", pair->directory);
    arena_init(&pair->arena, (size_t)1 << 24);
    pair->first = start(pair);
    *state = pair;
    return 0;
}

static int teardown(void **state) {
    struct pair *pair = *state;
    sim_server_stop(pair->first);
    sim_server_stop(pair->second);
    arena_free(&pair->arena);
    unlink(pair->path);
    scratch_remove(pair->directory);
    free(pair);
    return 0;
}

static int dial(struct pair *pair) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", pair->path);
    struct timeval patience = {.tv_sec = 60};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* One call and its answer, behind any serverPid. */
static struct rpc_reply ask(struct pair *pair, int fd, struct rpc_call call) {
    struct buffer bytes;
    buffer_init(&bytes, LIMIT_FRAME);
    call.sequence = ++pair->msgid;
    assert_int_equal(msgpack_encode_call(&bytes, &call), CODEC_OK);
    assert_int_equal(send(fd, bytes.data, bytes.len, MSG_NOSIGNAL), bytes.len);
    buffer_clear(&bytes, 0);
    struct frame_reader reader;
    frame_reader_init(&reader, PROTOCOL_MSGPACK, LIMIT_FRAME);
    for (;;) {
        struct frame frame;
        struct codec_reason reason;
        size_t missing;
        int64_t pid;
        int rc = frame_next(&reader, bytes.data, bytes.len, LIMIT_FRAME, &frame, &missing, &reason);
        assert_true(rc >= 0);
        if (rc == 0) {
            uint8_t piece[4096];
            ssize_t count = recv(fd, piece, sizeof piece, 0);
            assert_true(count > 0);
            buffer_append(&bytes, piece, (size_t)count);
            continue;
        }
        if (!msgpack_decode_server_pid(frame.data, frame.len, &pid)) {
            struct rpc_reply reply;
            assert_int_equal(
                sim_msgpack_decode_reply(&pair->arena, frame.data, frame.len, call.command, &reply),
                CODEC_OK);
            assert_int_equal(reply.sequence, call.sequence);
            buffer_free(&bytes);
            return reply;
        }
        buffer_consume(&bytes, frame.total);
    }
}

static struct rpc_reply ask_once(struct pair *pair, struct rpc_call call) {
    int fd = dial(pair);
    struct rpc_reply reply = ask(pair, fd, call);
    close(fd);
    return reply;
}

/* An event of the mode `loop`, begun at the first server; the answer is its first call. */
static struct rpc_reply begin(struct pair *pair, const char *config) {
    struct rpc_call start_call = {
        .command = RPC_START_INSTANCE, .name = kong_str("rig"), .config = kong_str(config)};
    struct rpc_reply started = ask_once(pair, start_call);
    assert_int_equal(started.kind, RPC_REPLY_INSTANCE);
    struct rpc_call event = {.command = RPC_HANDLE_EVENT,
                             .instance_id = started.instance.id,
                             .event = kong_str("access")};
    struct rpc_reply reply = ask_once(pair, event);
    assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
    return reply;
}

static struct rpc_reply step(struct pair *pair, uint64_t event_id) {
    struct rpc_call call = {.command = RPC_STEP, .event_id = event_id, .data = kong_string("1")};
    return ask_once(pair, call);
}

static void steps_reach_the_server_that_has_the_event(void **state) {
    struct pair *pair = *state;
    struct rpc_reply reply = begin(pair, "{\"mode\":\"loop\",\"count\":5}");
    pair->second = start(pair);
    uint64_t id = reply.event_id;
    assert_true(id < (uint64_t)1 << 53);
    for (int i = 0; i < 4; i++) {
        reply = step(pair, id);
        assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
        assert_true(kong_str_equal(reply.method, kong_str("kong.nginx.get_var")));
        assert_int_equal(reply.event_id, id);
    }
    reply = step(pair, id);
    assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
    assert_true(kong_str_equal(reply.method, kong_str("kong.response.set_header")));
    assert_int_equal(step(pair, id).kind, RPC_REPLY_RETURN);
    /* Over: nobody knows it any more. */
    reply = step(pair, id);
    assert_int_equal(reply.kind, RPC_REPLY_ERROR);
}

static void a_server_that_ends_waits_for_its_events(void **state) {
    struct pair *pair = *state;
    uint64_t id = begin(pair, "{\"mode\":\"loop\",\"count\":3}").event_id;
    pair->second = start(pair);
    sim_server_ask(pair->first); /* SIGTERM */
    usleep(100 * 1000);
    assert_int_equal(step(pair, id).kind, RPC_REPLY_PDK_CALL);
    assert_int_equal(step(pair, id).kind, RPC_REPLY_PDK_CALL);
    assert_int_equal(step(pair, id).kind, RPC_REPLY_PDK_CALL);
    assert_int_equal(step(pair, id).kind, RPC_REPLY_RETURN);
    sim_server_stop(pair->first);
    pair->first = NULL;
}

/* Kong is told to send the event again: the server that gets it now carries it out. */
static void a_server_that_is_gone_is_said_to_be(void **state) {
    struct pair *pair = *state;
    uint64_t id = begin(pair, "{\"mode\":\"loop\",\"count\":3}").event_id;
    sim_server_stop(pair->first); /* nobody took the path: it does not wait */
    pair->first = NULL;
    pair->second = start(pair);
    struct rpc_reply reply = step(pair, id);
    assert_int_equal(reply.kind, RPC_REPLY_ERROR);
    assert_string_equal(reply.error.data,
                        "no plugin instance: the server that had the event is gone");
    id = begin(pair, "{\"mode\":\"loop\",\"count\":1}").event_id;
    assert_int_equal(step(pair, id).kind, RPC_REPLY_PDK_CALL);
}

/* … also where the plugin fails closed: the request does not pass it by. */
static void a_plugin_that_fails_closed_is_asked_again(void **state) {
    struct pair *pair = *state;
    uint64_t id = begin(pair, "{\"mode\":\"loop\",\"count\":3}").event_id;
    sim_server_stop(pair->first);
    pair->first = NULL;
    pair->second = start_with(pair, &rig_closed_plugin);
    struct rpc_reply reply = step(pair, id);
    assert_int_equal(reply.kind, RPC_REPLY_ERROR);
    assert_string_equal(reply.error.data,
                        "no plugin instance: the server that had the event is gone");
}

static void a_peer_that_leaves_harms_nobody(void **state) {
    struct pair *pair = *state;
    uint64_t id = begin(pair, "{\"mode\":\"sleep\",\"count\":20}").event_id;
    pair->second = start(pair);
    /* The answer to this Step takes 200 ms; who asked does not wait for it. */
    struct buffer bytes;
    buffer_init(&bytes, 4096);
    struct rpc_call call = {
        .command = RPC_STEP, .event_id = id, .data = kong_string("in"), .sequence = 77};
    assert_int_equal(msgpack_encode_call(&bytes, &call), CODEC_OK);
    int fd = dial(pair);
    assert_int_equal(send(fd, bytes.data, bytes.len, MSG_NOSIGNAL), bytes.len);
    usleep(50 * 1000);
    close(fd);
    buffer_free(&bytes);
    usleep(300 * 1000);
    /* Both go on. */
    uint64_t other = begin(pair, "{\"mode\":\"loop\",\"count\":1}").event_id;
    assert_int_equal(step(pair, other).kind, RPC_REPLY_PDK_CALL);
    assert_int_equal(step(pair, other).kind, RPC_REPLY_RETURN);
}

/* A Step of more bytes than the server takes, over a new connection to the server that does not
 * have its event: the handler hears of it, and the event goes on. */
static void a_step_that_is_too_big(void **state) {
    enum { MANY = 128 << 10 };
    static char text[MANY];
    struct pair *pair = *state;
    struct rpc_reply reply = begin(pair, "{\"mode\":\"wait\",\"count\":1}");
    struct sim_server_options small = {
        .plugin = &rig_plugin, .socket_path = pair->path, .drain_ms = 3000, .max_frame = 64 << 10};
    char error[256];
    pair->second = sim_server_start(&small, error, sizeof error);
    assert_non_null(pair->second);
    struct rpc_call call = {
        .command = RPC_STEP, .event_id = reply.event_id, .data = kong_bytes(text, MANY)};
    int fd = dial(pair);
    reply = ask(pair, fd, call);
    assert_int_equal(rig_notes()->last, KONG_E_TOO_BIG);
    /* the connection lives */
    assert_int_equal(ask(pair, fd, (struct rpc_call){.command = RPC_PLUGIN_NAMES}).kind,
                     RPC_REPLY_NAMES);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(steps_reach_the_server_that_has_the_event, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_ends_waits_for_its_events, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_is_gone_is_said_to_be, setup, teardown),
        cmocka_unit_test_setup_teardown(a_plugin_that_fails_closed_is_asked_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_peer_that_leaves_harms_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(a_step_that_is_too_big, setup, teardown),
    };
    return cmocka_run_group_tests_name("test_process_forward", tests, NULL, NULL);
}
