/* One connection to a plugin server, as Kong's worker holds it: blocking, with a time-out. */
#ifndef SIM_WIRE_H
#define SIM_WIRE_H

#include <sys/types.h>

#include "buffer.h"
#include "frame.h"

enum wire_status {
    WIRE_OK,
    WIRE_CLOSED,  /* the server closed, or the connection broke: wire->error */
    WIRE_TIMEOUT, /* nothing, or not enough, came in time */
    WIRE_BROKEN,  /* what came is no message: wire->reason */
    WIRE_DROPPED, /* closed by us, as the test wanted */
    WIRE_NOMEM
};

struct wire {
    int fd; /* owned; -1 when closed */
    int timeout_ms;
    size_t chunk;        /* at most so many bytes a write; 0: all at once */
    unsigned *countdown; /* messages until the connection is dropped, shared by a client's
                            connections; NULL, or 0: never */
    bool drop_half;      /* the message at which it is dropped is sent by half */
    struct buffer in;
    size_t consumed;    /* of `in`: the message given last */
    struct buffer held; /* to be written before anything else */
    struct frame_reader reader;
    struct codec_reason reason;
    int error;       /* of a connection that broke: ECONNRESET, EPIPE …; 0: closed in order */
    size_t reads;    /* read calls that gave bytes */
    size_t messages; /* read so far */
};

/* Takes the descriptor over. */
void wire_init(struct wire *wire, int fd, enum protocol protocol, int timeout_ms);
/* Closes and frees. Idempotent. */
void wire_close(struct wire *wire);

/* Writes what is held and the bytes: one message, or a part of one. */
enum wire_status wire_write(struct wire *wire, const void *data, size_t len);

/* Keeps the bytes for the next wire_write or wire_flush. */
enum wire_status wire_hold(struct wire *wire, const void *data, size_t len);
enum wire_status wire_flush(struct wire *wire);

/* The next message; *frame lives until the next call. */
enum wire_status wire_read(struct wire *wire, struct frame *frame);

/* Whether there is something to read within so many milliseconds, read ahead or on its way. */
bool wire_ready(struct wire *wire, int wait_ms);

/* Counts one message sent or read. WIRE_DROPPED, and closed, when it was the one to drop at. */
enum wire_status wire_count(struct wire *wire);

#endif
