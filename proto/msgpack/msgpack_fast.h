/* The messages of every event, in one pass over their bytes and without a call for each value:
 * "plugin.HandleEvent" and "plugin.Step" coming in, the next PDK call and the end of an event going
 * out. They handle the usual shape only and leave the rest to the general code. For the usual shape
 * both give the same result; tests compare them. */
#ifndef PROTO_MSGPACK_FAST_H
#define PROTO_MSGPACK_FAST_H

#include "buffer.h"
#include "rpc_message.h"

/* The request at the start of data, when it is a HandleEvent or a Step of the usual shape, whole
 * and of at most `limit` bytes: its length, and *call is filled as msgpack_decode_call does, but
 * only with the fields that its command has, and with strings that point into data and have no NUL.
 * Otherwise 0, and frame_next and msgpack_decode_call must be used. The usual shape: known keys
 * only; numbers that are whole, positive and below 2^63; `Data` absent, or nil, a boolean, such a
 * number or a string. */
size_t msgpack_fast_call(const uint8_t *data, size_t len, size_t limit, struct rpc_call *call);

/* Appends a RETURN or a PDK_CALL whose arguments are strings, booleans, numbers as above, or maps
 * of strings. False: nothing was done, the general code must do it. */
bool msgpack_fast_reply(struct buffer *out, const struct rpc_reply *reply);

#endif
