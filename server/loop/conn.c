#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn_drain.h"
#include "limit.h"
#include "socket_io.h"

/* Connections that are looked at when another one has said something. */
#define NUDGE_LOOKS 16u
/* Of an answer, the kernel takes so much whole or not at all. */
#define SENT_WHOLE ((size_t)4 << 10)
/* Memory is given back to the system when a connection has nothing to say. */
#define KEEP_OUT ((size_t)4 << 10)

/* Bytes that the kernel did not take at once; owned. */
struct write {
    struct write *next;
    size_t sent;
    struct buffer bytes;
};

/* The descriptor is watched, read and written by ourselves: a stream of libuv's does the same in
 * more steps, for every event (make bench). */
struct conn {
    uv_poll_t poll;
    int fd;
    int watched; /* UV_READABLE, UV_WRITABLE */
    struct conn_env *env;
    LIST_ENTRY(conn) link;
    struct rpc rpc;
    struct write *unsent, **unsent_end;
    uint64_t heard_ms; /* when the peer last sent something, or connected */
    size_t stuck_size; /* of what waits for the peer, when that last became less, */
    uint64_t stuck_ms; /* and when that was; while something is unwritten */
    unsigned recorded; /* its number in a recording */
};

static struct conn *conn_of(struct rpc *rpc) {
    return (struct conn *)((char *)rpc - offsetof(struct conn, rpc));
}

/* Bytes that the kernel has not taken. */
static size_t waiting(const struct conn *conn) {
    return conn->rpc.unwritten + conn->rpc.out.len;
}

static void on_closed(uv_handle_t *handle) {
    struct conn *conn = handle->data;
    struct conn_env *env = conn->env;
    LIST_REMOVE(conn, link);
    env->count--;
    free(conn);
    env->closed(env);
}

static bool is_closed(const struct conn *conn) {
    return conn->rpc.state == RPC_CLOSED;
}

static void conn_close(struct conn *conn) {
    if (is_closed(conn)) {
        return;
    }
    /* A peer that broke the protocol must not read "closed": Kong would send the same again. */
    bool orderly = conn->rpc.state != RPC_BROKEN;
    record_connection_end(conn->env->record, conn->recorded);
    rpc_close(&conn->rpc);
    while (conn->unsent != NULL) {
        struct write *write = conn->unsent;
        conn->unsent = write->next;
        buffer_free(&write->bytes);
        free(write);
    }
    uv_close((uv_handle_t *)&conn->poll, on_closed);
    fd_store_close(conn->env->store, conn->fd, orderly);
}

static void on_ready(uv_poll_t *poll, int status, int events);

/* The server does not read from a peer that does not take its answers, or whose Steps pile up at a
 * busy thread. Messages held meanwhile are taken up in the loop's next round, never from inside a
 * handler. */
static void watch(struct conn *conn) {
    bool reads = conn->rpc.state < RPC_BROKEN && !rpc_is_paused(&conn->rpc);
    bool writes = conn->unsent != NULL || conn->rpc.out.len > 0 || rpc_resumable(&conn->rpc);
    int wanted = (reads ? UV_READABLE : 0) | (writes ? UV_WRITABLE : 0);
    if (is_closed(conn) || wanted == conn->watched) {
        return;
    }
    int rc = wanted != 0 ? uv_poll_start(&conn->poll, wanted, on_ready) : uv_poll_stop(&conn->poll);
    if (rc != 0) {
        conn_close(conn);
        return;
    }
    conn->watched = wanted;
}

/* Sends what the kernel takes at once. The number of bytes, perhaps 0; or a negative uv error. */
static ssize_t send_now(int fd, const uint8_t *data, size_t len) {
    for (;;) {
        ssize_t sent = socket_send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            return sent;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            return 0;
        }
        if (errno != EINTR) {
            return uv_translate_sys_error(errno);
        }
    }
}

/* So many bytes more wait outside of `out`: with those in it never more than LIMIT_OUT. */
static void count_unwritten(struct conn *conn, ssize_t more) {
    size_t unwritten = (size_t)((ssize_t)conn->rpc.unwritten + more);
    conn->rpc.unwritten = unwritten;
    conn->rpc.out.limit = unwritten < LIMIT_OUT ? LIMIT_OUT - unwritten : 0;
}

