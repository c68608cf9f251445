#include "sim_server.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dump.h"
#include "plugins.h"
#include "scratch.h"
#include "server_internal.h"
#include "sim_fault.h"
#include "socket_file.h"

struct sim_server {
    struct server *server;
    struct socket_file socket;
    struct plugins plugins;
    struct dump *dumps; /* of each of them */
    struct rpc_plugin_info *infos;
    pthread_t thread;
    bool running;
    bool reports_faults;
    struct running handlers;      /* that run, where the caller has no place of its own for them */
    char directory[SCRATCH_PATH]; /* "" when the path was given */
    char path[108];
};

/* Signals are the test's: above all, writing to a peer that is gone must not end the process. */
static void *run(void *arg) {
    struct sim_server *server = arg;
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGPIPE);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    server_run(server->server);
    return NULL;
}

static bool choose_path(struct sim_server *server, const char *path) {
    int len = 0;
    if (path != NULL) {
        len = snprintf(server->path, sizeof server->path, "%s", path);
    } else {
        if (!scratch_make(server->directory)) {
            return false;
        }
        len = snprintf(server->path, sizeof server->path, "%s/" SCRATCH_SOCKET, server->directory);
    }
    return len > 0 && (size_t)len < sizeof server->path;
}

static void fill(struct server_options *to, const struct sim_server_options *from) {
    to->log = from->log;
    to->threads = from->threads == 0 ? to->threads : from->threads;
    to->record = from->record;
    to->drain_ms = from->drain_ms == 0 ? to->drain_ms : from->drain_ms;
    to->event_ms = from->event_ms == 0 ? to->event_ms : from->event_ms;
    to->instance_idle_ms =
        from->instance_idle_ms == 0 ? to->instance_idle_ms : from->instance_idle_ms;
    to->max_connections = from->max_connections == 0 ? to->max_connections : from->max_connections;
    to->metrics_listen = from->metrics_listen;
    to->running = from->running;
    to->report_faults = from->report_faults;
    to->kong_2_8 = from->kong_2_8;
    to->busy_poll_us = from->busy_poll_us;
    to->prefetch = from->prefetch == NULL ? to->prefetch : *from->prefetch;
    to->log_each_failure = from->log_each_failure;
    to->max_instances = from->max_instances == 0 ? to->max_instances : from->max_instances;
    to->max_events = from->max_events == 0 ? to->max_events : from->max_events;
    to->max_frame = from->max_frame == 0 ? to->max_frame : from->max_frame;
    to->max_memory = from->max_memory == 0 ? to->max_memory : from->max_memory;
}

/* The table, and what Kong is told of each. */
static bool make_plugins(struct sim_server *server, const struct sim_server_options *from) {
    bool several = from->plugins != NULL;
    size_t count = several ? from->plugin_count : 1;
    server->dumps = calloc(count, sizeof *server->dumps);
    server->infos = calloc(count, sizeof *server->infos);
    bool made = server->dumps != NULL && server->infos != NULL &&
                plugins_init(&server->plugins, "several", several ? from->plugins : &from->plugin,
                             count) == 0;
    for (size_t i = 0; made && i < count; i++) {
        const struct kong_plugin *plugin = server->plugins.list[i].what;
        struct options dump = {.plugin = plugin,
                               .phases = dump_default_phases(plugin),
                               .priority = plugin->priority,
                               .protocol = PROTOCOL_PROTOBUF,
                               .kong_major = 3,
                               .socket = server->path};
        made = dump_init(&server->dumps[i], &dump) == 0;
        server->infos[i] = server->dumps[i].info;
    }
    return made;
}

struct sim_server *sim_server_start(const struct sim_server_options *from, char *error,
                                    size_t error_size) {
    struct server_options options;
    struct sim_server *server = calloc(1, sizeof *server);
    snprintf(error, error_size, "not enough memory");
    if (server == NULL) {
        return NULL;
    }
    server->socket.fd = -1;
    if (!choose_path(server, from->socket_path)) {
        snprintf(error, error_size, "no path for the socket");
        sim_server_stop(server);
        return NULL;
    }
    server_options_init(&options);
    fill(&options, from);
    options.socket = &server->socket;
    server->reports_faults = from->report_faults && sim_fault_claim();
    options.report_faults = server->reports_faults;
    if (server->reports_faults && options.running == NULL) {
        options.running = &server->handlers;
    }
    options.plugins = &server->plugins;
    bool made = make_plugins(server, from);
    options.info = server->infos;
    struct socket_file_options socket = {
        .path = server->path, .mode = 0600, .backlog = SERVER_BACKLOG, .take_over = true};
    if (!made || socket_file_open(&socket, &server->socket, NULL, error, error_size) != 0 ||
        server_create(&options, &server->server, error, error_size) != 0) {
        sim_server_stop(server);
        return NULL;
    }
    sim_server_arm(server);
    server->running = pthread_create(&server->thread, NULL, run, server) == 0;
    if (!server->running) {
        snprintf(error, error_size, "no thread");
        sim_server_stop(server);
        return NULL;
    }
    return server;
}

