#include "conn.h"

#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "limit.h"

/* Who has just connected, or asked something, is about to ask again. */
#define FRESH_MS 1000
/* So long a peer has to close its side of a connection that we have ended. */
#define LINGER_MS 500
/* Memory is given back to the system when a connection has nothing to say. */
#define KEEP_OUT ((size_t)4 << 10)

struct conn {
    uv_pipe_t pipe;
    struct conn_env *env;
    struct conn *prev, *next;
    struct rpc rpc;
    uint64_t heard_ms; /* when the peer last sent something, or connected */
    uint64_t ended_ms;
    size_t unwritten;  /* in write requests */
    size_t stuck_size; /* of libuv's queue when it last became shorter, */
    uint64_t stuck_ms; /* and when that was; while something is unwritten */
    unsigned recorded; /* its number in a recording */
    bool reading;
    bool
        ended; /* our side of it: nothing more is said, only answers that are due are still taken */
    bool closing;
};

/* A write that the kernel did not take at once; owns its bytes. */
struct write {
    uv_write_t request;
    struct conn *conn;
    size_t len;
    uint8_t *data;
};

static struct conn *conn_of(struct rpc *rpc) {
    return (struct conn *)((char *)rpc - offsetof(struct conn, rpc));
}

static void on_closed(uv_handle_t *handle) {
    struct conn *conn = handle->data;
    struct conn_env *env = conn->env;
    *(conn->prev != NULL ? &conn->prev->next : &env->first) = conn->next;
    if (conn->next != NULL) {
        conn->next->prev = conn->prev;
    }
    env->count--;
    free(conn);
    env->closed(env);
}

static void conn_close(struct conn *conn) {
    if (conn->closing) {
        return;
    }
    conn->closing = true;
    record_connection_end(conn->env->record, conn->recorded);
    rpc_close(&conn->rpc);
    uv_close((uv_handle_t *)&conn->pipe, on_closed);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf);

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    struct conn *conn = handle->data;
    (void)suggested;
    *buf = uv_buf_init(conn->env->read_buffer, (unsigned)conn->env->read_size);
}

/* A peer that does not take its answers is not read from until it does. */
static void set_reading(struct conn *conn) {
    /* Kong writes its answers to posted calls before it reads on: they must be taken. */
    bool taken = conn->unwritten <= LIMIT_OUT_PAUSE || conn->rpc.answers_due > 0;
    bool wanted = !conn->closing && !conn->rpc.broken && taken;
    if (wanted == conn->reading) {
        return;
    }
    if (!wanted) {
        uv_read_stop((uv_stream_t *)&conn->pipe);
        conn->reading = false;
    } else if (uv_read_start((uv_stream_t *)&conn->pipe, on_alloc, on_read) == 0) {
        conn->reading = true;
    } else {
        conn_close(conn);
    }
}

static void conn_flush(struct conn *conn);

static void on_written(uv_write_t *request, int status) {
    struct write *write = request->data;
    struct conn *conn = write->conn;
    conn->unwritten -= write->len;
    free(write->data);
    free(write);
    if (conn->closing) {
        return;
    }
    if (status != 0) {
        conn_close(conn);
        return;
    }
    conn_flush(conn);
    if (!conn->closing) {
        set_reading(conn);
    }
}

/* Hands what is in `out` to the kernel, without a copy where it takes all of it at once, and queues
 * the rest. */
