/* A server from inside: what server.c (start, time), server_accept.c (who connects) and
 * server_drain.c share. Private to them. All but what is said to be called by workers runs on the
 * server's loop. */
#ifndef SERVER_SERVER_INTERNAL_H
#define SERVER_SERVER_INTERNAL_H

#include "acceptor.h"
#include "blocking_pool.h"
#include "event_report.h"
#include "metrics.h"
#include "path_watch.h"
#include "server.h"
#include "worker.h"

/* SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP. */
#define SERVER_SIGNALS 5

struct server {
    struct server_options options;
    struct worker *workers;
    uint32_t count;      /* of workers */
    uint32_t first_look; /* where the next connection looks first for a worker */
    uv_loop_t *loops;    /* with one worker one, for all; else ours, then one for each worker */
    uint32_t loops_ready;
    uv_loop_t *loop; /* the first, of all the handles here. With several workers no handler ever
                        keeps it from running */
    struct acceptor listener;
    struct path_watch path_watch;
    uv_timer_t tick;
    uv_timer_t drain_tick;
    uv_async_t stop;
    uv_async_t news; /* from workers: `waiting`, `ended` */
    uv_signal_t signals[SERVER_SIGNALS];
    bool handles_ready;
    bool draining;
    bool jobs_asked; /* draining: to run once more */
    struct message finish_jobs;
    bool taken_over; /* draining, and the next server has the path */
    uint64_t drain_until_ms;
    uint64_t unlock_until_ms; /* draining: when to unlink the socket without the directory's lock */
    bool socket_removed;
    bool closing;
    _Atomic bool waiting;       /* somebody waits for another to close a connection */
    pthread_mutex_t ended_lock; /* zeroed is open, on Linux */
    uint32_t ended;             /* workers that have nothing left; under the lock */
    struct recurrence full, refused, relay_refused;
    uint64_t behind_ms;     /* since when the supervisor is; 0: it is not */
    size_t max_connections; /* as far as descriptors reach */
    bool watches_faults;
    struct registry *registry;
    struct blocking_pool *blocking;
    _Atomic size_t memory;       /* that connections and events have, of max_memory */
    struct events_shared shared; /* of all workers */
    struct running own_running;  /* where the options have none */
    struct limits_told limits_told;
    struct stats stats;              /* what happens here, outside of workers */
    struct stats sum;                /* of all, while figures are made of it */
    struct stats_plugin *plugin_sum; /* the same of each plugin */
    struct acceptor relay_listener;  /* for other generations of this server */
    int relay_fd;                    /* until relay_listener has it; -1 */
    struct metrics *metrics;         /* NULL: not wanted, or closed */
};

/* --- server_plugin.c --- */

/* Calls each plugin's open, in the order of the table. 0, or -1 with a line in `error`. */
int server_open_plugins(struct server *server, char *error, size_t size);
/* … and the close of those that are open, the last one first. */
void server_close_plugins(struct server *server);

/* --- server_accept.c --- */

/* Descriptors are for the plugin and the loops, too. */
size_t server_most_connections(const struct server_options *options);
/* Open, those on their way to a worker as well. */
size_t server_connections(const struct server *server);
/* The listener's. */
bool server_is_full(struct acceptor *acceptor);
void server_on_waiting(struct acceptor *acceptor);
bool server_holds(struct acceptor *acceptor);
void server_on_accepted(struct acceptor *acceptor, int fd);
/* A connection for a worker, taken over in any case. steps_only: see struct rpc. 0, or a negative
 * uv error. */
int server_hand_over(struct server *server, int fd, bool steps_only);
/* Takes Steps of this server's events from other generations of it, at relay_fd. */
void server_start_relaying(struct server *server);
/* Called by workers, each on its thread. */
void server_on_conn_closed(struct conn_env *env);
/* There is room again, where somebody waits for it. */
void server_resume_if_room(struct server *server);

/* --- server_drain.c --- */

void server_drain(struct server *server, const char *why);
/* Everything is answered, or given up: the loop runs out of handles. Idempotent. */
void server_close_all(struct server *server);
void server_on_signal(uv_signal_t *handle, int number);
void server_on_stop(uv_async_t *handle);
/* Something of what workers tell. */
void on_worker_event(uv_async_t *handle);
/* Called by workers, each on its thread: it has nothing left. arg: the server. */
void server_on_ended(void *arg);

#endif
