#include "serve.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ancestor.h"
#include "complain.h"
#include "dump.h"
#include "log.h"
#include "printable.h"
#include "process_log.h"
#include "rpc.h"
#include "server.h"
#include "service_manager.h"
#include "socket_file.h"
#include "stall.h"
#include "supervisor.h"

struct service {
    const char *program;
    struct plugins *plugins;
    const struct options *options;
    struct socket_file *socket;
    struct dump *dumps;            /* of each plugin */
    struct rpc_plugin_info *infos; /* in them */
    struct log *log;
    struct record *record;
    struct fd_store *store; /* NULL: no supervisor, or no memory */
    pid_t parent;           /* as this process found it at its start */
    bool parent_is_kong;
    bool watch_parent;
    struct stall_watch *watch; /* NULL: a supervisor looks, or nobody */
    int terminal;              /* what standard error was before --log-file; -1: it is that still */
};

/* Says why it does not serve: to the terminal it was started from, and in the log's file. */
static int fail_start(const struct service *service, const char *text, int status) {
    if (service->terminal < 0) {
        return complain(service->program, text, status);
    }
    log_write(service->log, LOG_LEVEL_ERROR, "%s", text);
    return complain_to(service->terminal, service->program, text, status);
}

/* A second more than the drain itself, as a supervisor waits. */
#define DRAIN_GRACE_MS 1000

/* Where no supervisor does it: ends the process in time also when a handler, or a function that one
 * gave to kong_run_blocking, does not return. */
static void on_drain(void *arg) {
    const struct service *service = arg;
    stall_watch_end_within(service->watch, service->options->drain_ms + DRAIN_GRACE_MS);
}

static struct server_options server_options_of(struct service *service, struct running *running) {
    const struct options *options = service->options;
    struct server_options wanted;
    server_options_init(&wanted);
    wanted.plugins = service->plugins;
    wanted.info = service->infos;
    wanted.log = service->log;
    wanted.socket = service->socket;
    wanted.running = running;
    wanted.threads = options->threads;
    wanted.blocking_threads = options->blocking_threads;
    wanted.blocking_wait_ms = options->blocking_wait_ms;
    wanted.prefetch = options->prefetch;
    wanted.busy_poll_us = options->busy_poll_us;
    wanted.tell_manager = true;
    wanted.handle_signals = true;
    wanted.watch_parent = service->watch_parent;
    wanted.parent = service->parent;
    wanted.on_drain = on_drain;
    wanted.on_drain_arg = service;
    wanted.supervised = running != NULL;
    wanted.record = service->record;
    wanted.store = service->store;
    wanted.metrics_listen = options->metrics_listen;
    wanted.drain_ms = options->drain_ms;
    wanted.event_ms = options->event_ms;
    wanted.kong_2_8 = options->kong_major == 2;
    wanted.instance_idle_ms = options->instance_idle_ms;
    wanted.allow_uids = options->allow_uids.list;
    wanted.allow_uid_count = options->allow_uids.count;
    wanted.max_connections = options->max_connections;
    wanted.max_instances = options->max_instances;
    wanted.max_events = options->max_events;
    wanted.max_frame = options->max_frame;
    wanted.max_memory = options->max_memory;
    wanted.max_config = options->max_config;
    return wanted;
}

/* Two servers on one path are the operator's mistake. */
static int exit_status(int rc) {
    return rc == SOCKET_FILE_BUSY ? EXIT_USAGE : EXIT_FAILURE;
}

static struct stall_options stall_options_of(const struct service *service) {
    return (struct stall_options){.log = service->log,
                                  .plugins = service->plugins,
                                  .threads = service->options->threads,
                                  .report_ms = service->options->event_ms,
                                  .stall_ms = service->options->stall_ms};
}

/* Where there is no supervisor to do it. */
static struct stall_watch *watch_for_stall(const struct service *service, struct running *own) {
    struct stall_options wanted = stall_options_of(service);
    struct stall_watch *watch = stall_watch_start(&wanted, own);
    if (watch == NULL) {
        log_write(service->log, LOG_LEVEL_WARN, "no thread to watch for handlers that hang");
    }
    return watch;
}

