/* ProtoBuf:1: bytes <-> values. Frames are a little-endian uint32 length and so many bytes (frame.h
 * cuts them). Encoders append whole frames to `out`, or append nothing, and return a codec_error.
 * Decoders take the content of one frame; what they give points into it or into the arena. */
#ifndef PROTO_PROTOBUF_RPC_H
#define PROTO_PROTOBUF_RPC_H

#include "buffer.h"
#include "pdk_methods.h"
#include "rpc_message.h"

/* RpcCall: Kong -> server. Fields in any order. One without a known cmd_ field is RPC_UNKNOWN. */
int protobuf_decode_call(struct arena *arena, const uint8_t *data, size_t len,
                         struct rpc_call *call);

/* The RpcCall that stands before every event: a sequence and CmdHandleEvent, in any order, no long
 * numbers, nothing else. Only command, sequence, instance_id and event are filled. False: it is for
 * protobuf_decode_call. */
bool protobuf_decode_event(const uint8_t *data, size_t len, struct rpc_call *call);
int protobuf_encode_call(struct buffer *out, const struct rpc_call *call);

/* RpcReturn: server -> Kong. Kinds NAMES, INFO, INSTANCE, RETURN. Decoded as INSTANCE when it is
 * one, else as RETURN. */
int protobuf_encode_reply(struct buffer *out, const struct rpc_reply *reply);
int protobuf_decode_reply(struct arena *arena, const uint8_t *data, size_t len,
                          struct rpc_reply *reply);

/* The empty frame that ends the PDK calls of an event. */
int protobuf_encode_empty(struct buffer *out);

/* The end of an event: the empty frame, and a RETURN. */
int protobuf_encode_end(struct buffer *out, int64_t sequence);

/* What a google.protobuf.Value makes of a value, in arguments and results:
 * - Numbers travel as doubles. One without fraction within 2^53 decodes as an integer, as Lua
 * prints it; integers beyond are rounded, as in Lua.
 * - nil goes out as a Value of no kind (a KV without `v`): Kong takes that for nil, and a
 * null_value for the text NULL_VALUE. In a map it is left out. Kong's own null_value decodes as
 * nil.
 * - false goes out as what it is, but Kong 3.9 hands nil to Lua.
 * - An empty list and an empty map decode as the bytes say; Lua cannot tell them apart and sends a
 *   struct.
 * Nested deeper than LIMIT_NESTING: CODEC_E_LIMIT, either way. */

/* A PDK call is two frames: the method's name, and its arguments in the message that method->args
 * names. args are the Lua call's arguments, in order; missing trailing ones are nil. CODEC_E_SHAPE
 * when an argument does not fit the message: a string or an integer that is nil (the message would
 * carry "" or 0; only a nil boolean is false, and exit's body and headers and authenticate's maps
 * can be left out), an integer outside int32, a key that the message does not have, one argument
 * too many, a method that is MsgPack only. */
int protobuf_encode_pdk_call(struct buffer *out, const struct pdk_method *method,
                             const struct kong_value *args, size_t count);

/* Adds a header to the call that ends `out`, whose frames begin at `from`: a call of `one`
 * (set_header) where *names is 0, else what this function made of it, a call of `many`
 * (set_headers), and *names as it left it. False, and nothing is changed, where it must be a call
 * of its own: the header is there (in whatever case), what is there is no text, a name is not plain
 * (pdk_is_plain_header), it would become too large, or there is no memory. */
__attribute__((noinline)) bool protobuf_merge_header(struct buffer *out, size_t from,
                                                     uint32_t *names, const struct pdk_method *one,
                                                     const struct pdk_method *many,
                                                     struct kong_str name, struct kong_str value);

/* The same two frames for a text that names no method: Kong logs `method "TEXT" not found` and
 * fails the request; a text with "no plugin instance" in it makes it start the instance again and
 * retry (PROTOCOL: seen on 3.9.1 and 2.8). */
int protobuf_encode_method_error(struct buffer *out, struct kong_str text);

/* Kong's answer to a PDK call: one frame, empty for Empty and for nil.
 * Shapes of the value, by method->result: EMPTY nil; STRING, BYTES a string; INT an integer; NUMBER
 * a number; BOOL a boolean; VALUE any; STRUCT a map; RAW_BODY a map with one of `content`,
 * `body_filepath`, `error`; URI_CAPTURES a map {unnamed: list, named: map}; ROUTE, SERVICE,
 * CONSUMER, CREDENTIAL, MEMORY_STATS a map with Kong's field names, absent fields left out. An
 * empty frame decodes as nil for every shape: ProtoBuf cannot tell nil from "", 0 and false. */
int protobuf_decode_pdk_result(struct arena *arena, const struct pdk_method *method,
                               const uint8_t *data, size_t len, struct kong_value *result);

#endif
