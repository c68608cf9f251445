/* What a server is doing this moment, in memory that outlives it: a supervisor that shares it can
 * say which handler was running when the process died, and whether one hangs. */
#ifndef SERVER_RUNNING_H
#define SERVER_RUNNING_H

#include <stdatomic.h>
#include <stdint.h>

/* Written by the loop's thread around each run of a handler, read by another process. */
struct running {
    _Atomic uint32_t runs; /* counts up whenever a handler is entered: standing still while `phase`
                              is set means that it hangs */
    _Atomic int32_t instance;  /* of the handler that runs */
    _Atomic int32_t phase;     /* enum kong_phase; RUNNING_NONE: no handler runs */
    _Atomic uint32_t restarts; /* by the supervisor, because the process before died */
    /* How it died: the signal, 0 when it exited; and the handler that it was running. */
    _Atomic int32_t died_signal, died_instance, died_phase;
    _Atomic int32_t overflow; /* 1: the process is dying of a handler's stack overflow */
};

#define RUNNING_NONE (-1)

static inline void running_enter(struct running *running, int32_t instance, int32_t phase) {
    atomic_store_explicit(&running->instance, instance, memory_order_relaxed);
    atomic_store_explicit(&running->phase, phase, memory_order_relaxed);
    uint32_t runs = atomic_load_explicit(&running->runs, memory_order_relaxed);
    atomic_store_explicit(&running->runs, runs + 1, memory_order_relaxed);
}

static inline void running_leave(struct running *running) {
    atomic_store_explicit(&running->phase, RUNNING_NONE, memory_order_relaxed);
}

#endif
