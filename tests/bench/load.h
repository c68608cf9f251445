/* The load generator's connections: each has at most one event under way. Everything that a server
 * sends is compared with what was learned from its first event. One thread, no allocation for an
 * event. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "histogram.h"
#include "script.h"

enum conn_state { CONN_FREE, CONN_STARTING, CONN_BUSY, CONN_BROKEN };

struct conn {
    int fd;
    enum conn_state state;
    size_t call;          /* next one of the script */
    uint32_t number;      /* sequence or msgid of what is under way */
    uint32_t instance;    /* CONN_STARTING: which one */
    uint64_t due_ns;      /* when the event should have been sent */
    uint64_t sent_ns;     /* when it was */
    struct wire_id event; /* MsgPack:1 */
    uint8_t *left;        /* a message that has not ended yet; owned, NULL until there is one */
    size_t left_len;
};

/* What happens when a connection is free. */
enum load_phase {
    LOAD_START,  /* it starts the next instance */
    LOAD_TOUCH,  /* the next idle connection has its one event */
    LOAD_CLOSED, /* it runs the next event */
    LOAD_OPEN,   /* it waits until an event is due */
};

#define LOAD_READ_SIZE ((size_t)64 << 10)

struct load {
    const struct canned *learned;
    const char *plugin, *fields;
    uint64_t patience_ns; /* without a byte while events are under way */
    bool as_kong;         /* each frame in two writes, as Kong's Lua does */

    struct conn *conns; /* the first `active` of `count` carry the load */
    size_t count, active;
    struct wire_id *ids; /* of instances */
    uint32_t instances;
    int epoll;

    enum load_phase phase;
    size_t in_flight;
    size_t next; /* LOAD_START: instance; LOAD_TOUCH: connection */
    size_t *free_conns;
    size_t free_count;
    uint64_t events_max; /* LOAD_CLOSED, LOAD_OPEN: no more than so many */
    uint64_t end_ns;     /* no event begins later */
    uint64_t measure_ns; /* events due before are not counted */
    uint64_t last_ns;    /* when the last event ended */

    uint64_t begun, finished, calls, errors;
    struct histogram latency; /* from when it was due */
    struct histogram service; /* from when it was sent */
    char error[256];          /* the first one */

    uint32_t next_number;
    uint64_t random;
    struct wire out;
    uint8_t read[LOAD_READ_SIZE + WIRE_MAX];
};

uint64_t load_now_ns(void);

/* Connects. -1 with load->error. */
int load_open_conn(struct load *load, struct conn *conn, const char *path);
void load_close_conn(struct conn *conn);

/* Gives a free connection its next work in the phase, if there is any. */
void load_next(struct load *load, struct conn *conn, uint64_t now);
/* Sends an event that was due at due_ns. */
void load_begin_event(struct load *load, struct conn *conn, uint64_t due_ns, uint64_t now);
/* Reads what is there and goes on. */
void load_on_readable(struct load *load, struct conn *conn);

#endif