/* Connections that a child before this one left idle. */
static void adopt_kept(const struct service *service, struct server *server) {
    for (int fd = fd_store_take(service->store); fd >= 0; fd = fd_store_take(service->store)) {
        server_adopt(server, fd);
    }
}

static void tell_start(const struct service *service) {
    char scene[128];
    for (size_t i = 0; i < service->plugins->count; i++) {
        const struct kong_plugin *plugin = service->plugins->list[i].what;
        log_write_for(service->log, plugin->name, LOG_LEVEL_INFO, NULL, "%s %s serves at %s%s",
                      plugin->name, plugin->version, service->socket->path,
                      service->socket->inherited ? ", passed by the service manager" : "");
    }
    const struct kong_plugin *first = service->plugins->list[0].what;
    snprintf(scene, sizeof scene, "%s %s, process %d", service->plugins->name,
             service->plugins->count == 1 ? first->version : "", (int)getpid());
    record_scene(service->record, scene);
}

static int serve(void *arg, struct running *running) {
    struct service *service = arg;
    struct running own = {0};
    struct server_options wanted = server_options_of(service, running);
    if (running == NULL) {
        wanted.running = &own;
    }
    struct server *server;
    char error[512];
    if (server_create(&wanted, &server, error, sizeof error) != 0) {
        return fail_start(service, error, EXIT_FAILURE);
    }
    /* Only now: a server that can't start must not take the path from one that serves. */
    bool replaced = false;
    int rc = socket_file_publish(service->socket, &replaced, error, sizeof error);
    if (rc != 0) {
        server_destroy(server);
        return fail_start(service, error, exit_status(rc));
    }
    if (replaced) {
        log_write(service->log, LOG_LEVEL_NOTICE,
                  "took over %s from a server that still runs (a reload, or --take-over)",
                  service->socket->path);
    }
    tell_start(service);
    adopt_kept(service, server);
    service->watch = running == NULL ? watch_for_stall(service, &own) : NULL;
    server_run(server);
    server_destroy(server);
    stall_watch_stop(service->watch);
    log_write(service->log, LOG_LEVEL_INFO, "ended");
    return EXIT_SUCCESS;
}

/* In a dead child's place (fd_store.h). */
static size_t answer_orphan(void *arg, uint8_t what, uint32_t id, const uint8_t *read,
                            bool next_child, uint8_t *out, size_t size) {
    const struct service *service = arg;
    bool protobuf = what == IN_FLIGHT_PROTOBUF_EVENT || what == IN_FLIGHT_PROTOBUF_EVENT_OPEN;
    if (protobuf && !next_child && service->options->kong_major != 2) {
        return 0; /* Kong 3 sends it again after "closed", to whoever has the path then */
    }
    return rpc_answer_orphan(service->plugins, what, id, read, next_child, out, size);
}

static int serve_supervised(struct service *service) {
    struct supervisor_options wanted = {.stall = stall_options_of(service),
                                        .drain_ms = service->options->drain_ms,
                                        .watch_parent = service->watch_parent,
                                        .parent = service->parent};
    char error[256];
    service->watch_parent = true; /* the child's parent is the supervisor */
    service->parent = getpid();
    service->store = wanted.store = fd_store_create(service->socket, answer_orphan, service);
    int status = supervisor_run(&wanted, serve, service, error, sizeof error);
    fd_store_destroy(service->store);
    return status < 0 ? fail_start(service, error, EXIT_FAILURE) : status;
}

