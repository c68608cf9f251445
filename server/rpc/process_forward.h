/* Steps of MsgPack:1 that reach the wrong generation of the server.
 *
 * During a reload two servers live on one path, and Kong's old workers, which are ending, keep no
 * connections: the next Step of an event opens a new one, to the new server, while the event lives
 * in the old one. So each server also listens at a private address made of the path and of a tag
 * that all its event ids carry, and a server that gets a Step with another's tag passes it on, and
 * the answer back. The address is in Linux's abstract namespace: nothing to clean up, gone with the
 * process. Both sides check that the other has their own uid. Nothing but Steps of events that are
 * here is taken at that address (rpc.h, steps_only). */
#ifndef SERVER_PROCESS_FORWARD_H
#define SERVER_PROCESS_FORWARD_H

#include <uv.h>

#include "forward.h"

struct process_forward_env {
    uv_loop_t *loop;
    uint64_t path_hash; /* of the socket's path: tags are for the generations on one path */
    size_t count;       /* under way */
};

/* Listens for other generations: a descriptor (non-blocking, close-on-exec), owned by the caller,
 * and its tag; -1 when that cannot be had, as where all names are taken: then nothing is forwarded
 * to this server, but it forwards to others all the same. */
int process_forward_listen(struct process_forward_env *env, const char *path, uint32_t *tag);

/* rpc_env.to_process: to the server with that tag. */
bool process_forward_start(struct rpc *rpc, uint32_t tag, const struct rpc_call *step,
                           const uint8_t *data, size_t len);

#endif
