/* Makes inputs for the fuzzers to begin with: `seeds DIRECTORY` writes DIRECTORY/<fuzzer>/…, out of
 * the recorded conversations and by hand. Run in the top directory. */
#include "seeds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "frame.h"
#include "limit.h"
#include "msgpack_rpc.h"
#include "protobuf_rpc.h"
#include "trace.h"

static const char *directory;
static unsigned written;

static void die(const char *what) {
    fprintf(stderr, "seeds: %s: %s\n", what, strerror(errno));
    exit(1);
}

void seed_write(const char *fuzzer, const void *head, size_t head_len, const void *data,
                size_t len) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, fuzzer);
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        die(path);
    }
    snprintf(path, sizeof path, "%s/%s/seed-%04u", directory, fuzzer, written++);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(head, 1, head_len, file) != head_len ||
        fwrite(data, 1, len, file) != len || fclose(file) != 0) {
        die(path);
    }
}

/* One side of a connection, message by message. */
struct stream {
    uint8_t *data;
    size_t len;
    size_t at;
    struct frame_reader reader;
};

static bool stream_open(struct stream *stream, const struct trace *trace, unsigned connection,
                        enum trace_kind side, enum protocol protocol) {
    *stream = (struct stream){0};
    stream->data = trace_stream(trace, connection, side, &stream->len);
    frame_reader_init(&stream->reader, protocol, LIMIT_FRAME);
    return stream->data != NULL;
}

static bool stream_next(struct stream *stream, struct frame *frame) {
    struct codec_reason reason;
    size_t missing;
    if (frame_next(&stream->reader, stream->data + stream->at, stream->len - stream->at,
                   LIMIT_FRAME, frame, &missing, &reason) != 1) {
        return false;
    }
    stream->at += frame->total;
    return true;
}

/* A stream as it came, for the fuzzers of frames and of connections. */
static void whole_stream(const struct stream *stream, enum protocol protocol, bool of_kong) {
    size_t len = stream->len > 1024 ? 1024 : stream->len;
    if (len == 0) {
        return;
    }
    uint8_t options[2] = {protocol == PROTOCOL_MSGPACK ? 7 : 6, 5};
    seed_write("frame", options, sizeof options, stream->data, len);
    if (of_kong) {
        uint8_t head[4] = {1, protocol == PROTOCOL_MSGPACK ? 1 + (2 << 3) : 1, (uint8_t)len,
                           (uint8_t)(len >> 8)};
        seed_write("rpc", head, sizeof head, stream->data, len);
    }
}

/* --- MsgPack:1: each message by itself --- */

static void msgpack_side(const struct trace *trace, unsigned connection, enum trace_kind side) {
    struct stream stream;
    struct frame frame;
    if (!stream_open(&stream, trace, connection, side, PROTOCOL_MSGPACK)) {
        die("trace");
    }
    whole_stream(&stream, PROTOCOL_MSGPACK, side == TRACE_KONG);
    while (stream_next(&stream, &frame)) {
        uint8_t what = side == TRACE_KONG ? 0 : 1 | RPC_HANDLE_EVENT << 2;
        int64_t pid;
        if (msgpack_decode_server_pid(frame.data, frame.len, &pid)) {
            what = 3;
        }
        if (frame.len <= 2048) {
            seed_write("msgpack", &what, 1, frame.data, frame.len);
            what = 2;
            seed_write("msgpack", &what, 1, frame.data, frame.len);
        }
    }
    free(stream.data);
}

/* --- ProtoBuf:1: what a frame is depends on those before it --- */

static void protobuf_seed(uint8_t what, const struct pdk_method *method,
                          const struct frame *frame) {
    uint8_t head[2] = {what, 0};
    if (method != NULL) {
        head[1] = (uint8_t)(method - pdk_methods);
    }
    if (frame->len <= 2048) {
        seed_write("protobuf", head, method != NULL ? 2 : 1, frame->data, frame->len);
    }
}

static void protobuf_event(struct stream *kong, struct stream *server) {
    struct frame frame;
    while (stream_next(server, &frame) && frame.len > 0) {
        const struct pdk_method *method =
            pdk_method_find((struct kong_str){(const char *)frame.data, frame.len});
        if (method == NULL || !stream_next(server, &frame)) {
            return;
        }
        protobuf_seed(2, method, &frame);
        if (!stream_next(kong, &frame)) {
            return;
        }
        protobuf_seed(3, method, &frame);
    }
}

static void protobuf_connection(const struct trace *trace, unsigned connection) {
    struct stream kong;
    struct stream server;
    struct frame frame;
    struct arena arena;
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    if (!stream_open(&kong, trace, connection, TRACE_KONG, PROTOCOL_PROTOBUF) ||
        !stream_open(&server, trace, connection, TRACE_SERVER, PROTOCOL_PROTOBUF)) {
        die("trace");
    }
    whole_stream(&kong, PROTOCOL_PROTOBUF, true);
    whole_stream(&server, PROTOCOL_PROTOBUF, false);
    while (stream_next(&kong, &frame)) {
        struct rpc_call call;
        if (protobuf_decode_call(&arena, frame.data, frame.len, &call) != CODEC_OK) {
            break;
        }
        protobuf_seed(0, NULL, &frame);
        if (call.command == RPC_START_INSTANCE && call.config.data != NULL) {
            seed_write("config", NULL, 0, call.config.data, call.config.len);
        }
        if (call.command == RPC_HANDLE_EVENT) {
            protobuf_event(&kong, &server);
        }
        if (!stream_next(&server, &frame)) {
            break;
        }
        protobuf_seed(1, NULL, &frame);
    }
    free(kong.data);
    free(server.data);
    arena_free(&arena);
}

static void read_trace(const char *name, enum protocol protocol) {
    struct trace trace;
    if (!trace_read(&trace, name)) {
        die(name);
    }
    for (unsigned connection = 0; connection <= trace_last_connection(&trace); connection++) {
        if (protocol == PROTOCOL_PROTOBUF) {
            protobuf_connection(&trace, connection);
        } else {
            msgpack_side(&trace, connection, TRACE_KONG);
            msgpack_side(&trace, connection, TRACE_SERVER);
        }
    }
    trace_free(&trace);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 1;
    }
    directory = argv[1];
    read_trace("kong-3.9.1-protobuf.trace", PROTOCOL_PROTOBUF);
    read_trace("kong-3.9.1-msgpack.trace", PROTOCOL_MSGPACK);
    seeds_by_hand();
    printf("%u seeds\n", written);
    return 0;
}
