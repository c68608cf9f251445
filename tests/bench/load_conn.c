#include "load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "learn.h"

/* What the functions that take a message return besides the bytes they used. */
#define MORE   0
#define FAILED (-1)

uint64_t load_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

__attribute__((format(printf, 2, 3))) static ssize_t failed(struct load *load, const char *format,
                                                            ...) {
    load->errors++;
    if (load->error[0] == '\0') {
        va_list args;
        va_start(args, format);
        vsnprintf(load->error, sizeof load->error, format, args);
        va_end(args);
    }
    return FAILED;
}

int load_open_conn(struct load *load, struct conn *conn, const char *path) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    conn->fd = learn_connect(path, true);
    if (conn->fd < 0 || epoll_ctl(load->epoll, EPOLL_CTL_ADD, conn->fd, &event) != 0) {
        failed(load, "%s: %s", path, strerror(errno));
        return -1;
    }
    return 0;
}

void load_close_conn(struct conn *conn) {
    if (conn->fd >= 0) {
        close(conn->fd);
        conn->fd = -1;
    }
    free(conn->left);
    conn->left = NULL;
    conn->left_len = 0;
}

static void break_conn(struct load *load, struct conn *conn) {
    if (conn->state == CONN_STARTING || conn->state == CONN_BUSY) {
        load->in_flight--;
    }
    conn->state = CONN_BROKEN;
    load_close_conn(conn);
}

/* --- Sending -------------------------------------------------------------------------------- */

static ssize_t send_all(struct load *load, struct conn *conn, const uint8_t *data, size_t len) {
    ssize_t sent = send(conn->fd, data, len, MSG_NOSIGNAL);
    if (sent == (ssize_t)len) {
        return sent;
    }
    return failed(load, "send: %s", sent < 0 ? strerror(errno) : "the server does not read");
}

