#include "server_internal.h"
#include "service_manager.h"

#define DRAIN_TICK_MS 1

static size_t events_at_work(const struct server *server) {
    return events_alive_all(server->workers[0].events);
}

static void request(struct server *server, enum worker_state wanted) {
    for (uint32_t i = 0; i < server->count; i++) {
        worker_request(&server->workers[i], wanted, server->taken_over);
    }
}

/* A server has its directory locked for less than a millisecond. */
#define LOCK_PATIENCE_MS 200

/* From now on clients find no socket, or the next server's. Clients that connected before are still
 * accepted: the listener closes last. False while another process has the directory locked: then
 * the loop goes on, and this is tried again. */
static bool remove_socket(struct server *server) {
    bool patient = uv_now(server->loop) < server->unlock_until_ms;
    if (!server->socket_removed) {
        server->socket_removed = server->options.socket == NULL ||
                                 socket_file_remove(server->options.socket,
                                                    patient ? SOCKET_LOCK_TRY : SOCKET_LOCK_SKIP);
    }
    return server->socket_removed;
}

/* The port is for the next server. */
static void close_metrics(struct server *server) {
    metrics_close(server->metrics);
    server->metrics = NULL;
}

/* Those whose loops run. */
static uint32_t running_workers(const struct server *server) {
    uint32_t count = server->count == 1 ? 1 : 0;
    while (count < server->count && server->workers[count].started) {
        count++;
    }
    return count;
}

static bool all_have_ended(struct server *server) {
    pthread_mutex_lock(&server->ended_lock);
    bool all = server->ended == running_workers(server);
    pthread_mutex_unlock(&server->ended_lock);
    return all;
}

/* The last handle here, once no worker needs another any more. */
static void end_if_all_have(struct server *server) {
    if (server->closing && all_have_ended(server) && !uv_is_closing((uv_handle_t *)&server->news)) {
        request(server, WORKER_END);
        uv_close((uv_handle_t *)&server->news, NULL);
    }
}

void server_close_all(struct server *server) {
    if (server->closing) {
        return;
    }
    server->closing = true;
    if (!remove_socket(server)) {
        server->unlock_until_ms = 0;
        remove_socket(server);
    }
    close_metrics(server);
    acceptor_close(&server->listener);
    acceptor_close(&server->relay_listener);
    request(server, WORKER_CLOSE);
    uv_close((uv_handle_t *)&server->tick, NULL);
    uv_close((uv_handle_t *)&server->drain_tick, NULL);
    uv_close((uv_handle_t *)&server->stop, NULL);
    for (size_t i = 0; i < SERVER_SIGNALS; i++) {
        uv_close((uv_handle_t *)&server->signals[i], NULL);
    }
    end_if_all_have(server);
}

/* On the first worker's thread. */
static void deliver_finish(struct message *message, struct worker *worker) {
    (void)message;
    jobs_finish(worker->jobs);
}

/* The last event is over: the plugin's jobs run once more. True when they have. */
static bool jobs_done(struct server *server) {
    if (!server->jobs_asked) {
        server->jobs_asked = true;
        server->finish_jobs.deliver = deliver_finish;
        worker_post(&server->workers[0], &server->finish_jobs);
    }
    return jobs_finished(server->workers[0].jobs);
}

static void on_drain_tick(uv_timer_t *timer) {
    struct server *server = timer->data;
    bool reachable = server->taken_over && events_at_work(server) > 0;
    bool removed = remove_socket(server);
    bool idle = server_connections(server) == 0 && !reachable && removed;
    if (idle && jobs_done(server)) {
        /* An event of MsgPack that waits for a Step is out of reach now, unless the next server has
         * the path, which relays it. */
        server_close_all(server);
    } else if (uv_now(server->loop) >= server->drain_until_ms) {
        log_write(server->options.log, LOG_LEVEL_WARN,
                  "given up after the drain time-out: %zu connections, %zu events",
                  server_connections(server), events_at_work(server));
        server_close_all(server);
    }
}

/* A given socket has no end: who connects from now on waits in it for the next server. */
static void leave_given_socket(struct server *server) {
    if (server->options.socket != NULL && server->options.socket->inherited) {
        acceptor_close(&server->listener);
    }
}

void server_drain(struct server *server, const char *why) {
    if (server->draining) {
        return;
    }
    server->draining = true;
    server->drain_until_ms = uv_now(server->loop) + server->options.drain_ms;
    log_write(server->options.log, LOG_LEVEL_INFO,
              "ending: %s; %zu connections, %zu events at work", why, server_connections(server),
              events_at_work(server));
    server->taken_over =
        server->options.socket != NULL && !socket_file_is_ours(server->options.socket);
    server->unlock_until_ms = uv_now(server->loop) + LOCK_PATIENCE_MS;
    remove_socket(server);
    close_metrics(server);
    leave_given_socket(server);
    request(server, WORKER_DRAIN);
    if (server->options.on_drain != NULL) {
        server->options.on_drain(server->options.on_drain_arg);
    }
    if (server->options.tell_manager) {
        service_manager_notify("STOPPING=1");
    }
    if (uv_timer_start(&server->drain_tick, on_drain_tick, DRAIN_TICK_MS, DRAIN_TICK_MS) != 0) {
        server_close_all(server); /* rather than never */
    }
}

static void on_end_signal(struct server *server, int number) {
    if (server->draining) {
        /* SIGTERM comes twice without any impatience: from Kong's worker, and again when that is
         * gone. A person presses Ctrl-C twice, which a supervisor takes care of itself. */
        if (number == SIGINT && !server->options.supervised) {
            server_close_all(server);
        }
        return;
    }
    server_drain(server, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

void server_on_signal(uv_signal_t *handle, int number) {
    struct server *server = handle->data;
    if (number == SIGUSR1 || number == SIGUSR2) {
        log_shift_level(server->options.log, number == SIGUSR1 ? -1 : 1);
    } else if (number == SIGHUP) {
        log_reopen(server->options.log);
    } else {
        on_end_signal(server, number);
    }
}

void server_on_stop(uv_async_t *handle) {
    server_drain(handle->data, "stopped");
}

void server_on_ended(void *arg) {
    struct server *server = arg;
    /* Sent under the lock: a thread that finds that all have ended may close the handle. */
    pthread_mutex_lock(&server->ended_lock);
    server->ended++;
    uv_async_send(&server->news);
    pthread_mutex_unlock(&server->ended_lock);
}

void on_worker_event(uv_async_t *handle) {
    struct server *server = handle->data;
    server_resume_if_room(server);
    end_if_all_have(server);
}
