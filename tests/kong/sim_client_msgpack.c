/* MsgPack:1, Kong's side (mp_rpc.lua): each call may go over another connection. */
#include "limit.h"
#include "msgpack_rpc.h"
#include "sim_client_inside.h"
#include "sim_lua.h"
#include "sim_reply.h"

/* serverPid, or another notification. False when the message is none. */
static bool take_notification(struct sim_client *client, const struct wire *wire,
                              const struct frame *frame) {
    int64_t pid = 0;
    bool announced = msgpack_decode_server_pid(frame->data, frame->len, &pid);
    if (wire->messages == 1 && !announced) {
        client->counts.without_pid++;
    }
    if (announced) {
        client->counts.pid_changes +=
            client->counts.server_pid != 0 && client->counts.server_pid != pid;
        client->counts.server_pid = pid;
    }
    return announced || (frame->len >= 2 && frame->data[0] == 0x93 && frame->data[1] == 0x02);
}

static enum sim_event_outcome take_reply(struct sim_client *client, const struct frame *frame,
                                         int64_t msgid, enum rpc_command asked, struct arena *arena,
                                         struct rpc_reply *reply) {
    int error = sim_msgpack_decode_reply(arena, frame->data, frame->len, asked, reply);
    if (error != CODEC_OK) {
        client_text(client, "answer: %s", codec_strerror(error));
        return SIM_EVENT_BROKEN;
    }
    if (reply->sequence != msgid) {
        client_text(client, "answer to %lld, not to %lld", (long long)reply->sequence,
                    (long long)msgid);
        return SIM_EVENT_BROKEN;
    }
    if (reply->kind == RPC_REPLY_ERROR) {
        client_text(client, "%.*s", (int)reply->error.len, reply->error.data);
        return client_no_instance(reply->error) ? SIM_EVENT_NO_INSTANCE : SIM_EVENT_ERROR;
    }
    return SIM_EVENT_OK;
}

/* One request and its answer over the next connection of the pool. */
static enum sim_event_outcome exchange(struct sim_client *client, const struct buffer *request,
                                       int64_t msgid, enum rpc_command asked, struct arena *arena,
                                       struct rpc_reply *reply) {
    struct wire *wire = client_wire(client);
    struct frame frame;
    if (wire == NULL) {
        client_text(client, "trying to connect");
        return SIM_EVENT_REFUSED;
    }
    enum wire_status status = wire_write(wire, request->data, request->len);
    while (status == WIRE_OK) {
        status = wire_read(wire, &frame);
        if (status == WIRE_OK && !take_notification(client, wire, &frame)) {
            return take_reply(client, &frame, msgid, asked, arena, reply);
        }
    }
    enum sim_event_outcome outcome = client_wire_outcome(client, wire, status);
    client_forget(client, wire);
    return outcome;
}

enum sim_event_outcome msgpack_command(struct sim_client *client, struct rpc_call *call,
                                       struct arena *arena, struct rpc_reply *reply) {
    struct buffer request;
    enum sim_event_outcome outcome = SIM_EVENT_REFUSED;
    buffer_init(&request, LIMIT_FRAME);
    if (msgpack_encode_call(&request, call) == CODEC_OK) {
        outcome = exchange(client, &request, call->sequence, call->command, arena, reply);
    }
    buffer_free(&request);
    return outcome;
}

static void put_head(struct buffer *out, uint8_t small, uint8_t medium, uint8_t large, size_t len) {
    if (len <= 0xff) {
        buffer_append_byte(out, small);
    } else if (len <= 0xffff) {
        buffer_append_byte(out, medium);
        buffer_append_byte(out, (uint8_t)(len >> 8));
    } else {
        buffer_append_byte(out, large);
        buffer_append_byte(out, (uint8_t)(len >> 24));
        buffer_append_byte(out, (uint8_t)(len >> 16));
        buffer_append_byte(out, (uint8_t)(len >> 8));
    }
    buffer_append_byte(out, (uint8_t)len);
}

/* A Step whose Data is bin, which our encoder of values does not write: that of a Step without
 * Data is [0, msgid, method, [{EventId}]], and its map gets a second pair. */
static int encode_binary_step(struct buffer *out, const struct rpc_call *step) {
    struct rpc_call bare = *step;
    static const uint8_t key[] = {0xa4, 'D', 'a', 't', 'a'};
    static const uint8_t event_key[] = {0x81, 0xa7, 'E', 'v', 'e', 'n', 't', 'I', 'd'};
    bare.data = kong_nil();
    int error = msgpack_encode_call(out, &bare);
    uint8_t *map =
        error != CODEC_OK ? NULL : memmem(out->data, out->len, event_key, sizeof event_key);
    if (map == NULL) {
        return error != CODEC_OK ? error : CODEC_E_SHAPE;
    }
    *map = 0x82;
    buffer_append(out, key, sizeof key);
    put_head(out, 0xc4, 0xc5, 0xc6, step->data.string.len);
    buffer_append(out, step->data.string.data, step->data.string.len);
    return out->failed ? CODEC_E_NOMEM : CODEC_OK;
}

