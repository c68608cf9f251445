#include "load_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../bench/wire.h"
#include "limit.h"
#include "sim_client.h"

#define BATCH       256
#define READ_SIZE   ((size_t)64 << 10)
#define PATIENCE_MS 10000

/* What the functions that take a message return besides the bytes they used. */
#define MORE   0
#define FAILED (-1)

struct conn {
    int fd; /* -1: closed */
    uint32_t number;
    uint64_t begun_ns;
    bool busy;
    struct buffer in, out;
};

struct load {
    const struct load_run *run;
    struct load_result *result;
    struct conn *conns;
    int epoll;
    struct wire_id instance; /* as the protocol has it */
    uint32_t next_number;
    size_t busy;
    uint64_t measure_ns, end_ns, last_ns;
};

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static ssize_t failed(struct load *load, const char *text) {
    if (load->result->error[0] == '\0') {
        snprintf(load->result->error, sizeof load->result->error, "%s", text);
    }
    return FAILED;
}

static bool on_protobuf(const struct load *load) {
    return load->run->protocol == PROTOCOL_PROTOBUF;
}

/* --- Connections and sending --- */

static int open_conn(struct load *load, struct conn *conn) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    conn->fd = sim_connect_unix(load->run->socket);
    if (conn->fd < 0 || fcntl(conn->fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0 ||
        epoll_ctl(load->epoll, EPOLL_CTL_ADD, conn->fd, &event) != 0) {
        failed(load, "the server takes no connection");
        return -1;
    }
    return 0;
}

static void close_conn(struct conn *conn) {
    if (conn->fd >= 0) {
        close(conn->fd);
        conn->fd = -1;
    }
}

static int flush(struct load *load, struct conn *conn) {
    size_t at = 0;
    while (at < conn->out.len) {
        struct pollfd room = {.fd = conn->fd, .events = POLLOUT};
        ssize_t sent = send(conn->fd, conn->out.data + at, conn->out.len - at, MSG_NOSIGNAL);
        if (sent > 0) {
            at += (size_t)sent;
        } else if (errno != EAGAIN || poll(&room, 1, PATIENCE_MS) <= 0) {
            failed(load, "the server does not read");
            return -1;
        }
    }
    buffer_clear(&conn->out, LIMIT_FRAME);
    return 0;
}

static void take_number(struct load *load, struct conn *conn) {
    conn->number = load->next_number++;
    if (on_protobuf(load) && load->next_number > SEQUENCE_LAST) {
        load->next_number = SEQUENCE_FIRST;
    } else if (load->next_number < SEQUENCE_FIRST) {
        load->next_number = MSGID_FIRST; /* round */
    }
}

/* The next event, if there is time for it. */
static void put_event(struct load *load, struct conn *conn) {
    struct wire wire;
    const char *phase = kong_phase_name(load->run->phase);
    conn->begun_ns = now_ns();
    conn->busy = conn->begun_ns < load->end_ns && *load->run->stop == 0;
    if (!conn->busy) {
        return;
    }
    load->busy++;
    take_number(load, conn);
    wire.len = 0;
    if (on_protobuf(load)) {
        pb_handle_event(&wire, conn->number, &load->instance, phase);
    } else {
        mp_handle_event(&wire, conn->number, &load->instance, phase);
    }
    buffer_append(&conn->out, wire.data, wire.len);
}

static void event_done(struct load *load, struct conn *conn) {
    uint64_t now = now_ns();
    conn->busy = false;
    load->busy--;
    load->last_ns = now;
    if (conn->begun_ns >= load->measure_ns) {
        load->result->events++;
        histogram_add(&load->result->latency, now - conn->begun_ns);
    }
}

/* --- Answering. What was received of the call's event is used up either way --- */

/* The call that ends the request. Kong's connection of ProtoBuf:1 goes with it. */
static int end_by_exit(struct load *load, struct conn *conn) {
    load->result->exits += conn->begun_ns >= load->measure_ns;
    event_done(load, conn);
    if (on_protobuf(load)) {
        close_conn(conn);
        buffer_clear(&conn->in, LIMIT_FRAME);
        buffer_clear(&conn->out, LIMIT_FRAME);
        if (open_conn(load, conn) != 0) {
            return -1;
        }
    }
    put_event(load, conn);
    return 0;
}

