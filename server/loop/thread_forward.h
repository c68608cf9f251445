/* Steps of MsgPack:1 that come over a connection of another thread than the one that their event
 * lives on. Each goes there as a message (worker.h), whole, and its answer comes back. To the event
 * it looks like a connection with this one request. */
#ifndef SERVER_THREAD_FORWARD_H
#define SERVER_THREAD_FORWARD_H

#include "worker.h"

/* rpc_env.to_thread: to the worker with that index. */
bool thread_forward_start(struct rpc *rpc, uint32_t worker_index, const struct rpc_call *step,
                          const uint8_t *data, size_t len);

#endif
