/* The head of one MessagePack value: its type, and its content or how much of it follows. What the
 * scanner of frame.h and the decoder of msgpack_rpc.h share. Source: the MessagePack specification
 * (github.com/msgpack/msgpack, spec.md). */
#ifndef PROTO_MSGPACK_HEAD_H
#define PROTO_MSGPACK_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#endif
