/* Lines that an operator must see, once and not per request, in Kong's log.
 *
 * Kong shows a plugin server's stderr only at its level info. What goes through kong.log.err is in
 * error.log at Kong's default level, but only a request can carry it. Lines that belong to no
 * request wait here for the next event, on any thread. */
#ifndef SERVER_NOTICES_H
#define SERVER_NOTICES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The shortest time between two lines about the same thing: in Kong's log, and in ours. */
#define NOTICE_EVERY_NS ((uint64_t)60 * 1000000000)
#define LINE_EVERY_NS   ((uint64_t)1000000000)

/* One thing that happens again and again. Zeroed before the first time. */
struct recurrence {
    uint64_t told_ns; /* when it was told last; 0: never */
    uint64_t times;   /* how often it has happened since, this time included */
};

/* It happened, at `now_ns` (above 0). True: tell it, *times is how often it happened since it was
 * told last, at least `every_ns` ago, this time included; false: it is only counted. */
bool recurrence_due(struct recurrence *recurrence, uint64_t now_ns, uint64_t every_ns,
                    uint64_t *times);

#define NOTICES_MOST 8
#define NOTICE_SIZE  512

/* Zeroed before the first use (a mutex of zeros is an open one, on Linux). */
struct notices {
    pthread_mutex_t lock;
    char lines[NOTICES_MOST][NOTICE_SIZE]; /* under the lock, to change `count` as well */
    _Atomic size_t count;
};

/* Whether any waits: without the lock, for each event asks. */
static inline bool notices_pending(const struct notices *notices) {
    return atomic_load_explicit(&notices->count, memory_order_relaxed) > 0;
}

/* What does not fit is cut, or left out when too many wait. */
void notices_add(struct notices *notices, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Takes out the oldest line. False: there is none. */
bool notices_take(struct notices *notices, char line[NOTICE_SIZE]);

#endif
