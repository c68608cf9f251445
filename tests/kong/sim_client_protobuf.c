/* ProtoBuf:1, Kong's side (pb_rpc.lua): one call's whole exchange stays on its connection. */
#include "limit.h"
#include "protobuf_rpc.h"
#include "sim_client_inside.h"
#include "sim_lua.h"
#include "sim_protobuf.h"
#include "sim_reply.h"

/* A varint at the start of data: its length, or 0 when it is cut. */
static size_t varint(const uint8_t *data, size_t len, uint64_t *value) {
    *value = 0;
    for (size_t i = 0; i < len && i < 10; i++) {
        *value |= (uint64_t)(data[i] & 0x7f) << (7 * i);
        if ((data[i] & 0x80) == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* One field of an encoded message: its whole length (0: not one of those that Kong sends), and
 * where the content of a nested one starts. */
static size_t field_size(const uint8_t *data, size_t len, size_t *content) {
    uint64_t tag = 0;
    uint64_t value = 0;
    size_t head = varint(data, len, &tag);
    size_t size = head == 0 ? 0 : varint(data + head, len - head, &value);
    *content = 0;
    if (size == 0 || (tag & 7) == 0) {
        return size == 0 ? 0 : head + size;
    }
    if ((tag & 7) != 2 || value > len - head - size) {
        return 0;
    }
    *content = head + size;
    return head + size + (size_t)value;
}

/* The fields of a message in falling order, those of a nested command too. */
static void reverse_fields(struct arena *arena, uint8_t *data, size_t len, bool nested) {
    uint8_t *copy = arena_alloc(arena, len);
    size_t at = 0;
    if (copy == NULL) {
        return;
    }
    memcpy(copy, data, len);
    while (at < len) {
        size_t content = 0;
        size_t size = field_size(copy + at, len - at, &content);
        if (size == 0) {
            memcpy(data, copy, len);
            return;
        }
        if (nested && content != 0) {
            reverse_fields(arena, copy + at + content, size - content, false);
        }
        memcpy(data + len - at - size, copy + at, size);
        at += size;
    }
}

/* A frame, in one write or two. */
static enum wire_status send_frame(struct sim_client *client, struct wire *wire,
                                   const struct buffer *frame) {
    if (!client->behaviour.two_writes || frame->len <= 4) {
        return wire_write(wire, frame->data, frame->len);
    }
    enum wire_status status = wire_write(wire, frame->data, 4);
    return status == WIRE_OK ? wire_write(wire, frame->data + 4, frame->len - 4) : status;
}

static enum wire_status send_call(struct sim_client *client, struct wire *wire,
                                  const struct rpc_call *call) {
    struct buffer frame;
    enum wire_status status = WIRE_NOMEM;
    buffer_init(&frame, LIMIT_FRAME);
    if (protobuf_encode_call(&frame, call) == CODEC_OK) {
        if (client->behaviour.reverse_fields) {
            reverse_fields(&client->arena, frame.data + 4, frame.len - 4, true);
        }
        status = send_frame(client, wire, &frame);
    }
    buffer_free(&frame);
    return status;
}

static enum sim_event_outcome read_return(struct sim_client *client, struct wire *wire,
                                          int64_t sequence, struct arena *arena,
                                          struct rpc_reply *reply) {
    struct frame frame;
    enum wire_status status = wire_read(wire, &frame);
    if (status != WIRE_OK) {
        return client_wire_outcome(client, wire, status);
    }
    /* What is kept of it must outlive the frame. */
    struct kong_str own = arena_copy(arena, frame.data, frame.len);
    if (own.data == NULL) {
        return client_wire_outcome(client, wire, WIRE_NOMEM);
    }
    int error = sim_protobuf_decode_reply(arena, (const uint8_t *)own.data, own.len, reply);
    if (error != CODEC_OK) {
        client_text(client, "RpcReturn: %s", codec_strerror(error));
        return SIM_EVENT_BROKEN;
    }
    if (reply->sequence != sequence) {
        client_text(client, "RpcReturn with sequence %lld, not %lld", (long long)reply->sequence,
                    (long long)sequence);
        return SIM_EVENT_BROKEN;
    }
    return SIM_EVENT_OK;
}

enum sim_event_outcome protobuf_command(struct sim_client *client, struct rpc_call *call,
                                        struct arena *arena, struct rpc_reply *reply) {
    struct wire *wire = client_wire(client);
    if (wire == NULL) {
        client_text(client, "trying to connect");
        return SIM_EVENT_REFUSED;
    }
    enum wire_status status = send_call(client, wire, call);
    enum sim_event_outcome outcome = status == WIRE_OK
                                         ? read_return(client, wire, call->sequence, arena, reply)
                                         : client_wire_outcome(client, wire, status);
    if (outcome != SIM_EVENT_OK) {
        client_forget(client, wire);
    }
    return outcome;
}

/* The name in a method's frame is no function of Kong's. */
static enum sim_event_outcome no_method(struct sim_client *client, struct kong_str name) {
    client_text(client, "method \"%.*s\" not found", (int)name.len, name.data);
    return client_no_instance(name) ? SIM_EVENT_NO_INSTANCE : SIM_EVENT_NO_METHOD;
}

/* Answers one PDK call, or holds the answer back. */
static enum sim_event_outcome send_result(struct sim_client *client, struct wire *wire,
                                          const struct pdk_method *method, struct kong_str error,
                                          const struct kong_value *result) {
    struct kong_value value;
    struct buffer frame;
    enum sim_event_outcome outcome;
    buffer_init(&frame, LIMIT_FRAME);
    if (!lua_to_protobuf(&client->arena, method, error, result, &value)) {
        outcome = client_wire_outcome(client, wire, WIRE_NOMEM);
    } else if (sim_protobuf_encode_result(&frame, method, &value) != CODEC_OK) {
        client_text(client, "%s: the result is not of its message's type", method->name.data);
        outcome = SIM_EVENT_RAISED;
    } else if (client->behaviour.late_answers || client->behaviour.joined_answers) {
        outcome = client_wire_outcome(client, wire, wire_hold(wire, frame.data, frame.len));
    } else {
        outcome = client_wire_outcome(client, wire, send_frame(client, wire, &frame));
    }
    buffer_free(&frame);
    return outcome;
}

static enum sim_event_outcome run_method(struct sim_client *client, struct wire *wire,
                                         const struct pdk_method *method,
                                         const struct frame *args) {
    struct arena *arena = &client->arena;
    struct kong_value list;
    struct kong_value result;
    int error = sim_protobuf_decode_args(arena, method, args->data, args->len, &list);
    if (error != CODEC_OK) {
        client_text(client, "arguments of %s: %s", method->name.data, codec_strerror(error));
        return SIM_EVENT_BROKEN;
    }
    struct kong_value *lua = arena_array(arena, list.list.count, sizeof *lua);
    if (lua == NULL || !lua_from_protobuf(arena, method, list.list.items, list.list.count, lua)) {
        return client_wire_outcome(client, wire, WIRE_NOMEM);
    }
    int outcome = client->options.pdk(client->options.pdk_ctx, method, method->name, lua,
                                      list.list.count, arena, &result);
    switch (outcome) {
    case SIM_RESULT:
        if (client->behaviour.kong_2_8 && lua_2_8_raises(method, true, &result)) {
            client_text(client, "%s: a name that repeats", method->name.data);
            return SIM_EVENT_RAISED;
        }
        return send_result(client, wire, method, (struct kong_str){NULL, 0}, &result);
    case SIM_FAILED: {
        struct kong_value nil = kong_nil();
        return send_result(client, wire, method, result.string, &nil);
    }
    case SIM_EXITED:
        return SIM_EVENT_EXITED;
    case SIM_UNKNOWN:
        return no_method(client, method->name);
    default:
        client_text(client, "%.*s", (int)result.string.len, result.string.data);
        return SIM_EVENT_RAISED;
    }
}

/* The next frame; answers held back are given where the server waits for them. */
static enum wire_status next_frame(struct sim_client *client, struct wire *wire,
                                   struct frame *frame) {
    int late = client->behaviour.late_ms == 0 ? 50 : client->behaviour.late_ms;
    if (wire->held.len > 0 && !wire_ready(wire, late)) {
        enum wire_status status = wire_flush(wire);
        if (status != WIRE_OK) {
            return status;
        }
    }
    return wire_read(wire, frame);
}

/* One turn: a method's name and its arguments. *over: the empty frame came instead. */
static enum sim_event_outcome turn(struct sim_client *client, struct wire *wire, bool *over,
                                   struct sim_event *result) {
    struct frame frame;
    enum wire_status status = next_frame(client, wire, &frame);
    if (status != WIRE_OK) {
        return client_wire_outcome(client, wire, status);
    }
    *over = frame.len == 0;
    if (*over) {
        return SIM_EVENT_OK;
    }
    struct kong_str name = arena_copy(&client->arena, frame.data, frame.len);
    if (name.data == NULL) {
        return client_wire_outcome(client, wire, WIRE_NOMEM);
    }
    status = next_frame(client, wire, &frame);
    if (status != WIRE_OK) {
        return client_wire_outcome(client, wire, status);
    }
    const struct pdk_method *method = pdk_method_find(name);
    if (method == NULL || (method->flags & PDK_MSGPACK_ONLY) != 0) {
        return no_method(client, name);
    }
    result->pdk_calls++;
    return run_method(client, wire, method, &frame);
}

enum sim_event_outcome protobuf_event(struct sim_client *client, struct rpc_call *call,
                                      struct sim_event *result) {
    struct wire *wire = client_wire(client);
    struct rpc_reply reply;
    bool over = false;
    if (wire == NULL) {
        client_text(client, "trying to connect");
        return SIM_EVENT_REFUSED;
    }
    size_t before = wire->messages;
    size_t reads = wire->reads;
    enum sim_event_outcome outcome =
        client_wire_outcome(client, wire, send_call(client, wire, call));
    while (outcome == SIM_EVENT_OK && !over) {
        outcome = turn(client, wire, &over, result);
    }
    if (outcome == SIM_EVENT_OK) {
        outcome = read_return(client, wire, call->sequence, &client->arena, &reply);
    }
    result->held = wire->held.len;
    if (outcome == SIM_EVENT_OK && !client->behaviour.joined_answers) {
        outcome = client_wire_outcome(client, wire, wire_flush(wire));
    }
    if (outcome == SIM_EVENT_EXITED && client->behaviour.exit_linger_ms > 0 &&
        wire_ready(wire, client->behaviour.exit_linger_ms)) {
        client_text(client, "more came after an exit, or the server closed");
        outcome = SIM_EVENT_BROKEN;
    }
    result->messages = wire->messages - before;
    result->reads = wire->reads - reads;
    if (outcome != SIM_EVENT_OK) {
        client_forget(client, wire);
    }
    return outcome;
}
