/* Steps of MsgPack:1 that come over a connection of another thread than the one their event lives
 * on: passed there, and the answer back. Each goes by letter (worker.h), whole, and to the event it
 * looks like a connection with this one request. */
#ifndef SERVER_PASSAGE_H
#define SERVER_PASSAGE_H

#include "worker.h"

/* rpc_env.pass: the answer, or an error, comes into rpc->out later. False: there is no such thread,
 * or no memory. */
bool passage_start(struct rpc *rpc, uint32_t lane, int64_t msgid, const uint8_t *data, size_t len);

/* rpc_env.pass_forget: the asker is going. What still runs for it is told so, as it would be of a
 * connection that closes. */
void passage_forget(struct rpc *rpc);

#endif
