#include "server_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "crash.h"
#include "limit.h"
#include "metrics_text.h"
#include "service_manager.h"
#include "thread_forward.h"

#define TICK_MS 1000

void server_options_init(struct server_options *options) {
    *options = (struct server_options){
        .threads = 1,
        .drain_ms = 5000,
        .event_ms = LIMIT_EVENT_MS,
        .instance_idle_ms = LIMIT_INSTANCE_IDLE_MS,
        .max_connections = LIMIT_CONNECTIONS,
        .max_instances = LIMIT_INSTANCES,
        .max_events = LIMIT_EVENTS,
        .max_frame = LIMIT_FRAME,
        .max_memory = LIMIT_MEMORY,
        .max_config = LIMIT_CONFIG,
        .stack_size = LIMIT_STACK,
        .blocking_threads = LIMIT_BLOCKING_THREADS,
        .blocking_wait_ms = LIMIT_BLOCKING_WAIT_MS,
        .prefetch = PREFETCH_AUTO,
    };
}

/* --- time --- */

static void tell_limits(struct server *server, uint64_t now) {
    uint64_t limits[STATS_LIMIT_COUNT];
    for (unsigned i = 0; i < STATS_LIMIT_COUNT; i++) {
        limits[i] = stats_read(&server->stats.limits[i]);
        for (uint32_t k = 0; k < server->count; k++) {
            limits[i] += stats_read(&server->workers[k].stats.limits[i]);
        }
    }
    notice_limits(events_notices(server->workers[0].events), &server->limits_told,
                  server->options.plugins->name, limits, now);
}

static void on_tick(uv_timer_t *timer) {
    struct server *server = timer->data;
    uint64_t now = uv_now(server->loop);
    metrics_tick(server->metrics);
    if (!server->draining) {
        path_watch_tick(&server->path_watch, now);
    }
    tell_limits(server, now);
    size_t expired = registry_expire(server->registry, now);
    if (expired > 0) {
        log_write(server->options.log, LOG_LEVEL_INFO, "%zu idle instances forgotten", expired);
    }
    if (server->options.watch_parent && getppid() != server->options.parent) {
        server_drain(server, "the process that started this one is gone");
    }
}

/* --- start --- */

static int fail(char *error, size_t size, const char *what, int rc) {
    snprintf(error, size, "%s: %s", what, uv_strerror(rc));
    return -1;
}

/* Uses the environment of one worker, with this thread's clock and sums of its own. */
static void render_metrics(void *arg, struct buffer *out) {
    struct server *server = arg;
    struct rpc_env env = server->workers[0].conns.rpc;
    env.clock = server->loop;
    env.gather = NULL;
    struct status_source source = rpc_status_source(&env);
    workers_gather(&server->workers[0].options, &server->sum, server->plugin_sum, &source);
    metrics_text(&source, out);
}

static int start_metrics(struct server *server, char *error, size_t size) {
    struct metrics_options wanted = {.loop = server->loop,
                                     .log = server->options.log,
                                     .listen = server->options.metrics_listen,
                                     .render = render_metrics,
                                     .arg = server};
    if (wanted.listen == NULL) {
        return 0;
    }
    server->plugin_sum = calloc(server->options.plugins->count, sizeof *server->plugin_sum);
    return server->plugin_sum == NULL ? fail(error, size, "metrics", UV_ENOMEM)
                                      : metrics_open(&wanted, &server->metrics, error, size);
}

static int start_signals(struct server *server, char *error, size_t size) {
    static const int numbers[SERVER_SIGNALS] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP};
    int rc = 0;
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; rc == 0 && i < SERVER_SIGNALS; i++) {
        if (numbers[i] != SIGHUP || log_has_file(server->options.log)) {
            rc = uv_signal_start(&server->signals[i], server_on_signal, numbers[i]);
        }
    }
    return rc == 0 ? 0 : fail(error, size, "signals", rc);
}

/* Handles that are only initialised can be closed like all others, so one path closes everything.
 * When one cannot be initialised, those before it are found in the loop. */
