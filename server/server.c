#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "acceptor.h"
#include "crash.h"
#include "limit.h"
#include "metrics.h"
#include "metrics_text.h"
#include "path_watch.h"
#include "service_manager.h"
#include "worker.h"

#define TICK_MS       1000
#define DRAIN_TICK_MS 1
#define COMPLAINT_MS  1000
#define SPARE_FILES   ((size_t)32) /* descriptors that are no connections */

struct server {
    struct server_options options;
    struct worker worker;
    uv_loop_t *loop; /* of all the handles here: the worker's */
    struct acceptor listener;
    struct path_watch path_watch;
    uv_timer_t tick;
    uv_timer_t drain_tick;
    uv_async_t stop;
    uv_signal_t sigterm, sigint, sigusr1, sigusr2;
    bool handles_ready;
    bool draining;
    uint64_t drain_until_ms;
    bool closing;
    uint64_t full_complaint_ms, uid_complaint_ms; /* when that was last logged; 0: never */
    pid_t parent;
    void *process_data;
    bool plugin_open;
    struct registry *registry;
    struct acceptor relay_listener; /* for other generations of this server */
    int relay_fd;                   /* until relay_listener has it; -1 */
    struct metrics *metrics;        /* NULL: not wanted, or closed */
};

void server_options_init(struct server_options *options) {
    *options = (struct server_options){
        .drain_ms = 5000,
        .event_ms = LIMIT_EVENT_MS,
        .instance_idle_ms = LIMIT_INSTANCE_IDLE_MS,
        .max_connections = LIMIT_CONNECTIONS,
        .max_instances = LIMIT_INSTANCES,
        .max_events = LIMIT_EVENTS,
        .max_frame = LIMIT_FRAME,
        .stack_size = LIMIT_STACK,
    };
}

/* --- the end --- */