/* Sends what was queued, as far as the kernel takes it. 0, or a negative uv error. */
static int send_unsent(struct conn *conn) {
    while (conn->unsent != NULL) {
        struct write *write = conn->unsent;
        const struct buffer *bytes = &write->bytes;
        ssize_t sent = send_now(conn->fd, bytes->data + write->sent, bytes->len - write->sent);
        if (sent <= 0) {
            return (int)sent;
        }
        write->sent += (size_t)sent;
        count_unwritten(conn, -sent);
        if (write->sent == bytes->len) {
            conn->unsent = write->next;
            buffer_free(&write->bytes);
            free(write);
        }
    }
    conn->unsent_end = &conn->unsent;
    return 0;
}

/* Hands what is in `out` to the kernel, without a copy where it takes all of it at once, and queues
 * the rest. Where there is no memory for that, it stays in `out` until the peer has read. */
static int write_out(struct conn *conn) {
    struct buffer *out = &conn->rpc.out;
    struct stats *stats = events_stats(conn->env->rpc.events);
    if (out->len > SENT_WHOLE && conn->rpc.in_flight != NULL) {
        in_flight_set(conn->rpc.in_flight, IN_FLIGHT_OTHER); /* before a part of it is written */
    }
    if (conn->rpc.unwritten == 0) {
        ssize_t sent = send_now(conn->fd, out->data, out->len);
        if (sent < 0) {
            return (int)sent;
        }
        stats_count(&stats->bytes_out, (uint64_t)sent);
        record_bytes(conn->env->record, conn->recorded, '<', out->data, (size_t)sent);
        if ((size_t)sent == out->len) {
            buffer_clear(out, KEEP_OUT);
            return 0;
        }
        buffer_consume(out, (size_t)sent);
    }
    struct write *write = malloc(sizeof *write);
    if (write == NULL) {
        return 0;
    }
    *write = (struct write){0};
    buffer_move(&write->bytes, out);
    *conn->unsent_end = write;
    conn->unsent_end = &write->next;
    count_unwritten(conn, (ssize_t)write->bytes.len);
    stats_count(&stats->bytes_out, write->bytes.len);
    record_bytes(conn->env->record, conn->recorded, '<', write->bytes.data, write->bytes.len);
    return 0;
}

/* Ends our side. */
static void conn_end(struct conn *conn) {
    uint8_t words[128];
    size_t len = rpc_last_words(&conn->rpc, words, sizeof words);
    if (len > 0) {
        send_now(conn->fd, words, len);
    }
    shutdown(conn->fd, SHUT_WR);
    rpc_end(&conn->rpc);
}

/* What is still under way, after all was done for what was read: nothing of that is in the buffer
 * only. A request that is not answered yet stays as it was noted. */
static void say_what_is_left(struct conn *conn) {
    const struct rpc *rpc = &conn->rpc;
    if (rpc->in_flight == NULL) {
        return;
    }
    bool unsaid = waiting(conn) > 0 || rpc->state != RPC_OPEN;
    if (!unsaid && rpc_quiet(rpc) && rpc->results_due <= IN_FLIGHT_RESULTS_MOST) {
        in_flight_set(rpc->in_flight, (uint8_t)rpc->results_due);
    } else if (!unsaid && rpc->event != NULL) { /* what waited is written */
        in_flight_set_request(rpc->in_flight, rpc->sequence,
                              event_id_fails_closed(rpc->event->id)
                                  ? IN_FLIGHT_PROTOBUF_EVENT
                                  : IN_FLIGHT_PROTOBUF_EVENT_OPEN);
    } else if (unsaid || rpc->in_flight->what == IN_FLIGHT_READING) {
        in_flight_set(rpc->in_flight, IN_FLIGHT_OTHER);
    }
}

static void conn_flush(struct conn *conn) {
    if (is_closed(conn)) {
        return;
    }
    bool speaks = conn->rpc.out.len > 0;
    if (speaks && write_out(conn) != 0) {
        conn_close(conn);
        return;
    }
    if (speaks) {
        busy_poll_wrote(conn->env->busy_poll);
    }
    if (speaks && conn->env->draining && drain_ends_behind_answer(&conn->rpc, conn->fd)) {
        conn_end(conn);
    }
    if (conn->rpc.state == RPC_BROKEN && waiting(conn) == 0) {
        conn_close(conn);
        return;
    }
    say_what_is_left(conn);
    watch(conn);
}

