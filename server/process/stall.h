/* Handlers that run for ever. They keep their thread from anything else, so they are seen from
 * outside of it: a supervisor looks at its child's handlers, a server without one has a thread that
 * looks. */
#ifndef SERVER_STALL_H
#define SERVER_STALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log.h"
#include "plugins.h"
#include "running.h"

struct stall_options {
    struct log *log;               /* borrowed */
    const struct plugins *plugins; /* borrowed */
    size_t threads;                /* that run handlers, up to RUNNING_WORKERS */
    uint64_t report_ms; /* a handler that runs for so long without a pause is reported, once */
    uint64_t stall_ms;  /* one that runs for so long is a reason to end the process; 0: never */
};

struct stall {
    struct stall_options options;
    const struct running *running; /* borrowed */
    uint64_t looked_ms;
    struct stall_worker {
        uint32_t seen_runs;
        uint64_t seen_since;
        bool reported;
    } workers[RUNNING_WORKERS];
};

/* All times here are ms of CLOCK_MONOTONIC. A handler that runs already counts from `now_ms`. */
void stall_init(struct stall *stall, const struct stall_options *options,
                const struct running *running, uint64_t now_ms);

/* Call it every stall_poll_ms. A call that comes later than that by more than a second counts as
 * one in time: who looks did not run, and the handler probably neither (a frozen cgroup, Ctrl-Z).
 * The worker thread whose handler has run for stall_ms (a line in the log says so); -1: there is
 * none. After one was found, the time of all of them begins anew. */
int stall_look(struct stall *stall, uint64_t now_ms);

/* Often enough for the shorter of the two times. */
uint64_t stall_poll_ms(const struct stall_options *options);

/* --- in the process itself --- */

struct stall_watch;

/* Looks from a thread of its own, and ends the process by SIGABRT when a handler has run for
 * stall_ms. *running outlives it. NULL when there is no memory or no thread. */
struct stall_watch *stall_watch_start(const struct stall_options *options, struct running *running);
/* The process ends within so many ms, or is ended, with status 0. NULL is allowed. */
void stall_watch_end_within(struct stall_watch *watch, uint64_t ms);
/* NULL is allowed. */
void stall_watch_stop(struct stall_watch *watch);

#endif