static void close_handle(uv_handle_t *handle) {
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

/* Nobody finds it any more, or finds the next server's in its place. Who connected before is still
 * accepted: the listener closes last. */
static void remove_socket(struct server *server) {
    if (server->options.socket != NULL) {
        socket_file_remove(server->options.socket);
    }
}

/* The port is for the next server. */
static void close_metrics(struct server *server) {
    metrics_close(server->metrics);
    server->metrics = NULL;
}

/* Everything is answered, or given up: the loop runs out of handles. */
static void close_all(struct server *server) {
    if (server->closing) {
        return;
    }
    server->closing = true;
    remove_socket(server);
    close_metrics(server);
    acceptor_close(&server->listener);
    acceptor_close(&server->relay_listener);
    worker_close(&server->worker);
    close_handle((uv_handle_t *)&server->tick);
    close_handle((uv_handle_t *)&server->drain_tick);
    close_handle((uv_handle_t *)&server->stop);
    close_handle((uv_handle_t *)&server->sigterm);
    close_handle((uv_handle_t *)&server->sigint);
    close_handle((uv_handle_t *)&server->sigusr1);
    close_handle((uv_handle_t *)&server->sigusr2);
}

static void on_drain_tick(uv_timer_t *timer) {
    struct server *server = timer->data;
    conns_end_idle(&server->worker.conns);
    bool reachable = server->worker.conns.taken_over && events_alive(server->worker.events) > 0;
    if (server->worker.conns.count == 0 && !reachable) {
        /* An event of MsgPack that waits for a Step is out of reach now, unless the next server has
         * the path, which relays it. */
        close_all(server);
    } else if (uv_now(server->loop) >= server->drain_until_ms) {
        log_write(server->options.log, LOG_LEVEL_WARN,
                  "given up after the drain time-out: %zu connections, %zu events",
                  server->worker.conns.count, events_alive(server->worker.events));
        close_all(server);
    }
}

/* A given socket has no end: who connects from now on waits in it for the next server. */
static void leave_given_socket(struct server *server) {
    if (server->options.socket != NULL && server->options.socket->given) {
        acceptor_close(&server->listener);
    }
}

static void drain(struct server *server, const char *why) {
    if (server->draining) {
        return;
    }
    server->draining = true;
    server->worker.conns.draining = true;
    server->drain_until_ms = uv_now(server->loop) + server->options.drain_ms;
    log_write(server->options.log, LOG_LEVEL_INFO,
              "ending: %s; %zu connections, %zu events at work", why, server->worker.conns.count,
              events_alive(server->worker.events));
    server->worker.conns.taken_over =
        server->options.socket != NULL && !socket_file_is_ours(server->options.socket);
    remove_socket(server);
    close_metrics(server);
    leave_given_socket(server);
    if (server->options.tell_manager) {
        service_manager_notify("STOPPING=1");
    }
    if (uv_timer_start(&server->drain_tick, on_drain_tick, DRAIN_TICK_MS, DRAIN_TICK_MS) != 0) {
        close_all(server); /* rather than never */
    }
}

static void on_signal(uv_signal_t *handle, int number) {
    struct server *server = handle->data;
    if (server->draining) {
        /* SIGTERM comes twice without any impatience: from Kong's worker, and again when that is
         * gone. A person presses Ctrl-C twice, which a supervisor takes care of itself. */
        if (number == SIGINT && !server->options.supervised) {
            close_all(server);
        }
        return;
    }
    drain(server, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

static void on_level_signal(uv_signal_t *handle, int number) {
    struct server *server = handle->data;
    log_shift_level(server->options.log, number == SIGUSR1 ? -1 : 1);
}

static void on_stop(uv_async_t *handle) {
    drain(handle->data, "stopped");
}

/* --- connections --- */

/* Not more than once a second: a peer decides how often. */
static bool may_complain(struct server *server, uint64_t *last_ms) {
    uint64_t now = uv_now(server->loop);
    if (*last_ms != 0 && now - *last_ms < COMPLAINT_MS) {
        return false;
    }
    *last_ms = now;
    return true;
}

static bool is_full(struct acceptor *acceptor) {
    struct server *server = acceptor->owner;
    return server->worker.conns.count >= server->worker.conns.rpc.max_connections;
}

/* At the limit who connects is left in the backlog, until another connection closes. */
static void on_waiting(struct acceptor *acceptor) {
    struct server *server = acceptor->owner;
    size_t most = server->worker.conns.rpc.max_connections;
    server->worker.stats.limits[STATS_LIMIT_CONNECTIONS]++;
    if (may_complain(server, &server->full_complaint_ms)) {
        log_write(server->options.log, LOG_LEVEL_ERROR,
                  "%zu connections, limit %zu: others wait (%s)", server->worker.conns.count, most,
                  most < server->options.max_connections ? "the process' limit of descriptors"
                                                         : "--max-connections");
    }
}

static bool is_allowed(struct server *server, int fd) {
    const struct server_options *options = &server->options;
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t len = sizeof peer;
    if (options->allow_uid_count == 0) {
        return true;
    }
    bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0;
    for (size_t i = 0; known && i < options->allow_uid_count; i++) {
        if (options->allow_uids[i] == peer.uid) {
            return true;
        }
    }
    if (may_complain(server, &server->uid_complaint_ms)) {
        log_write(options->log, LOG_LEVEL_WARN,
                  "connection refused: process %ld of user id %ld is not allowed (--allow-uid)",
                  (long)peer.pid, (long)peer.uid);
    }
    return false;
}

static void on_accepted(struct acceptor *acceptor, int fd) {
    struct server *server = acceptor->owner;
    if (!is_allowed(server, fd)) {
        close(fd);
        return;
    }
    int rc = conn_adopt(&server->worker.conns, fd);
    if (rc != 0) {
        log_write(server->options.log, LOG_LEVEL_ERROR, "connection: %s", uv_strerror(rc));
    }
}

static void on_conn_closed(struct conn_env *env) {
    struct server *server = env->owner;
    if (server->listener.paused && env->count < env->rpc.max_connections) {
        acceptor_resume(&server->listener);
    }
}

/* Descriptors are for the plugin and the loop, too. */
static size_t most_connections(const struct server_options *options) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return options->max_connections;
    }
    size_t files = (size_t)limit.rlim_cur;
    size_t room = files > 2 * SPARE_FILES ? files - SPARE_FILES : files / 2;
    if (room >= options->max_connections) {
        return options->max_connections;
    }
    log_write(options->log, LOG_LEVEL_NOTICE,
              "limit of %zu descriptors: at most %zu connections instead of %zu", files, room,
              options->max_connections);
    return room;
}

/* --- time --- */

static void on_tick(uv_timer_t *timer) {
    struct server *server = timer->data;
    uint64_t now = uv_now(server->loop);
    metrics_tick(server->metrics);
    if (!server->draining) {
        path_watch_tick(&server->path_watch, server->options.socket, &server->listener,
                        server->options.log, now);
    }
    size_t expired = registry_expire(server->registry, now);
    if (expired > 0) {
        server->worker.stats.instances_expired += expired;
        log_write(server->options.log, LOG_LEVEL_INFO, "%zu idle instances forgotten", expired);
    }
    if (server->options.watch_parent && getppid() != server->parent) {
        drain(server, "the process that started this one is gone");
    }
}

/* --- start --- */

static void render_metrics(void *arg, struct buffer *out) {
    const struct server *server = arg;
    struct status_source source = rpc_status_source(&server->worker.conns.rpc);
    metrics_text(&source, out);
}

static int start_metrics(struct server *server, char *error, size_t size) {
    struct metrics_options wanted = {.loop = server->loop,
                                     .log = server->options.log,
                                     .listen = server->options.metrics_listen,
                                     .render = render_metrics,
                                     .arg = server};
    return wanted.listen == NULL ? 0 : metrics_open(&wanted, &server->metrics, error, size);
}

static int fail(char *error, size_t size, const char *what, int rc) {
    snprintf(error, size, "%s: %s", what, uv_strerror(rc));
    return -1;
}

static int start_signals(struct server *server, char *error, size_t size) {
    signal(SIGPIPE, SIG_IGN);
    int rc = uv_signal_start(&server->sigterm, on_signal, SIGTERM);
    if (rc == 0) {
        rc = uv_signal_start(&server->sigint, on_signal, SIGINT);
    }
    if (rc == 0) {
        rc = uv_signal_start(&server->sigusr1, on_level_signal, SIGUSR1);
    }
    if (rc == 0) {
        rc = uv_signal_start(&server->sigusr2, on_level_signal, SIGUSR2);
    }
    return rc == 0 ? 0 : fail(error, size, "signals", rc);
}

/* Handles that are only initialised can be closed like all others: from here on one path closes
 * everything. Where one can't be, those before it are found in the loop. */
static int init_handles(struct server *server) {
    uv_timer_t *const timers[] = {&server->tick, &server->drain_tick};
    uv_signal_t *const signals[] = {&server->sigterm, &server->sigint, &server->sigusr1,
                                    &server->sigusr2};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof timers / sizeof *timers; i++) {
        rc = uv_timer_init(server->loop, timers[i]);
        timers[i]->data = server;
    }
    for (size_t i = 0; rc == 0 && i < sizeof signals / sizeof *signals; i++) {
        rc = uv_signal_init(server->loop, signals[i]);
        signals[i]->data = server;
    }
    server->stop.data = server;
    server->handles_ready = rc == 0;
    return rc;
}