static int init_handles(struct server *server) {
    int rc = uv_async_init(server->loop, &server->stop, server_on_stop);
    if (rc == 0) {
        rc = uv_async_init(server->loop, &server->news, on_worker_event);
    }
    if (rc == 0) {
        rc = uv_timer_init(server->loop, &server->tick);
    }
    if (rc == 0) {
        rc = uv_timer_init(server->loop, &server->drain_tick);
    }
    for (size_t i = 0; rc == 0 && i < SERVER_SIGNALS; i++) {
        rc = uv_signal_init(server->loop, &server->signals[i]);
        server->signals[i].data = server;
    }
    server->stop.data = server->news.data = server->tick.data = server->drain_tick.data = server;
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
    server->listener.full = server_is_full;
    server->listener.hold = server_holds;
    server->listener.waiting = server_on_waiting;
    server->listener.accepted = server_on_accepted;
    int rc = acceptor_open(&server->listener, server->loop, fd);
    if (rc != 0) {
        close(fd);
        return fail(error, size, "listen", rc);
    }
    return 0;
}

static struct registry *make_registry(struct server *server) {
    const struct server_options *options = &server->options;
    struct registry_options registry = {.max_config = options->max_config,
                                        .log = options->log,
                                        .stats = &server->stats,
                                        .threads = server->count > 1,
                                        .max_instances = options->max_instances,
                                        .idle_ms = options->instance_idle_ms};
    return registry_create(&registry);
}

/* As many as tell `count` apart. */
static unsigned bits_of(uint32_t count) {
    unsigned bits = 0;
    while (((uint32_t)1 << bits) < count) {
        bits++;
    }
    return bits;
}

static bool reports_faults(const struct server_options *options) {
    return options->handle_signals || options->report_faults;
}

static struct worker_options worker_options_of(struct server *server) {
    const struct server_options *options = &server->options;
    struct worker_options wanted = {.budget = {&server->memory, options->max_memory, NULL},
                                    .all = server->workers,
                                    .count = server->count,
                                    .rest = &server->stats,
                                    .watch_faults = reports_faults(options),
                                    .closed = server_on_ended,
                                    .closed_arg = server};
    wanted.prefetch = options->prefetch;
    wanted.busy_poll_us = (unsigned)options->busy_poll_us;
    uint32_t tag = 0;
    if (options->socket != NULL) {
        server->relay_fd = process_forward_listen(&wanted.relays, options->socket->path, &tag);
    }
    wanted.events = (struct events_options){.plugins = options->plugins,
                                            .registry = server->registry,
                                            .log = options->log,
                                            .running = options->running,
                                            .tag = tag,
                                            .worker_bits = bits_of(server->count),
                                            .shared = &server->shared,
                                            .max_events = options->max_events,
                                            .blocking = server->blocking,
                                            .blocking_wait_ms = options->blocking_wait_ms,
                                            .stack_size = options->stack_size,
                                            .kong_2_8 = options->kong_2_8,
                                            .log_each_failure = options->log_each_failure,
                                            .timeout_ms = options->event_ms};
    wanted.conns = (struct conn_env){.peer_patience_ms = options->event_ms,
                                     .record = options->record,
                                     .store = options->store,
                                     .closed = server_on_conn_closed,
                                     .owner = server};
    wanted.conns.rpc = (struct rpc_env){
        .registry = server->registry,
        .log = options->log,
        .plugins = options->plugins,
        .info = options->info,
        .max_frame = options->max_frame,
        .max_connections = server->max_connections,
        .pid = getpid(),
        .started_at = clock_epoch(),
        .to_process = options->socket != NULL ? process_forward_start : NULL,
        .to_thread = server->count > 1 ? thread_forward_start : NULL,
        .tag = tag,
    };
    return wanted;
}

static int open_workers(struct server *server) {
    int rc = 0;
    server->max_connections = server_most_connections(&server->options);
    struct worker_options wanted = worker_options_of(server);
    running_clear(server->options.running);
    for (uint32_t i = 0; rc == 0 && i < server->count; i++) {
        uv_loop_t *loop = &server->loops[server->count > 1 ? i + 1 : 0];
        rc = worker_open(&server->workers[i], i, loop, &wanted);
    }
    if (rc == 0) {
        notice_restart(events_notices(server->workers[0].events), server->options.plugins,
                       server->options.running);
    }
    return rc;
}

/* The last step that can fail, because what runs on threads is closed in another way. */
static int start_threads(struct server *server, char *error, size_t size) {
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && server->count > 1 && i < server->count; i++) {
        rc = worker_start(&server->workers[i]);
    }
    return rc == 0 ? 0 : fail(error, size, "threads", rc);
}

