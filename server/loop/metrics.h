/* --metrics-listen: what is counted, over HTTP for Prometheus. It answers by itself, because
 * Debian's static libmicrohttpd pulls in GnuTLS and all that GnuTLS needs. GET and HEAD of
 * /metrics, HTTP/1.0, one request a connection. Everything is bounded: 16 clients at a time (a
 * further one takes the place of the one that has sent the least), 4 KiB for the head of a request,
 * 5 s for each. */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include <uv.h>

#include "buffer.h"
#include "log.h"

struct metrics;

struct metrics_options {
    uv_loop_t *loop;
    struct log *log; /* may be NULL */
    /* As metrics_address.h has it; a Unix socket has mode 0600, and is replaced as the server's. */
    const char *listen;
    void (*render)(void *arg, struct buffer *out); /* the body; failures are out->failed */
    void *arg;
};

/* 0, and it listens, or tries again at each tick: while the server that is being replaced still has
 * the port, and with any other reason, which is logged once, for figures are no reason to leave
 * requests without their plugin. -1, with a line in `error`: no such address, or no memory. */
int metrics_open(const struct metrics_options *options, struct metrics **out, char *error,
                 size_t error_size);

/* Once a second. NULL is allowed, here and below. */
void metrics_tick(struct metrics *metrics);

/* Closes the port and all connections; what is left is freed in their close callbacks. */
void metrics_close(struct metrics *metrics);

#endif
