/* What a server is doing this moment, in memory that outlives it: a supervisor that shares it can
 * say which handlers were running when the process died, and whether one hangs. */
#ifndef SERVER_RUNNING_H
#define SERVER_RUNNING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Threads that run handlers. */
#define RUNNING_WORKERS 64

#define RUNNING_NONE (-1)

/* One such thread: written by it around each run of a handler, read by others. */
struct running_worker {
    _Atomic uint32_t runs; /* counts up whenever a handler is entered: standing still while `phase`
                              is set means that it hangs */
    _Atomic int32_t instance;             /* of the handler that runs */
    _Atomic int32_t phase;                /* enum kong_phase; RUNNING_NONE: no handler runs */
    char apart[64 - 3 * sizeof(int32_t)]; /* from the next one's cache line */
};

struct running {
    _Atomic uint32_t restarts; /* by the supervisor, because the process before died */
    /* How it died: the signal, 0 when it exited; and the handler that it was running. */
    _Atomic int32_t died_signal, died_instance, died_phase;
    _Atomic int32_t overflow; /* 1: the process is dying of a handler's stack overflow */
    _Atomic int32_t fault; /* the worker_index whose handler the process is dying of; RUNNING_NONE:
                              not known */
    struct running_worker workers[RUNNING_WORKERS];
};

static inline void running_enter(struct running_worker *worker_index, int32_t instance,
                                 int32_t phase) {
    atomic_store_explicit(&worker_index->instance, instance, memory_order_relaxed);
    atomic_store_explicit(&worker_index->phase, phase, memory_order_relaxed);
    uint32_t runs = atomic_load_explicit(&worker_index->runs, memory_order_relaxed);
    atomic_store_explicit(&worker_index->runs, runs + 1, memory_order_relaxed);
}

static inline void running_leave(struct running_worker *worker_index) {
    atomic_store_explicit(&worker_index->phase, RUNNING_NONE, memory_order_relaxed);
}

/* Nothing runs: before a server begins. */
static inline void running_clear(struct running *running) {
    atomic_store(&running->overflow, 0);
    atomic_store(&running->fault, RUNNING_NONE);
    for (size_t i = 0; i < RUNNING_WORKERS; i++) {
        running_leave(&running->workers[i]);
    }
}

#endif
