/* Writes what goes over a server's connections to a file, in the format of tests/traces: a line a
 * read or write, "N > hex" from Kong and "N < hex" to it, "N open", "N close", and "== text" where
 * a server begins. A long one is cut into several lines.
 *
 * Everything that Kong and the plugin say is in it: requests, bodies, credentials. What goes wrong
 * while writing ends the recording, with one line in the log, and nothing else. */
#ifndef SERVER_RECORD_H
#define SERVER_RECORD_H

#include <stddef.h>

#include "log.h"

struct record;

/* Makes the file, for its owner alone, in the place of one that is there: anything else at the
 * path, which could block the server, is refused. As of then SIGXFSZ is ignored in this process.
 * The log is borrowed; may be NULL. A recording that is open goes on in a child process, and its
 * numbers too. NULL, with one line in `error`. */
struct record *record_open(const char *path, struct log *log, char *error, size_t error_size);

/* NULL is allowed, here and below: nothing is recorded then. */
void record_close(struct record *record);

/* A server begins. */
void record_scene(struct record *record, const char *text);

/* A connection begins; its number, from 1. */
unsigned record_connection(struct record *record);
void record_connection_end(struct record *record, unsigned connection);

/* Bytes that were read ('>') or are written ('<'). The record is open. */
void record_write_bytes(struct record *record, unsigned connection, char direction,
                        const void *data, size_t len);

/* … if it is. Stands in the way of every event. */
static inline void record_bytes(struct record *record, unsigned connection, char direction,
                                const void *data, size_t len) {
    if (record != NULL) {
        record_write_bytes(record, connection, direction, data, len);
    }
}

#endif
