/* The messages of PDK calls that come often, written and read by hand: a String, a KV with a plain
 * value, numbers. protobuf-c does the rest, and a test compares both. Private to proto/. */
#ifndef PROTO_PROTOBUF_PLAIN_H
#define PROTO_PROTOBUF_PLAIN_H

#include "buffer.h"
#include "pdk_methods.h"
#include "protobuf_wire.h"

/* Whether ProtoBuf:1 has messages for the method. */
static inline bool protobuf_carries(const struct pdk_method *method) {
    return !(method->flags & PDK_MSGPACK_ONLY) && method->args != PDK_ARGS_ANY &&
           method->result != PDK_RESULT_ANY;
}

/* Each appends a frame with the method's name, when `method` is not NULL, and a frame with the
 * message; or nothing. CODEC_E_SHAPE when the value is not of the type. Defaults are left out. */
int protobuf_write_empty(struct buffer *out, const struct kong_str *method);
/* String, ByteString. */
int protobuf_write_string(struct buffer *out, const struct kong_str *method,
                          const struct kong_value *value);
int protobuf_write_int(struct buffer *out, const struct kong_str *method,
                       const struct kong_value *value);
int protobuf_write_bool(struct buffer *out, const struct kong_str *method, bool value);
/* A KV whose value is no list and no map. A nil is left out. */
int protobuf_write_pair(struct buffer *out, const struct kong_str *method, struct kong_str key,
                        const struct kong_value *value);

/* The same for two texts of at least one byte, at most so many. */
#define PROTOBUF_SHORT 120u
int protobuf_write_short_pair(struct buffer *out, const struct kong_str *method,
                              struct kong_str key, struct kong_str text);

/* The field `v`, number 1, of a String, Int, Number, Bool: the last one, as always in Protocol
 * Buffers; zeroed when it is not there. */
int protobuf_read_plain(enum wire_type type, const uint8_t *data, size_t len, struct wire_field *v);

#endif