/* Frames in `out` in two writes each: length, then content when there is any. */
static ssize_t send_as_kong(struct load *load, struct conn *conn) {
    const uint8_t *at = load->out.data;
    const uint8_t *end = at + load->out.len;
    while (at < end) {
        size_t len = (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16;
        if (send_all(load, conn, at, 4) < 0 || (len > 0 && send_all(load, conn, at + 4, len) < 0)) {
            return FAILED;
        }
        at += 4 + len;
    }
    return (ssize_t)load->out.len;
}

static void flush(struct load *load, struct conn *conn) {
    if (load->out.len == 0) {
        return;
    }
    ssize_t rc = load->as_kong && load->learned->protocol == WIRE_PROTOBUF
                     ? send_as_kong(load, conn)
                     : send_all(load, conn, load->out.data, load->out.len);
    load->out.len = 0;
    if (rc < 0) {
        break_conn(load, conn);
    }
}

static void take_number(struct load *load, struct conn *conn) {
    conn->number = load->next_number++;
    if (load->learned->protocol == WIRE_PROTOBUF && load->next_number > SEQUENCE_LAST) {
        load->next_number = SEQUENCE_FIRST;
    } else if (load->next_number < SEQUENCE_FIRST) {
        load->next_number = MSGID_FIRST; /* round */
    }
}

/* xorshift64*: any instance may be next. */
static const struct wire_id *pick_instance(struct load *load) {
    load->random ^= load->random >> 12;
    load->random ^= load->random << 25;
    load->random ^= load->random >> 27;
    uint64_t random = (load->random * 0x2545f4914f6cdd1du) >> 32;
    return &load->ids[random * load->instances >> 32];
}

static void put_event(struct load *load, struct conn *conn, uint64_t due_ns, uint64_t now) {
    take_number(load, conn);
    if (load->learned->protocol == WIRE_PROTOBUF) {
        pb_handle_event(&load->out, conn->number, pick_instance(load), SCRIPT_PHASE);
    } else {
        mp_handle_event(&load->out, conn->number, pick_instance(load), SCRIPT_PHASE);
    }
    conn->state = CONN_BUSY;
    conn->call = 0;
    conn->due_ns = due_ns;
    conn->sent_ns = now;
    load->begun++;
    load->in_flight++;
}

void load_begin_event(struct load *load, struct conn *conn, uint64_t due_ns, uint64_t now) {
    put_event(load, conn, due_ns, now);
    flush(load, conn);
}

static void put_start(struct load *load, struct conn *conn) {
    char config[WIRE_MAX / 2];
    conn->instance = (uint32_t)load->next++;
    learn_config(config, sizeof config, load->fields, conn->instance);
    take_number(load, conn);
    if (load->learned->protocol == WIRE_PROTOBUF) {
        pb_start_instance(&load->out, conn->number, load->plugin, config);
    } else {
        mp_start_instance(&load->out, conn->number, load->plugin, config);
    }
    conn->state = CONN_STARTING;
    load->in_flight++;
}

/* What a free connection sends next stays in `out`, behind the answers that are there already. */
static void put_next(struct load *load, struct conn *conn, uint64_t now) {
    switch (load->phase) {
    case LOAD_START:
        if (load->next < load->instances) {
            put_start(load, conn);
        }
        break;
    case LOAD_TOUCH:
        if (load->next < load->count) {
            flush(load, conn);
            load_begin_event(load, &load->conns[load->next++], now, now);
        }
        break;
    case LOAD_CLOSED:
        if (now < load->end_ns && load->begun < load->events_max) {
            put_event(load, conn, now, now);
        }
        break;
    case LOAD_OPEN:
        load->free_conns[load->free_count++] = (size_t)(conn - load->conns);
        break;
    }
}

void load_next(struct load *load, struct conn *conn, uint64_t now) {
    put_next(load, conn, now);
    if (conn->state != CONN_BROKEN) {
        flush(load, conn);
    }
}

/* --- Receiving ------------------------------------------------------------------------------ */

static void event_done(struct load *load, struct conn *conn, uint64_t now) {
    conn->state = CONN_FREE;
    load->in_flight--;
    load->last_ns = now;
    if (conn->due_ns >= load->measure_ns) {
        load->finished++;
        histogram_add(&load->latency, now - conn->due_ns);
        histogram_add(&load->service, now - conn->sent_ns);
    }
    put_next(load, conn, now);
}

/* Whether [at, end) begins with these bytes: their length, MORE when it may yet, FAILED. */
static ssize_t same(const uint8_t *at, const uint8_t *end, const uint8_t *wanted, size_t len) {
    size_t available = (size_t)(end - at);
    if (memcmp(at, wanted, available < len ? available : len) != 0) {
        return FAILED;
    }
    return available < len ? MORE : (ssize_t)len;
}

/* One call's two frames, or the end of the event. */
static ssize_t pb_take(struct load *load, struct conn *conn, const uint8_t *at, const uint8_t *end,
                       uint64_t now) {
    const struct canned *learned = load->learned;
    if (conn->call < learned->count) {
        const struct canned_call *call = &learned->calls[conn->call];
        ssize_t used = same(at, end, call->sent.data, call->sent.len);
        if (used == FAILED) {
            return failed(load, "call %zu of %zu is not what it was in the first event",
                          conn->call + 1, learned->count);
        }
        if (used > 0) {
            wire_put(&load->out, call->answer.data, call->answer.len);
            load->calls++;
            conn->call++;
        }
        return used;
    }
    struct wire wanted;
    wanted.len = 0;
    pb_end(&wanted, conn->number);
    ssize_t used = same(at, end, wanted.data, wanted.len);
    if (used == FAILED) {
        return failed(load, "the event does not end with its RpcReturn");
    }
    if (used > 0) {
        event_done(load, conn, now);
    }
    return used;
}

/* EventId and Data of a result, in any order: 1 for the call that is due, 0 for "ret", FAILED. */
static ssize_t mp_result(struct load *load, struct conn *conn, const uint8_t *at,
                         const uint8_t *end) {
    static const uint8_t ret[] = {0xa3, 'r', 'e', 't'};
    const struct canned *learned = load->learned;
    const uint8_t *event = mp_map_get(at, end, "EventId");
    const uint8_t *data = mp_map_get(at, end, "Data");
    const uint8_t *behind;
    uint64_t value;
    if (event == NULL || data == NULL || !mp_get_uint(event, end, &value, &behind) ||
        (size_t)(behind - event) > sizeof conn->event.bytes) {
        return failed(load, "a result without EventId or Data");
    }
    conn->event.len = (uint8_t)(behind - event);
    memcpy(conn->event.bytes, event, conn->event.len);
    if (conn->call == learned->count) {
        return same(data, end, ret, sizeof ret) > 0 ? 0 : failed(load, "the event does not end");
    }
    const struct wire *sent = &learned->calls[conn->call].sent;
    return same(data, end, sent->data, sent->len) > 0
               ? 1
               : failed(load, "call %zu of %zu is not what it was in the first event",
                        conn->call + 1, learned->count);
}

/* One message, of which the head is known to be a response to what was asked. */
static ssize_t mp_response(struct load *load, struct conn *conn, const uint8_t *result,
                           const uint8_t *end, uint64_t now) {
    if (conn->state == CONN_STARTING) {
        const uint8_t *from = mp_map_get(result, end, "Id");
        const uint8_t *to;
        uint64_t value;
        struct wire_id *id = &load->ids[conn->instance];
        if (from == NULL || !mp_get_uint(from, end, &value, &to) ||
            (size_t)(to - from) > sizeof id->bytes) {
            return failed(load, "StartInstance gave no Id");
        }
        id->len = (uint8_t)(to - from);
        memcpy(id->bytes, from, id->len);
        conn->state = CONN_FREE;
        load->in_flight--;
        put_next(load, conn, now);
        return 1;
    }
    ssize_t kind = mp_result(load, conn, result, end);
    if (kind == 0) {
        event_done(load, conn, now);
    } else if (kind > 0) {
        const struct wire *answer = &load->learned->calls[conn->call].answer;
        load->calls++;
        conn->call++;
        take_number(load, conn);
        mp_step(&load->out, conn->number, &conn->event, answer->len == 0 ? NULL : answer);
    }
    return kind;
}

static ssize_t mp_take(struct load *load, struct conn *conn, const uint8_t *at, const uint8_t *end,
                       uint64_t now) {
    bool malformed;
    uint64_t msgid;
    const uint8_t *result;
    const uint8_t *behind = mp_skip(at, end, &malformed);
    if (behind == NULL) {
        return malformed ? failed(load, "bytes that are no MessagePack") : MORE;
    }
    if (*at == 0x93) { /* a notification */
        return behind - at;
    }
    if (conn->state == CONN_FREE || *at != 0x94 || at[1] != 1 ||
        !mp_get_uint(at + 2, behind, &msgid, &result) || msgid != conn->number || *result != 0xc0) {
        return failed(load, "no response, or one with an error");
    }
    return mp_response(load, conn, result + 1, behind, now) < 0 ? FAILED : behind - at;
}

static ssize_t pb_started(struct load *load, struct conn *conn, const uint8_t *at,
                          const uint8_t *end, uint64_t now) {
    if (end - at < 4) {
        return MORE;
    }
    size_t len = (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
    if ((size_t)(end - at) - 4 < len) {
        return MORE;
    }
    if (!pb_instance_id(at + 4, len, &load->ids[conn->instance])) {
        return failed(load, "StartInstance was refused");
    }
    conn->state = CONN_FREE;
    load->in_flight--;
    put_next(load, conn, now);
    return (ssize_t)len + 4;
}

static ssize_t take(struct load *load, struct conn *conn, const uint8_t *at, const uint8_t *end,
                    uint64_t now) {
    if (load->learned->protocol == WIRE_MSGPACK) {
        return mp_take(load, conn, at, end, now);
    }
    if (conn->state == CONN_FREE) {
        return failed(load, "bytes behind the end of the event");
    }
    return conn->state == CONN_STARTING ? pb_started(load, conn, at, end, now)
                                        : pb_take(load, conn, at, end, now);
}

static bool keep(struct load *load, struct conn *conn, const uint8_t *at, size_t len) {
    if (len > 0 && conn->left == NULL) {
        conn->left = malloc(WIRE_MAX);
    }
    if (len > WIRE_MAX || (len > 0 && conn->left == NULL)) {
        failed(load, "a message of more than %d bytes, or no memory", WIRE_MAX);
        return false;
    }
    if (len > 0) {
        memcpy(conn->left, at, len);
    }
    conn->left_len = len;
    return true;
}

void load_on_readable(struct load *load, struct conn *conn) {
    if (conn->left_len > 0) {
        memcpy(load->read, conn->left, conn->left_len);
    }
    ssize_t got = recv(conn->fd, load->read + conn->left_len, LOAD_READ_SIZE, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        failed(load, "the server closed a connection");
        break_conn(load, conn);
        return;
    }
    uint64_t now = load_now_ns();
    const uint8_t *at = load->read;
    const uint8_t *end = at + conn->left_len + (size_t)got;
    while (at < end && conn->state != CONN_BROKEN) {
        ssize_t used = take(load, conn, at, end, now);
        if (used == FAILED) {
            load->out.len = 0;
            break_conn(load, conn);
            return;
        }
        if (used == MORE) {
            break;
        }
        at += used;
    }
    if (conn->state == CONN_BROKEN) {
        return;
    }
    if (!keep(load, conn, at, (size_t)(end - at))) {
        break_conn(load, conn);
        return;
    }
    flush(load, conn);
}