/* A connection is a descriptor; what Kong was started with may be too few. */
static void raise_descriptor_limit(const struct options *options) {
    struct rlimit limit;
    rlim_t wanted = (rlim_t)(options->max_connections + 64 + 8 * options->threads);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* The service manager's socket, or one of our own. 0, or a negative code with a line in `error`. */
static int open_socket(struct service *service, struct socket_file *socket, char *error,
                       size_t error_size) {
    const struct options *options = service->options;
    struct socket_file_options wanted = {.path = options->socket,
                                         .mode = options->socket_mode,
                                         .group = options->socket_group,
                                         .backlog = SERVER_BACKLOG,
                                         .take_over = options->take_over || ancestor_has_kong()};
    int given = service_manager_socket(socket, error, error_size);
    if (given != 0) {
        return given < 0 ? given : 0;
    }
    return socket_file_prepare(&wanted, socket, error, error_size);
}

static int run(struct service *service) {
    const struct options *options = service->options;
    bool supervise = options->supervise == OPTION_YES ||
                     (options->supervise == OPTION_AUTO && service->parent_is_kong);
    return supervise ? serve_supervised(service) : serve(service, NULL);
}

static int run_recorded(struct service *service) {
    const char *path = service->options->record;
    char error[512];
    if (path != NULL) {
        service->record =
            record_open(path, service->options->record_size, service->log, error, sizeof error);
        if (service->record == NULL) {
            return fail_start(service, error, EXIT_FAILURE);
        }
    }
    int status = run(service);
    record_close(service->record);
    return status;
}

/* The socket first: a second server on its path must not begin anything else. */
static int run_on_socket(struct service *service) {
    struct socket_file socket;
    char error[512];
    raise_descriptor_limit(service->options);
    int rc = open_socket(service, &socket, error, sizeof error);
    if (rc != 0) {
        return fail_start(service, error, exit_status(rc));
    }
    service->socket = &socket;
    int status = run_recorded(service);
    service->socket = NULL;
    socket_file_close(&socket);
    return status;
}

/* From here on the log and whatever else goes to standard error is in the file. */
static int use_log_file(struct service *service) {
    const char *path = service->options->log_file;
    char error[512];
    signal(SIGHUP, SIG_IGN); /* until the server handles it */
    int terminal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int reason = log_use_file(service->log, path);
    if (reason != 0) {
        close(terminal);
        printable_error(error, sizeof error,
                        "--log-file %.300s: %s: name a file that this user may write to", path,
                        strerror(reason));
        return complain(service->program, error, EXIT_FAILURE);
    }
    service->terminal = terminal;
    return 0;
}

static int start(struct service *service) {
    const struct options *options = service->options;
    int status = options->log_file != NULL ? use_log_file(service) : 0;
    if (status == 0) {
        log_set_format(service->log, options->log_format);
        process_log_set(service->log);
        status = run_on_socket(service);
        process_log_set(NULL);
    }
    if (service->terminal >= 0) {
        close(service->terminal);
    }
    return status;
}

static void free_dumps(struct service *service) {
    for (size_t i = 0; service->dumps != NULL && i < service->plugins->count; i++) {
        dump_free(&service->dumps[i]);
    }
    free(service->dumps);
    free(service->infos);
}

/* 0, or -1 when out of memory; free_dumps in either case. */
static int make_dumps(struct service *service) {
    size_t count = service->plugins->count;
    service->dumps = calloc(count, sizeof *service->dumps);
    service->infos = calloc(count, sizeof *service->infos);
    bool made = service->dumps != NULL && service->infos != NULL;
    for (size_t i = 0; made && i < count; i++) {
        const struct kong_plugin *plugin = service->plugins->list[i].what;
        const struct options own = options_for(service->options, service->plugins, plugin);
        made = dump_init(&service->dumps[i], &own) == 0;
        service->infos[i] = service->dumps[i].info;
    }
    return made ? 0 : -1;
}

int serve_run(const char *program, const struct options *options, struct plugins *plugins) {
    struct service service = {
        .program = program, .plugins = plugins, .options = options, .terminal = -1};
    /* Asked once: a parent that dies in the meantime is found to be another than this. */
    service.parent = getppid();
    service.parent_is_kong = ancestor_is_kong(service.parent);
    service.watch_parent = options->watch_parent == OPTION_YES ||
                           (options->watch_parent == OPTION_AUTO && service.parent_is_kong);
    signal(SIGUSR1, SIG_IGN); /* until the server handles them */
    signal(SIGUSR2, SIG_IGN);
    service.log = log_create(STDERR_FILENO, options->log_level, plugins->name);
    int status = service.log == NULL || make_dumps(&service) != 0
                     ? complain(program, "out of memory", EXIT_FAILURE)
                     : start(&service);
    free_dumps(&service);
    log_destroy(service.log);
    return status;
}
