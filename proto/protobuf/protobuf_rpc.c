#include "protobuf_rpc.h"

#include <math.h>

#include "limit.h"
#include "protobuf_message.h"
#include "protobuf_wire.h"

/* --- RpcCall ------------------------------------------------------------------- */

/* Field numbers of RpcCall. */
enum {
    CALL_SEQUENCE = 1,
    CALL_PLUGIN_NAMES = 31,
    CALL_PLUGIN_INFO = 32,
    CALL_START_INSTANCE = 33,
    CALL_INSTANCE_STATUS = 34,
    CALL_CLOSE_INSTANCE = 35,
    CALL_HANDLE_EVENT = 36,
};

/* A command is one of a oneof: each one is taken instead of the one before. */
static enum rpc_command command_of(uint32_t number) {
    switch (number) {
    case CALL_PLUGIN_NAMES:
        return RPC_PLUGIN_NAMES;
    case CALL_PLUGIN_INFO:
        return RPC_PLUGIN_INFO;
    case CALL_START_INSTANCE:
        return RPC_START_INSTANCE;
    case CALL_INSTANCE_STATUS:
        return RPC_INSTANCE_STATUS;
    case CALL_CLOSE_INSTANCE:
        return RPC_CLOSE_INSTANCE;
    case CALL_HANDLE_EVENT:
        return RPC_HANDLE_EVENT;
    default:
        return RPC_UNKNOWN;
    }
}

/* Where field `number` of a command's message goes: a string or an integer, or neither when we
 * don't know the field. */
struct place {
    struct kong_str *text;
    int64_t *integer;
};

static struct place place_of(struct rpc_call *call, uint32_t number) {
    switch (call->command) {
    case RPC_PLUGIN_INFO:
        return (struct place){number == 1 ? &call->name : NULL, NULL};
    case RPC_START_INSTANCE:
        return (struct place){number == 1 ? &call->name : number == 2 ? &call->config : NULL, NULL};
    case RPC_INSTANCE_STATUS:
    case RPC_CLOSE_INSTANCE:
        return (struct place){NULL, number == 1 ? &call->instance_id : NULL};
    case RPC_HANDLE_EVENT:
        return (struct place){number == 2 ? &call->event : NULL,
                              number == 1 ? &call->instance_id : NULL};
    default:
        return (struct place){NULL, NULL};
    }
}

/* What a string of length 0, the default of proto3, is: never nil. */
static const struct kong_str empty = {"", 0};

static int decode_command(struct arena *arena, struct wire content, struct rpc_call *call) {
    struct wire_field field;
    int got;

    call->name = call->config = call->event = empty;
    call->instance_id = 0;
    while ((got = wire_next(&content, &field)) > 0) {
        struct place place = place_of(call, field.number);

        if ((place.text != NULL && field.type != WIRE_BYTES) ||
            (place.integer != NULL && field.type != WIRE_VARINT)) {
            return CODEC_E_MALFORMED;
        }
        if (place.text != NULL) {
            *place.text = arena_copy(arena, field.data, field.len);
            if (place.text->data == NULL) {
                return CODEC_E_NOMEM;
            }
        }
        if (place.integer != NULL) {
            *place.integer = (int32_t)(uint32_t)field.value;
        }
    }
    return got;
}

/* A varint of two to five bytes. */
static bool take_longer(struct wire *wire, uint64_t *value) {
    uint64_t bits = 0;

    for (unsigned shift = 0; shift < 35 && wire->at < wire->end; shift += 7) {
        uint8_t byte = *wire->at++;

        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = bits;
            return true;
        }
    }
    return false;
}

/* A varint of one to five bytes; mostly it is one. */
static inline bool take_small(struct wire *wire, uint64_t *value) {
    if (wire->at < wire->end && *wire->at < 0x80) {
        *value = *wire->at++;
        return true;
    }
    return take_longer(wire, value);
}

#define TAG(number, type) ((uint64_t)(number) << 3 | (uint64_t)(type))

/* CmdHandleEvent with its two fields, in any order. */
static inline bool take_event(struct wire content, struct rpc_call *call) {
    uint64_t tag;
    uint64_t value;

    while (take_small(&content, &tag) && take_small(&content, &value)) {
        if (tag == TAG(1, WIRE_VARINT)) {
            call->instance_id = (int32_t)(uint32_t)value;
        } else if (tag == TAG(2, WIRE_BYTES) && value <= (size_t)(content.end - content.at)) {
            call->event = (struct kong_str){(const char *)content.at, (size_t)value};
            content.at += value;
        } else {
            return false;
        }
        if (content.at == content.end) {
            return call->event.len > 0;
        }
    }
    return false;
}

