#include "protobuf_plain.h"

#include "protobuf_message.h"
#include "value.h"

int protobuf_write_empty(struct buffer *out, const struct kong_str *method) {
    uint8_t *at;

    return protobuf_frames(out, method, 0, &at);
}

int protobuf_write_string(struct buffer *out, const struct kong_str *method,
                          const struct kong_value *value) {
    uint8_t *at;

    if (value->type != KONG_STRING) {
        return CODEC_E_SHAPE;
    }
    if (value->string.len > UINT32_MAX) {
        return CODEC_E_LIMIT;
    }
    size_t size = value->string.len == 0 ? 0 : wire_bytes_size(value->string);
    int error = protobuf_frames(out, method, size, &at);
    if (error == CODEC_OK && size > 0) {
        wire_put_bytes(at, 1, value->string);
    }
    return error;
}

/* A negative int32 is a varint of 64 bits. */
int protobuf_write_int(struct buffer *out, const struct kong_str *method,
                       const struct kong_value *value) {
    int64_t integer;
    uint8_t *at;

    if (!value_to_integer(value, &integer) || integer < INT32_MIN || integer > INT32_MAX) {
        return CODEC_E_SHAPE;
    }
    uint64_t bits = (uint64_t)integer;
    int error = protobuf_frames(out, method, bits == 0 ? 0 : 1 + wire_varint_size(bits), &at);
    if (error == CODEC_OK && bits != 0) {
        wire_put_varint(wire_put_tag(at, 1, WIRE_VARINT), bits);
    }
    return error;
}

int protobuf_write_bool(struct buffer *out, const struct kong_str *method, bool value) {
    uint8_t *at;
    int error = protobuf_frames(out, method, value ? 2 : 0, &at);

    if (error == CODEC_OK && value) {
        wire_put_varint(wire_put_tag(at, 1, WIRE_VARINT), 1);
    }
    return error;
}

/* The content of a Value that is neither list nor map; a nil has none. */
static size_t plain_size(const struct kong_value *value) {
    switch (value->type) {
    case KONG_BOOLEAN:
        return 2;
    case KONG_INTEGER:
    case KONG_NUMBER:
        return 9;
    case KONG_STRING:
        return wire_bytes_size(value->string);
    default:
        return 0;
    }
}

static uint8_t *put_plain(uint8_t *at, const struct kong_value *value) {
    switch (value->type) {
    case KONG_BOOLEAN:
        return wire_put_varint(wire_put_tag(at, 4, WIRE_VARINT), value->boolean);
    case KONG_INTEGER:
        return wire_put_double(at, 2, (double)value->integer);
    case KONG_NUMBER:
        return wire_put_double(at, 2, value->number);
    case KONG_STRING:
        return wire_put_bytes(at, 3, value->string);
    default:
        return at;
    }
}

int protobuf_write_pair(struct buffer *out, const struct kong_str *method, struct kong_str key,
                        const struct kong_value *value) {
    size_t inner = plain_size(value);
    size_t size = 0;
    uint8_t *at;

    if (key.len > UINT32_MAX || inner > UINT32_MAX) {
        return CODEC_E_LIMIT;
    }
    if (key.len != 0) {
        size += wire_bytes_size(key);
    }
    if (value->type != KONG_NIL) {
        size += 1 + wire_varint_size(inner) + inner;
    }
    int error = protobuf_frames(out, method, size, &at);
    if (error != CODEC_OK) {
        return error;
    }
    if (key.len != 0) {
        at = wire_put_bytes(at, 1, key);
    }
    if (value->type != KONG_NIL) {
        at = wire_put_tag(at, 2, WIRE_BYTES);
        at = wire_put_varint(at, inner);
        put_plain(at, value);
    }
    return CODEC_OK;
}

int protobuf_write_short_pair(struct buffer *out, const struct kong_str *method,
                              struct kong_str key, struct kong_str text) {
    size_t content = 2 + key.len + 4 + text.len;

    if (out->failed || !buffer_reserve(out, 4 + method->len + 4 + content)) {
        buffer_truncate(out, out->len);
        return CODEC_E_NOMEM;
    }
    uint8_t *at = wire_put_u32(out->data + out->len, (uint32_t)method->len);
    at = wire_put_u32(wire_put_data(at, method->data, method->len), (uint32_t)content);
    *at++ = 1 << 3 | WIRE_BYTES;
    *at++ = (uint8_t)key.len;
    at = wire_put_data(at, key.data, key.len);
    *at++ = 2 << 3 | WIRE_BYTES;
    *at++ = (uint8_t)(2 + text.len);
    *at++ = 3 << 3 | WIRE_BYTES;
    *at++ = (uint8_t)text.len;
    at = wire_put_data(at, text.data, text.len);
    out->len = (size_t)(at - out->data);
    return CODEC_OK;
}

/* Nothing but field 1, with fewer than 128 bytes: what Kong answers mostly. */
static inline bool is_short_text(const uint8_t *data, size_t len) {
    return len >= 2 && data[0] == (1 << 3 | WIRE_BYTES) && data[1] < 0x80 && data[1] == len - 2;
}

int protobuf_read_plain(enum wire_type type, const uint8_t *data, size_t len,
                        struct wire_field *v) {
    struct wire rest = wire(data, len);
    struct wire_field field;
    int got;

    if (type == WIRE_BYTES && is_short_text(data, len)) {
        *v = (struct wire_field){1, WIRE_BYTES, 0, data + 2, len - 2};
        return CODEC_OK;
    }
    *v = (struct wire_field){.data = data};
    while ((got = wire_next(&rest, &field)) > 0) {
        if (field.number != 1) {
            continue;
        }
        if (field.type != type) {
            return CODEC_E_MALFORMED;
        }
        *v = field;
    }
    return got;
}
