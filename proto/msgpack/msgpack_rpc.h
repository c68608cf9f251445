/* MsgPack:1 (MessagePack-RPC): bytes <-> values. Encoders append one whole message to `out`, or
 * nothing, and return a codec_error: CODEC_E_NOMEM (no memory, or `out` is at its limit or had
 * failed before), CODEC_E_LIMIT (a value nested deeper than LIMIT_NESTING), CODEC_E_SHAPE (a msgid
 * that is no uint32). Decoders take one whole message that frame_next has cut and checked; they
 * trust it no more for that: CODEC_E_MALFORMED when it ends too early or too late. What they give
 * lives in the arena or is static, never in the bytes; strings have a NUL behind them.
 *
 * Values: integers of any family are KONG_INTEGER, above INT64_MAX KONG_NUMBER; both floats are
 * KONG_NUMBER; str and bin are KONG_STRING; an ext is CODEC_E_SHAPE. A map keeps the order of its
 * pairs and keys that repeat; keys that are no strings become the text that Lua's tostring gives
 * (1, 0.5, true, nil), lists and maps as keys are CODEC_E_SHAPE. Numbers that must be integers
 * (ids, msgid) may come as a float without fraction. */
#ifndef PROTO_MSGPACK_RPC_H
#define PROTO_MSGPACK_RPC_H

#include "buffer.h"
#include "rpc_message.h"

/* A request [0, msgid, method, [arg]] or a notification [2, method, arg] (or [arg]): Kong ->
 * server. A message of another kind is CODEC_E_SHAPE. When the method is known but its argument is
 * not what it takes: CODEC_E_SHAPE with call->sequence and call->method filled, so that an error
 * can be answered (sequence is -1 when not even that was there, and for a notification). Keys of an
 * argument that we do not know are passed over, so are arguments of a method that takes none. Every
 * method "plugin.Step…" is STEP. For "plugin.StepError" `Data` is in call->error when it is a
 * string; else call->error is "" and call->data has it. `Data` that is over a limit or that no
 * value can hold (an ext) is passed over: call->data_error says why, call->data is nil. */
int msgpack_decode_call(struct arena *arena, const uint8_t *data, size_t len,
                        struct rpc_call *call);

/* What Kong sends. For STEP the method is call->method when set ("plugin.StepMultiMap"), else
 * "plugin.StepError" with call->error set, else "plugin.Step"; a nil `data` is left out; with a
 * data_error CODEC_E_LIMIT there is `TooBig`, a key of ours, which Kong does not send: a Step of
 * Kong's that was over a limit, on its way to where its event lives. UNKNOWN: call->method with
 * call->data as its argument, without one when that is nil. */
int msgpack_encode_call(struct buffer *out, const struct rpc_call *call);

/* A response [1, msgid, error, result]: server -> Kong. Results:
 * NAMES [name, …]; INFO {Name, Version, Priority, Phases, Schema (JSON text), ModTime, LoadTime};
 * INSTANCE {Name, Id, Config, StartTime}; RETURN {Data: "ret", EventId}; PDK_CALL {Data: {Method,
 * Args}, EventId}; STATUS the map. In `Args` and in the lists and maps inside, nils are written so
 * that nothing behind them is lost in Lua: a list's tail of nils is left off, its other nils are
 * sent as "", pairs of a map with a nil are left out. */
int msgpack_encode_reply(struct buffer *out, const struct rpc_reply *reply);

/* A response on Kong's side. `asked` is the command that it answers; the result of one that is
 * about no instance and no event is STATUS. CODEC_E_SHAPE when it is not one: a notification is
 * none either, see msgpack_decode_server_pid. */
int msgpack_decode_reply(struct arena *arena, const uint8_t *data, size_t len,
                         enum rpc_command asked, struct rpc_reply *reply);

/* [2, "serverPid", pid]: sent first on each connection. */
int msgpack_encode_server_pid(struct buffer *out, int64_t pid);
/* True when the message is that notification. */
bool msgpack_decode_server_pid(const uint8_t *data, size_t len, int64_t *pid);

#endif
