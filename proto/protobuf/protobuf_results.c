/* The results of PDK calls. */
#include "limit.h"
#include "protobuf_message.h"
#include "protobuf_plain.h"
#include "protobuf_rpc.h"

const ProtobufCMessageDescriptor *const protobuf_result_types[] = {
    [PDK_RESULT_STRING] = &kong_plugin_protocol__string__descriptor,
    [PDK_RESULT_INT] = &kong_plugin_protocol__int__descriptor,
    [PDK_RESULT_NUMBER] = &kong_plugin_protocol__number__descriptor,
    [PDK_RESULT_BOOL] = &kong_plugin_protocol__bool__descriptor,
    [PDK_RESULT_BYTES] = &kong_plugin_protocol__byte_string__descriptor,
    [PDK_RESULT_VALUE] = &kong_plugin_protocol__value__descriptor,
    [PDK_RESULT_STRUCT] = &kong_plugin_protocol__struct__descriptor,
    [PDK_RESULT_RAW_BODY] = &kong_plugin_protocol__raw_body_result__descriptor,
    [PDK_RESULT_URI_CAPTURES] = &kong_plugin_protocol__uri_captures_result__descriptor,
    [PDK_RESULT_ROUTE] = &kong_plugin_protocol__route__descriptor,
    [PDK_RESULT_SERVICE] = &kong_plugin_protocol__service__descriptor,
    [PDK_RESULT_CONSUMER] = &kong_plugin_protocol__consumer__descriptor,
    [PDK_RESULT_CREDENTIAL] = &kong_plugin_protocol__authenticated_credential__descriptor,
    [PDK_RESULT_MEMORY_STATS] = &kong_plugin_protocol__memory_stats__descriptor,
    [PDK_RESULT_ANY] = NULL,
};

static int read_string(struct arena *arena, const uint8_t *data, size_t len,
                       struct kong_value *result) {
    struct wire_field v;
    int error = protobuf_read_plain(WIRE_BYTES, data, len, &v);

    if (error != CODEC_OK) {
        return error;
    }
    struct kong_str copy = arena_copy(arena, v.data, v.len);
    *result = kong_bytes(copy.data, copy.len);
    return copy.data == NULL ? CODEC_E_NOMEM : CODEC_OK;
}

int protobuf_decode_pdk_result(struct arena *arena, const struct pdk_method *method,
                               const uint8_t *data, size_t len, struct kong_value *result) {
    struct wire_field v;
    ProtobufCMessage *message;
    int error;

    *result = kong_nil();
    if (!protobuf_carries(method)) {
        return CODEC_E_SHAPE;
    }
    if (len == 0 || method->result == PDK_RESULT_EMPTY) {
        return CODEC_OK;
    }
    switch (method->result) {
    case PDK_RESULT_STRING:
    case PDK_RESULT_BYTES:
        return read_string(arena, data, len, result);
    case PDK_RESULT_INT:
        error = protobuf_read_plain(WIRE_VARINT, data, len, &v);
        *result = kong_integer((int32_t)(uint32_t)v.value);
        return error;
    case PDK_RESULT_BOOL:
        error = protobuf_read_plain(WIRE_VARINT, data, len, &v);
        *result = kong_boolean(v.value != 0);
        return error;
    case PDK_RESULT_NUMBER:
        error = protobuf_read_plain(WIRE_FIXED64, data, len, &v);
        *result = kong_number(wire_double(v.value));
        return error;
    default:
        error = protobuf_unpack(arena, protobuf_result_types[method->result], data, len, &message);
        return error != CODEC_OK ? error : protobuf_to_value(arena, message, result);
    }
}