char *sim_server_path(struct sim_server *server) {
    return server->path;
}

void sim_server_arm(const struct sim_server *server) {
    if (server->reports_faults) {
        sim_fault_arm();
    }
}

/* --- One run of a job --- */

struct job_run {
    struct message message;
    struct job_request request;
    size_t index;
    pthread_mutex_t lock; /* of the rest */
    pthread_cond_t ended;
    bool over;
    int rc;
    char *error;
    size_t error_size;
};

static void job_done(struct job_request *request, int rc, const char *error) {
    struct job_run *run = (struct job_run *)((char *)request - offsetof(struct job_run, request));
    pthread_mutex_lock(&run->lock);
    run->over = true;
    run->rc = rc;
    snprintf(run->error, run->error_size, "%s", rc == 0 ? "" : error);
    pthread_cond_signal(&run->ended);
    pthread_mutex_unlock(&run->lock);
}

static void deliver_job(struct message *message, struct worker *worker) {
    struct job_run *run = (struct job_run *)((char *)message - offsetof(struct job_run, message));
    jobs_run(worker->jobs, run->index, &run->request);
}

int sim_server_run_job(struct sim_server *server, size_t index, char *error, size_t error_size) {
    struct job_run run = {.message = {.deliver = deliver_job},
                          .request = {.done = job_done},
                          .index = index,
                          .lock = PTHREAD_MUTEX_INITIALIZER,
                          .ended = PTHREAD_COND_INITIALIZER,
                          .error = error,
                          .error_size = error_size};
    worker_post(&server->server->workers[0], &run.message);
    pthread_mutex_lock(&run.lock);
    while (!run.over) {
        pthread_cond_wait(&run.ended, &run.lock);
    }
    pthread_mutex_unlock(&run.lock);
    return run.rc;
}

/* --- Until all threads have turned to something else --- */

struct turn {
    struct message message;
    pthread_mutex_t lock; /* of `over` */
    pthread_cond_t ended;
    bool over;
};

static void deliver_turn(struct message *message, struct worker *worker) {
    struct turn *turn = (struct turn *)((char *)message - offsetof(struct turn, message));
    (void)worker;
    pthread_mutex_lock(&turn->lock);
    turn->over = true;
    pthread_cond_signal(&turn->ended);
    pthread_mutex_unlock(&turn->lock);
}

void sim_server_settle(struct sim_server *server) {
    for (uint32_t i = 0; i < server->server->count; i++) {
        struct turn turn = {.message = {.deliver = deliver_turn},
                            .lock = PTHREAD_MUTEX_INITIALIZER,
                            .ended = PTHREAD_COND_INITIALIZER};
        worker_post(&server->server->workers[i], &turn.message);
        pthread_mutex_lock(&turn.lock);
        while (!turn.over) {
            pthread_cond_wait(&turn.ended, &turn.lock);
        }
        pthread_mutex_unlock(&turn.lock);
    }
}

void sim_server_ask(struct sim_server *server) {
    server_stop(server->server);
}

void sim_server_stop(struct sim_server *server) {
    if (server == NULL) {
        return;
    }
    if (server->running) {
        server_stop(server->server);
        pthread_join(server->thread, NULL);
    }
    server_destroy(server->server);
    if (server->reports_faults) {
        sim_fault_release();
    }
    socket_file_close(&server->socket);
    for (size_t i = 0; server->dumps != NULL && i < server->plugins.count; i++) {
        dump_free(&server->dumps[i]);
    }
    free(server->dumps);
    free(server->infos);
    plugins_free(&server->plugins);
    scratch_remove(server->directory);
    free(server);
}
