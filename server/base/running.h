/* Which handlers a server process is running this moment, in memory that outlives it: a supervisor
 * shares it, and can say what was running when the process died, and whether a handler hangs. In
 * the other direction it carries the supervisor's quarantine. */
#ifndef SERVER_RUNNING_H
#define SERVER_RUNNING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "quarantine.h"

/* Slots: one for each worker thread, which runs handlers; and some for kong_run_blocking's
 * functions, which run on threads of libuv. */
#define RUNNING_WORKERS  64
#define RUNNING_BLOCKING 64
#define RUNNING_SLOTS    (RUNNING_WORKERS + RUNNING_BLOCKING)

#define RUNNING_NONE (-1)
/* Somebody has taken the slot, and runs nothing in it yet. */
#define RUNNING_TAKEN (-2)

/* What one thread runs. Written by that thread only. */
struct running_slot {
    _Atomic uint32_t runs; /* how often a handler was entered. When it does not change while `phase`
                              is set, the handler hangs */
    _Atomic int32_t instance;
    _Atomic int32_t phase;   /* enum kong_phase, or QUARANTINE_CONFIGURE or _JOB; RUNNING_NONE,
                                RUNNING_TAKEN: nothing */
    uint32_t request_run;    /* the run that `request` belongs to; it is unknown in any other */
    uint64_t config;         /* config_identity, of that plugin */
    _Atomic uint32_t plugin; /* which of the server's */
    char request[QUARANTINE_ID_SIZE];
}; /* 64 bytes: no two threads write to one cache line */

struct running {
    _Atomic uint32_t restarts; /* by the supervisor, because the process before died */
    /* How it died: the signal, 0 when it exited; and the handler that it was running. */
    _Atomic int32_t died_signal, died_instance, died_phase;
    _Atomic uint32_t died_plugin;
    _Atomic int32_t overflow; /* 1: the process is dying of a handler's stack overflow */
    _Atomic int32_t fault;    /* the slot whose handler the process is dying of; RUNNING_NONE: not
                                 known */
    char apart[36];           /* keeps all above out of the first slot's cache line */
    struct running_slot slots[RUNNING_SLOTS];
    struct quarantine quarantine;
};

/* The phase comes last, so that the process can die at any instruction: what it says to have run is
 * all there. Release holds the compiler to that order. */
static inline void running_enter(struct running_slot *slot, uint32_t plugin, int32_t instance,
                                 int32_t phase, uint64_t config) {
    atomic_store_explicit(&slot->plugin, plugin, memory_order_relaxed);
    uint32_t runs = atomic_load_explicit(&slot->runs, memory_order_relaxed);
    atomic_store_explicit(&slot->instance, instance, memory_order_relaxed);
    atomic_store_explicit(&slot->runs, runs + 1, memory_order_relaxed);
    slot->config = config;
    atomic_store_explicit(&slot->phase, phase, memory_order_release);
}

/* Behind running_enter: the request that the handler runs for. */
static inline void running_note_request(struct running_slot *slot, const char *id) {
    size_t len = 0;
    while (len < sizeof slot->request - 1 && id[len] != '\0') {
        slot->request[len] = id[len];
        len++;
    }
    slot->request[len] = '\0';
    slot->request_run = atomic_load_explicit(&slot->runs, memory_order_relaxed);
}

/* Release: another thread that takes the slot next (running_take) writes to it after this one. */
static inline void running_leave(struct running_slot *slot) {
    atomic_store_explicit(&slot->phase, RUNNING_NONE, memory_order_release);
}

static inline bool running_is_phase(int32_t phase) {
    return phase >= 0 && phase <= QUARANTINE_JOB;
}

/* "access" …, "configure", "job"; NULL: no phase. Async-signal-safe, as the next one is. */
const char *running_name_of(int32_t phase);
/* … of what runs there; NULL: nothing does. */
const char *running_phase_name(const struct running_slot *slot);

/* Nothing runs, nothing has run: before a server process begins. */
void running_clear(struct running *running);

/* A free slot for a function of kong_run_blocking, entered as that request's; NULL: all are in use.
 * From any thread. It is given back by running_leave. */
struct running_slot *running_take(struct running *running, uint32_t plugin, int32_t instance,
                                  int32_t phase, uint64_t config, const char *request);

/* The slot in which the calling thread runs handlers; NULL: it runs none. Set by the thread itself.
 * Async-signal-safe. */
void running_set_here(struct running_slot *slot);
struct running_slot *running_here(void);

#endif
