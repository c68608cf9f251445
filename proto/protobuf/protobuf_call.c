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

/* A varint of one to five bytes; there are eight bytes before `end`, some of them before `at`
 * perhaps. The place behind it; NULL: it is longer, or cut short. */
static inline const uint8_t *take_number(const uint8_t *at, const uint8_t *end, uint64_t *value) {
    size_t left = (size_t)(end - at);
    uint64_t bits;

    memcpy(&bits, left < 8 ? end - 8 : at, sizeof bits);
    bits = le64toh(bits) >> (left < 8 ? 8 * (8 - left) % 64 : 0);
    uint64_t ends = ~bits & UINT64_C(0x8080808080); /* of bytes behind which none follows */
    if (ends == 0) {
        return NULL;
    }
    at += __builtin_ctzll(ends) / 8 + 1;
    bits &= ends ^ (ends - 1); /* up to the first of them */
    *value = (bits & 0x7f) | (bits >> 1 & 0x7f << 7) | (bits >> 2 & 0x7f << 14) |
             (bits >> 3 & 0x7f << 21) | (bits >> 4 & UINT64_C(0x7f) << 28);
    return at <= end ? at : NULL;
}

#define NUMBER_TAG (1 << 3 | WIRE_VARINT) /* of field 1 */
#define TEXT_TAG   (2 << 3 | WIRE_BYTES)  /* of field 2 */
#define EVENT_TAG  "\xa2\x02"             /* of CmdHandleEvent, field 36 */

/* CmdHandleEvent with its two fields, in any order. */
static inline bool take_event(const uint8_t *at, const uint8_t *end, struct rpc_call *call) {
    uint64_t id = 0;

    call->event = empty;
    while (at != NULL && end - at >= 2) {
        if (*at == NUMBER_TAG) {
            at = take_number(at + 1, end, &id);
        } else if (*at == TEXT_TAG && at[1] < 0x80 && at[1] <= end - at - 2) {
            call->event = (struct kong_str){(const char *)at + 2, at[1]};
            at += 2 + at[1];
        } else {
            return false;
        }
    }
    call->instance_id = (int32_t)(uint32_t)id;
    return at == end;
}

bool protobuf_decode_event(const uint8_t *data, size_t len, struct rpc_call *call) {
    const uint8_t *at = data;
    const uint8_t *end = data + len;
    uint64_t sequence = 0;

    call->command = RPC_UNKNOWN;
    while (len >= 8 && at != NULL && at < end) {
        if (*at == NUMBER_TAG) {
            at = take_number(at + 1, end, &sequence);
        } else if (end - at >= 8 && memcmp(at, EVENT_TAG, 2) == 0 && at[2] < 0x80 && at[2] >= 5 &&
                   at[2] <= end - at - 3 && take_event(at + 3, at + 3 + at[2], call)) {
            call->command = RPC_HANDLE_EVENT;
            at += 3 + at[2];
        } else {
            return false;
        }
    }
    call->sequence = (int64_t)sequence;
    return at == end && call->command == RPC_HANDLE_EVENT;
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
