/* protobuf-c's messages on their way in and out, and values made of them by their descriptors.
 * Private to proto/. */
#ifndef PROTO_PROTOBUF_MESSAGE_H
#define PROTO_PROTOBUF_MESSAGE_H

#include "buffer.h"
#include "pdk_methods.h"
#include "pluginsocket.pb-c.h"
#include "protocol.h"

/* --- protobuf_message.c ---
 *
 * Unpacks into the arena, with a NUL behind all bytes; there is nothing to free. The raw bytes are
 * checked first, since protobuf-c recurses and trusts counts: values nest at most LIMIT_NESTING
 * deep, repeated fields have at most LIMIT_ELEMENTS elements together. */
int protobuf_unpack(struct arena *arena, const ProtobufCMessageDescriptor *type,
                    const uint8_t *data, size_t len, ProtobufCMessage **message);

/* Room for whole frames: one with the method's name (method NULL: none), and one of `content`
 * bytes, which the caller must write at *at before anything else happens to the buffer. Or nothing
 * is appended, and the buffer can still be used. */
int protobuf_frames(struct buffer *out, const struct kong_str *method, size_t content,
                    uint8_t **at);

/* The same with a message as content. */
int protobuf_pack(struct buffer *out, const struct kong_str *method,
                  const ProtobufCMessage *message);

/* A new message of that type in the arena; NULL: no memory. */
void *protobuf_new(struct arena *arena, const ProtobufCMessageDescriptor *type);

/* --- protobuf_value.c: Value, Struct and ListValue ---
 *
 * As protobuf_rpc.h says of a Value. From a message: what is given points into it; NULL is nil. */
int protobuf_value_out(struct arena *arena, const KongPluginProtocol__Value *from,
                       struct kong_value *to);
int protobuf_list_out(struct arena *arena, const KongPluginProtocol__ListValue *from,
                      struct kong_value *to);
int protobuf_struct_out(struct arena *arena, const KongPluginProtocol__Struct *from,
                        struct kong_value *to);

/* To a message, which need not be initialized for a Value and must be for the others; it points to
 * the value's bytes, what is new is in the arena. depth: lists and maps around it (CODEC_E_LIMIT
 * from LIMIT_NESTING on). CODEC_E_SHAPE when a list or a map is needed and `from` is none. */
int protobuf_value_in(struct arena *arena, const struct kong_value *from, unsigned depth,
                      KongPluginProtocol__Value *to);
int protobuf_list_in(struct arena *arena, const struct kong_value *from, unsigned depth,
                     KongPluginProtocol__ListValue *to);
int protobuf_struct_in(struct arena *arena, const struct kong_value *from, unsigned depth,
                       KongPluginProtocol__Struct *to);

/* --- protobuf_fields.c: any message, by its descriptor ---
 *
 * Value, Struct and ListValue as above; others are maps with the names of the fields, those at
 * their default left out (proto3 does not send them). What is given points into the message. */
int protobuf_to_value(struct arena *arena, const ProtobufCMessage *message,
                      struct kong_value *value);

/* A new message in the arena, which points to the value's bytes. CODEC_E_SHAPE when the value does
 * not fit: no map, a key that is no field's name, another type, an integer out of range, two
 * members of a oneof. */
int protobuf_from_value(struct arena *arena, const ProtobufCMessageDescriptor *type,
                        const struct kong_value *value, ProtobufCMessage **message);

/* The message of each shape; NULL: an empty frame, or none. */
extern const ProtobufCMessageDescriptor *const protobuf_args_types[];
extern const ProtobufCMessageDescriptor *const protobuf_result_types[];
/* How many arguments a shape has: its message has a field for each, but for a list. */
size_t protobuf_args_count(enum pdk_args shape);

/* Bytes of a message as a string and the other way round. Never nil. */
static inline struct kong_str protobuf_str(ProtobufCBinaryData bytes) {
    if (bytes.len == 0) {
        return (struct kong_str){"", 0};
    }
    return (struct kong_str){(const char *)bytes.data, bytes.len};
}

static inline ProtobufCBinaryData protobuf_bytes(struct kong_str text) {
    return (ProtobufCBinaryData){text.len, (uint8_t *)(uintptr_t)text.data};
}

#endif
