/* One peer: reads, lets rpc.h answer, writes. */
#ifndef SERVER_CONN_H
#define SERVER_CONN_H

#include <sys/queue.h>
#include <uv.h>

#include "busy_poll.h"
#include "fd_store.h"
#include "record.h"
#include "rpc.h"

struct conn;

/* What all connections of one loop share. */
struct conn_env {
    struct rpc_env rpc;
    uv_loop_t *loop;
    char *read_buffer; /* of FD_STORE_READ_SIZE; one for all: what is left of a message is copied,
                          nothing else */
    uint32_t worker_index; /* its number for the store */
    struct busy_poll *busy_poll;
    uint64_t peer_patience_ms; /* a connection whose request ended in a terminal call is Kong's to
                           close; ours after so long */
    bool taken_over;        /* draining, and the next server has the path: Steps find their way */
    bool draining;          /* each connection ends with its next last answer */
    LIST_HEAD(, conn) all;  /* open connections */
    _Atomic size_t count;   /* for others to read */
    struct record *record;  /* borrowed; NULL: nothing is recorded */
    struct fd_store *store; /* borrowed; NULL: nobody keeps connections */
    void (*closed)(struct conn_env *env); /* one fewer; called from the loop */
    void *owner;
};

/* Begins with a connected descriptor, taken over in any case. steps_only: see struct rpc. 0, or a
 * negative uv error. */
int conn_adopt(struct conn_env *env, int fd, bool steps_only);

/* Closes those whose request ended in a terminal call long ago (Kong should have), and those whose
 * peers take nothing of what was written. To be called about once a second. */
void conns_tick(struct conn_env *env, uint64_t now_ms);

/* Ends those on which nothing is under way and nothing came for a second, so that their peers close
 * them; closes those whose peers do not. Called again and again until none is left. */
void conns_end_idle(struct conn_env *env);

/* Closes all at once. */
void conns_close_all(struct conn_env *env);

#endif
