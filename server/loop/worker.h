/* One loop, and all that lives on it: connections, their events, what they count. What belongs to
 * the whole server (the listening socket, signals, the registry of instances) is in server.c.
 *
 * The only worker of a server shares the server's loop and thread. Each of several has its own.
 * Either way others reach it by messages, and by the state that they request. Nothing but that is
 * locked: a connection, and an event with its handler, stay on one thread. */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <pthread.h>
#include <uv.h>

#include "conn.h"
#include "jobs.h"
#include "prefetch.h"
#include "process_forward.h"

#define WORKERS_MOST RUNNING_WORKERS

struct worker;

/* Delivered once, on the worker's thread, in the order of posting. Owned by whoever embeds it. */
struct message {
    struct message *next;
    void (*deliver)(struct message *message, struct worker *worker);
};

/* Each includes those before it. */
enum worker_state {
    WORKER_SERVE,
    WORKER_DRAIN, /* ends connections as they become idle */
    WORKER_CLOSE, /* ends all; tells when nothing is left */
    WORKER_END,   /* all workers are so far: no message will come. Its loop runs out of handles */
};

/* What the workers of a server are made of: each takes a copy, and fills in what is its own. */
struct worker_options {
    struct events_options events;      /* without owner, worker_index and all stats */
    struct conn_env conns;             /* without loop, buffer, and what rpc has of the events */
    struct process_forward_env relays; /* without loop */
    struct budget budget;              /* without `refused` */
    struct worker *all;                /* the array that this one is in */
    uint32_t count;
    enum prefetch_mode prefetch;
    unsigned busy_poll_us;     /* 0: it sleeps when there is nothing to do */
    const struct stats *rest;  /* what no worker has counted */
    bool watch_faults;         /* crash.h */
    void (*closed)(void *arg); /* one has nothing left. On its thread */
    void *closed_arg;
};

struct worker {
    uv_loop_t *loop; /* borrowed; NULL: not open */
    struct worker_options options;
    uint32_t index;
    uv_timer_t tick, drain_tick;
    struct arena scratch;
    struct events *events; /* NULL: not open */
    struct conn_env conns;
    char *own_read_buffer; /* NULL: it is the store's */
    struct process_forward_env relays;
    struct busy_poll busy_poll;
    struct prefetch *prefetch; /* NULL: off, or not open */
    struct jobs *jobs;         /* the first worker's; NULL: none */
    struct throttle complaints;
    struct budget budget; /* of this thread's connections and events, shared with the others */
    struct stats stats;
    struct stats sum; /* of all workers, while a status is made of it */
    struct stats_plugin *plugin_stats, *plugin_sum; /* the same of each plugin */
    enum worker_state state;

    pthread_t thread;
    bool started; /* … the thread, where it has its own */
    bool mailbox_ready;
    uv_async_t mailbox;
    uv_prepare_t done_check;
    bool done;
    size_t forwards_sent;        /* Steps from here that are with other workers */
    _Atomic size_t on_their_way; /* connections */
    uint64_t given_ms;           /* the first of them; of the server's thread */
    pthread_mutex_t lock;        /* of the rest */
    struct message *first, *last;
    enum worker_state wanted_state;
    bool taken_over; /* with WORKER_DRAIN: conn.h */
};

/* From here on the loop has work until the worker is closed. 0, or a negative uv error. */
int worker_open(struct worker *worker, uint32_t index, uv_loop_t *loop,
                const struct worker_options *options);

/* Of several: begins to run, on its own thread. 0, or a negative uv error. */
int worker_start(struct worker *worker);

/* From any thread, as long as WORKER_END is not requested. */
void worker_post(struct worker *worker, struct message *message);

/* From the server's thread; what was requested before remains true. */
void worker_request(struct worker *worker, enum worker_state wanted, bool taken_over);

/* A connected descriptor, taken over in any case. steps_only: see struct rpc. From the server's
 * thread. 0, or a negative uv error; what goes wrong later is logged. */
int worker_adopt(struct worker *worker, int fd, bool steps_only);

/* From any thread: connections, those on their way as well. */
size_t worker_connections(const struct worker *worker);

/* From any thread: makes the source that of all workers. *sum and the sums of each plugin are the
 * caller's. */
void workers_gather(const struct worker_options *options, struct stats *sum,
                    struct stats_plugin *plugin_sum, struct status_source *source);

/* Closes all handles of a loop that has not come so far that anything is under way. */
void worker_close_handles(uv_loop_t *loop);

/* Waits for the thread, or runs the loop to its end, which is the caller's to close. WORKER_END has
 * been requested, or the thread was not started. For a zeroed one, too. */
void worker_destroy(struct worker *worker);

#endif
