/* MsgPack:1: how Kong's requests are answered. Private to rpc_msgpack.c. */
#ifndef SERVER_RPC_MSGPACK_ANSWER_H
#define SERVER_RPC_MSGPACK_ANSWER_H

#include "rpc.h"

/* serverPid comes before all else on a connection: Kong drops the instances of another pid. */
void rpc_msgpack_announce(struct rpc *rpc);

/* Writes an answer. CODEC_OK, also where the connection is broken (rpc->broken); or a CODEC_E_*,
 * and nothing of it was written. */
int rpc_msgpack_try_to_send(struct rpc *rpc, const struct rpc_reply *reply);

/* The same; an error goes in the place of what cannot be written. */
void rpc_msgpack_send(struct rpc *rpc, const struct rpc_reply *reply);
void rpc_msgpack_send_error(struct rpc *rpc, int64_t msgid, const char *text);

/* Whether a plugin fails closed and Kong can exit in one of these phases. */
bool rpc_msgpack_fails_closed(const struct kong_plugin *plugin, unsigned phases);

/* The answer of a plugin that fails closed: it ends the request. It is all that the answer can be,
 * so `line`, with the plugin's name, goes to Kong's log with the next event; NULL: nowhere. */
void rpc_msgpack_send_exit(struct rpc *rpc, int64_t msgid, const char *plugin, const char *line,
                           const char *why);

#endif