/* Its own copy of the descriptor: the socket's file stays the caller's. */
static int start_listening(struct server *server, char *error, size_t size) {
    if (server->options.socket == NULL) {
        return 0;
    }
    int fd = fcntl(server->options.socket->fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) {
        return fail(error, size, "socket", -errno);
    }
    server->listener.full = is_full;
    server->listener.waiting = on_waiting;
    server->listener.accepted = on_accepted;
    int rc = acceptor_open(&server->listener, server->loop, fd);
    if (rc != 0) {
        close(fd);
        return fail(error, size, "listen", rc);
    }
    return 0;
}

static void on_relay_accepted(struct acceptor *acceptor, int fd) {
    struct server *server = acceptor->owner;
    if (relay_is_own_uid(fd)) {
        conn_adopt(&server->worker.conns, fd);
    } else {
        close(fd);
    }
}

/* Without it the server serves all the same; a reload may then lose an event of MsgPack that is in
 * the middle of its Steps. */
static void start_relaying(struct server *server) {
    server->relay_listener.accepted = on_relay_accepted;
    if (server->relay_fd >= 0 &&
        acceptor_open(&server->relay_listener, server->loop, server->relay_fd) == 0) {
        server->relay_fd = -1;
    }
}

static int open_plugin(struct server *server, char *error, size_t size) {
    const struct kong_plugin *plugin = server->options.plugin;
    char text[256] = "";
    if (plugin->open != NULL && plugin->open(&server->process_data, text, sizeof text) != 0) {
        text[sizeof text - 1] = '\0';
        snprintf(error, size, "%s: %s", plugin->name, text[0] != '\0' ? text : "open failed");
        return -1;
    }
    server->plugin_open = true;
    return 0;
}

static struct registry *make_registry(struct server *server) {
    const struct server_options *options = &server->options;
    struct registry_options registry = {.plugin = options->plugin,
                                        .log = options->log,
                                        .stats = &server->worker.stats,
                                        .max_instances = options->max_instances,
                                        .idle_ms = options->instance_idle_ms};
    return registry_create(&registry);
}

static double epoch_seconds(void) {
    struct timeval now;
    gettimeofday(&now, NULL);
    return (double)now.tv_sec + (double)now.tv_usec / 1e6;
}

