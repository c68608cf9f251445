/* Takes connections from a listening Unix socket. libuv's own listener would answer a process that
 * is out of descriptors by closing who connects, or by trying again for ever; here they wait in the
 * backlog until there is room, and it is tried again ten times a second. */
#ifndef SERVER_ACCEPTOR_H
#define SERVER_ACCEPTOR_H

#include <uv.h>

#include "log.h"
#include "notices.h"

struct acceptor {
    uv_poll_t poll;
    uv_timer_t retry;
    int fd; /* owned; -1: none */
    bool timer_ready, poll_ready;
    bool paused;
    struct recurrence failures;
    struct log *log; /* borrowed; may be NULL */
    /* A connected, non-blocking descriptor, which is the callee's from now on. */
    void (*accepted)(struct acceptor *acceptor, int fd);
    /* Whether there is no room for another. NULL: there always is. */
    bool (*full)(struct acceptor *acceptor);
    /* Somebody waits, it is full: it has paused. */
    void (*waiting)(struct acceptor *acceptor);
    /* Whether the next one is to wait a few ms before it is accepted. NULL: never. */
    bool (*hold)(struct acceptor *acceptor);
    void *owner;
};

/* What is set by others is to be set before. The descriptor listens and is non-blocking;
 * taken over when this succeeds. 0, or a negative uv error; acceptor_close is to be called in both
 * cases. */
int acceptor_open(struct acceptor *acceptor, uv_loop_t *loop, int fd);

/* Leaves who connects in the backlog, until resumed. */
void acceptor_pause(struct acceptor *acceptor);
void acceptor_resume(struct acceptor *acceptor);

/* Listens to another socket (non-blocking) from now on: `fd`, taken over when this succeeds. All
 * who wait at the old one are accepted first. 0, or a negative uv error and nothing has changed. */
int acceptor_move(struct acceptor *acceptor, int fd);

/* Idempotent; for a zeroed one too. Its memory is libuv's until the loop has run. */
void acceptor_close(struct acceptor *acceptor);

#endif
