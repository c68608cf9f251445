/* A plugin server in a thread of the test's process, on a Unix socket in a directory of its own:
 * all that the tests' kit knows of server/server.h. */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include "kong.h"
#include "prefetch_mode.h"
#include "protocol.h"

struct log;
struct record;
struct running;

struct sim_server_options {
    const struct kong_plugin *plugin;
    const struct kong_plugin *const
        *plugins; /* several, in the place of `plugin`; NULL: that one */
    size_t plugin_count;
    struct log *log;            /* borrowed; NULL: nothing is logged */
    struct running *running;    /* borrowed; NULL: the server's own */
    struct record *record;      /* borrowed; NULL: nothing is recorded */
    const char *metrics_listen; /* see metrics.h; NULL: nowhere */
    const char *socket_path;    /* NULL: one in a new directory */
    size_t threads;             /* 0: the server's default; so below */
    uint64_t event_ms;
    uint64_t drain_ms;
    uint64_t instance_idle_ms;
    size_t max_connections, max_instances, max_events, max_frame, max_memory;
    bool kong_2_8;                      /* --kong-version 2.8 */
    size_t busy_poll_us;                /* --busy-poll */
    const enum prefetch_mode *prefetch; /* NULL: auto */
    bool log_each_failure;
    bool report_faults; /* of handlers, on stderr, where no other server of this process does */
};

struct sim_server;

/* The server listens when this returns. NULL, with a line in `error`, when it can't. */
struct sim_server *sim_server_start(const struct sim_server_options *options, char *error,
                                    size_t error_size);

/* The path of its socket; a sim_connect_unix's ctx. */
char *sim_server_path(struct sim_server *server);

/* Before an event: see sim_fault_arm. */
void sim_server_arm(const struct sim_server *server);

/* Runs a job of the plugin once more, by its index, and waits for it. What it returned; not 0:
 * `error` says why. */
int sim_server_run_job(struct sim_server *server, size_t index, char *error, size_t error_size);

/* Returns when each handler that was at work on one of its threads has returned or waits. */
void sim_server_settle(struct sim_server *server);

/* Asks it to end, without waiting. */
void sim_server_ask(struct sim_server *server);

/* Asks it to end, waits for it, frees everything. NULL is allowed. */
void sim_server_stop(struct sim_server *server);

#endif
