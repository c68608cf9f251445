/* One loop, and all that lives on it: connections, their events, what they count. One thread at a
 * time uses it. What belongs to the whole server (the listening socket, signals, the registry of
 * instances) is in server.c. */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <uv.h>

#include "conn.h"
#include "relay.h"

/* What the workers of a server are made of: each takes a copy, and fills in what is its own. */
struct worker_options {
    struct events_options events; /* without owner and stats */
    struct conn_env conns;        /* without loop, buffer, and what rpc has of the events */
    struct relay_env relays;      /* without loop */
};

struct worker {
    uv_loop_t loop;
    bool loop_ready;
    uv_timer_t tick;
    struct arena scratch;
    struct events *events; /* NULL: not open */
    struct conn_env conns;
    struct relay_env relays;
    struct stats stats;
};

/* The loop alone, which others may use as well. 0, or a negative uv error. */
int worker_init(struct worker *worker);

/* The rest: from here on the loop has work for as long as it is not closed. 0, or a negative uv
 * error. */
int worker_open(struct worker *worker, const struct worker_options *options);

/* Ends all connections and events; the loop runs out of handles, of the worker's at least.
 * Idempotent. */
void worker_close(struct worker *worker);

/* Runs the loop to its end. For a zeroed one, too. */
void worker_destroy(struct worker *worker);

#endif
