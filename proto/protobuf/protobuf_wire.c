#include "protobuf_wire.h"

#define NUMBER_MAX ((1U << 29) - 1)

/* Tags and lengths take at most five bytes. protobuf-c reads no more either. */
#define HEAD_BYTES   5
#define VARINT_BYTES 10

static bool take_varint(struct wire *wire, size_t most, uint64_t *value) {
    uint64_t bits = 0;

    for (size_t i = 0; i < most && wire->at < wire->end; i++) {
        uint8_t byte = *wire->at++;

        bits |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            *value = bits;
            return true;
        }
    }
    return false;
}

static bool take_fixed(struct wire *wire, size_t size, uint64_t *value) {
    if ((size_t)(wire->end - wire->at) < size) {
        return false;
    }
    *value = 0;
    for (size_t i = 0; i < size; i++) {
        *value |= (uint64_t)*wire->at++ << (8 * i);
    }
    return true;
}

static bool take_bytes(struct wire *wire, struct wire_field *field) {
    uint64_t len;

    if (!take_varint(wire, HEAD_BYTES, &len) || len > (size_t)(wire->end - wire->at)) {
        return false;
    }
    field->data = wire->at;
    field->len = (size_t)len;
    wire->at += len;
    return true;
}

static bool take_content(struct wire *wire, unsigned type, struct wire_field *field) {
    switch (type) {
    case WIRE_VARINT:
        return take_varint(wire, VARINT_BYTES, &field->value);
    case WIRE_FIXED64:
        return take_fixed(wire, 8, &field->value);
    case WIRE_BYTES:
        return take_bytes(wire, field);
    case WIRE_FIXED32:
        return take_fixed(wire, 4, &field->value);
    default:
        return false;
    }
}

bool wire_take_longer(struct wire *wire, uint64_t *value) {
    const uint8_t *at = wire->at;
    size_t most = (size_t)(wire->end - at) < HEAD_BYTES ? (size_t)(wire->end - at) : HEAD_BYTES;
    uint64_t bits = most > 0 ? *at : 0;

    /* The mark of the byte before, that one more follows, is one too many in the next place. */
    for (size_t i = 1; i < most; i++) {
        bits += ((uint64_t)at[i] - 1) << (7 * i);
        if (at[i] < 0x80) {
            wire->at = at + i + 1;
            *value = bits;
            return true;
        }
    }
    return false;
}

int wire_next(struct wire *wire, struct wire_field *field) {
    uint64_t tag;

    if (wire->at == wire->end) {
        return 0;
    }
    *field = (struct wire_field){0};
    if (!take_varint(wire, HEAD_BYTES, &tag) || tag >> 3 == 0 || tag >> 3 > NUMBER_MAX ||
        !take_content(wire, tag & 7, field)) {
        return CODEC_E_MALFORMED;
    }
    field->number = (uint32_t)(tag >> 3);
    field->type = (enum wire_type)(tag & 7);
    return 1;
}

uint8_t *wire_put_double(uint8_t *at, unsigned number, double value) {
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    at = wire_put_tag(at, number, WIRE_FIXED64);
    for (unsigned shift = 0; shift < 64; shift += 8) {
        *at++ = (uint8_t)(bits >> shift);
    }
    return at;
}

double wire_double(uint64_t bits) {
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}
