/* A small parent that owns the listening socket while a child serves. When the child dies the
 * parent says what it was doing, and starts another within milliseconds; who connects meanwhile
 * waits in the socket's backlog instead of being refused. No libuv, no threads: one loop around
 * sigtimedwait. */
#ifndef SERVER_SUPERVISOR_H
#define SERVER_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log.h"
#include "running.h"

struct supervisor_options {
    struct log *log; /* borrowed */
    const char *plugin;
    uint64_t
        drain_ms; /* a child that was told to end is killed so long after its own drain time-out */
    uint64_t report_ms; /* a handler that runs for so long without a pause is reported */
    uint64_t stall_ms;  /* … and the child ended (SIGABRT), so that another starts; 0: never */
    bool watch_parent;  /* end when the process that started us is gone */
};

/* Forks; the child runs serve(arg, running) and exits with what it returns, the parent supervises.
 * Returns, in the parent only, the exit status of the program: after SIGTERM or SIGINT (handed on
 * to the child), or when a child ended by itself without a fault (its status). -1 with a line in
 * `error` when nothing could be started. The child gets SIGTERM when the parent is gone, however it
 * went. To be called while the process has one thread. */
int supervisor_run(const struct supervisor_options *options,
                   int (*serve)(void *arg, struct running *running), void *arg, char *error,
                   size_t error_size);

#endif
