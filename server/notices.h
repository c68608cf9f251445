/* What an operator must know: said once, not per request, where Kong's log is read.
 *
 * Kong shows a plugin server's stderr only at its level info. What goes through kong.log.err is in
 * error.log at Kong's default level, but needs a request to travel with: lines that belong to none
 * wait here for the next event. Pure. */
#ifndef SERVER_NOTICES_H
#define SERVER_NOTICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Something that repeats is told of at most so often. */
#define NOTICE_EVERY_NS ((uint64_t)60 * 1000000000)

/* One thing that happens again and again. Zeroed before the first time. */
struct recurrence {
    uint64_t told_ns; /* when it was told last; 0: never */
    uint64_t times;   /* how often it has happened since, this time included */
};

/* It happened, at `now_ns` (above 0). True: tell it, *times is how often it happened since it was
 * told last, this time included; false: it is only counted. */
bool recurrence_due(struct recurrence *recurrence, uint64_t now_ns, uint64_t *times);

#define NOTICES_MOST 8
#define NOTICE_SIZE  512

/* Zeroed before the first use. */
struct notices {
    char lines[NOTICES_MOST][NOTICE_SIZE];
    size_t count;
};

/* What does not fit is cut, or left out when too many wait. */
void notices_add(struct notices *notices, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
