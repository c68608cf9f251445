/* Writes what goes over a server's connections to a file, in the format of tests/traces: a line for
 * each read or write, "N > hex" from Kong and "N < hex" to it, "N open", "N close", and "== text"
 * where a server begins. A long one is cut into several lines.
 *
 * Everything that Kong and the plugin say is in it: requests, bodies, credentials. When writing
 * fails, or the file is as large as it may be, the recording ends, with one line in the log, and
 * the server goes on.
 *
 * The thread that serves the connection writes each line at once. A recording is needed most when a
 * process dies, and a line that waits for another thread is lost then. The price: a slow disk slows
 * the server. */
#ifndef SERVER_RECORD_H
#define SERVER_RECORD_H

#include <stddef.h>

#include "log.h"

struct record;

/* Makes the file, readable by its owner alone. A file that is there is replaced; anything else at
 * the path, which could block the server, is refused. From then on SIGXFSZ is ignored in this
 * process. A recording goes on in a child process, with the same numbers and the same limit:
 * max_bytes of all together, at least 1. The log is borrowed; may be NULL. NULL, with one line in
 * `error`. */
struct record *record_open(const char *path, size_t max_bytes, struct log *log, char *error,
                           size_t error_size);

/* NULL is allowed, here and below: nothing is recorded then. */
void record_close(struct record *record);

/* A server begins. */
void record_scene(struct record *record, const char *text);

/* A connection begins; its number, from 1. */
unsigned record_connection(struct record *record);
void record_connection_end(struct record *record, unsigned connection);

/* Bytes that were read ('>') or are written ('<'). The record is not NULL. */
void record_write_bytes(struct record *record, unsigned connection, char direction,
                        const void *data, size_t len);

/* The same where it may be NULL. Each event passes here. */
static inline void record_bytes(struct record *record, unsigned connection, char direction,
                                const void *data, size_t len) {
    if (record != NULL) {
        record_write_bytes(record, connection, direction, data, len);
    }
}

#endif
