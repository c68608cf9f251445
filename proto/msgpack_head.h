/* The head of one MessagePack value: its type, and its content or how much of it follows. What the
 * scanner of frame.h and the decoder of msgpack_rpc.h share. Source: the MessagePack specification
 * (github.com/msgpack/msgpack, spec.md). */
#ifndef PROTO_MSGPACK_HEAD_H
#define PROTO_MSGPACK_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kong_value.h"

enum msgpack_kind {
    MSGPACK_NIL,
    MSGPACK_BOOLEAN,
    MSGPACK_INTEGER,
    MSGPACK_UNSIGNED, /* an integer above INT64_MAX */
    MSGPACK_NUMBER,   /* float32 or float64 */
    MSGPACK_STRING,   /* str or bin: `count` bytes follow */
    MSGPACK_EXT,      /* `count` bytes follow; its type number belongs to the head */
    MSGPACK_LIST,     /* `count` values follow */
    MSGPACK_MAP,      /* `count` pairs of values follow */
};

struct msgpack_head {
    enum msgpack_kind kind;
    size_t size; /* bytes of the head itself; of a number: all of it */
    uint32_t count;
    union {
        bool boolean;
        int64_t integer;
        uint64_t unsigned_;
        double number;
    };
};

/* Reads the head at the start of data. 1: done. 0: it is not all there; head->size says how long it
 * is (1 when there is no byte at all). -1: the byte that MessagePack reserves (c1). */
int msgpack_head_read(const uint8_t *data, size_t len, struct msgpack_head *head);

/* How many values follow the head: those of a list, twice as many of a map. */
static inline uint64_t msgpack_head_children(const struct msgpack_head *head) {
    return head->kind == MSGPACK_MAP    ? (uint64_t)head->count * 2
           : head->kind == MSGPACK_LIST ? head->count
                                        : 0;
}

/* A head that is a scalar but no string, as a value: nil for all others. An integer above INT64_MAX
 * becomes a number, as it is in Lua. */
struct kong_value msgpack_head_scalar(const struct msgpack_head *head);

/* A head as a whole number: of any integer type, or a float without fraction, inside int64. */
bool msgpack_head_to_integer(const struct msgpack_head *head, int64_t *out);
bool msgpack_head_to_uint(const struct msgpack_head *head, uint64_t *out); /* none below 0 */

#endif
