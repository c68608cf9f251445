#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server_internal.h"

#define BEHIND_MS    5000         /* how long connections wait for a supervisor that is behind */
#define SPARE_FILES  ((size_t)32) /* descriptors that are no connections */
#define THREAD_FILES ((size_t)8)  /* … and those of each loop more */

size_t server_connections(const struct server *server) {
    size_t count = 0;
    for (uint32_t i = 0; i < server->count; i++) {
        count += worker_connections(&server->workers[i]);
    }
    return count;
}

/* At most once a second, because a peer decides how often this happens. */
static bool may_complain(struct recurrence *of) {
    uint64_t times;
    return recurrence_due(of, clock_ns(), LINE_EVERY_NS, &times);
}

static bool has_room(const struct server *server) {
    return server_connections(server) < server->max_connections;
}

bool server_is_full(struct acceptor *acceptor) {
    const struct server *server = acceptor->owner;
    return !has_room(server);
}

void server_resume_if_room(struct server *server) {
    struct acceptor *const acceptors[] = {&server->listener, &server->relay_listener};
    for (size_t i = 0; i < 2; i++) {
        if (acceptors[i]->paused && has_room(server)) {
            server->waiting = false;
            acceptor_resume(acceptors[i]);
        }
    }
}

/* At the limit new connections stay in the backlog until another one closes. */
void server_on_waiting(struct acceptor *acceptor) {
    struct server *server = acceptor->owner;
    size_t most = server->max_connections;
    server->waiting = true;
    if (has_room(server)) { /* a worker closed one before it could know */
        uv_async_send(&server->news);
    }
    stats_count(&server->stats.limits[STATS_LIMIT_CONNECTIONS], 1);
    if (may_complain(&server->full)) {
        log_write(server->options.log, LOG_LEVEL_ERROR,
                  "%zu connections, limit %zu: others wait (%s)", server_connections(server), most,
                  most < server->options.max_connections ? "the process' limit of descriptors"
                                                         : "--max-connections");
    }
}

/* On the worker's thread. */
void server_on_conn_closed(struct conn_env *env) {
    struct server *server = env->owner;
    if (server->waiting) {
        uv_async_send(&server->news);
    }
}

/* A connection that the supervisor cannot keep ends when this process dies, and on MsgPack:1 its
 * request then passes a plugin that fails closed. So it waits in the backlog until the supervisor
 * has time; but not for ever, because that one may be stopped. */
bool server_holds(struct acceptor *acceptor) {
    struct server *server = acceptor->owner;
    uint64_t now = uv_now(server->loop);
    if (!fd_store_is_behind(server->options.store)) {
        server->behind_ms = 0;
        return false;
    }
    if (server->behind_ms == 0) {
        server->behind_ms = now == 0 ? 1 : now;
    }
    return now - server->behind_ms < BEHIND_MS;
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
    if (may_complain(&server->refused)) {
        log_write(options->log, LOG_LEVEL_WARN,
                  "connection refused: process %ld of user id %ld is not allowed (--allow-uid)",
                  (long)peer.pid, (long)peer.uid);
    }
    return false;
}

/* A worker that has not collected a connection for so long is busy with a handler. */
#define BUSY_MS 20

/* How many connections it has; far more than all others when it is busy. */
static size_t load_of(const struct worker *worker, uint64_t now_ms) {
    bool busy = worker->on_their_way > 0 && now_ms - worker->given_ms >= BUSY_MS;
    return worker_connections(worker) + (busy ? SIZE_MAX / 2 : 0);
}

/* To the worker with the least; those that are alike take turns. */
int server_hand_over(struct server *server, int fd, bool steps_only) {
    uint64_t now_ms = uv_now(server->loop);
    struct worker *chosen = server->workers;
    size_t least = SIZE_MAX;
    uint32_t first = server->first_look++;
    for (uint32_t i = 0; i < server->count; i++) {
        struct worker *worker = &server->workers[(first + i) % server->count];
        size_t load = load_of(worker, now_ms);
        if (load < least) {
            chosen = worker;
            least = load;
        }
    }
    if (chosen->on_their_way == 0) {
        chosen->given_ms = now_ms;
    }
    return worker_adopt(chosen, fd, steps_only);
}

void server_on_accepted(struct acceptor *acceptor, int fd) {
    struct server *server = acceptor->owner;
    if (!is_allowed(server, fd)) {
        close(fd);
        return;
    }
    fd_store_keep(server->options.store, fd);
    server_hand_over(server, fd, false);
}

/* Another generation of this server has our user id: all others are strangers there, whatever
 * --allow-uid says. */
static void on_relay_accepted(struct acceptor *acceptor, int fd) {
    struct server *server = acceptor->owner;
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid()) {
        server_hand_over(server, fd, true);
        return;
    }
    close(fd);
    if (may_complain(&server->relay_refused)) {
        log_write(
            server->options.log, LOG_LEVEL_WARN,
            "connection refused at the address for Steps of other generations: process %ld of "
            "user id %ld",
            (long)peer.pid, (long)peer.uid);
    }
}

void server_start_relaying(struct server *server) {
    int rc = UV_EADDRINUSE;
    server->relay_listener.full = server_is_full;
    server->relay_listener.waiting = server_on_waiting;
    server->relay_listener.accepted = on_relay_accepted;
    if (server->relay_fd >= 0) {
        rc = acceptor_open(&server->relay_listener, server->loop, server->relay_fd);
        server->relay_fd = rc == 0 ? -1 : server->relay_fd;
    }
    if (rc != 0 && server->options.socket != NULL) {
        log_write(
            server->options.log, LOG_LEVEL_WARN,
            "no address for Steps of other generations (%s): on MsgPack:1 the next reload may "
            "lose requests that are under way; see @kong-pdk in /proc/net/unix",
            uv_strerror(rc));
    }
}

size_t server_most_connections(const struct server_options *options) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return options->max_connections;
    }
    size_t files = (size_t)limit.rlim_cur;
    size_t spare = SPARE_FILES + (options->threads > 1 ? options->threads * THREAD_FILES : 0);
    size_t room = files > 2 * spare ? files - spare : files / 2;
    if (room >= options->max_connections) {
        return options->max_connections;
    }
    log_write(options->log, LOG_LEVEL_NOTICE,
              "limit of %zu descriptors: at most %zu connections instead of %zu", files, room,
              options->max_connections);
    return room;
}