static int open_worker(struct server *server) {
    const struct server_options *options = &server->options;
    struct worker_options wanted = {.relays.max_frame = options->max_frame};
    uint32_t tag = 0;
    if (options->socket != NULL) {
        server->relay_fd = relay_listen(&wanted.relays, options->socket->path, &tag);
    }
    wanted.events = (struct events_options){.plugin = options->plugin,
                                            .registry = server->registry,
                                            .log = options->log,
                                            .process_data = server->process_data,
                                            .running = options->running,
                                            .tag = tag,
                                            .max_events = options->max_events,
                                            .stack_size = options->stack_size,
                                            .timeout_ms = options->event_ms};
    wanted.conns = (struct conn_env){.exited_ms = options->event_ms,
                                     .record = options->record,
                                     .closed = on_conn_closed,
                                     .owner = server};
    wanted.conns.rpc = (struct rpc_env){
        .registry = server->registry,
        .log = options->log,
        .plugin = options->plugin,
        .info = options->info,
        .max_frame = options->max_frame,
        .max_connections = most_connections(options),
        .pid = getpid(),
        .started_at = epoch_seconds(),
        .relay = server->relay_fd >= 0 ? relay_start : NULL,
        .relay_forget = relay_forget,
        .tag = tag,
    };
    return worker_open(&server->worker, &wanted);
}

static int start(struct server *server, char *error, size_t size) {
    const struct server_options *options = &server->options;
    int rc = worker_init(&server->worker);
    if (rc == 0) {
        server->loop = &server->worker.loop;
        rc = uv_async_init(server->loop, &server->stop, on_stop);
    }
    if (rc == 0) {
        rc = init_handles(server);
    }
    if (rc != 0) {
        return fail(error, size, "loop", rc);
    }
    if (options->handle_signals && start_signals(server, error, size) != 0) {
        return -1;
    }
    server->parent = getppid();
    if (options->watch_parent && !options->supervised) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* sooner than the tick finds it */
    }
    if (open_plugin(server, error, size) != 0) {
        return -1;
    }
    server->registry = make_registry(server);
    rc = server->registry == NULL ? UV_ENOMEM : open_worker(server);
    if (rc != 0) {
        return fail(error, size, "start", rc);
    }
    if (options->handle_signals) {
        crash_watch(server->worker.events, options->plugin->name);
    }
    if (start_listening(server, error, size) != 0) {
        return -1;
    }
    start_relaying(server);
    if (start_metrics(server, error, size) != 0) {
        return -1;
    }
    rc = uv_timer_start(&server->tick, on_tick, TICK_MS, TICK_MS);
    if (rc != 0) {
        return fail(error, size, "timer", rc);
    }
    return 0;
}

int server_create(const struct server_options *options, struct server **out, char *error,
                  size_t error_size) {
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return fail(error, error_size, "start", UV_ENOMEM);
    }
    server->options = *options;
    server->relay_fd = server->listener.fd = server->relay_listener.fd = -1;
    server->listener.log = server->relay_listener.log = options->log;
    server->listener.owner = server->relay_listener.owner = server;
    if (start(server, error, error_size) != 0) {
        server_destroy(server);
        return -1;
    }
    *out = server;
    return 0;
}

int server_adopt(struct server *server, int fd) {
    return conn_adopt(&server->worker.conns, fd) == 0 ? 0 : -1;
}

void server_run(struct server *server) {
    if (server->options.tell_manager) {
        service_manager_notify("READY=1");
    }
    uv_run(server->loop, UV_RUN_DEFAULT);
}

void server_stop(struct server *server) {
    uv_async_send(&server->stop);
}

static void close_walked(uv_handle_t *handle, void *arg) {
    (void)arg;
    close_handle(handle);
}

void server_destroy(struct server *server) {
    if (server == NULL) {
        return;
    }
    if (server->loop != NULL) {
        if (server->handles_ready && server->worker.events != NULL) {
            close_all(server);
        } else {
            uv_walk(server->loop, close_walked, NULL);
        }
        uv_run(server->loop, UV_RUN_DEFAULT);
    }
    if (server->relay_fd >= 0) {
        close(server->relay_fd);
    }
    if (server->options.handle_signals && server->worker.events != NULL) {
        crash_forget();
    }
    worker_destroy(&server->worker);
    registry_destroy(server->registry);
    if (server->plugin_open && server->options.plugin->close != NULL) {
        server->options.plugin->close(server->process_data);
    }
    free(server);
}
