/* Events over some connections, each with one under way, as fast as the server goes. */
#ifndef LOAD_RUN_H
#define LOAD_RUN_H

#include <signal.h>

#include "../bench/histogram.h"
#include "load_kong.h"

struct load_run {
    enum protocol protocol;
    char *socket;
    int64_t instance;
    enum kong_phase phase;
    size_t connections;
    double seconds, warmup;
    struct answers *answers;
    const volatile sig_atomic_t *stop; /* the run ends early when it is set */
};

struct load_result {
    uint64_t events, calls, exits;
    double seconds;
    struct histogram latency; /* nanoseconds, from an event's first byte to its last */
    char error[640];
};

/* 0, or -1 with a line in result->error. */
int load_events(const struct load_run *run, struct load_result *result);

#endif