static void put_step(struct load *load, struct conn *conn, const struct answer *answer,
                     const uint8_t *event, size_t event_len) {
    take_number(load, conn);
    const uint8_t head[] = {0x94,
                            0x00,
                            0xce,
                            (uint8_t)(conn->number >> 24),
                            (uint8_t)(conn->number >> 16),
                            (uint8_t)(conn->number >> 8),
                            (uint8_t)conn->number};
    buffer_append(&conn->out, head, sizeof head);
    buffer_append(&conn->out, answer->data, answer->len);
    buffer_append(&conn->out, event, event_len);
    buffer_append(&conn->out, answer->tail, answer->tail_len);
}

static const struct answer *answer_to(struct load *load, const struct conn *conn,
                                      const uint8_t *call, size_t len) {
    char error[512];
    const struct answer *answer = answers_get(load->run->answers, call, len, error, sizeof error);
    load->result->calls += conn->begun_ns >= load->measure_ns;
    if (answer == NULL) {
        failed(load, error);
    }
    return answer;
}

/* --- ProtoBuf:1 --- */

/* The length of a whole frame, with its head; 0: it is not all here. */
static size_t frame_size(const uint8_t *at, size_t len) {
    size_t size =
        len < 4 ? 0
                : (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
    return len < 4 || len - 4 < size ? 0 : size + 4;
}

static ssize_t pb_take(struct load *load, struct conn *conn, const uint8_t *at, size_t len) {
    size_t first = frame_size(at, len);
    size_t second = first == 0 ? 0 : frame_size(at + first, len - first);
    struct wire end;
    if (second == 0) {
        return MORE;
    }
    if (first == 4) {
        end.len = 0;
        pb_end(&end, conn->number);
        if (first + second != end.len || memcmp(at, end.data, end.len) != 0) {
            return failed(load, "the event does not end with the RpcReturn of its call");
        }
        event_done(load, conn);
        put_event(load, conn);
        return (ssize_t)(first + second);
    }
    const struct answer *answer = answer_to(load, conn, at, first + second);
    if (answer == NULL) {
        return FAILED;
    }
    if (answer->exits) {
        return end_by_exit(load, conn) == 0 ? (ssize_t)len : FAILED;
    }
    buffer_append(&conn->out, answer->data, answer->len);
    return (ssize_t)(first + second);
}

/* --- MsgPack:1 --- */

static ssize_t mp_error(struct load *load, const uint8_t *at, const uint8_t *end) {
    char line[600];
    const uint8_t *behind;
    const char *text;
    size_t len;
    bool is_text = mp_get_string(at, end, &text, &len, &behind);
    snprintf(line, sizeof line, "the server's error: %.*s",
             is_text ? (int)(len < 500 ? len : 500) : 1, is_text ? text : "?");
    return failed(load, line);
}

static int mp_result(struct load *load, struct conn *conn, const uint8_t *at, const uint8_t *end) {
    static const uint8_t ret[] = {0xa3, 'r', 'e', 't'};
    bool malformed;
    const uint8_t *event = mp_map_get(at, end, "EventId");
    const uint8_t *data = mp_map_get(at, end, "Data");
    const uint8_t *event_end = event == NULL ? NULL : mp_skip(event, end, &malformed);
    const uint8_t *data_end = data == NULL ? NULL : mp_skip(data, end, &malformed);
    if (event_end == NULL || data_end == NULL) {
        failed(load, "a result without EventId or Data");
        return -1;
    }
    if (data_end - data == sizeof ret && memcmp(data, ret, sizeof ret) == 0) {
        event_done(load, conn);
        put_event(load, conn);
        return 0;
    }
    const struct answer *answer = answer_to(load, conn, data, (size_t)(data_end - data));
    if (answer == NULL) {
        return -1;
    }
    if (answer->exits) {
        return end_by_exit(load, conn);
    }
    put_step(load, conn, answer, event, (size_t)(event_end - event));
    return 0;
}

static ssize_t mp_take(struct load *load, struct conn *conn, const uint8_t *at, size_t len) {
    bool malformed;
    uint64_t msgid;
    const uint8_t *result;
    const uint8_t *end = mp_skip(at, at + len, &malformed);
    if (end == NULL) {
        return malformed ? failed(load, "bytes that are no MessagePack") : MORE;
    }
    if (*at == 0x93) { /* a notification */
        return end - at;
    }
    if (*at != 0x94 || at[1] != 1 || !mp_get_uint(at + 2, end, &msgid, &result) ||
        msgid != conn->number) {
        return failed(load, "no response to the request");
    }
    if (*result != 0xc0) {
        return mp_error(load, result, end);
    }
    return mp_result(load, conn, result + 1, end) == 0 ? end - at : FAILED;
}

/* --- The loop --- */

static int take_all(struct load *load, struct conn *conn) {
    size_t at = 0;
    while (at < conn->in.len) {
        const uint8_t *from = conn->in.data + at;
        size_t len = conn->in.len - at;
        int fd = conn->fd;
        ssize_t used =
            on_protobuf(load) ? pb_take(load, conn, from, len) : mp_take(load, conn, from, len);
        if (used == FAILED) {
            return -1;
        }
        if (used == MORE || conn->fd != fd || conn->in.len == 0) {
            break;
        }
        at += (size_t)used;
    }
    buffer_consume(&conn->in, at < conn->in.len ? at : conn->in.len);
    if (conn->in.failed || conn->out.failed) {
        failed(load, "not enough memory");
        return -1;
    }
    return flush(load, conn);
}

static int on_readable(struct load *load, struct conn *conn) {
    if (!buffer_reserve(&conn->in, READ_SIZE)) {
        failed(load, "a message without an end, or no memory");
        return -1;
    }
    ssize_t got = recv(conn->fd, conn->in.data + conn->in.len, READ_SIZE, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    if (got <= 0) {
        failed(load, "the server closed a connection in an event (did the handler crash?)");
        return -1;
    }
    conn->in.len += (size_t)got;
    return take_all(load, conn);
}

static int loop(struct load *load) {
    struct epoll_event events[BATCH];
    while (load->busy > 0) {
        int count = epoll_wait(load->epoll, events, BATCH, PATIENCE_MS);
        if (count == 0 || (count < 0 && errno != EINTR)) {
            failed(load, "no answer for 10 s");
            return -1;
        }
        for (int i = 0; i < count; i++) {
            struct conn *conn = events[i].data.ptr;
            if (conn->fd >= 0 && on_readable(load, conn) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* As the protocol has it: a varint, or an integer of MessagePack. */
static struct wire_id encode_id(bool protobuf, uint64_t id) {
    struct wire_id wire = {0};
    if (!protobuf) {
        wire.bytes[wire.len++] = 0xcf;
        for (int shift = 56; shift >= 0; shift -= 8) {
            wire.bytes[wire.len++] = (uint8_t)(id >> shift);
        }
        return wire;
    }
    for (; id >= 0x80; id >>= 7) {
        wire.bytes[wire.len++] = (uint8_t)(id | 0x80);
    }
    wire.bytes[wire.len++] = (uint8_t)id;
    return wire;
}

static int begin(struct load *load) {
    for (size_t i = 0; i < load->run->connections; i++) {
        struct conn *conn = &load->conns[i];
        if (open_conn(load, conn) != 0) {
            return -1;
        }
    }
    uint64_t start = now_ns();
    load->measure_ns = start + (uint64_t)(load->run->warmup * 1e9);
    load->end_ns = load->measure_ns + (uint64_t)(load->run->seconds * 1e9);
    for (size_t i = 0; i < load->run->connections; i++) {
        put_event(load, &load->conns[i]);
        if (flush(load, &load->conns[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

int load_events(const struct load_run *run, struct load_result *result) {
    struct load load = {
        .run = run,
        .result = result,
        .next_number = run->protocol == PROTOCOL_PROTOBUF ? SEQUENCE_FIRST : MSGID_FIRST,
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .instance = encode_id(run->protocol == PROTOCOL_PROTOBUF, (uint64_t)run->instance)};
    *result = (struct load_result){0};
    load.conns = calloc(run->connections, sizeof *load.conns);
    if (load.conns == NULL || load.epoll < 0) {
        failed(&load, "not enough memory or descriptors");
    }
    for (size_t i = 0; load.conns != NULL && i < run->connections; i++) {
        load.conns[i].fd = -1;
        buffer_init(&load.conns[i].in, LIMIT_OUT);
        buffer_init(&load.conns[i].out, LIMIT_OUT);
    }
    int rc = result->error[0] != '\0' || begin(&load) != 0 || loop(&load) != 0 ? -1 : 0;
    result->seconds =
        load.last_ns > load.measure_ns ? (double)(load.last_ns - load.measure_ns) / 1e9 : 0;
    for (size_t i = 0; load.conns != NULL && i < run->connections; i++) {
        close_conn(&load.conns[i]);
        buffer_free(&load.conns[i].in);
        buffer_free(&load.conns[i].out);
    }
    free(load.conns);
    if (load.epoll >= 0) {
        close(load.epoll);
    }
    return rc;
}
