/* MsgPack:1: how Kong's requests are answered. Private to rpc*.c and forward.c. */
#ifndef SERVER_RPC_MSGPACK_ANSWER_H
#define SERVER_RPC_MSGPACK_ANSWER_H

#include "rpc.h"

/* serverPid comes before all else on a connection: Kong drops the instances of another pid. */
int rpc_msgpack_announce(struct rpc *rpc);

/* Writes an answer. CODEC_OK, or a CODEC_E_*, and nothing of it was written. */
int rpc_msgpack_try_to_send(struct rpc *rpc, const struct rpc_reply *reply);

/* The same; an error goes in the place of what cannot be written. */
void rpc_msgpack_send(struct rpc *rpc, const struct rpc_reply *reply);
void rpc_msgpack_send_error(struct rpc *rpc, int64_t msgid, const char *text);

/* An event that cannot run. An error answer is logged by Kong, and the request goes on without the
 * plugin; one that fails closed ends the request. */
void rpc_msgpack_refuse(struct rpc *rpc, int64_t msgid, const struct kong_plugin *plugin,
                        enum kong_phase phase, const char *why);

/* Where it is not known whose event was lost: one plugin that fails closed decides. */
bool rpc_one_fails_closed(const struct plugins *plugins);

/* The answer of a plugin that fails closed: it ends the request. It is all that the answer can be,
 * so `line`, with the plugin's name, goes to Kong's log with the next event; NULL: nowhere. */
void rpc_msgpack_send_exit(struct rpc *rpc, int64_t msgid, const char *plugin, const char *line,
                           const char *why);

/* The answer to a Step whose event was given up: Kong took longer over its call than the event had
 * time, or there was no memory. Kong would go on with the request after an error; a plugin that
 * fails closed ends it. */
void rpc_msgpack_lost(struct rpc *rpc, int64_t msgid, bool closed, const char *why);

/* … whose event is gone with the server that had it: Kong sends the event again, from its start. */
void rpc_msgpack_gone(struct rpc *rpc, int64_t msgid);

#endif
