#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "frame.h"
#include "limit.h"
#include "msgpack_rpc.h"
#include "protobuf_rpc.h"
#include "recording.h"
#include "sim_protobuf.h"

/* Where one connection stands while the recording is read. */
struct stream {
    struct frame_reader kong_reader, server_reader;
    struct buffer kong, server;
    bool in_event;
    size_t unanswered; /* PDK calls, of which those that are posted are answered later */
    enum rpc_command asked;
    const struct pdk_method *method; /* its arguments come next */
    struct kong_str name;
    bool closed;
};

static struct message *add(struct recording *recording, enum kind kind,
                           const struct trace_event *event, const struct frame *frame) {
    assert_true(recording->count < MOST_MESSAGES);
    struct message *message = &recording->messages[recording->count++];
    *message = (struct message){.kind = kind, .line = event->line, .connection = event->connection};
    if (frame != NULL) {
        struct kong_str own = arena_copy(&recording->arena, frame->data, frame->len);
        assert_non_null(own.data);
        message->data = (const uint8_t *)own.data;
        message->len = own.len;
    }
    return message;
}

static void add_call(struct recording *recording, struct kong_str name,
                     const struct kong_value *args, size_t count) {
    struct script *script = &recording->scripts[recording->script_count - 1];
    assert_true(recording->script_count > 0 && script->count < MOST_CALLS);
    script->calls[script->count++] = (struct call){name, args, count};
}

static void kong_says(struct recording *recording, struct stream *stream,
                      const struct trace_event *event, const struct frame *frame) {
    if (stream->unanswered > 0 && recording->protocol == PROTOCOL_PROTOBUF) {
        add(recording, ANSWER, event, frame);
        stream->unanswered--;
        return;
    }
    struct message *message = add(recording, CALL, event, frame);
    struct rpc_call call;
    int error = recording->protocol == PROTOCOL_PROTOBUF
                    ? protobuf_decode_call(&recording->arena, message->data, message->len, &call)
                    : msgpack_decode_call(&recording->arena, message->data, message->len, &call);
    if (error != CODEC_OK) {
        fail_msg("line %u: %s", event->line, codec_strerror(error));
    }
    message->asked = stream->asked = call.command;
    if (call.command == RPC_HANDLE_EVENT) {
        stream->in_event = true;
        assert_true(recording->script_count < MOST_SCRIPTS);
        recording->scripts[recording->script_count++].count = 0;
    }
}

static void protobuf_server_says(struct recording *recording, struct stream *stream,
                                 const struct trace_event *event, const struct frame *frame) {
    if (!stream->in_event) {
        add(recording, RETURN, event, frame)->asked = stream->asked;
    } else if (stream->method != NULL) {
        struct message *message = add(recording, ARGS, event, frame);
        struct kong_value list;
        message->method = stream->method;
        assert_int_equal(sim_protobuf_decode_args(&recording->arena, stream->method, message->data,
                                                  message->len, &list),
                         CODEC_OK);
        add_call(recording, stream->method->name, list.list.items, list.list.count);
        stream->method = NULL;
        stream->unanswered++;
    } else if (frame->len == 0) {
        add(recording, EMPTY, event, frame);
        stream->in_event = false;
    } else {
        struct message *message = add(recording, METHOD, event, frame);
        stream->method =
            pdk_method_find((struct kong_str){(const char *)message->data, message->len});
        assert_non_null(stream->method);
    }
}

static void msgpack_server_says(struct recording *recording, struct stream *stream,
                                const struct trace_event *event, const struct frame *frame) {
    int64_t pid;
    if (msgpack_decode_server_pid(frame->data, frame->len, &pid)) {
        return; /* what the replaying server is to say as well */
    }
    struct message *message = add(recording, RETURN, event, frame);
    struct rpc_reply reply;
    message->asked = stream->asked;
    if (stream->asked != RPC_HANDLE_EVENT && stream->asked != RPC_STEP) {
        return;
    }
    assert_int_equal(
        msgpack_decode_reply(&recording->arena, message->data, message->len, stream->asked, &reply),
        CODEC_OK);
    if (reply.kind == RPC_REPLY_PDK_CALL) {
        add_call(recording, reply.method, reply.args, reply.arg_count);
    }
}

static void says(struct recording *recording, struct stream *stream,
                 const struct trace_event *event) {
    bool kong = event->kind == TRACE_KONG;
    struct buffer *bytes = kong ? &stream->kong : &stream->server;
    struct frame_reader *reader = kong ? &stream->kong_reader : &stream->server_reader;
    struct frame frame;
    struct codec_reason reason;
    size_t missing = 0;
    buffer_append(bytes, event->data, event->len);
    assert_false(bytes->failed);
    while (!stream->closed && frame_next(reader, bytes->data, bytes->len, LIMIT_FRAME, &frame,
                                         &missing, &reason) > 0) {
        if (kong) {
            kong_says(recording, stream, event, &frame);
        } else if (recording->protocol == PROTOCOL_PROTOBUF) {
            protobuf_server_says(recording, stream, event, &frame);
        } else {
            msgpack_server_says(recording, stream, event, &frame);
        }
        buffer_consume(bytes, frame.total);
    }
}

static void stream_start(struct stream *stream, enum protocol protocol) {
    buffer_free(&stream->kong);
    buffer_free(&stream->server);
    *stream = (struct stream){0};
    buffer_init(&stream->kong, LIMIT_FRAME);
    buffer_init(&stream->server, LIMIT_FRAME);
    frame_reader_init(&stream->kong_reader, protocol, LIMIT_FRAME);
    frame_reader_init(&stream->server_reader, protocol, LIMIT_FRAME);
}

struct recording *recording_read(const char *name, enum protocol protocol) {
    struct recording *recording = calloc(1, sizeof *recording);
    struct stream streams[MOST_WIRES] = {0};
    assert_non_null(recording);
    recording->protocol = protocol;
    arena_init(&recording->arena, (size_t)64 << 20);
    assert_true(trace_read(&recording->trace, name));
    for (size_t i = 0; i < recording->trace.count; i++) {
        const struct trace_event *event = &recording->trace.events[i];
        assert_true(event->connection < MOST_WIRES);
        struct stream *stream = &streams[event->connection];
        switch (event->kind) {
        case TRACE_SCENE:
            break;
        case TRACE_OPEN:
            stream_start(stream, protocol);
            add(recording, OPEN, event, NULL);
            break;
        case TRACE_CLOSE:
            /* What the recording's peer wrote after it went nowhere. */
            stream->closed = true;
            add(recording, CLOSE, event, NULL);
            break;
        default:
            says(recording, stream, event);
        }
    }
    for (size_t i = 0; i < MOST_WIRES; i++) {
        buffer_free(&streams[i].kong);
        buffer_free(&streams[i].server);
    }
    return recording;
}

void recording_free(struct recording *recording) {
    trace_free(&recording->trace);
    arena_free(&recording->arena);
    free(recording);
}
