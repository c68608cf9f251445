/* --status: what a running server says of itself, for people and for programs. */
#ifndef SERVER_STATUS_SHOW_H
#define SERVER_STATUS_SHOW_H

#include <stdio.h>

#include "arena.h"

struct status_show_options {
    const char *socket;            /* of the server */
    const struct plugins *plugins; /* that it serves */
    bool json;                     /* the map as it comes (status.h), as one line */
    bool watch;                    /* again every 2 s, until interrupted */
    bool quiet;                    /* ask only: `out` gets nothing */
    int timeout_ms;                /* for the whole answer; 0: 5 s */
};

/* Asks and prints. 0; or -1 with one line in `error` that says what to do: nobody answers, or
 * refuses this user, or
 * does not answer in time, or `out` takes no more. With `watch` it returns for an error only. */
int status_show(const struct status_show_options *options, FILE *out, char *error,
                size_t error_size);

#endif