/* The call that stands before every event: a sequence and CmdHandleEvent, no long numbers, nothing
 * else, in any order. False: it is for the general code, and *call is as before or partly filled.
 */
static bool decode_event(struct arena *arena, struct wire wire, struct rpc_call *call) {
    uint64_t tag;
    uint64_t value;

    while (take_small(&wire, &tag) && take_small(&wire, &value)) {
        if (tag == TAG(CALL_SEQUENCE, WIRE_VARINT)) {
            call->sequence = (int64_t)value;
        } else if (tag == TAG(CALL_HANDLE_EVENT, WIRE_BYTES) && call->command == RPC_UNKNOWN &&
                   value <= (size_t)(wire.end - wire.at) &&
                   take_event((struct wire){wire.at, wire.at + value}, call)) {
            call->command = RPC_HANDLE_EVENT;
            wire.at += value;
        } else {
            return false;
        }
        if (wire.at == wire.end) {
            call->event = arena_copy(arena, call->event.data, call->event.len);
            return call->command == RPC_HANDLE_EVENT && call->event.data != NULL;
        }
    }
    return false;
}

/* By hand: it stands before every event. A test holds it against protobuf-c. */
int protobuf_decode_call(struct arena *arena, const uint8_t *data, size_t len,
                         struct rpc_call *call) {
    struct wire rest = wire(data, len);
    struct wire_field field;
    int got;

    *call = (struct rpc_call){.name = empty, .config = empty, .event = empty, .method = empty};
    if (decode_event(arena, rest, call)) {
        return CODEC_OK;
    }
    *call = (struct rpc_call){.name = empty, .config = empty, .event = empty, .method = empty};
    while ((got = wire_next(&rest, &field)) > 0) {
        enum rpc_command command = command_of(field.number);
        int error = CODEC_OK;

        if (field.number == CALL_SEQUENCE) {
            error = field.type == WIRE_VARINT ? CODEC_OK : CODEC_E_MALFORMED;
            call->sequence = (int64_t)field.value;
        } else if (command != RPC_UNKNOWN) {
            call->command = command;
            error = field.type == WIRE_BYTES
                        ? decode_command(arena, wire(field.data, field.len), call)
                        : CODEC_E_MALFORMED;
        }
        if (error != CODEC_OK) {
            return error;
        }
    }
    return got;
}

int protobuf_encode_call(struct buffer *out, const struct rpc_call *call) {
    KongPluginProtocol__RpcCall message = KONG_PLUGIN_PROTOCOL__RPC_CALL__INIT;
    KongPluginProtocol__CmdGetPluginNames names = KONG_PLUGIN_PROTOCOL__CMD_GET_PLUGIN_NAMES__INIT;
    KongPluginProtocol__CmdGetPluginInfo info = KONG_PLUGIN_PROTOCOL__CMD_GET_PLUGIN_INFO__INIT;
    KongPluginProtocol__CmdStartInstance start = KONG_PLUGIN_PROTOCOL__CMD_START_INSTANCE__INIT;
    KongPluginProtocol__CmdGetInstanceStatus status =
        KONG_PLUGIN_PROTOCOL__CMD_GET_INSTANCE_STATUS__INIT;
    KongPluginProtocol__CmdCloseInstance end = KONG_PLUGIN_PROTOCOL__CMD_CLOSE_INSTANCE__INIT;
    KongPluginProtocol__CmdHandleEvent event = KONG_PLUGIN_PROTOCOL__CMD_HANDLE_EVENT__INIT;

    if (call->instance_id < INT32_MIN || call->instance_id > INT32_MAX) {
        return CODEC_E_SHAPE;
    }
    message.sequence = call->sequence;
    switch (call->command) {
    case RPC_PLUGIN_NAMES:
        message.call_case = KONG_PLUGIN_PROTOCOL__RPC_CALL__CALL_CMD_GET_PLUGIN_NAMES;
        message.cmd_get_plugin_names = &names;
        break;
    case RPC_PLUGIN_INFO:
        info.name = protobuf_bytes(call->name);
        message.call_case = KONG_PLUGIN_PROTOCOL__RPC_CALL__CALL_CMD_GET_PLUGIN_INFO;
        message.cmd_get_plugin_info = &info;
        break;
    case RPC_START_INSTANCE:
        start.name = protobuf_bytes(call->name);
        start.config = protobuf_bytes(call->config);
        message.call_case = KONG_PLUGIN_PROTOCOL__RPC_CALL__CALL_CMD_START_INSTANCE;
        message.cmd_start_instance = &start;
        break;
    case RPC_INSTANCE_STATUS:
        status.instance_id = (int32_t)call->instance_id;
        message.call_case = KONG_PLUGIN_PROTOCOL__RPC_CALL__CALL_CMD_GET_INSTANCE_STATUS;
        message.cmd_get_instance_status = &status;
        break;
    case RPC_CLOSE_INSTANCE:
        end.instance_id = (int32_t)call->instance_id;
        message.call_case = KONG_PLUGIN_PROTOCOL__RPC_CALL__CALL_CMD_CLOSE_INSTANCE;
        message.cmd_close_instance = &end;
        break;
    case RPC_HANDLE_EVENT:
        event.instance_id = (int32_t)call->instance_id;
        event.event_name = protobuf_bytes(call->event);
        message.call_case = KONG_PLUGIN_PROTOCOL__RPC_CALL__CALL_CMD_HANDLE_EVENT;
        message.cmd_handle_event = &event;
        break;
    case RPC_UNKNOWN: /* a call without a command */
        break;
    default:
        return CODEC_E_SHAPE;
    }
    return protobuf_pack(out, NULL, &message.base);
}

