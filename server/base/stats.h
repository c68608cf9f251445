/* What a server counts. Only the loop that owns the figures changes them, by the functions here;
 * other threads may read them meanwhile (stats_read, stats_gather). No I/O, no allocation, no lock.
 * The only system call is the clock's, which the vDSO answers without one. */
#ifndef SERVER_STATS_H
#define SERVER_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "kong_phase.h"
#include "pdk_methods.h"

/* Durations in ns. Each doubling is cut into 8 buckets, so a percentile is at most 12.5 % above the
 * truth; from 2^42 ns (73 minutes) on everything is in the last one. */
#define STATS_SUB_BITS 3u
#define STATS_MAX_BITS 42u
#define STATS_BUCKETS  ((STATS_MAX_BITS - STATS_SUB_BITS + 1) << STATS_SUB_BITS)

struct stats_histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t buckets[STATS_BUCKETS];
};

/* Limits that can be reached. */
enum stats_limit {
    STATS_LIMIT_CONNECTIONS, /* a connection had to wait */
    STATS_LIMIT_INSTANCES,   /* one was forgotten, or refused, for want of room */
    STATS_LIMIT_EVENTS,      /* an event was refused */
    STATS_LIMIT_POSTED,      /* a call was refused: too many are unanswered */
    STATS_LIMIT_OUTPUT,      /* a connection was dropped: its peer does not read */
    STATS_LIMIT_MEMORY,      /* memory was refused: all connections and events have too much */
    STATS_LIMIT_MESSAGE,     /* … or a message of it was too large or malformed */
    STATS_LIMIT_COUNT
};

/* "max-connections", "unread-output": for people and for labels. Static. */
const char *stats_limit_name(enum stats_limit limit);

/* In this struct and the ones below, all that stands before arrays of structs and histograms is a
 * counter of 64 bits: those are gathered without their names. */
struct stats_phase {
    uint64_t started;
    uint64_t running;               /* at work now */
    uint64_t failed;                /* the handler returned an error, or its time was up */
    uint64_t timed_out;             /* of them */
    uint64_t refused;               /* could not start: refused configuration, limit, no handler */
    uint64_t orphaned;              /* Kong went away before the handler was done */
    struct stats_histogram latency; /* from Kong's request to the handler's end, Kong's answers to
                                       its calls included */
};

/* A background job. Times are of the clock of the day, in ms since the epoch. */
struct stats_job {
    uint64_t runs;                /* started */
    uint64_t failures;            /* of them, or could not start */
    uint64_t running;             /* 1: now */
    uint64_t last_run_ms;         /* when the last one started; 0: there was none */
    uint64_t last_ns, longest_ns; /* durations of those that ended */
};

/* … of which so much is kept: all phases, configure (which has no events) and jobs. */
#define STATS_PHASES (KONG_PHASE_COUNT + 2)

/* Of the whole loop. */
struct stats {
    uint64_t connections;       /* ever opened */
    uint64_t unknown_instances; /* events for an instance that is not here (any more) */
    uint64_t bytes_in, bytes_out;
    uint64_t prefetched, prefetch_used; /* getters asked for before the handler did; of them */
    uint64_t busy_ns, busy_hits;        /* --busy-poll: time without sleep; what came meanwhile */
    uint64_t answers_kept;              /* getters answered from memory */
    uint64_t limits[STATS_LIMIT_COUNT];
};

/* Of one plugin there. */
struct stats_plugin {
    uint64_t instances_started, instances_refused, instances_closed;
    struct stats_phase phases[STATS_PHASES]; /* by enum kong_phase; the rest is not shown */
    struct stats_histogram calls[PDK_COUNT]; /* of those that wait: until Kong's answer */
};

static inline uint64_t stats_read(const uint64_t *counter) {
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* Only one thread changes a counter, so no locked instruction is needed. */
static inline void stats_count(uint64_t *counter, uint64_t by) {
    __atomic_store_n(counter, stats_read(counter) + by, __ATOMIC_RELAXED);
}

static inline void stats_uncount(uint64_t *counter) {
    stats_count(counter, (uint64_t)0 - 1);
}

void stats_add(struct stats_histogram *histogram, uint64_t ns);

/* Adds what one loop counted to a sum, which is the caller's alone. Histograms agree with
 * themselves whatever that loop does meanwhile. */
void stats_gather(struct stats *sum, const struct stats *one);
void stats_gather_plugin(struct stats_plugin *sum, const struct stats_plugin *one);

/* The duration that `percent` (above 0, at most 100) of all do not exceed: the end of its bucket,
 * at most the longest duration. 0 when nothing was counted. */
uint64_t stats_percentile(const struct stats_histogram *histogram, double percent);

/* How many were below 2^bits ns: exact, for that is where buckets end. */
uint64_t stats_below(const struct stats_histogram *histogram, unsigned bits);

/* All phases together; the histograms are left empty. */
void stats_sum(const struct stats_plugin *stats, struct stats_phase *sum);

#endif
