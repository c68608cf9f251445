/* What the server has to say does not fit into `out`: the connection ends with a reason, but an
 * event gets its end through the few bytes that are always there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "limit.h"
#include "msgpack_rpc.h"
#include "pdk_bench.h"
#include "protobuf_rpc.h"

static void no_wake(struct rpc *rpc) {
    (void)rpc;
}

static int do_nothing(struct kong *kong, struct bench *bench) {
    (void)kong;
    (void)bench;
    return 0;
}

/* What Kong asks, and whether the plugin can do it. */
static const struct request {
    struct rpc_call call;
    bool refused, closed;
    enum rpc_state state; /* ProtoBuf:1, where there is room */
} requests[] = {
    {{.command = RPC_HANDLE_EVENT, .event = {"access", 6}}, false, false, RPC_OPEN},
    {{.command = RPC_HANDLE_EVENT, .event = {"access", 6}}, true, false, RPC_OPEN},
    {{.command = RPC_HANDLE_EVENT, .event = {"access", 6}}, true, true, RPC_EXITED},
    {{.command = RPC_HANDLE_EVENT, .event = {"nothing", 7}}, false, false, RPC_EXITED},
    {{.command = RPC_CLOSE_INSTANCE}, false, false, RPC_OPEN},
};

#define REQUESTS (sizeof requests / sizeof *requests)

/* What was said without a buffer. */
static uint8_t said[1024];
static size_t said_len;

/* A conversation of which `room` bytes can be said. The request is fed; what rpc_feed says. */
static int ask(struct bench *bench, const struct request *request, size_t room,
               bool (*say_at_once)(struct rpc *, const uint8_t *, size_t)) {
    struct buffer bytes;
    struct rpc_call call = request->call;
    call.sequence = 7;
    call.instance_id = call.command == RPC_HANDLE_EVENT ? bench->instance : bench->instance + 1;
    bench->handler = do_nothing;
    bench->plugin.on_error = request->closed ? KONG_FAIL_CLOSED : KONG_FAIL_OPEN;
    bench->hosted.handlers[KONG_PHASE_ACCESS] =
        request->refused ? NULL : bench->plugin.handlers[KONG_PHASE_ACCESS];
    bench->shared.refusals = (struct recurrence){0}; /* so that each has its line */
    bench->closed = false;
    rpc_init(&bench->rpc, &bench->env, no_wake);
    bench->rpc.out.limit = room;
    bench->rpc.say_at_once = say_at_once;
    said_len = 0;
    buffer_init(&bytes, LIMIT_OUT);
    int rc = bench->protocol == PROTOCOL_PROTOBUF ? protobuf_encode_call(&bytes, &call)
                                                  : msgpack_encode_call(&bytes, &call);
    assert_int_equal(rc, 0);
    rc = rpc_feed(&bench->rpc, bytes.data, bytes.len);
    buffer_free(&bytes);
    return rc;
}

/* --- ProtoBuf:1 --- */

/* With one byte too few the connection ends. An event's end comes behind all limits; a refusal may
 * leave out its line in Kong's log. */
static void check_protobuf(struct bench *bench, const struct request *request) {
    const struct rpc *rpc = &bench->rpc;
    assert_int_equal(ask(bench, request, LIMIT_OUT, NULL), 0);
    assert_int_equal(rpc->state, request->state);
    size_t whole = rpc->out.len;
    size_t due = rpc->results_due;
    bench_close(bench);
    for (size_t room = 0; room < whole; room++) {
        if (request->call.command == RPC_HANDLE_EVENT) {
            assert_int_equal(ask(bench, request, room, NULL), 0);
            assert_true(rpc->results_due == due ||
                        (request->refused && due == rpc->results_due + 1));
            assert_int_equal(rpc->state, request->state);
        } else {
            assert_int_equal(ask(bench, request, room, NULL), -1);
            assert_int_equal(rpc->state, RPC_BROKEN);
            assert_non_null(strstr(rpc->reason, "memory"));
        }
        bench_close(bench);
    }
}

static void protobuf_answers(void **state) {
    struct bench *bench = bench_create(PROTOCOL_PROTOBUF, NULL);
    (void)state;
    for (size_t i = 0; i < REQUESTS; i++) {
        check_protobuf(bench, &requests[i]);
    }
    bench_destroy(bench);
}

/* --- MsgPack:1 --- */

static bool say(struct rpc *rpc, const uint8_t *data, size_t len) {
    (void)rpc;
    assert_true(said_len + len <= sizeof said);
    memcpy(said + said_len, data, len);
    said_len += len;
    return true;
}

static bool say_nothing(struct rpc *rpc, const uint8_t *data, size_t len) {
    (void)rpc;
    (void)data;
    (void)len;
    return false;
}

/* serverPid and the answer, of which the last bytes were said without a buffer. */
static enum rpc_reply_kind kind_of_answer(struct bench *bench, enum rpc_command command) {
    struct buffer bytes;
    struct rpc_reply reply;
    int64_t pid;
    buffer_init(&bytes, sizeof said);
    assert_int_equal(msgpack_encode_server_pid(&bytes, bench->env.pid), 0);
    size_t first = bytes.len;
    buffer_clear(&bytes, 0);
    buffer_append(&bytes, bench->rpc.out.data, bench->rpc.out.len);
    buffer_append(&bytes, said, said_len);
    assert_true(bytes.len > first);
    assert_true(msgpack_decode_server_pid(bytes.data, first, &pid));
    assert_int_equal(msgpack_decode_reply(&bench->memory, bytes.data + first, bytes.len - first,
                                          command, &reply),
                     0);
    assert_int_equal(reply.sequence, 7);
    buffer_free(&bytes);
    return reply.kind;
}

/* The same answer, whichever way it goes; where there is none, an error that fits, or the
 * connection ends. */
static void check_msgpack(struct bench *bench, const struct request *request) {
    struct rpc *rpc = &bench->rpc;
    assert_int_equal(ask(bench, request, LIMIT_OUT, say), 0);
    assert_int_equal(rpc->state, RPC_OPEN);
    assert_int_equal(said_len, 0);
    size_t len = rpc->out.len;
    enum rpc_reply_kind kind = kind_of_answer(bench, request->call.command);
    bench_close(bench);
    for (size_t room = 0; room < len; room++) {
        assert_int_equal(ask(bench, request, room, say), 0);
        assert_int_equal(rpc->out.len + said_len, len);
        assert_int_equal(kind_of_answer(bench, request->call.command), kind);
        bench_close(bench);
        bool fits = ask(bench, request, room, room % 2 == 0 ? say_nothing : NULL) == 0;
        assert_int_equal(rpc->state, fits ? RPC_OPEN : RPC_BROKEN);
        if (fits) {
            assert_int_equal(kind_of_answer(bench, request->call.command), RPC_REPLY_ERROR);
        } else {
            assert_string_equal(rpc->reason, "no memory for an answer");
        }
        bench_close(bench);
    }
}

static void msgpack_answers(void **state) {
    struct bench *bench = bench_create(PROTOCOL_MSGPACK, NULL);
    (void)state;
    for (size_t i = 0; i < REQUESTS; i++) {
        check_msgpack(bench, &requests[i]);
    }
    bench_destroy(bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protobuf_answers),
        cmocka_unit_test(msgpack_answers),
    };
    return cmocka_run_group_tests_name("test_no_room", tests, NULL, NULL);
}
