/* Reads the recorded conversations in tests/traces/ (the format is in the README.md there). */
#ifndef TESTS_UNIT_TRACE_H
#define TESTS_UNIT_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum trace_kind {
    TRACE_SCENE,  /* "== text": a scene starts */
    TRACE_OPEN,   /* "N open" */
    TRACE_CLOSE,  /* "N close" */
    TRACE_KONG,   /* "N > hex": one read of what Kong sent */
    TRACE_SERVER, /* "N < hex": one read of what the plugin server sent */
};

struct trace_event {
    enum trace_kind kind;
    unsigned line;       /* in the file, from 1 */
    const char *scene;   /* of the scene that it is in; "" before the first */
    unsigned connection; /* not for SCENE */
    const uint8_t *data; /* KONG, SERVER */
    size_t len;
};

/* Everything in it belongs to it and goes with trace_free. */
struct trace {
    struct trace_event *events; /* in the order of the file; remarks and decoded forms left out */
    size_t count;
    char *text;     /* the file, cut in place: scenes point into it */
    uint8_t *bytes; /* what the hex lines say: data points into it */
};

/* Reads `name` ("kong-3.9.1-msgpack.trace") from the directory that the environment's TRACES names,
 * else from tests/traces (tests run in the top directory). False, with the reason on stderr and
 * nothing to free, when there is no such file or a line of it is not of the format. */
bool trace_read(struct trace *trace, const char *name);
void trace_free(struct trace *trace);

/* What one side (TRACE_KONG or TRACE_SERVER) sent on one connection, joined: messages can be cut
 * anywhere in a trace's lines. To be freed by the caller; NULL only when out of memory. */
uint8_t *trace_stream(const struct trace *trace, unsigned connection, enum trace_kind side,
                      size_t *len);

/* The highest connection number in it. */
unsigned trace_last_connection(const struct trace *trace);

#endif
