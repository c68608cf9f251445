/* Requests that a process may leave unanswered when it dies, and what is said in its place. */
#include "event_report.h"
#include "msgpack_head.h"
#include "msgpack_rpc.h"
#include "protobuf_rpc.h"
#include "rpc_conversation.h"
#include "rpc_msgpack_answer.h"

/* An RpcCall for an event is shorter, one that starts an instance is longer: a configuration has
 * Kong's own keys. */
#define EVENT_CALL_MOST 64

/* No server gives this one: Kong's next request with it is told so, and Kong starts another. */
#define NO_ONES_INSTANCE (-1)

/* --- A message of which only a part is there --- */

static bool starts_with(const uint8_t *data, size_t len, const char *text) {
    size_t size = strlen(text);
    return len >= size && memcmp(data, text, size) == 0;
}

static uint8_t what_of(const uint8_t *method, size_t len) {
    return starts_with(method, len, "plugin.Step") || starts_with(method, len, "plugin.HandleEvent")
               ? IN_FLIGHT_MSGPACK_EVENT | IN_FLIGHT_HALF
           : starts_with(method, len, "plugin.StartInstance")
               ? IN_FLIGHT_MSGPACK_START | IN_FLIGHT_HALF
               : IN_FLIGHT_OTHER;
}

/* [0, msgid, method, …: its msgid, and what it is. False where that has not come, or is none. */
static bool look_at_head(const uint8_t *data, size_t len, int64_t *id, uint8_t *what) {
    static const uint8_t request[] = {0x94, 0x00};
    struct msgpack_head msgid;
    struct msgpack_head method;
    if (len < sizeof request || memcmp(data, request, sizeof request) != 0 ||
        msgpack_head_read(data + 2, len - 2, &msgid) != 1 || msgid.kind != MSGPACK_INTEGER) {
        return false;
    }
    size_t at = sizeof request + msgid.size;
    if (msgpack_head_read(data + at, len - at, &method) != 1 || method.kind != MSGPACK_STRING) {
        return false;
    }
    at += method.size;
    size_t left = len - at < method.count ? len - at : method.count;
    *id = msgid.integer;
    *what = what_of(data + at, left);
    return true;
}

static bool is_event_call(const uint8_t *frame) {
    uint32_t len = frame_protobuf_length(frame);
    return len > 0 && len <= EVENT_CALL_MOST;
}

/* On ProtoBuf:1. Results of PDK calls that the process had posted are empty, and Kong's next
 * request stands behind them. Where that has not come, what is said to an event harms nobody. */
static uint8_t what_was_read(const uint8_t *read) {
    size_t at = 0;
    while (at + 4 < IN_FLIGHT_HEAD && frame_protobuf_length(read + at) == 0) {
        at += 4;
    }
    const uint8_t *next = read + at;
    bool partly = next[3] == IN_FLIGHT_UNREAD;
    uint32_t len = partly ? next[0] : frame_protobuf_length(next);
    bool only_results = at > 0 && partly && next[0] == IN_FLIGHT_UNREAD;
    return only_results || len <= EVENT_CALL_MOST ? IN_FLIGHT_PROTOBUF_EVENT : IN_FLIGHT_OTHER;
}

bool rpc_wants_words(const struct rpc *rpc) {
    return rpc->protocol == PROTOCOL_PROTOBUF && rpc->state == RPC_OPEN &&
           events_options(rpc->env->events)->kong_2_8;
}

/* Kong writes a frame's length and its content apart. */
static void note_protobuf_half(struct rpc *rpc) {
    const struct buffer *in = &rpc->in;
    if (rpc->event == NULL && rpc->results_due == 0 && in->len > 0 && rpc_wants_words(rpc) &&
        (in->len < 4 || is_event_call(in->data))) {
        rpc_note_request(rpc, 0, IN_FLIGHT_PROTOBUF_EVENT);
    }
}

