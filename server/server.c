#include "server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "conn.h"
#include "crash.h"
#include "limits.h"
#include "metrics.h"
#include "metrics_text.h"
#include "relay.h"
#include "service_manager.h"

#define TICK_MS       1000
#define DRAIN_TICK_MS 5
#define READ_SIZE     ((size_t)64 << 10)

struct server {
    struct server_options options;
    uv_loop_t loop;
    bool loop_ready;
    uv_pipe_t listener;
    uv_timer_t tick;
    uv_timer_t drain_tick;
    uv_async_t stop;
    uv_signal_t sigterm, sigint, sigusr1, sigusr2;
    bool handles_ready;
    bool draining;
    uint64_t drain_until_ms;
    bool closing;
    bool accept_paused; /* at the limit of connections, or out of descriptors */
    pid_t parent;
    void *process_data;
    bool plugin_open;
    struct arena scratch;
    struct registry *registry;
    struct events *events;
    struct conn_env conns;
    uv_pipe_t relay_listener; /* for other generations of this server */
    struct relay_env relays;
    int relay_fd; /* until relay_listener has it; -1 */
    struct stats stats;
    struct metrics *metrics; /* NULL: not wanted, or closed */
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

static uint64_t loop_now(void *clock) {
    return uv_now(clock);
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
    close_handle((uv_handle_t *)&server->listener);
    close_handle((uv_handle_t *)&server->relay_listener);
    conns_close_all(&server->conns);
    events_cancel_all(server->events, KONG_E_GONE);
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
    conns_end_idle(&server->conns);
    bool reachable = server->conns.taken_over && events_alive(server->events) > 0;
    if (server->conns.count == 0 && !reachable) {
        /* An event of MsgPack that waits for a Step is out of reach now, unless the next server has
         * the path, which relays it. */
        close_all(server);
    } else if (uv_now(&server->loop) >= server->drain_until_ms) {
        log_write(server->options.log, LOG_LEVEL_WARN,
                  "given up after the drain time-out: %zu connections, %zu events",
                  server->conns.count, events_alive(server->events));
        close_all(server);
    }
}

static void accept_waiting(struct server *server) {
    int rc = conn_accept(&server->conns, (uv_stream_t *)&server->listener, NULL);
    if (rc != 0 && rc != UV_EAGAIN) {
        log_write(server->options.log, LOG_LEVEL_ERROR, "accept: %s", uv_strerror(rc));
    }
}

/* A given socket has no end: who connects from now on waits in it for the next server. */
static void leave_given_socket(struct server *server) {
    if (server->options.socket == NULL || !server->options.socket->given) {
        return;
    }
    if (server->accept_paused) {
        server->accept_paused = false;
        accept_waiting(server); /* accepted by libuv already: it would be lost */
    }
    close_handle((uv_handle_t *)&server->listener);
}

static void drain(struct server *server, const char *why) {
    if (server->draining) {
        return;
    }
    server->draining = true;
    server->conns.draining = true;
    server->drain_until_ms = uv_now(&server->loop) + server->options.drain_ms;
    log_write(server->options.log, LOG_LEVEL_INFO,
              "ending: %s; %zu connections, %zu events at work", why, server->conns.count,
              events_alive(server->events));
    server->conns.taken_over =
        server->options.socket != NULL && !socket_file_is_ours(server->options.socket);
    remove_socket(server);
    close_metrics(server);
    leave_given_socket(server);
    if (server->options.tell_manager) {
        service_manager_notify("STOPPING=1");
    }
    uv_timer_start(&server->drain_tick, on_drain_tick, DRAIN_TICK_MS, DRAIN_TICK_MS);
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

/* At the limit a connection is left where libuv keeps it (it stops accepting then); it is taken up
 * when another closes. */
static void on_connection(uv_stream_t *listener, int status) {
    struct server *server = listener->data;
    if (status != 0) {
        log_write(server->options.log, LOG_LEVEL_ERROR, "accept: %s", uv_strerror(status));
        return;
    }
    if (server->conns.count >= server->options.max_connections) {
        if (!server->accept_paused) {
            server->stats.limits[STATS_LIMIT_CONNECTIONS]++;
            log_write(server->options.log, LOG_LEVEL_ERROR,
                      "%zu connections, limit %zu: others wait (--max-connections)",
                      server->conns.count, server->options.max_connections);
        }
        server->accept_paused = true;
        return;
    }
    accept_waiting(server);
}

static void on_conn_closed(struct conn_env *env) {
    struct server *server = env->owner;
    if (server->accept_paused && env->count < server->options.max_connections) {
        server->accept_paused = false;
        accept_waiting(server);
    }
}

/* --- time --- */

static void on_tick(uv_timer_t *timer) {
    struct server *server = timer->data;
    uint64_t now = uv_now(&server->loop);
    events_tick(server->events, now);
    conns_tick(&server->conns, now);
    metrics_tick(server->metrics);
    size_t expired = registry_expire(server->registry, now);
    if (expired > 0) {
        server->stats.instances_expired += expired;
        log_write(server->options.log, LOG_LEVEL_INFO, "%zu idle instances forgotten", expired);
    }
    if (server->options.watch_parent && getppid() != server->parent) {
        drain(server, "the process that started this one is gone");
    }
}

/* --- start --- */

static void render_metrics(void *arg, struct buffer *out) {
    const struct server *server = arg;
    struct status_source source = rpc_status_source(&server->conns.rpc);
    metrics_text(&source, out);
}

static int start_metrics(struct server *server, char *error, size_t size) {
    struct metrics_options wanted = {.loop = &server->loop,
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
 * everything. */
static void init_handles(struct server *server) {
    uv_loop_t *loop = &server->loop;
    uv_pipe_init(loop, &server->listener, 0);
    uv_pipe_init(loop, &server->relay_listener, 0);
    uv_timer_init(loop, &server->tick);
    uv_timer_init(loop, &server->drain_tick);
    uv_signal_init(loop, &server->sigterm);
    uv_signal_init(loop, &server->sigint);
    uv_signal_init(loop, &server->sigusr1);
    uv_signal_init(loop, &server->sigusr2);
    server->relay_listener.data = server;
    server->listener.data = server->tick.data = server->drain_tick.data = server->stop.data =
        server->sigterm.data = server->sigint.data = server->sigusr1.data = server->sigusr2.data =
            server;
    server->handles_ready = true;
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
    int rc = uv_pipe_open(&server->listener, fd);
    if (rc != 0) {
        close(fd);
        return fail(error, size, "socket", rc);
    }
    rc = uv_listen((uv_stream_t *)&server->listener, SERVER_BACKLOG, on_connection);
    return rc == 0 ? 0 : fail(error, size, "listen", rc);
}

static void on_relay_connection(uv_stream_t *listener, int status) {
    struct server *server = listener->data;
    if (status == 0) {
        conn_accept(&server->conns, listener, relay_is_own_uid);
    }
}

/* Without it the server serves all the same; a reload may then lose an event of MsgPack that is in
 * the middle of its Steps. */
static void start_relaying(struct server *server) {
    if (server->relay_fd >= 0 && uv_pipe_open(&server->relay_listener, server->relay_fd) == 0) {
        server->relay_fd = -1;
        uv_listen((uv_stream_t *)&server->relay_listener, SERVER_BACKLOG, on_relay_connection);
    }
}

static int start(struct server *server, char *error, size_t size) {
    const struct server_options *options = &server->options;
    const struct kong_plugin *plugin = options->plugin;
    int rc = uv_loop_init(&server->loop);
    if (rc != 0) {
        return fail(error, size, "loop", rc);
    }
    server->loop_ready = true;
    rc = uv_async_init(&server->loop, &server->stop, on_stop);
    if (rc != 0) {
        return fail(error, size, "loop", rc);
    }
    init_handles(server);
    if (options->handle_signals && start_signals(server, error, size) != 0) {
        return -1;
    }
    server->parent = getppid();
    if (options->watch_parent && !options->supervised) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* sooner than the tick finds it */
    }
    char text[256] = "";
    if (plugin->open != NULL && plugin->open(&server->process_data, text, sizeof text) != 0) {
        text[sizeof text - 1] = '\0';
        snprintf(error, size, "%s: %s", plugin->name, text[0] != '\0' ? text : "open failed");
        return -1;
    }
    server->plugin_open = true;
    arena_init(&server->scratch, LIMIT_EVENT_MEMORY);
    struct registry_options registry = {.plugin = plugin,
                                        .log = options->log,
                                        .stats = &server->stats,
                                        .max_instances = options->max_instances,
                                        .idle_ms = options->instance_idle_ms};
    server->registry = registry_create(&registry);
    uint32_t tag = 0;
    if (options->socket != NULL) {
        server->relay_fd = relay_listen(&server->relays, options->socket->path, &tag);
    }
    struct events_options events = {.plugin = plugin,
                                    .registry = server->registry,
                                    .log = options->log,
                                    .process_data = server->process_data,
                                    .owner = &server->loop,
                                    .running = options->running,
                                    .tag = tag,
                                    .stats = &server->stats,
                                    .max_events = options->max_events,
                                    .stack_size = options->stack_size,
                                    .timeout_ms = options->event_ms};
    server->events = server->registry == NULL ? NULL : events_create(&events);
    server->conns.read_buffer = malloc(READ_SIZE);
    if (server->events == NULL || server->conns.read_buffer == NULL) {
        return fail(error, size, "start", UV_ENOMEM);
    }
    if (options->handle_signals) {
        crash_watch(server->events, plugin->name);
    }
    struct timeval now;
    gettimeofday(&now, NULL);
    server->conns.rpc = (struct rpc_env){
        .events = server->events,
        .registry = server->registry,
        .log = options->log,
        .plugin = plugin,
        .info = options->info,
        .scratch = &server->scratch,
        .max_frame = options->max_frame,
        .connections = &server->conns.count,
        .max_connections = options->max_connections,
        .pid = getpid(),
        .started_at = (double)now.tv_sec + (double)now.tv_usec / 1e6,
        .relay = server->relay_fd >= 0 ? relay_start : NULL,
        .relay_forget = relay_forget,
        .relay_env = &server->relays,
        .tag = tag,
        .now_ms = loop_now,
        .clock = &server->loop,
    };
    server->relays.loop = &server->loop;
    server->relays.max_frame = options->max_frame;
    server->conns.loop = &server->loop;
    server->conns.read_size = READ_SIZE;
    server->conns.exited_ms = options->event_ms;
    server->conns.closed = on_conn_closed;
    server->conns.owner = server;
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
    server->relay_fd = -1;
    if (start(server, error, error_size) != 0) {
        server_destroy(server);
        return -1;
    }
    *out = server;
    return 0;
}

int server_adopt(struct server *server, int fd) {
    return conn_adopt(&server->conns, fd) == 0 ? 0 : -1;
}

void server_run(struct server *server) {
    if (server->options.tell_manager) {
        service_manager_notify("READY=1");
    }
    uv_run(&server->loop, UV_RUN_DEFAULT);
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
    if (server->loop_ready) {
        if (server->handles_ready && server->events != NULL) {
            close_all(server);
        } else {
            uv_walk(&server->loop, close_walked, NULL);
        }
        uv_run(&server->loop, UV_RUN_DEFAULT);
        int rc = uv_loop_close(&server->loop);
        assert(rc == 0);
        (void)rc;
    }
    if (server->relay_fd >= 0) {
        close(server->relay_fd);
    }
    if (server->options.handle_signals && server->events != NULL) {
        crash_forget();
    }
    events_destroy(server->events);
    registry_destroy(server->registry);
    arena_free(&server->scratch);
    free(server->conns.read_buffer);
    if (server->plugin_open && server->options.plugin->close != NULL) {
        server->options.plugin->close(server->process_data);
    }
    free(server);
}
