/* Calls of set_header that leave as one of set_headers. An entry of the map that set_headers takes
 * has the bytes of set_header's arguments: field 1 is the name, field 2 the value. */
#include "protobuf_rpc.h"

#include "protobuf_wire.h"

#define LENGTH_SIZE 4
/* Of the arguments: one that becomes larger is a call of its own. */
#define CONTENT_MOST ((size_t)4 << 10)

static bool take_name(struct wire *entry, struct kong_str *name) {
    struct wire bytes;
    if (!wire_take_content(entry, 1 << 3 | WIRE_BYTES, &bytes)) {
        return false;
    }
    *name = (struct kong_str){(const char *)bytes.at, (size_t)(bytes.end - bytes.at)};
    return true;
}

/* One of 32 bits; most names have one of their own. */
static uint32_t bit_of(struct kong_str name) {
    unsigned first = (unsigned char)name.data[0] | 0x20;
    unsigned last = (unsigned char)name.data[name.len - 1] | 0x20;
    return (uint32_t)1 << ((name.len + first + 5 * last) % 32);
}

static bool is_among(struct wire map, struct kong_str name) {
    struct wire entry;
    struct kong_str other;
    while (wire_take_content(&map, 1 << 3 | WIRE_BYTES, &entry) && take_name(&entry, &other)) {
        if (pdk_same_header(other, name)) {
            return true;
        }
    }
    return false;
}

/* What set_header takes: whether it is a plain name and a text. */
static bool take_first(struct wire pair, struct kong_str *name) {
    struct wire value;
    return take_name(&pair, name) && pdk_is_plain_header(*name) &&
           wire_take_content(&pair, 2 << 3 | WIRE_BYTES, &value) && value.at < value.end &&
           *value.at == (3 << 3 | WIRE_BYTES);
}

/* Where a call's arguments begin, behind its name and their length. */
static size_t head_of(const struct pdk_method *method) {
    return LENGTH_SIZE + method->name.len + LENGTH_SIZE;
}

/* The call of `one` becomes one of `many` with the same content; there is room. */
static void turn(struct buffer *out, size_t from, const struct pdk_method *one,
                 const struct pdk_method *many, size_t content) {
    size_t head = 1 + wire_varint_size(content);
    uint8_t *at = out->data + from;
    memmove(at + head_of(many) + head, at + head_of(one), content);
    at = wire_put_u32(at, (uint32_t)many->name.len);
    at = wire_put_data(at, many->name.data, many->name.len) + LENGTH_SIZE;
    wire_put_varint(wire_put_tag(at, 1, WIRE_BYTES), content);
    out->len += head_of(many) + head - head_of(one);
}

static void put_entry(struct buffer *out, struct kong_str name, struct kong_str value,
                      size_t size) {
    uint8_t *at = out->data + out->len;
    at = wire_put_varint(wire_put_tag(at, 1, WIRE_BYTES), size);
    at = wire_put_bytes(at, 1, name);
    at = wire_put_varint(wire_put_tag(at, 2, WIRE_BYTES), wire_bytes_size(value));
    at = wire_put_bytes(at, 3, value);
    out->len = (size_t)(at - out->data);
}

bool protobuf_merge_header(struct buffer *out, size_t from, uint32_t *names,
                           const struct pdk_method *one, const struct pdk_method *many,
                           struct kong_str name, struct kong_str value) {
    bool merged = *names != 0;
    size_t head = head_of(merged ? many : one);
    if (out->len < from + head) {
        return false;
    }
    struct wire content = wire(out->data + from + head, out->len - from - head);
    size_t len = (size_t)(content.end - content.at);
    struct kong_str first;
    if (len > CONTENT_MOST || name.len + value.len > CONTENT_MOST || !pdk_is_plain_header(name)) {
        return false;
    }
    uint32_t bits = *names;
    if (!merged) {
        if (!take_first(content, &first) || pdk_same_header(first, name)) {
            return false;
        }
        bits = bit_of(first);
    } else if ((bits & bit_of(name)) != 0 && is_among(content, name)) {
        return false;
    }
    size_t inner = wire_bytes_size(value);
    size_t size = wire_bytes_size(name) + 1 + wire_varint_size(inner) + inner;
    size_t more = merged ? 0 : head_of(many) - head + 1 + wire_varint_size(len);
    if (!buffer_reserve(out, more + 1 + wire_varint_size(size) + size)) {
        buffer_truncate(out, out->len); /* the call alone needs less */
        return false;
    }
    if (!merged) {
        turn(out, from, one, many, len);
    }
    put_entry(out, name, value, size);
    size_t begin = from + head_of(many);
    wire_put_u32(out->data + begin - LENGTH_SIZE, (uint32_t)(out->len - begin));
    *names = bits | bit_of(name);
    return true;
}
