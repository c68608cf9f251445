#include "rpc_kong.h"

#include "fuzz.h"
#include "limit.h"
#include "msgpack_rpc.h"
#include "protobuf_rpc.h"
#include "sim_protobuf.h"

void kong_end_init(struct kong_end *end) {
    memset(end, 0, sizeof *end);
    buffer_init(&end->in, LIMIT_OUT);
    arena_init(&end->arena, LIMIT_EVENT_MEMORY);
}

void kong_end_free(struct kong_end *end) {
    buffer_free(&end->in);
    arena_free(&end->arena);
}

static void note_call(struct kong_end *end, struct kong_str name) {
    const struct pdk_method *method = pdk_method_find(name);
    end->calls++;
    end->header_calls += method == &pdk_methods[PDK_REQUEST_GET_HEADER];
    end->exits += method == &pdk_methods[PDK_RESPONSE_EXIT];
    end->last_name = method != NULL ? method->name : (struct kong_str){NULL, 0};
}

static void take_msgpack(struct kong_end *end, const struct frame *frame) {
    static const enum rpc_command asked[] = {RPC_HANDLE_EVENT, RPC_START_INSTANCE, RPC_GET_STATUS,
                                             RPC_UNKNOWN,      RPC_PLUGIN_NAMES,   RPC_PLUGIN_INFO};
    int64_t pid;
    int rc = CODEC_E_SHAPE;
    if (msgpack_decode_server_pid(frame->data, frame->len, &pid)) {
        REQUIRE(end->calls + end->returns + end->errors == 0); /* the first thing said */
        return;
    }
    for (size_t i = 0; rc != CODEC_OK && i < sizeof asked / sizeof *asked; i++) {
        rc = msgpack_decode_reply(&end->arena, frame->data, frame->len, asked[i], &end->last);
    }
    REQUIRE(rc == CODEC_OK);
    if (end->last.kind == RPC_REPLY_ERROR) {
        end->errors++;
    } else if (end->last.kind == RPC_REPLY_PDK_CALL) {
        note_call(end, end->last.method);
        end->event_id = end->last.event_id;
    } else {
        end->returns++;
    }
}

/* A frame is a method's name or its arguments, empty, or an RpcReturn; or a text that names no
 * method, with empty arguments, after which Kong hangs up. */
static void take_protobuf(struct kong_end *end, const struct frame *frame) {
    struct kong_str content = {(const char *)frame->data, frame->len};
    struct kong_value args;
    if (end->over) {
        return;
    }
    if (end->method != NULL) {
        REQUIRE(sim_protobuf_decode_args(&end->arena, end->method, frame->data, frame->len,
                                         &args) == CODEC_OK);
        end->method = NULL;
        return;
    }
    if (frame->len == 0) {
        return;
    }
    end->method = pdk_method_find(content);
    if (end->method != NULL) {
        note_call(end, content);
    } else if (protobuf_decode_reply(&end->arena, frame->data, frame->len, &end->last) ==
               CODEC_OK) {
        end->returns++;
    } else {
        const char *const texts[] = {"script", "unknown event", "no plugin instance"};
        bool known = false;
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            size_t len = strlen(texts[i]);
            known = known || (content.len >= len && memcmp(content.data, texts[i], len) == 0);
        }
        REQUIRE(known);
        end->errors++;
        end->over = true;
    }
}

void kong_end_take(struct kong_end *end, enum protocol protocol, const uint8_t *data, size_t len) {
    size_t used = 0;
    if (len == 0) {
        return;
    }
    REQUIRE(protocol != PROTOCOL_UNKNOWN);
    if (end->protocol == PROTOCOL_UNKNOWN) {
        end->protocol = protocol;
        frame_reader_init(&end->reader, protocol, LIMIT_FRAME);
    }
    buffer_append(&end->in, data, len);
    REQUIRE(!end->in.failed);
    for (;;) {
        struct frame frame;
        struct codec_reason reason;
        size_t missing;
        int rc = frame_next(&end->reader, end->in.data + used, end->in.len - used, LIMIT_FRAME,
                            &frame, &missing, &reason);
        REQUIRE(rc >= 0);
        if (rc == 0) {
            break;
        }
        arena_reset(&end->arena);
        if (protocol == PROTOCOL_MSGPACK) {
            take_msgpack(end, &frame);
        } else {
            take_protobuf(end, &frame);
        }
        used += frame.total;
    }
    buffer_consume(&end->in, used);
}
