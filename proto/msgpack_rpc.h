/* MsgPack:1 (MessagePack-RPC): bytes <-> values. Encoders append one whole message to `out`, or
 * nothing, and return a codec_error. Decoders take one whole message that frame_next has cut and
 * checked; what they give points into it or into the arena. */
#ifndef PROTO_MSGPACK_RPC_H
#define PROTO_MSGPACK_RPC_H

#include "buffer.h"
#include "rpc_message.h"

/* A request [0, msgid, method, [arg]] or a notification [2, method, arg]: Kong -> server. A message
 * of another kind is CODEC_E_SHAPE. When the method is known but its argument is not what it takes:
 * CODEC_E_SHAPE with call->sequence and call->method filled, so that an error can be answered
 * (sequence is -1 when not even that was there). */
int msgpack_decode_call(struct arena *arena, const uint8_t *data, size_t len,
                        struct rpc_call *call);

/* What Kong sends. For STEP the method is call->method when set ("plugin.StepMultiMap"), else
 * "plugin.Step"; a nil `data` is left out. */
int msgpack_encode_call(struct buffer *out, const struct rpc_call *call);

/* A response [1, msgid, error, result]: server -> Kong. */
int msgpack_encode_reply(struct buffer *out, const struct rpc_reply *reply);

/* A response on Kong's side. `asked` is the command it answers. CODEC_E_SHAPE when it is not one. A
 * notification (serverPid) is told by *notification. */
int msgpack_decode_reply(struct arena *arena, const uint8_t *data, size_t len,
                         enum rpc_command asked, struct rpc_reply *reply);

/* [2, "serverPid", pid]: sent first on each connection. */
int msgpack_encode_server_pid(struct buffer *out, int64_t pid);
/* True when the message is that notification. */
bool msgpack_decode_server_pid(const uint8_t *data, size_t len, int64_t *pid);

/* One value, alone. Strings go out as str; keys of maps as str. */
int msgpack_encode_value(struct buffer *out, const struct kong_value *value);
int msgpack_decode_value(struct arena *arena, const uint8_t *data, size_t len,
                         struct kong_value *value);

#endif