static enum sim_event_outcome send_step(struct sim_client *client, uint64_t event_id,
                                        struct kong_str method, const struct kong_value *data,
                                        bool binary, struct kong_str error,
                                        struct rpc_reply *reply) {
    struct rpc_call step = {.command = RPC_STEP,
                            .sequence = ++client->sequence,
                            .method = kong_str(lua_step_method(method)),
                            .event_id = event_id,
                            .data = *data};
    struct buffer request;
    enum sim_event_outcome outcome = SIM_EVENT_REFUSED;
    if (error.data != NULL) {
        step.method = kong_str("plugin.StepError");
        step.error = error;
        step.data = kong_nil();
    }
    buffer_init(&request, LIMIT_FRAME);
    int result =
        binary ? encode_binary_step(&request, &step) : msgpack_encode_call(&request, &step);
    if (result == CODEC_OK) {
        outcome = exchange(client, &request, step.sequence, RPC_STEP, &client->arena, reply);
    } else {
        client_text(client, "a Step that cannot be sent: %s", codec_strerror(result));
    }
    buffer_free(&request);
    return outcome;
}

/* Lua's unpack ends at the first nil. */
static size_t unpacked(const struct rpc_reply *reply) {
    size_t count = 0;
    while (count < reply->arg_count && reply->args[count].type != KONG_NIL) {
        count++;
    }
    return count;
}

/* Runs the PDK call that the server asks for, and sends the Step. */
static enum sim_event_outcome turn(struct sim_client *client, uint64_t event_id,
                                   struct rpc_reply *reply) {
    struct arena *arena = &client->arena;
    struct kong_value result = kong_nil();
    struct kong_value sent = kong_nil();
    struct kong_str error = {NULL, 0};
    bool binary = false;
    int outcome = client->options.pdk(client->options.pdk_ctx, pdk_method_find(reply->method),
                                      reply->method, reply->args, unpacked(reply), arena, &result);
    switch (outcome) {
    case SIM_EXITED:
        return SIM_EVENT_EXITED;
    case SIM_RAISED:
        client_text(client, "%.*s", (int)result.string.len, result.string.data);
        return SIM_EVENT_RAISED;
    case SIM_FAILED:
        if (client->behaviour.step_error || client->behaviour.kong_2_8) {
            error = result.string;
        }
        result = kong_nil();
        break;
    case SIM_UNKNOWN: /* logged; nil comes back */
        return send_step(client, event_id, reply->method, &sent, false, error, reply);
    default:
        break;
    }
    const struct pdk_method *method = pdk_method_find(reply->method);
    if (client->behaviour.kong_2_8 && lua_2_8_raises(method, false, &result)) {
        client_text(client, "%.*s: a null", (int)reply->method.len, reply->method.data);
        return SIM_EVENT_RAISED;
    }
    if (client->behaviour.kong_2_8 && method == &pdk_methods[PDK_CLIENT_GET_FORWARDED_PORT] &&
        result.type == KONG_INTEGER) {
        struct kong_str port = arena_printf(arena, "%lld", (long long)result.integer);
        result = kong_bytes(port.data, port.len);
    }
    if (error.data == NULL) {
        int fixed = lua_to_msgpack(arena, reply->method, &result, &sent, &binary);
        if (fixed != 0) {
            client_text(client, "%.*s: no value to pack", (int)reply->method.len,
                        reply->method.data);
            return fixed > 0 ? SIM_EVENT_RAISED : SIM_EVENT_REFUSED;
        }
    }
    return send_step(client, event_id, reply->method, &sent, binary, error, reply);
}

enum sim_event_outcome msgpack_event(struct sim_client *client, struct rpc_call *call,
                                     struct sim_event *result) {
    struct rpc_reply reply = {0};
    enum sim_event_outcome outcome = msgpack_command(client, call, &client->arena, &reply);
    uint64_t event_id = reply.event_id;
    result->messages = 1;
    while (outcome == SIM_EVENT_OK && reply.kind == RPC_REPLY_PDK_CALL) {
        struct rpc_reply asked = reply;
        result->pdk_calls++;
        reply = (struct rpc_reply){
            .method = asked.method, .args = asked.args, .arg_count = asked.arg_count};
        outcome = turn(client, event_id, &reply);
        result->messages++;
    }
    if (outcome == SIM_EVENT_OK && reply.kind != RPC_REPLY_RETURN) {
        client_text(client, "neither a PDK call nor the end of the event");
        return SIM_EVENT_BROKEN;
    }
    return outcome;
}
