/* Steps of MsgPack:1 that come over a connection of another thread than the one their event lives
 * on: passed there, and the answer back. Each goes by message (worker.h), whole, and to the event
 * it looks like a connection with this one request. */
#ifndef SERVER_THREAD_FORWARD_H
#define SERVER_THREAD_FORWARD_H

#include "worker.h"

/* rpc_env.pass: the answer, or an error, comes into rpc->out later. False: there is no such thread,
 * or no memory. */
bool thread_forward_start(struct rpc *rpc, uint32_t worker_index, int64_t msgid,
                          const uint8_t *data, size_t len);

/* rpc_env.pass_forget: the waiting_rpc is going. What still runs for it is told so, as it would be
 * of a connection that closes. */
void thread_forward_forget(struct rpc *rpc);

#endif