static int write_out(struct conn *conn) {
    struct buffer *out = &conn->rpc.out;
    struct stats *stats = events_stats(conn->env->rpc.events);
    if (conn->unwritten == 0) {
        uv_buf_t buf = uv_buf_init((char *)out->data, (unsigned)out->len);
        int sent = uv_try_write((uv_stream_t *)&conn->pipe, &buf, 1);
        if (sent < 0 && sent != UV_EAGAIN) {
            return sent;
        }
        if (sent > 0) {
            stats->bytes_out += (uint64_t)sent;
            record_bytes(conn->env->record, conn->recorded, '<', out->data, (size_t)sent);
            buffer_consume(out, (size_t)sent);
        }
        if (out->len == 0) {
            buffer_clear(out, KEEP_OUT);
            return 0;
        }
    }
    if (conn->unwritten + out->len > LIMIT_OUT) {
        stats->limits[STATS_LIMIT_OUTPUT]++;
        log_write(conn->env->rpc.log, LOG_LEVEL_WARN,
                  "connection dropped: %zu bytes that its peer has not read, limit %zu",
                  conn->unwritten + out->len, LIMIT_OUT);
        return UV_ENOBUFS;
    }
    struct write *write = calloc(1, sizeof *write);
    if (write == NULL) {
        return UV_ENOMEM;
    }
    write->request.data = write;
    write->conn = conn;
    write->len = out->len;
    write->data = out->data;
    uv_buf_t buf = uv_buf_init((char *)write->data, (unsigned)write->len);
    int rc = uv_write(&write->request, (uv_stream_t *)&conn->pipe, &buf, 1, on_written);
    if (rc != 0) {
        free(write);
        return rc;
    }
    stats->bytes_out += write->len;
    record_bytes(conn->env->record, conn->recorded, '<', write->data, write->len);
    conn->unwritten += write->len;
    buffer_init(out, LIMIT_OUT); /* its bytes are the write's now */
    return 0;
}

/* Ends our side of a connection. Kong sees the end and does not use the connection again, while
 * closing it whole would fail a request that is being written at this moment ("broken pipe", which
 * no Kong tries again). What comes after the end is thrown away: ProtoBuf:1 reads "closed" then,
 * and sends the event again over a new connection. */
static void conn_end(struct conn *conn, uv_os_fd_t fd) {
    shutdown(fd, SHUT_WR);
    conn->ended = conn->rpc.ending = true;
    conn->ended_ms = uv_now(conn->env->loop);
}

/* ProtoBuf:1. The end right behind a last answer loses nothing: Kong, which has not read the answer
 * yet, finds the end when it wants to keep the connection for its next request. Once it has read
 * the answer, that request may be on its way: then it gets its answer first, and the end behind
 * that. */
static void end_behind_answer(struct conn *conn) {
    uv_os_fd_t fd;
    int unread = 0;
    if (conn->unwritten == 0 && rpc_answered(&conn->rpc) &&
        uv_fileno((uv_handle_t *)&conn->pipe, &fd) == 0 && ioctl(fd, SIOCOUTQ, &unread) == 0 &&
        unread > 0) {
        conn_end(conn, fd);
    }
}

/* MsgPack:1, where Kong does not try again after "closed". Bytes that nobody asked for make nginx
 * throw a connection out of its pool; when a request is on its way after all, they are no harm to
 * it. */
static void nudge_if_idle(struct conn *conn) {
    uv_os_fd_t fd;
    int unread = 0;
    if (conn->unwritten == 0 && uv_fileno((uv_handle_t *)&conn->pipe, &fd) == 0 &&
        ioctl(fd, SIOCOUTQ, &unread) == 0 && unread == 0 && rpc_nudge(&conn->rpc)) {
        conn_flush(conn);
    }
}

/* A connection that Kong has not used for long is deep down in its pool: it is hardly taken out in
 * the very moment in which it ends. */
static void end_if_idle(struct conn *conn, uint64_t now_ms) {
    uv_os_fd_t fd;
    char byte;
    if (now_ms - conn->heard_ms >= FRESH_MS && rpc_idle(&conn->rpc) && conn->unwritten == 0 &&
        uv_fileno((uv_handle_t *)&conn->pipe, &fd) == 0 &&
        recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) {
        conn_end(conn, fd);
    }
}

static void conn_flush(struct conn *conn) {
    if (conn->closing) {
        return;
    }
    bool speaks = conn->rpc.out.len > 0;
    if (speaks && write_out(conn) != 0) {
        conn_close(conn);
        return;
    }
    if (speaks && conn->env->draining && !conn->ended) {
        end_behind_answer(conn);
    }
    if (conn->rpc.broken && conn->unwritten == 0) {
        conn_close(conn);
        return;
    }
    set_reading(conn);
}

