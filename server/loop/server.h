/* Listens, accepts, watches time and signals, ends. Connections and their events are with workers
 * (worker.h): one, on the same loop, or several, each on a thread of its own; then this loop has
 * nothing to do that takes time, so that a handler that is busy keeps nobody from connecting.
 * Nothing is global, but what a fault needs (crash.h). */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <sys/types.h>

#include "fd_store.h"
#include "kong.h"
#include "log.h"
#include "prefetch_mode.h"
#include "record.h"
#include "rpc_message.h"
#include "running.h"
#include "socket_file.h"

/* Connections that wait to be accepted. */
#define SERVER_BACKLOG 1024

struct server;

struct server_options {
    struct plugins *plugins;            /* borrowed; the server opens and closes each */
    const struct rpc_plugin_info *info; /* borrowed; of each plugin, as its dump says it */
    struct log *log;                    /* borrowed; may be NULL */
    struct socket_file *socket; /* open; borrowed: taken away (if still ours) when the server begins
                                   to drain. NULL: the caller connects peers by server_adopt only */
    struct running *running;    /* told which handler runs; NULL: nobody is */
    const char *metrics_listen; /* see metrics.h; NULL: nowhere */
    struct record *record;      /* borrowed; of all that is said on connections. NULL: none */
    struct fd_store *store;     /* borrowed; the supervisor's, of the connections. NULL: none */
    size_t threads;      /* that run handlers, up to WORKERS_MOST. All plugins are thread-safe,
                            where there are several */
    bool tell_manager;   /* READY=1 and STOPPING=1 (service_manager_notify) */
    bool handle_signals; /* SIGTERM and SIGINT drain, a second SIGINT ends at once; SIGHUP opens the
                            log's file again; SIGPIPE is ignored, faults are reported */
    bool report_faults;  /* a handler's fault is a line on stderr (crash.h), as with the above */
    bool supervised;   /* … a second one changes nothing: the supervisor decides. It also arranges
                          what happens at its own death */
    bool watch_parent; /* drain when the process that started us is gone, */
    pid_t parent;      /* which was this one at the program's start */
    void (*on_drain)(void *arg); /* it begins to drain; on the loop's thread. May be NULL */
    void *on_drain_arg;
    uint64_t drain_ms;     /* then what is still at work is given up */
    uint64_t event_ms;     /* time limit of one event */
    bool kong_2_8;         /* see events_options */
    bool log_each_failure; /* the same */
    enum prefetch_mode prefetch;
    size_t busy_poll_us; /* busy_poll.h; 0: off */
    uint64_t instance_idle_ms;
    const uid_t *allow_uids; /* borrowed; of processes that may connect */
    size_t allow_uid_count;  /* 0: any that may open the socket's file */
    size_t max_connections, max_instances, max_events, max_frame, max_config;
    size_t max_memory;         /* of all connections and events together, in bytes */
    size_t blocking_threads;   /* for kong_run_blocking: up to BLOCKING_THREADS_MOST */
    uint64_t blocking_wait_ms; /* for one of them; 0: no limit */
    size_t stack_size;         /* of a handler, where its plugin does not say */
};

/* Fills everything but plugins, info, log and socket from limit.h. */
void server_options_init(struct server_options *options);

/* Opens the plugins, listens. 0, or -1 with one line in `error`. The options'
 * strings must outlive the server. */
int server_create(const struct server_options *options, struct server **out, char *error,
                  size_t error_size);

/* A connected stream socket, taken over in any case; before server_run only. 0, or -1. */
int server_adopt(struct server *server, int fd);

/* Serves until server_stop, a signal, or the parent's end; then drains. Always returns with
 * everything closed: nothing under way. */
void server_run(struct server *server);

/* Begins to drain. From any thread, any number of times while server_run runs or before it. */
void server_stop(struct server *server);

/* After server_run, or without it. NULL is allowed. */
void server_destroy(struct server *server);

#endif