static int init_loops(struct server *server) {
    server->count = (uint32_t)server->options.threads;
    uint32_t loops = server->count > 1 ? server->count + 1 : 1;
    int rc = 0;
    server->workers = calloc(server->count, sizeof *server->workers);
    server->loops = calloc(loops, sizeof *server->loops);
    if (server->workers == NULL || server->loops == NULL) {
        return UV_ENOMEM;
    }
    while (rc == 0 && server->loops_ready < loops) {
        rc = uv_loop_init(&server->loops[server->loops_ready]);
        server->loops_ready += rc == 0;
    }
    server->loop = server->loops;
    return rc;
}

static void watch_faults(struct server *server) {
    if (reports_faults(&server->options)) {
        server->watches_faults = true;
        crash_watch(server->options.plugins, server->options.running);
    }
}

static int start(struct server *server, char *error, size_t size) {
    const struct server_options *options = &server->options;
    int rc = init_loops(server);
    if (rc == 0) {
        rc = init_handles(server);
    }
    if (rc != 0) {
        return fail(error, size, "loop", rc);
    }
    if (options->handle_signals && start_signals(server, error, size) != 0) {
        return -1;
    }
    if (options->watch_parent && !options->supervised) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* sooner than the tick finds it */
    }
    if (server_open_plugins(server, error, size) != 0) {
        return -1;
    }
    server->registry = make_registry(server);
    server->blocking = blocking_pool_create(options->blocking_threads);
    bool made = server->registry != NULL && server->blocking != NULL;
    rc = made ? open_workers(server) : UV_ENOMEM;
    if (rc != 0) {
        return fail(error, size, "start", rc);
    }
    watch_faults(server);
    if (start_listening(server, error, size) != 0) {
        return -1;
    }
    server_start_relaying(server);
    if (start_metrics(server, error, size) != 0) {
        return -1;
    }
    rc = uv_timer_start(&server->tick, on_tick, TICK_MS, TICK_MS);
    if (rc != 0) {
        return fail(error, size, "timer", rc);
    }
    return start_threads(server, error, size);
}

int server_create(const struct server_options *options, struct server **out, char *error,
                  size_t error_size) {
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return fail(error, error_size, "start", UV_ENOMEM);
    }
    server->options = *options;
    if (server->options.running == NULL) {
        server->options.running = &server->own_running;
    }
    server->relay_fd = server->listener.fd = server->relay_listener.fd = -1;
    server->listener.log = server->relay_listener.log = options->log;
    server->listener.owner = server->relay_listener.owner = server;
    if (start(server, error, error_size) != 0) {
        server_destroy(server);
        return -1;
    }
    server->path_watch = (struct path_watch){.socket = options->socket,
                                             .listener = &server->listener,
                                             .store = options->store,
                                             .log = options->log};
    *out = server;
    return 0;
}

int server_adopt(struct server *server, int fd) {
    return server_hand_over(server, fd, false) == 0 ? 0 : -1;
}

void server_run(struct server *server) {
    if (server->options.tell_manager) {
        service_manager_notify("READY=1");
    }
    /* A supervisor's next child gets the socket that the supervisor made, also where a child has
     * made another one since. */
    path_watch_tick(&server->path_watch, uv_now(server->loop));
    /* With several workers their own threads run the handlers. */
    bool here = server->watches_faults && server->count == 1;
    if (here) {
        crash_enter(server->workers[0].events);
    }
    uv_run(server->loop, UV_RUN_DEFAULT);
    if (here) {
        crash_leave();
    }
}

void server_stop(struct server *server) {
    uv_async_send(&server->stop);
}

/* Whether all are open; if not, none has been started. */
static bool workers_open(const struct server *server) {
    return server->workers[server->count - 1].events != NULL;
}

void server_destroy(struct server *server) {
    if (server == NULL) {
        return;
    }
    if (server->loops_ready > 0) {
        if (server->handles_ready && workers_open(server)) {
            server_close_all(server);
        } else {
            worker_close_handles(server->loop);
        }
        uv_run(server->loop, UV_RUN_DEFAULT);
    }
    if (server->relay_fd >= 0) {
        close(server->relay_fd);
    }
    if (server->watches_faults) {
        crash_forget();
    }
    for (uint32_t i = 0; server->workers != NULL && i < server->count; i++) {
        worker_destroy(&server->workers[i]);
    }
    for (uint32_t i = 0; i < server->loops_ready; i++) {
        int rc = uv_loop_close(&server->loops[i]);
        assert(rc == 0);
        (void)rc;
    }
    free(server->plugin_sum);
    free(server->loops);
    free(server->workers);
    blocking_pool_destroy(server->blocking);
    registry_destroy(server->registry);
    server_close_plugins(server);
    free(server);
}