static void nudge_if_idle(struct conn *conn) {
    if (drain_nudges(&conn->rpc, conn->fd) && rpc_nudge(&conn->rpc)) {
        conn->heard_ms = uv_now(conn->env->loop); /* it has time to close before it is ended */
        conn_flush(conn);
    }
}

/* The timer would find busy connections again and again in the wrong moment, right after an answer
 * was written. So each message of one connection is taken as the moment to look at others. */
static void nudge_others(struct conn *conn) {
    struct conn *other = conn;
    for (unsigned looks = 0; looks < NUDGE_LOOKS; looks++) {
        other =
            LIST_NEXT(other, link) != NULL ? LIST_NEXT(other, link) : LIST_FIRST(&conn->env->all);
        if (other == conn) {
            return;
        }
        nudge_if_idle(other);
    }
}

static bool say_at_once(struct rpc *rpc, const uint8_t *data, size_t len) {
    const struct conn *conn = conn_of(rpc);
    return !is_closed(conn) && waiting(conn) == 0 && send_now(conn->fd, data, len) == (ssize_t)len;
}

static void on_wake(struct rpc *rpc) {
    conn_flush(conn_of(rpc));
}

/* rpc_feed took something from the peer; rc is its result. */
static void after_feed(struct conn *conn, int rc) {
    if (rc != 0) {
        stats_count(&events_stats(conn->env->rpc.events)->limits[STATS_LIMIT_MESSAGE], 1);
        rpc_complain(&conn->env->rpc, LOG_LEVEL_WARN, "connection dropped: %s", conn->rpc.reason);
    }
    if (conn->env->taken_over) {
        nudge_others(conn);
    }
    conn_flush(conn);
}

/* Something new is about to be read. The buffer tells what, where the end of the connection would
 * not make Kong send it again. */
static void note_reading(const struct conn *conn, uint8_t results) {
    if (conn->rpc.protocol == PROTOCOL_PROTOBUF && !rpc_wants_words(&conn->rpc)) {
        in_flight_set(conn->rpc.in_flight, IN_FLIGHT_OTHER);
        return;
    }
    memset(conn->env->read_buffer, IN_FLIGHT_UNREAD, IN_FLIGHT_HEAD);
    in_flight_set_reading(conn->rpc.in_flight, (uint8_t)conn->env->worker_index, results);
}

/* False when nothing was there. */
static bool on_readable(struct conn *conn) {
    struct in_flight *in_flight = conn->rpc.in_flight;
    uint8_t before = in_flight != NULL ? in_flight->what : IN_FLIGHT_OTHER;
    if (before <= IN_FLIGHT_RESULTS_MOST) {
        note_reading(conn, before);
    }
    ssize_t count = socket_recv(conn->fd, conn->env->read_buffer, FD_STORE_READ_SIZE, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        if (before <= IN_FLIGHT_RESULTS_MOST) {
            in_flight_set(in_flight, before);
        }
        return false;
    }
    if (count <= 0) {
        conn_close(conn);
        return false;
    }
    const uint8_t *data = (const uint8_t *)conn->env->read_buffer;
    conn->heard_ms = uv_now(conn->env->loop);
    struct stats *stats = events_stats(conn->env->rpc.events);
    stats_count(&stats->bytes_in, (uint64_t)count);
    busy_poll_heard(conn->env->busy_poll);
    record_bytes(conn->env->record, conn->recorded, '>', data, (size_t)count);
    after_feed(conn, rpc_feed(&conn->rpc, data, (size_t)count));
    return true;
}

/* The peer has gone, and with it what it had not read. What it sent before is still read. */
__attribute__((noinline, cold)) static void drain_failed_socket(struct conn *conn) {
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len); /* else recv would say it first */
    while (!is_closed(conn) && on_readable(conn)) {
    }
    conn_close(conn);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
    struct conn *conn = poll->data;
    if (status != 0) {
        drain_failed_socket(conn);
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        if (send_unsent(conn) != 0) {
            conn_close(conn);
            return;
        }
        conn_flush(conn);
        if (!is_closed(conn) && rpc_resumable(&conn->rpc)) {
            after_feed(conn, rpc_resume(&conn->rpc));
        }
    }
    if ((events & UV_READABLE) != 0 && (conn->watched & UV_READABLE) != 0 && !is_closed(conn)) {
        on_readable(conn);
    }
}