static void on_wake(struct rpc *rpc) {
    conn_flush(conn_of(rpc));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf) {
    struct conn *conn = stream->data;
    if (count == 0) {
        return; /* EAGAIN */
    }
    if (count < 0) {
        conn_close(conn);
        return;
    }
    conn->heard_ms = uv_now(conn->env->loop);
    struct stats *stats = events_stats(conn->env->rpc.events);
    stats->bytes_in += (uint64_t)count;
    record_bytes(conn->env->record, conn->recorded, '>', buf->base, (size_t)count);
    if (rpc_feed(&conn->rpc, (const uint8_t *)buf->base, (size_t)count) != 0) {
        stats->limits[STATS_LIMIT_MESSAGE]++;
        log_write(conn->env->rpc.log, LOG_LEVEL_WARN, "connection dropped: %s", conn->rpc.reason);
    }
    conn_flush(conn);
}

static struct conn *conn_create(struct conn_env *env) {
    struct conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL || uv_pipe_init(env->loop, &conn->pipe, 0) != 0) {
        free(conn);
        return NULL;
    }
    conn->env = env;
    conn->pipe.data = conn;
    conn->heard_ms = uv_now(env->loop);
    conn->recorded = record_connection(env->record);
    rpc_init(&conn->rpc, &env->rpc, on_wake);
    conn->next = env->first;
    if (env->first != NULL) {
        env->first->prev = conn;
    }
    env->first = conn;
    env->count++;
    events_stats(env->rpc.events)->connections++;
    return conn;
}

static int conn_begin(struct conn *conn, int rc) {
    if (rc != 0) {
        conn_close(conn);
        return rc;
    }
    set_reading(conn);
    return 0;
}

int conn_adopt(struct conn_env *env, int fd) {
    struct conn *conn = conn_create(env);
    int rc = conn == NULL ? UV_ENOMEM : uv_pipe_open(&conn->pipe, fd);
    if (rc != 0) {
        close(fd);
    }
    return conn == NULL ? rc : conn_begin(conn, rc);
}

/* True when the peer has taken nothing of what waits for it for too long. */
static bool is_stuck(struct conn *conn, uint64_t now_ms) {
    size_t size = uv_stream_get_write_queue_size((uv_stream_t *)&conn->pipe);
    if (size == 0 || size != conn->stuck_size) {
        conn->stuck_size = size;
        conn->stuck_ms = now_ms;
        return false;
    }
    return now_ms - conn->stuck_ms >= conn->env->exited_ms;
}

static void drop_stuck(struct conn *conn) {
    events_stats(conn->env->rpc.events)->limits[STATS_LIMIT_OUTPUT]++;
    log_write(conn->env->rpc.log, LOG_LEVEL_WARN,
              "connection dropped: its peer has taken none of %zu bytes for %llu ms (limit: "
              "--event-timeout)",
              conn->stuck_size, (unsigned long long)conn->env->exited_ms);
    conn_close(conn);
}

void conns_tick(struct conn_env *env, uint64_t now_ms) {
    for (struct conn *conn = env->first; conn != NULL; conn = conn->next) {
        if (!conn->closing && is_stuck(conn, now_ms)) {
            drop_stuck(conn);
        } else if (conn->rpc.exited && conn->rpc.event == NULL &&
                   now_ms - conn->rpc.exited_at_ms >= env->exited_ms) {
            conn_close(conn);
        }
    }
}

void conns_end_idle(struct conn_env *env) {
    uint64_t now_ms = uv_now(env->loop);
    for (struct conn *conn = env->first; conn != NULL; conn = conn->next) {
        uint64_t quiet_since = conn->heard_ms > conn->ended_ms ? conn->heard_ms : conn->ended_ms;
        if (conn->ended && conn->rpc.answers_due == 0 && now_ms - quiet_since >= LINGER_MS) {
            conn_close(conn);
        } else if (!conn->closing && !conn->ended) {
            if (env->taken_over || events_alive(env->rpc.events) == 0) {
                nudge_if_idle(conn);
            }
            end_if_idle(conn, now_ms);
        }
    }
}

void conns_close_all(struct conn_env *env) {
    for (struct conn *conn = env->first; conn != NULL; conn = conn->next) {
        conn_close(conn);
    }
}
