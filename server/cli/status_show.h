/* --status: what a running server says of itself, for people and for programs. */
#ifndef SERVER_STATUS_SHOW_H
#define SERVER_STATUS_SHOW_H

#include "options.h"

/* Asks the server at options->socket, which serves these plugins, and prints what it says: a table,
 * with `json` the map (status.h) as one line, its texts made printable, with `quiet` nothing; with
 * `watch` again every 2 s, until interrupted or until an error. timeout_ms: for one whole answer.
 * 0; or -1 with one line in `error` that says what to do: nobody answers, or refuses this user, or
 * does not answer in time, or `out` takes no more. */
int status_show(const struct options *options, const struct plugins *plugins, int timeout_ms,
                FILE *out, char *error, size_t error_size);

#endif
