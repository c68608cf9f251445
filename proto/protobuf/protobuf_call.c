#include "protobuf_rpc.h"

#include "limit.h"
#include "protobuf_message.h"
#include "protobuf_wire.h"

/* Fields of RpcCall: the sequence, and a oneof of commands, in the order of enum rpc_command. */
#define CALL_SEQUENCE         1
#define CALL_COMMAND(command) (30 + (uint32_t)(command))

_Static_assert(RPC_PLUGIN_NAMES == 1 && RPC_PLUGIN_INFO == 2 && RPC_START_INSTANCE == 3 &&
                   RPC_INSTANCE_STATUS == 4 && RPC_CLOSE_INSTANCE == 5 && RPC_HANDLE_EVENT == 6,
               "commands are the fields 31 to 36");

static bool is_command(uint32_t number) {
    return number >= CALL_COMMAND(RPC_PLUGIN_NAMES) && number <= CALL_COMMAND(RPC_HANDLE_EVENT);
}

/* The fields of the commands' messages, and where they are in struct rpc_call. */
static const struct part {
    enum rpc_command command;
    unsigned number;
    enum wire_type type; /* WIRE_BYTES: a kong_str; WIRE_VARINT: an int64_t, on the wire an int32 */
    size_t offset;
} parts[] = {
    {RPC_PLUGIN_INFO, 1, WIRE_BYTES, offsetof(struct rpc_call, name)},
    {RPC_START_INSTANCE, 1, WIRE_BYTES, offsetof(struct rpc_call, name)},
    {RPC_START_INSTANCE, 2, WIRE_BYTES, offsetof(struct rpc_call, config)},
    {RPC_INSTANCE_STATUS, 1, WIRE_VARINT, offsetof(struct rpc_call, instance_id)},
    {RPC_CLOSE_INSTANCE, 1, WIRE_VARINT, offsetof(struct rpc_call, instance_id)},
    {RPC_HANDLE_EVENT, 1, WIRE_VARINT, offsetof(struct rpc_call, instance_id)},
    {RPC_HANDLE_EVENT, 2, WIRE_BYTES, offsetof(struct rpc_call, event)},
};
#define PARTS (sizeof parts / sizeof *parts)

/* What a string of length 0, the default of proto3, is: never nil. */
static const struct kong_str empty = {"", 0};

static int take_part(struct arena *arena, const struct wire_field *field, struct rpc_call *call) {
    const struct part *part = parts;

    while (part < parts + PARTS &&
           (part->command != call->command || part->number != field->number)) {
        part++;
    }
    if (part == parts + PARTS) {
        return CODEC_OK; /* a field that we don't know */
    }
    if (part->type != field->type) {
        return CODEC_E_MALFORMED;
    }
    void *at = (char *)call + part->offset;
    if (part->type == WIRE_VARINT) {
        *(int64_t *)at = (int32_t)(uint32_t)field->value;
        return CODEC_OK;
    }
    struct kong_str *text = at;
    *text = arena_copy(arena, field->data, field->len);
    return text->data == NULL ? CODEC_E_NOMEM : CODEC_OK;
}

/* A command is taken instead of the one before. */
static int decode_command(struct arena *arena, struct wire content, struct rpc_call *call) {
    struct wire_field field;
    int got;

    call->name = call->config = call->event = empty;
    call->instance_id = 0;
    while ((got = wire_next(&content, &field)) > 0) {
        int error = take_part(arena, &field, call);

        if (error != CODEC_OK) {
            return error;
        }
    }
    return got;
}

#define TAG(number, type) ((uint64_t)(number) << 3 | (uint64_t)(type))

/* CmdHandleEvent with its two fields, in any order. */
static inline bool take_event(struct wire content, struct rpc_call *call) {
    uint64_t tag;
    uint64_t value;

    while (wire_take_small(&content, &tag) && wire_take_small(&content, &value)) {
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
 * else, in any order. False: it is for the general code, and *call may be partly filled. */
static bool decode_event(struct wire wire, struct rpc_call *call) {
    uint64_t tag;
    uint64_t value;

    while (wire_take_small(&wire, &tag) && wire_take_small(&wire, &value)) {
        if (tag == TAG(CALL_SEQUENCE, WIRE_VARINT)) {
            call->sequence = (int64_t)value;
        } else if (tag == TAG(CALL_COMMAND(RPC_HANDLE_EVENT), WIRE_BYTES) &&
                   call->command == RPC_UNKNOWN && value <= (size_t)(wire.end - wire.at) &&
                   take_event((struct wire){wire.at, wire.at + value}, call)) {
            call->command = RPC_HANDLE_EVENT;
            wire.at += value;
        } else {
            return false;
        }
        if (wire.at == wire.end) {
            return call->command == RPC_HANDLE_EVENT;
        }
    }
    return false;
}

/* Decoded by hand, because every event begins with it. A test compares it with protobuf-c. */
int protobuf_decode_call(struct arena *arena, const uint8_t *data, size_t len,
                         struct rpc_call *call) {
    struct wire rest = wire(data, len);
    struct wire_field field;
    int got;

    *call = (struct rpc_call){.name = empty, .config = empty, .event = empty, .method = empty};
    if (decode_event(rest, call)) {
        return CODEC_OK;
    }
    *call = (struct rpc_call){.name = empty, .config = empty, .event = empty, .method = empty};
    while ((got = wire_next(&rest, &field)) > 0) {
        int error = CODEC_OK;

        if (field.number == CALL_SEQUENCE) {
            error = field.type == WIRE_VARINT ? CODEC_OK : CODEC_E_MALFORMED;
            call->sequence = (int64_t)field.value;
        } else if (is_command(field.number)) {
            call->command = (enum rpc_command)(field.number - CALL_COMMAND(0));
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
