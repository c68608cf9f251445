#include "msgpack_head.h"

#include <string.h>

#include "value.h"

/* How many bytes follow the first one of a head, for c0 to df. 255: reserved. */
static const uint8_t tails[0x20] = {
    0, 255, 0, 0, 1, 2, 4, 2, 3, 5, 4, 8, 1, 2, 4, 8, /* nil .. uint64 */
    1, 2,   4, 8, 1, 1, 1, 1, 1, 1, 2, 4, 2, 4, 2, 4, /* int8 .. map32 */
};

/* size bytes, most significant first. */
static uint64_t read_big(const uint8_t *data, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | data[i];
    }
    return value;
}

static void set_integer(struct msgpack_head *head, int64_t integer) {
    head->kind = MSGPACK_INTEGER;
    head->integer = integer;
}

static void set_unsigned(struct msgpack_head *head, uint64_t value) {
    if (value <= INT64_MAX) {
        set_integer(head, (int64_t)value);
    } else {
        head->kind = MSGPACK_UNSIGNED;
        head->unsigned_ = value;
    }
}

static void set_float(struct msgpack_head *head, uint64_t bits, size_t size) {
    head->kind = MSGPACK_NUMBER;
    if (size == sizeof(float)) {
        uint32_t bits32 = (uint32_t)bits;
        float number;
        memcpy(&number, &bits32, sizeof number);
        head->number = (double)number;
    } else {
        memcpy(&head->number, &bits, sizeof head->number);
    }
}

static void set_count(struct msgpack_head *head, enum msgpack_kind kind, uint64_t count) {
    head->kind = kind;
    head->count = (uint32_t)count;
}

/* The types of one byte with their value or length in it. */
static void read_fix(struct msgpack_head *head, uint8_t first) {
    if (first < 0x80) {
        set_integer(head, first);
    } else if (first >= 0xe0) {
        set_integer(head, (int8_t)first);
    } else if (first < 0x90) {
        set_count(head, MSGPACK_MAP, first & 0x0f);
    } else if (first < 0xa0) {
        set_count(head, MSGPACK_LIST, first & 0x0f);
    } else {
        set_count(head, MSGPACK_STRING, first & 0x1f);
    }
}

/* c0 to df; `tail` is what follows the first byte, as one number. */
static void read_typed(struct msgpack_head *head, uint8_t first, const uint8_t *data, size_t size) {
    uint64_t tail = read_big(data, size);
    unsigned unused = (64 - 8 * (unsigned)size) & 63; /* bits */
    switch (first) {
    case 0xc0:
        head->kind = MSGPACK_NIL;
        break;
    case 0xc2 ... 0xc3:
        head->kind = MSGPACK_BOOLEAN;
        head->boolean = first == 0xc3;
        break;
    case 0xc7 ... 0xc9: /* ext: the last byte is the type number */
        set_count(head, MSGPACK_EXT, tail >> 8);
        break;
    case 0xca ... 0xcb:
        set_float(head, tail, size);
        break;
    case 0xcc ... 0xcf:
        set_unsigned(head, tail);
        break;
    case 0xd0 ... 0xd3: /* the first bit is the sign */
        set_integer(head, (int64_t)(tail << unused) >> unused);
        break;
    case 0xd4 ... 0xd8: /* fixext 1, 2, 4, 8, 16 */
        set_count(head, MSGPACK_EXT, 1u << (first - 0xd4));
        break;
    case 0xdc ... 0xdd:
        set_count(head, MSGPACK_LIST, tail);
        break;
    case 0xde ... 0xdf:
        set_count(head, MSGPACK_MAP, tail);
        break;
    default: /* bin c4 to c6, str d9 to db */
        set_count(head, MSGPACK_STRING, tail);
        break;
    }
}

int msgpack_head_read(const uint8_t *data, size_t len, struct msgpack_head *head) {
    head->size = 1;
    head->count = 0;
    if (len == 0) {
        return 0;
    }
    uint8_t first = data[0];
    if (first < 0xc0 || first >= 0xe0) {
        read_fix(head, first);
        return 1;
    }
    uint8_t tail = tails[first - 0xc0];
    if (tail == 255) {
        return -1;
    }
    head->size = 1 + (size_t)tail;
    if (len < head->size) {
        return 0;
    }
    read_typed(head, first, data + 1, tail);
    return 1;
}

struct kong_value msgpack_head_scalar(const struct msgpack_head *head) {
    switch (head->kind) {
    case MSGPACK_BOOLEAN:
        return kong_boolean(head->boolean);
    case MSGPACK_INTEGER:
        return kong_integer(head->integer);
    case MSGPACK_UNSIGNED:
        return kong_number((double)head->unsigned_);
    case MSGPACK_NUMBER:
        return kong_number(head->number);
    default:
        return kong_nil();
    }
}

bool msgpack_head_to_integer(const struct msgpack_head *head, int64_t *out) {
    struct kong_value value = msgpack_head_scalar(head);
    return value_to_integer(&value, out);
}

bool msgpack_head_to_uint(const struct msgpack_head *head, uint64_t *out) {
    int64_t integer;
    if (head->kind == MSGPACK_UNSIGNED) {
        *out = head->unsigned_;
        return true;
    }
    if (!msgpack_head_to_integer(head, &integer) || integer < 0) {
        return false;
    }
    *out = (uint64_t)integer;
    return true;
}
