/* Handlers that crashed the server process, and the requests that they were running: what a
 * supervisor remembers from one server process to the next, so that a request that Kong sends again
 * and again cannot crash the server again and again.
 *
 * A handler here is one phase of one configuration (config_identity). After a crash:
 *
 * 1. Its events are watched for some seconds: each is asked for its request's id before the handler
 *    runs.
 * 2. A request that is running at a second crash is refused.
 * 3. The whole handler is quarantined, which means that its events are refused without a question,
 *    when requests cannot be told apart (the phase has no request id), when all of its events
 * crash, or when it crashes too often.
 *
 * A quarantine ends after QUARANTINE_MS. Then the handler is watched again, and one more crash
 * renews the quarantine for twice the time, up to QUARANTINE_MS << QUARANTINE_DOUBLINGS.
 *
 * Pure: no I/O, no clock, no pointers, so that it can be copied into shared memory. Times are ms of
 * CLOCK_MONOTONIC. */
#ifndef SERVER_QUARANTINE_H
#define SERVER_QUARANTINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kong_phase.h"

#define QUARANTINE_WATCH_MS  10000u
#define QUARANTINE_MS        30000u
#define QUARANTINE_DOUBLINGS 4u

/* Crashes of a handler after which it is quarantined when none of its events survived; and the
 * number within QUARANTINE_WATCH_MS after which it is quarantined whatever survives. */
#define QUARANTINE_CRASHES      10u
#define QUARANTINE_MOST_CRASHES 30u

/* The most that are remembered. The first to expire makes room for another. */
#define QUARANTINE_HANDLERS 256
#define QUARANTINE_REQUESTS 64

/* Bytes of a request's id, with the NUL: Kong's have 32. A longer one is cut. */
#define QUARANTINE_ID_SIZE 36

/* The plugin's configure, which runs when an instance starts: a phase of its own here. */
#define QUARANTINE_CONFIGURE KONG_PHASE_COUNT
/* … and its background jobs; the identity is the job's. */
#define QUARANTINE_JOB (KONG_PHASE_COUNT + 1)

struct quarantine_handler {
    uint64_t config; /* config_identity */
    uint64_t watched_until, refused_until;
    uint64_t burst_since; /* of burst_crashes */
    int32_t phase;        /* enum kong_phase, QUARANTINE_CONFIGURE or QUARANTINE_JOB */
    uint32_t crashes;     /* while it ran */
    uint32_t own_crashes; /* … of which it was surely the cause */
    uint32_t burst_crashes;
    uint32_t quarantines;      /* so far */
    _Atomic uint32_t survived; /* its watched events whose handler returned */
};

struct quarantine_request {
    uint64_t config;
    uint64_t until;
    int32_t phase;
    uint32_t crashes;
    bool refused;
    char id[QUARANTINE_ID_SIZE];
};

/* Zeroed it is empty. */
struct quarantine {
    uint64_t watch_ms; /* QUARANTINE_WATCH_MS, or longer where crashes take longer; 0: the same */
    uint32_t handler_count, request_count;
    struct quarantine_handler handlers[QUARANTINE_HANDLERS];
    struct quarantine_request requests[QUARANTINE_REQUESTS];
};

/* --- for the supervisor, which alone changes it --- */

/* A handler that was running when the process died. */
struct quarantine_crash {
    uint64_t config;
    int32_t phase;
    char request[QUARANTINE_ID_SIZE]; /* its id, NUL-terminated; "": not known */
    bool certain; /* the handler is the cause; else it may have run by chance (kill -9) */
};

struct quarantine_effect {
    bool request_refused;        /* by this crash */
    uint64_t handler_refused_ms; /* how long its handler is refused from now on; 0: it is not */
    bool crowded; /* one that still counted was forgotten to make room for this one */
};

/* Takes note of a crash. */
struct quarantine_effect quarantine_add(struct quarantine *quarantine,
                                        const struct quarantine_crash *crash, uint64_t now_ms);

/* Forgets all that is over. */
void quarantine_prune(struct quarantine *quarantine, uint64_t now_ms);

/* Adds what events survived in a process, by the copy that it was given. The copy may be damaged:
 * nothing but counts is taken from it. */
void quarantine_collect(struct quarantine *quarantine, const struct quarantine *copy);

/* --- for the server process, which has a copy --- */

enum quarantine_verdict {
    QUARANTINE_FREE,  /* runs as ever */
    QUARANTINE_WATCH, /* is asked for its request's id first: quarantine_has_request */
    QUARANTINE_REFUSE
};

/* What to do with an event. *handler is its entry, NULL when it is free. */
enum quarantine_verdict quarantine_judge(struct quarantine *quarantine, uint64_t config,
                                         int32_t phase, uint64_t now_ms,
                                         struct quarantine_handler **handler);

/* Whether a watched request is to be refused. */
bool quarantine_has_request(const struct quarantine *quarantine,
                            const struct quarantine_handler *handler, const char *id,
                            uint64_t now_ms);

/* Whether it has an entry that still counts. If not, events need not be judged. */
bool quarantine_active(const struct quarantine *quarantine, uint64_t now_ms);

#endif
