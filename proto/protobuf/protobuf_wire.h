/* The wire format of Protocol Buffers, field by field: what the codec reads and writes by hand.
 * Private to proto/. Source: protobuf.dev, "Encoding". */
#ifndef PROTO_PROTOBUF_WIRE_H
#define PROTO_PROTOBUF_WIRE_H

#include "protocol.h"

enum wire_type {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2, /* a length and so many bytes: strings, bytes, messages */
    WIRE_FIXED32 = 5,
};

/* Bytes that are still to be read. */
struct wire {
    const uint8_t *at;
    const uint8_t *end;
};

struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;      /* VARINT, and the bits of FIXED64 and FIXED32 */
    const uint8_t *data; /* BYTES: inside the bytes that are read */
    size_t len;
};

static inline struct wire wire(const uint8_t *data, size_t len) {
    return (struct wire){data, len == 0 ? data : data + len};
}

/* Reads one field. 1: *field is filled; 0: the end; CODEC_E_MALFORMED: cut short, a field number
 * that does not exist, a wire type that proto3 does not use (groups). */
int wire_next(struct wire *wire, struct wire_field *field);

/* A varint of two to five bytes. */
bool wire_take_longer(struct wire *wire, uint64_t *value);

/* A varint of one to five bytes; mostly it is one. False: it is cut short, or longer. */
static inline bool wire_take_small(struct wire *wire, uint64_t *value) {
    if (wire->at < wire->end && *wire->at < 0x80) {
        *value = *wire->at++;
        return true;
    }
    return wire_take_longer(wire, value);
}

/* The content of the field of WIRE_BYTES that comes next. False: it has another tag than this one
 * of one byte, or is cut short. */
static inline bool wire_take_content(struct wire *from, uint8_t tag, struct wire *content) {
    uint64_t len;

    if (from->at == from->end || *from->at++ != tag || !wire_take_small(from, &len) ||
        len > (size_t)(from->end - from->at)) {
        return false;
    }
    *content = wire(from->at, (size_t)len);
    from->at += len;
    return true;
}

/* How many bytes a varint takes. */
static inline size_t wire_varint_size(uint64_t value) {
    size_t bits = 64 - (size_t)__builtin_clzll(value | 1);

    if (value < 0x80) { /* mostly */
        return 1;
    }
    return (bits * 9 + 64) / 64; /* (bits + 6) / 7, as far as 64 bits, without dividing */
}

/* Each writes at `at`, where there is room, and returns the place behind. Field numbers here are
 * below 16: a tag is one byte. */
static inline uint8_t *wire_put_varint(uint8_t *at, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        *at++ = (uint8_t)(value | 0x80);
    }
    *at++ = (uint8_t)value;
    return at;
}

static inline uint8_t *wire_put_tag(uint8_t *at, unsigned number, enum wire_type type) {
    *at++ = (uint8_t)(number << 3 | (unsigned)type);
    return at;
}

static inline uint8_t *wire_put_data(uint8_t *at, const void *data, size_t len) {
    if (len != 0) {
        memcpy(at, data, len);
    }
    return at + len;
}

static inline uint8_t *wire_put_bytes(uint8_t *at, unsigned number, struct kong_str bytes) {
    at = wire_put_tag(at, number, WIRE_BYTES);
    at = wire_put_varint(at, bytes.len);
    return wire_put_data(at, bytes.data, bytes.len);
}

static inline size_t wire_bytes_size(struct kong_str bytes) {
    return 1 + wire_varint_size(bytes.len) + bytes.len;
}

/* A frame's length, and a double: little-endian whatever the machine. */
static inline uint8_t *wire_put_u32(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
    at[2] = (uint8_t)(value >> 16);
    at[3] = (uint8_t)(value >> 24);
    return at + 4;
}

uint8_t *wire_put_double(uint8_t *at, unsigned number, double value);
double wire_double(uint64_t bits);

#endif