/* --- RpcReturn ------------------------------------------------------------------- */

/* By hand: it stands behind every event. */
static int encode_return(struct buffer *out, int64_t sequence) {
    size_t size = sequence == 0 ? 0 : 1 + wire_varint_size((uint64_t)sequence);
    uint8_t *at;
    int error = protobuf_frames(out, NULL, size, &at);

    if (error == CODEC_OK && size != 0) {
        at = wire_put_tag(at, 1, WIRE_VARINT);
        wire_put_varint(at, (uint64_t)sequence);
    }
    return error;
}

static int strings_in(struct arena *arena, const struct kong_str *from, size_t count,
                      ProtobufCBinaryData **to) {
    *to = arena_array(arena, count, sizeof(**to));
    if (*to == NULL) {
        return CODEC_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        (*to)[i] = protobuf_bytes(from[i]);
    }
    return CODEC_OK;
}

static int encode_names(struct buffer *out, struct arena *arena, const struct rpc_reply *reply) {
    KongPluginProtocol__RpcReturn message = KONG_PLUGIN_PROTOCOL__RPC_RETURN__INIT;
    KongPluginProtocol__PluginNames names = KONG_PLUGIN_PROTOCOL__PLUGIN_NAMES__INIT;
    int error = strings_in(arena, reply->names, reply->name_count, &names.names);

    names.n_names = reply->name_count;
    message.sequence = reply->sequence;
    message.return_case = KONG_PLUGIN_PROTOCOL__RPC_RETURN__RETURN_PLUGIN_NAMES;
    message.plugin_names = &names;
    return error != CODEC_OK ? error : protobuf_pack(out, NULL, &message.base);
}

static int encode_info(struct buffer *out, struct arena *arena, const struct rpc_reply *reply) {
    KongPluginProtocol__RpcReturn message = KONG_PLUGIN_PROTOCOL__RPC_RETURN__INIT;
    KongPluginProtocol__PluginInfo info = KONG_PLUGIN_PROTOCOL__PLUGIN_INFO__INIT;
    int error = strings_in(arena, reply->info.phases, reply->info.phase_count, &info.phases);

    info.name = protobuf_bytes(reply->info.name);
    info.updated_at = reply->info.updated_at;
    info.loaded_at = reply->info.loaded_at;
    info.n_phases = reply->info.phase_count;
    info.version = protobuf_bytes(reply->info.version);
    info.priority = reply->info.priority;
    info.schema = protobuf_bytes(reply->info.schema);
    message.sequence = reply->sequence;
    message.return_case = KONG_PLUGIN_PROTOCOL__RPC_RETURN__RETURN_PLUGIN_INFO;
    message.plugin_info = &info;
    return error != CODEC_OK ? error : protobuf_pack(out, NULL, &message.base);
}

/* Fits an int64. */
#define SECONDS_MAX 0x1p62

static int encode_instance(struct buffer *out, struct arena *arena, const struct rpc_reply *reply) {
    KongPluginProtocol__RpcReturn message = KONG_PLUGIN_PROTOCOL__RPC_RETURN__INIT;
    KongPluginProtocol__InstanceStatus instance = KONG_PLUGIN_PROTOCOL__INSTANCE_STATUS__INIT;
    KongPluginProtocol__Value config;
    double started_at = reply->instance.started_at;

    if (!(fabs(started_at) < SECONDS_MAX)) {
        return CODEC_E_SHAPE;
    }
    if (reply->instance.config.type != KONG_NIL) {
        int error = protobuf_value_in(arena, &reply->instance.config, 0, &config);

        if (error != CODEC_OK) {
            return error;
        }
        instance.config = &config;
    }
    instance.name = protobuf_bytes(reply->instance.name);
    instance.instance_id = reply->instance.id;
    instance.started_at = (int64_t)started_at;
    message.sequence = reply->sequence;
    message.return_case = KONG_PLUGIN_PROTOCOL__RPC_RETURN__RETURN_INSTANCE_STATUS;
    message.instance_status = &instance;
    return protobuf_pack(out, NULL, &message.base);
}

