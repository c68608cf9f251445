/* What all codecs share: which protocols there are, and how a codec says what is wrong. */
#ifndef PROTO_PROTOCOL_H
#define PROTO_PROTOCOL_H

#include "arena.h"
#include "kong_value.h"

enum protocol {
    PROTOCOL_UNKNOWN, /* too few bytes yet */
    PROTOCOL_PROTOBUF,
    PROTOCOL_MSGPACK,
};

/* Fatal to the message, and on a stream to the connection. */
enum codec_error {
    CODEC_OK = 0,
    CODEC_E_NOMEM = -1,     /* no memory, or the arena's or buffer's limit */
    CODEC_E_MALFORMED = -2, /* not what the format allows */
    CODEC_E_LIMIT = -3,     /* allowed by the format, not by us: size, nesting, count */
    CODEC_E_SHAPE = -4,     /* well formed, but not the message that belongs here */
};

/* Text of a codec_error, in English, without a final period. Static. */
const char *codec_strerror(int error);

/* A reason with figures ("frame of 4294967295 bytes, limit 8388608"), filled by functions that take
 * one when they fail; the buffer is the caller's. Always NUL-terminated. */
struct codec_reason {
    char text[160];
};

#endif
