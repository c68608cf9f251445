#include "sim_protobuf.h"

#include "limit.h"
#include "protobuf_message.h"
#include "protobuf_plain.h"

/* --- Arguments, in --- */

static struct kong_value string_value(ProtobufCBinaryData bytes) {
    struct kong_str text = protobuf_str(bytes);

    return kong_bytes(text.data, text.len);
}

/* NULL gives nil. */
static int part_value(struct arena *arena, const ProtobufCMessage *part, struct kong_value *to) {
    *to = kong_nil();
    return part == NULL ? CODEC_OK : protobuf_to_value(arena, part, to);
}

/* The arguments that one message makes, at most three; *count says how many. */
static int message_args(struct arena *arena, enum pdk_args shape, const ProtobufCMessage *message,
                        struct kong_value to[3], size_t *count) {
    *count = protobuf_args_count(shape);
    switch (shape) {
    case PDK_ARGS_STRING:
        to[0] = string_value(((const KongPluginProtocol__String *)message)->v);
        return CODEC_OK;
    case PDK_ARGS_BYTES:
        to[0] = string_value(((const KongPluginProtocol__ByteString *)message)->v);
        return CODEC_OK;
    case PDK_ARGS_INT:
        to[0] = kong_integer(((const KongPluginProtocol__Int *)message)->v);
        return CODEC_OK;
    case PDK_ARGS_BOOL:
        to[0] = kong_boolean(((const KongPluginProtocol__Bool *)message)->v != 0);
        return CODEC_OK;
    case PDK_ARGS_STRUCT:
        return protobuf_to_value(arena, message, &to[0]);
    case PDK_ARGS_KV: {
        const KongPluginProtocol__KV *pair = (const KongPluginProtocol__KV *)message;

        to[0] = string_value(pair->k);
        return protobuf_value_out(arena, pair->v, &to[1]);
    }
    case PDK_ARGS_EXIT: {
        const KongPluginProtocol__ExitArgs *from = (const KongPluginProtocol__ExitArgs *)message;

        to[0] = kong_integer(from->status);
        to[1] = from->body.len == 0 ? kong_nil() : string_value(from->body);
        return part_value(arena, (const ProtobufCMessage *)from->headers, &to[2]);
    }
    case PDK_ARGS_TARGET: {
        const KongPluginProtocol__Target *from = (const KongPluginProtocol__Target *)message;

        to[0] = string_value(from->host);
        to[1] = kong_integer(from->port);
        return CODEC_OK;
    }
    case PDK_ARGS_CONSUMER_SPEC: {
        const KongPluginProtocol__ConsumerSpec *from =
            (const KongPluginProtocol__ConsumerSpec *)message;

        to[0] = string_value(from->id);
        to[1] = kong_boolean(from->by_username != 0);
        return CODEC_OK;
    }
    case PDK_ARGS_AUTHENTICATE: {
        const KongPluginProtocol__AuthenticateArgs *from =
            (const KongPluginProtocol__AuthenticateArgs *)message;
        int error = part_value(arena, (const ProtobufCMessage *)from->consumer, &to[0]);

        return error != CODEC_OK
                   ? error
                   : part_value(arena, (const ProtobufCMessage *)from->credential, &to[1]);
    }
    default:
        return CODEC_E_SHAPE;
    }
}

int sim_protobuf_decode_args(struct arena *arena, const struct pdk_method *method,
                             const uint8_t *data, size_t len, struct kong_value *args) {
    ProtobufCMessage *message;
    struct kong_value *values;
    size_t count;

    if (!protobuf_carries(method)) {
        return CODEC_E_SHAPE;
    }
    if (method->args == PDK_ARGS_EMPTY) {
        *args = kong_list(NULL, 0);
        return CODEC_OK;
    }
    int error = protobuf_unpack(arena, protobuf_args_types[method->args], data, len, &message);
    if (error != CODEC_OK) {
        return error;
    }
    if (method->args == PDK_ARGS_LIST) {
        return protobuf_to_value(arena, message, args);
    }
    values = arena_array(arena, 3, sizeof(*values));
    if (values == NULL) {
        return CODEC_E_NOMEM;
    }
    error = message_args(arena, method->args, message, values, &count);
    *args = kong_list(values, count);
    return error;
}

/* --- Results, out --- */

/* A field of one byte: a boolean, false too; or what Kong sends for nil where the result is a
 * Value: a null_value (1) that is no NullValue. */
static int write_bool(struct buffer *out, bool value) {
    uint8_t *at;
    int error = protobuf_frames(out, NULL, 2, &at);

    if (error == CODEC_OK) {
        wire_put_varint(wire_put_tag(at, 1, WIRE_VARINT), value);
    }
    return error;
}

static int write_number(struct buffer *out, const struct kong_value *value) {
    uint8_t *at;

    if (value->type != KONG_NUMBER && value->type != KONG_INTEGER) {
        return CODEC_E_SHAPE;
    }
    double number = value->type == KONG_NUMBER ? value->number : (double)value->integer;
    if (number == 0) {
        return protobuf_write_empty(out, NULL);
    }
    int error = protobuf_frames(out, NULL, 9, &at);
    if (error == CODEC_OK) {
        wire_put_double(at, 1, number);
    }
    return error;
}

static int write_result_message(struct buffer *out, const ProtobufCMessageDescriptor *type,
                                const struct kong_value *result) {
    struct arena arena;
    ProtobufCMessage *message;

    arena_init(&arena, LIMIT_EVENT_MEMORY);
    int error = protobuf_from_value(&arena, type, result, &message);
    if (error == CODEC_OK) {
        error = protobuf_pack(out, NULL, message);
    }
    arena_free(&arena);
    return error;
}

int sim_protobuf_encode_result(struct buffer *out, const struct pdk_method *method,
                               const struct kong_value *result) {
    if (!protobuf_carries(method)) {
        return CODEC_E_SHAPE;
    }
    if (result->type == KONG_NIL) {
        return method->result == PDK_RESULT_VALUE ? write_bool(out, true)
                                                  : protobuf_write_empty(out, NULL);
    }
    switch (method->result) {
    case PDK_RESULT_EMPTY:
        return CODEC_E_SHAPE;
    case PDK_RESULT_STRING:
    case PDK_RESULT_BYTES:
        return protobuf_write_string(out, NULL, result);
    case PDK_RESULT_INT:
        return protobuf_write_int(out, NULL, result);
    case PDK_RESULT_NUMBER:
        return write_number(out, result);
    case PDK_RESULT_BOOL:
        return result->type == KONG_BOOLEAN ? write_bool(out, result->boolean) : CODEC_E_SHAPE;
    default:
        return write_result_message(out, protobuf_result_types[method->result], result);
    }
}
