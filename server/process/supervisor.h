/* A small parent that owns the listening socket while a child serves. When the child dies the
 * parent says what it was doing, and starts another; who connects meanwhile waits in the socket's
 * backlog instead of being refused. Connections that the child had end in order (fd_store.h). No
 * libuv, no threads: one loop around a signalfd.
 *
 * A child that died in a handler is followed at once: what crashed it is quarantined
 * (quarantine.h), so that a request that Kong sends again and again costs two crashes at most. One
 * that died between handlers is followed after 5 ms. Children that die without having run a handler
 * are started after 5, 20, 80, 320, 1,280 and then 5,000 ms, until one has run a handler or has
 * lived for 10 s.
 *
 * How it ends:
 * - SIGTERM or SIGINT to the parent: the child gets SIGTERM and drains; after drain_ms and a second
 *   more, or at a second such signal, it is killed.
 * - The parent dies, even by SIGKILL: the child drains the same way, and is ended by SIGALRM when a
 *   handler that hangs keeps it from it.
 * - The child's serve() returns, whatever the status: the parent returns it. Whoever started us
 *   decides what follows.
 * Anything else is a death: a signal, or an exit() in the middle. */
#ifndef SERVER_SUPERVISOR_H
#define SERVER_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fd_store.h"
#include "running.h"
#include "stall.h"

struct supervisor_options {
    struct stall_options stall; /* of the child's handlers: for stall_ms, it is ended (SIGABRT), so
                                   that another starts. Its log and plugins are the supervisor's */
    uint64_t drain_ms;          /* the child's own drain time-out */
    bool watch_parent;          /* end when the process that started us is gone, */
    pid_t parent;               /* which was this one at the program's start */
    struct fd_store *store;     /* borrowed; of the child's connections. NULL: they end with it */
};

/* Forks; the child runs serve(arg, running) and exits with what it returns, the parent supervises.
 * Returns in the parent only, with the exit status of the program; -1 with a line in `error` when
 * nothing could be started. To be called once, while the process has one thread, with nothing but
 * the program's end to follow: SIGTERM, SIGINT and SIGCHLD stay blocked. */
int supervisor_run(const struct supervisor_options *options,
                   int (*serve)(void *arg, struct running *running), void *arg, char *error,
                   size_t error_size);

#endif
