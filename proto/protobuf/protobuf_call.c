#include "protobuf_rpc.h"

#include <endian.h>

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

/* Of the fields 1 and 2, and of CmdHandleEvent, field 36, whose tag takes two bytes. */
#define NUMBER_TAG  (1 << 3 | WIRE_VARINT)
#define TEXT_TAG    (2 << 3 | WIRE_BYTES)
#define EVENT_TAG_1 0xa2
#define EVENT_TAG_2 0x02

/* A tag, and a varint of one to five bytes. There are eight bytes before the end, some of them
 * before the varint perhaps. False: it is longer, or cut short. */
static inline bool take_number(struct wire *from, uint64_t *value) {
    const uint8_t *at = from->at + 1;
    size_t left = (size_t)(from->end - at);
    uint64_t bits;

    memcpy(&bits, left < 8 ? from->end - 8 : at, sizeof bits);
    bits = le64toh(bits) >> (left < 8 ? 8 * (8 - left) % 64 : 0);
    uint64_t ends = ~bits & UINT64_C(0x8080808080); /* of bytes behind which none follows */
    if (ends == 0) {
        return false;
    }
    from->at = at + __builtin_ctzll(ends) / 8 + 1;
    bits &= ends ^ (ends - 1); /* up to the first of them */
    *value = (bits & 0x7f) | (bits >> 1 & 0x7f << 7) | (bits >> 2 & 0x7f << 14) |
             (bits >> 3 & 0x7f << 21) | (bits >> 4 & UINT64_C(0x7f) << 28);
    return from->at <= from->end;
}

/* CmdHandleEvent with its two fields, in any order. */
static inline bool take_event(struct wire from, struct rpc_call *call) {
    uint64_t id = 0;
    struct wire text = wire((const uint8_t *)empty.data, 0);

    while (from.at < from.end) {
        if (*from.at == NUMBER_TAG ? !take_number(&from, &id)
                                   : !wire_take_content(&from, TEXT_TAG, &text)) {
            return false;
        }
    }
    call->instance_id = (int32_t)(uint32_t)id;
    call->event = (struct kong_str){(const char *)text.at, (size_t)(text.end - text.at)};
    return true;
}

bool protobuf_decode_event(const uint8_t *data, size_t len, struct rpc_call *call) {
    struct wire from = wire(data, len);
    struct wire event = wire(NULL, 0);
    uint64_t sequence = 0;

    while (len >= 8 && from.at < from.end) {
        if (*from.at == NUMBER_TAG) {
            if (!take_number(&from, &sequence)) {
                return false;
            }
        } else if (*from.at++ != EVENT_TAG_1 || !wire_take_content(&from, EVENT_TAG_2, &event) ||
                   event.end - data < 8 || !take_event(event, call)) {
            return false;
        }
    }
    call->command = RPC_HANDLE_EVENT;
    call->sequence = (int64_t)sequence;
    return event.at != NULL;
}

int protobuf_decode_call(struct arena *arena, const uint8_t *data, size_t len,
                         struct rpc_call *call) {
    struct wire rest = wire(data, len);
    struct wire_field field;
    int got;

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