int protobuf_encode_reply(struct buffer *out, const struct rpc_reply *reply) {
    struct arena arena;
    int error;

    if (reply->kind == RPC_REPLY_RETURN) {
        return encode_return(out, reply->sequence);
    }
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    switch (reply->kind) {
    case RPC_REPLY_NAMES:
        error = encode_names(out, &arena, reply);
        break;
    case RPC_REPLY_INFO:
        error = encode_info(out, &arena, reply);
        break;
    case RPC_REPLY_INSTANCE:
        error = encode_instance(out, &arena, reply);
        break;
    default:
        error = CODEC_E_SHAPE;
    }
    arena_free(&arena);
    return error;
}

static int strings_out(struct arena *arena, const ProtobufCBinaryData *from, size_t count,
                       const struct kong_str **to) {
    struct kong_str *strings = arena_array(arena, count, sizeof(*strings));

    if (strings == NULL) {
        return CODEC_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        strings[i] = protobuf_str(from[i]);
    }
    *to = strings;
    return CODEC_OK;
}

static int decode_names(struct arena *arena, const KongPluginProtocol__PluginNames *names,
                        struct rpc_reply *reply) {
    reply->kind = RPC_REPLY_NAMES;
    reply->name_count = names->n_names;
    return strings_out(arena, names->names, names->n_names, &reply->names);
}

static int decode_info(struct arena *arena, const KongPluginProtocol__PluginInfo *info,
                       struct rpc_reply *reply) {
    reply->kind = RPC_REPLY_INFO;
    reply->info = (struct rpc_plugin_info){
        .name = protobuf_str(info->name),
        .version = protobuf_str(info->version),
        .priority = info->priority,
        .phase_count = info->n_phases,
        .schema = protobuf_str(info->schema),
        .updated_at = info->updated_at,
        .loaded_at = info->loaded_at,
    };
    return strings_out(arena, info->phases, info->n_phases, &reply->info.phases);
}

static int decode_instance(struct arena *arena, const KongPluginProtocol__InstanceStatus *instance,
                           struct rpc_reply *reply) {
    reply->kind = RPC_REPLY_INSTANCE;
    reply->instance.name = protobuf_str(instance->name);
    reply->instance.id = instance->instance_id;
    reply->instance.started_at = (double)instance->started_at;
    return protobuf_value_out(arena, instance->config, &reply->instance.config);
}

int protobuf_decode_reply(struct arena *arena, const uint8_t *data, size_t len,
                          struct rpc_reply *reply) {
    ProtobufCMessage *message;
    int error =
        protobuf_unpack(arena, &kong_plugin_protocol__rpc_return__descriptor, data, len, &message);

    if (error != CODEC_OK) {
        return error;
    }
    const KongPluginProtocol__RpcReturn *from = (const KongPluginProtocol__RpcReturn *)message;

    *reply = (struct rpc_reply){.kind = RPC_REPLY_RETURN, .sequence = from->sequence};
    switch (from->return_case) {
    case KONG_PLUGIN_PROTOCOL__RPC_RETURN__RETURN_PLUGIN_NAMES:
        return decode_names(arena, from->plugin_names, reply);
    case KONG_PLUGIN_PROTOCOL__RPC_RETURN__RETURN_PLUGIN_INFO:
        return decode_info(arena, from->plugin_info, reply);
    case KONG_PLUGIN_PROTOCOL__RPC_RETURN__RETURN_INSTANCE_STATUS:
        return decode_instance(arena, from->instance_status, reply);
    default:
        return CODEC_OK;
    }
}

int protobuf_encode_empty(struct buffer *out) {
    uint8_t *at;

    return protobuf_frames(out, NULL, 0, &at);
}

int protobuf_encode_end(struct buffer *out, int64_t sequence) {
    size_t content = sequence == 0 ? 0 : 1 + wire_varint_size((uint64_t)sequence);
    size_t size = 2 * sizeof(uint32_t) + content;

    if (out->failed) {
        return CODEC_E_NOMEM;
    }
    if (!buffer_reserve(out, size)) {
        buffer_truncate(out, out->len);
        return CODEC_E_NOMEM;
    }
    uint8_t *at = wire_put_u32(out->data + out->len, 0);
    at = wire_put_u32(at, (uint32_t)content);
    if (content != 0) {
        wire_put_varint(wire_put_tag(at, 1, WIRE_VARINT), (uint64_t)sequence);
    }
    out->len += size;
    return CODEC_OK;
}