void rpc_note_half(struct rpc *rpc) {
    if (rpc->protocol == PROTOCOL_PROTOBUF) {
        note_protobuf_half(rpc);
        return;
    }
    if (!LIST_EMPTY(&rpc->requests) || rpc->held) {
        return; /* one that is all read goes first */
    }
    int64_t msgid;
    uint8_t what;
    if (look_at_head(rpc->in.data, rpc->in.len, &msgid, &what)) {
        rpc_note_request(rpc, msgid, what);
    } else if (rpc->skipping && rpc->skip.sequence > 0) {
        rpc_note_request(rpc, rpc->skip.sequence, IN_FLIGHT_MSGPACK_EVENT | IN_FLIGHT_HALF);
    }
}

/* --- What is said when the process is dead --- */

/* False: nothing helps. `open`: its request goes on. */
static bool fill_event(struct rpc_reply *reply, const struct plugins *plugins, bool open,
                       bool next_process) {
    if (next_process) {
        reply->kind = RPC_REPLY_ERROR;
        reply->error =
            kong_str(RPC_NO_INSTANCE ": the server process died while this event was at work");
        return true;
    }
    reply->kind = RPC_REPLY_PDK_CALL;
    reply->method = pdk_methods[PDK_RESPONSE_EXIT].name;
    reply->args = event_exit_args;
    reply->arg_count = EVENT_EXIT_ARGS;
    return !open && rpc_one_fails_closed(plugins);
}

/* Kong carries it out behind the calls that the dead process has written. */
static int end_protobuf_event(struct buffer *bytes, const struct plugins *plugins, bool open,
                              uint32_t sequence, bool next_process) {
    if (next_process) {
        return protobuf_encode_method_error(
            bytes, kong_str(RPC_NO_INSTANCE ": the server that had the event is gone"));
    }
    if (open) {
        return protobuf_encode_end(bytes, sequence);
    }
    return rpc_one_fails_closed(plugins)
               ? protobuf_encode_pdk_call(bytes, &pdk_methods[PDK_RESPONSE_EXIT], event_exit_args,
                                          EVENT_EXIT_ARGS)
               : CODEC_E_SHAPE;
}

size_t rpc_answer_orphan(const struct plugins *plugins, uint8_t what, uint32_t id,
                         const uint8_t *read, bool next_process, uint8_t *out, size_t size) {
    struct rpc_reply reply = {.sequence = id};
    struct buffer bytes;
    if (read != NULL && !look_at_head(read, IN_FLIGHT_HEAD, &reply.sequence, &what)) {
        what = what_was_read(read);
    }
    uint8_t whole = what == IN_FLIGHT_OTHER ? what : (uint8_t)(what & ~IN_FLIGHT_HALF);
    bool open = what == IN_FLIGHT_PROTOBUF_EVENT_OPEN || whole == IN_FLIGHT_MSGPACK_EVENT_OPEN;
    int rc = CODEC_E_SHAPE;
    buffer_init(&bytes, size);
    if (what == IN_FLIGHT_PROTOBUF_EVENT || what == IN_FLIGHT_PROTOBUF_EVENT_OPEN) {
        rc = end_protobuf_event(&bytes, plugins, open, id, next_process);
    } else if ((open || whole == IN_FLIGHT_MSGPACK_EVENT) &&
               fill_event(&reply, plugins, open, next_process)) {
        rc = msgpack_encode_reply(&bytes, &reply);
    } else if (next_process &&
               (whole == IN_FLIGHT_MSGPACK_START || whole == IN_FLIGHT_PROTOBUF_START)) {
        reply.kind = RPC_REPLY_INSTANCE;
        reply.instance.name = kong_str(plugins->name);
        reply.instance.id = NO_ONES_INSTANCE;
        rc = whole == IN_FLIGHT_MSGPACK_START ? msgpack_encode_reply(&bytes, &reply)
                                              : protobuf_encode_reply(&bytes, &reply);
    }
    size_t len = rc == CODEC_OK ? bytes.len : 0;
    if (len > 0) {
        memcpy(out, bytes.data, len);
    }
    buffer_free(&bytes);
    return len;
}

size_t rpc_last_words(const struct rpc *rpc, uint8_t *out, size_t size) {
    return rpc_wants_words(rpc) ? rpc_answer_orphan(rpc->env->plugins, IN_FLIGHT_PROTOBUF_EVENT, 0,
                                                    NULL, true, out, size)
                                : 0;
}
