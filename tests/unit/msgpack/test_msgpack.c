/* MsgPack:1: every recorded message, both ways. */
#include "msgpack_fixture.h"

#include "frame.h"
#include "trace.h"

/* What was asked with each msgid. */
#define MSGIDS 128

struct replay {
    struct fixture *f;
    enum rpc_command asked[MSGIDS];
    size_t calls, replies, same_bytes;
};

/* Decoded, encoded and decoded again it is the same. Maps and their order, the families of numbers
 * and bin can differ in Kong's bytes. */
static void replay_call(struct replay *replay, const uint8_t *data, size_t len) {
    struct fixture *f = replay->f;
    struct rpc_call call, again;
    assert_int_equal(msgpack_decode_call(&f->arena, data, len, &call), CODEC_OK);
    assert_int_not_equal(call.command, RPC_UNKNOWN);
    assert_false(call.notification);
    assert_in_range(call.sequence, 1, MSGIDS - 1);
    replay->asked[call.sequence] = call.command;
    assert_int_equal(msgpack_encode_call(&f->out, &call), CODEC_OK);
    assert_int_equal(msgpack_decode_call(&f->other, f->out.data, f->out.len, &again), CODEC_OK);
    assert_same_call(&call, &again);
    replay->same_bytes += f->out.len == len && memcmp(f->out.data, data, len) == 0;
    replay->calls++;
}

/* The recorded peer packs as we do: the same bytes come out. Only its answer to CloseInstance has
 * no StartTime, which ours always has. */
static void replay_reply(struct replay *replay, const uint8_t *data, size_t len) {
    struct fixture *f = replay->f;
    struct rpc_reply reply;
    enum rpc_command asked = RPC_UNKNOWN;
    assert_int_equal(msgpack_decode_reply(&f->arena, data, len, asked, &reply), CODEC_OK);
    assert_in_range(reply.sequence, 1, MSGIDS - 1);
    asked = replay->asked[reply.sequence];
    assert_int_equal(msgpack_decode_reply(&f->arena, data, len, asked, &reply), CODEC_OK);
    assert_int_not_equal(reply.kind, RPC_REPLY_ERROR);
    assert_int_equal(msgpack_encode_reply(&f->out, &reply), CODEC_OK);
    if (asked == RPC_CLOSE_INSTANCE) {
        struct rpc_reply again;
        assert_int_equal(msgpack_decode_reply(&f->other, f->out.data, f->out.len, asked, &again),
                         CODEC_OK);
        assert_same_reply(&reply, &again);
    } else {
        assert_int_equal(f->out.len, len);
        assert_memory_equal(f->out.data, data, len);
    }
    replay->replies++;
}

static void replay_side(struct replay *replay, const struct trace *trace, unsigned connection,
                        enum trace_kind side) {
    size_t len, at = 0;
    uint8_t *stream = trace_stream(trace, connection, side, &len);
    assert_non_null(stream);
    struct frame_reader reader;
    frame_reader_init(&reader, PROTOCOL_MSGPACK, LIMIT_FRAME);
    while (at < len) {
        struct frame frame;
        size_t missing;
        struct codec_reason reason;
        assert_int_equal(
            frame_next(&reader, stream + at, len - at, LIMIT_FRAME, &frame, &missing, &reason), 1);
        /* a copy of its own: reading behind the end is seen by sanitizers */
        uint8_t *message = malloc(frame.len);
        assert_non_null(message);
        memcpy(message, frame.data, frame.len);
        if (side == TRACE_KONG) {
            replay_call(replay, message, frame.len);
        } else {
            replay_reply(replay, message, frame.len);
        }
        free(message);
        arena_reset(&replay->f->arena);
        arena_reset(&replay->f->other);
        buffer_clear(&replay->f->out, 4096);
        at += frame.total;
    }
    free(stream);
}

static void test_replays_trace(void **state) {
    struct replay replay = {.f = *state};
    struct trace trace;
    assert_true(trace_read(&trace, "kong-3.9.1-msgpack.trace"));
    for (unsigned i = 0; i <= trace_last_connection(&trace); i++) {
        replay_side(&replay, &trace, i, TRACE_KONG);
        replay_side(&replay, &trace, i, TRACE_SERVER);
    }
    trace_free(&trace);
    assert_int_equal(replay.calls, 90);
    assert_int_equal(replay.replies, 90);
    assert_in_range(replay.same_bytes, 1, 90);
    print_message("%zu of %zu calls came out with the same bytes\n", replay.same_bytes,
                  replay.calls);
}

/* No message that is cut short is taken for a whole one, by whichever decoder. */
static void assert_no_prefix_decodes(struct fixture *f, const uint8_t *data, size_t len) {
    for (size_t cut = 0; cut < len; cut++) {
        struct rpc_call call;
        struct rpc_reply reply;
        int64_t pid;
        uint8_t *exact = malloc(cut);
        assert_true(exact != NULL || cut == 0);
        if (cut > 0) {
            memcpy(exact, data, cut);
        }
        assert_int_not_equal(msgpack_decode_call(&f->arena, exact, cut, &call), CODEC_OK);
        for (int asked = RPC_UNKNOWN; asked <= RPC_GET_STATUS; asked++) {
            assert_int_not_equal(
                msgpack_decode_reply(&f->arena, exact, cut, (enum rpc_command)asked, &reply),
                CODEC_OK);
        }
        assert_false(msgpack_decode_server_pid(exact, cut, &pid));
        free(exact);
        arena_reset(&f->arena);
    }
}

static void test_no_prefix_of_a_recorded_message_decodes(void **state) {
    struct fixture *f = *state;
    struct trace trace;
    assert_true(trace_read(&trace, "kong-3.9.1-msgpack.trace"));
    for (size_t i = 0; i < trace.count; i++) {
        struct trace_event *event = &trace.events[i];
        if (event->kind == TRACE_KONG || event->kind == TRACE_SERVER) {
            assert_no_prefix_decodes(f, event->data, event->len);
        }
    }
    trace_free(&trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_replays_trace),
        TEST(test_no_prefix_of_a_recorded_message_decodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