int conn_adopt(struct conn_env *env, int fd, bool steps_only) {
    struct conn *conn = calloc(1, sizeof *conn);
    int rc = conn == NULL ? UV_ENOMEM : uv_poll_init(env->loop, &conn->poll, fd);
    if (rc != 0) {
        fd_store_close(env->store, fd, true);
        free(conn);
        return rc;
    }
    conn->env = env;
    conn->fd = fd;
    conn->poll.data = conn;
    conn->unsent_end = &conn->unsent;
    conn->heard_ms = uv_now(env->loop);
    conn->recorded = record_connection(env->record);
    rpc_init(&conn->rpc, &env->rpc, on_wake);
    conn->rpc.say_at_once = say_at_once;
    struct in_flight *in_flight = steps_only ? NULL : fd_store_in_flight(env->store, fd);
    if (in_flight != NULL && in_flight->what > 0) { /* of a process that has died */
        rpc_expect_results(&conn->rpc, in_flight->what);
    }
    conn->rpc.in_flight = in_flight;
    conn->rpc.steps_only = steps_only;
    LIST_INSERT_HEAD(&env->all, conn, link);
    env->count++;
    stats_count(&events_stats(env->rpc.events)->connections, 1);
    watch(conn);
    return is_closed(conn) ? UV_ENOMEM : 0;
}

/* True when the peer has taken nothing of what waits for it for too long. */
static bool is_stuck(struct conn *conn, uint64_t now_ms) {
    size_t size = waiting(conn);
    if (size == 0 || size != conn->stuck_size) {
        conn->stuck_size = size;
        conn->stuck_ms = now_ms;
        return false;
    }
    return now_ms - conn->stuck_ms >= conn->env->peer_patience_ms;
}

/* Whether a message has been incomplete for too long; its bytes take memory. */
static bool is_half(const struct conn *conn, uint64_t now_ms) {
    uint64_t since_ms = conn->rpc.half_ms;
    return since_ms != 0 && !conn->rpc.held && now_ms > since_ms &&
           now_ms - since_ms >= conn->env->peer_patience_ms;
}

/* Its peer has not gone on for as long as an event may take. */
static void drop(struct conn *conn, enum stats_limit limit, const char *why) {
    stats_count(&events_stats(conn->env->rpc.events)->limits[limit], 1);
    rpc_complain(&conn->env->rpc, LOG_LEVEL_WARN,
                 "connection dropped: %s for %llu ms (limit: --event-timeout)", why,
                 (unsigned long long)conn->env->peer_patience_ms);
    conn_close(conn);
}

/* Kong does not close what is its to close. */
static bool is_left_open(const struct conn *conn, uint64_t now_ms) {
    const struct rpc *rpc = &conn->rpc;
    return (rpc->state == RPC_EXITED || rpc->state == RPC_ENDING) && rpc->event == NULL &&
           now_ms - rpc->state_ms >= conn->env->peer_patience_ms;
}

void conns_tick(struct conn_env *env, uint64_t now_ms) {
    struct conn *conn;
    LIST_FOREACH(conn, &env->all, link) {
        if (!is_closed(conn) && is_stuck(conn, now_ms)) {
            drop(conn, STATS_LIMIT_OUTPUT, "its peer has taken none of what waits for it");
        } else if (!is_closed(conn) && is_half(conn, now_ms)) {
            drop(conn, STATS_LIMIT_MESSAGE, "a message has not come to its end");
        } else if (is_left_open(conn, now_ms)) {
            conn_close(conn);
        }
    }
}

void conns_end_idle(struct conn_env *env) {
    uint64_t now_ms = uv_now(env->loop);
    struct conn *conn;
    LIST_FOREACH(conn, &env->all, link) {
        if (drain_closes(&conn->rpc, conn->heard_ms, now_ms)) {
            conn_close(conn);
            continue;
        }
        if (env->taken_over || events_alive_all(env->rpc.events) == 0) {
            nudge_if_idle(conn);
        }
        if (drain_ends_idle(&conn->rpc, conn->fd, conn->heard_ms, now_ms)) {
            conn_end(conn);
        }
    }
}

void conns_close_all(struct conn_env *env) {
    struct conn *conn;
    LIST_FOREACH(conn, &env->all, link) {
        rpc_give_up(&conn->rpc);
        conn_close(conn);
    }
}
