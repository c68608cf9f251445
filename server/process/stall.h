/* Handlers that run for ever: seen from outside of their threads, which they keep from anything
 * else. A supervisor looks at its child's, a server without one has a thread that looks. */
#ifndef SERVER_STALL_H
#define SERVER_STALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log.h"
#include "running.h"

struct stall_options {
    struct log *log; /* borrowed */
    const char *plugin;
    size_t threads;     /* that run handlers, up to RUNNING_WORKERS */
    uint64_t report_ms; /* a handler that runs for so long without a pause is reported, once */
    uint64_t stall_ms;  /* … and is a reason to end the process; 0: never */
};

struct stall {
    struct stall_options options;
    const struct running *running; /* borrowed */
    struct stall_lane {
        uint32_t seen_runs;
        uint64_t seen_since;
        bool reported;
    } workers[RUNNING_WORKERS];
};

/* Handlers that run already count from `now_ms`, of CLOCK_MONOTONIC as all times here. */
void stall_init(struct stall *stall, const struct stall_options *options,
                const struct running *running, uint64_t now_ms);

/* To be called every stall_poll_ms. The thread whose handler has run for stall_ms, which is said in
 * the log too; -1: there is none. For all of them time begins anew then. */
int stall_look(struct stall *stall, uint64_t now_ms);

/* Often enough for the shorter of the two times. */
uint64_t stall_poll_ms(const struct stall_options *options);

/* The phase of the handler that runs there; NULL: none does. */
const char *stall_phase(const struct running_worker *worker_index);

/* --- in the process itself --- */

struct stall_watch;

/* Looks from a thread of its own, and ends the process by SIGABRT when a handler has run for
 * stall_ms. *running outlives it. NULL when there is no memory or no thread. */
struct stall_watch *stall_watch_start(const struct stall_options *options, struct running *running);
/* NULL is allowed. */
void stall_watch_stop(struct stall_watch *watch);

#endif
