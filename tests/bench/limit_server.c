/* The limit: what no plugin server can be faster than. An epoll loop that parses nothing: it knows
 * how many bytes a request of the load generator has, and answers each with bytes made before, in
 * one write. Only the number of the call is copied into the answer.
 *
 * usage: limit_server SOCKET protobuf|kong|msgpack [SCRIPT[+] [N]]
 *
 * kong: ProtoBuf:1 with a real Kong, whose requests have any length: their frames are counted, and
 * of RpcCall the fields are passed over.
 *
 * SCRIPT+: getters that are neighbours leave together (ProtoBuf:1).
 *
 * N: the last value in the Nth answer is wrong, 0: in all of them; for tests of the load generator.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "script.h"

#define BATCH      256
#define NUMBER_MAX 5

/* A request that is awaited, and the answer to it. */
struct step {
    size_t request_len;
    size_t number_at;  /* where the call's number stands in the request */
    size_t number_len; /* 0: none in it */
    size_t answer_number_at;
    size_t answer_number_len;
    struct wire answer;
    unsigned calls; /* in the answer */
};

struct limit {
    enum wire_protocol protocol;
    bool kong;
    struct step steps[SCRIPT_MAX_CALLS + 1];
    size_t count;
    size_t first_len;     /* ProtoBuf:1: before a connection's first event there are no answers */
    uint64_t until_wrong; /* answers; 0: never */
    bool all_wrong;
    int epoll, listener, signals;
};

struct conn {
    int fd;
    bool hot; /* the first event was seen */
    bool first;
    size_t step;
    unsigned due;               /* kong: answers to calls */
    uint32_t sequence;          /* … of the call */
    uint8_t number[NUMBER_MAX]; /* of the call */
    size_t have;
    uint8_t data[WIRE_MAX];
};

/* The id of every instance: five bytes on either protocol. */
static const struct wire_id pb_id = {5, {0x80, 0x80, 0x80, 0x80, 0x01}};
static const struct wire_id mp_id = {5, {0xce, 0x10, 0, 0, 0}};
static const struct wire_id mp_event = {1, {1}};

/* --- What is made before ---------------------------------------------------------------------- */

/* Calls without a result are posted: they travel with the next getter, or with the end. So the
 * script takes as many round trips as it has getters, and one; `together`, as many as it has groups
 * of them. */
static void prepare_protobuf(struct limit *limit, const struct canned *canned, bool together) {
    struct wire request = {.len = 0};
    struct step *step = &limit->steps[0];
    size_t answers = 0; /* that are due, and come with the next request */
    pb_handle_event(&request, SEQUENCE_FIRST, &pb_id, SCRIPT_PHASE);
    limit->count = 1;
    for (size_t i = 0; i < canned->count; i++) {
        const struct canned_call *call = &canned->calls[i];
        wire_put(&step->answer, call->sent.data, call->sent.len);
        answers += call->answer.len;
        step->calls++;
        bool goes_on = together && i + 1 < canned->count && canned->calls[i + 1].is_getter;
        if (call->is_getter && !goes_on) {
            step = &limit->steps[limit->count++];
            step->request_len = answers;
            answers = 0;
        }
    }
    pb_end(&step->answer, SEQUENCE_FIRST);
    step->answer_number_at = step->answer.len - 3;
    step->answer_number_len = 3;
    limit->first_len = request.len;
    step = &limit->steps[0];
    step->request_len = answers + request.len;
    step->number_len = 3;
    step->number_at = answers + 5; /* behind the frame's length and the tag of the sequence */
}

static void prepare_msgpack(struct limit *limit, const struct canned *canned) {
    static const uint8_t ret[] = {0xa3, 'r', 'e', 't'};
    limit->count = canned->count + 1;
    for (size_t i = 0; i < limit->count; i++) {
        struct step *step = &limit->steps[i];
        struct wire request = {.len = 0};
        if (i == 0) {
            mp_handle_event(&request, MSGID_FIRST, &mp_id, SCRIPT_PHASE);
        } else {
            const struct wire *answer = &canned->calls[i - 1].answer;
            mp_step(&request, MSGID_FIRST, &mp_event, answer->len == 0 ? NULL : answer);
        }
        mp_result_head(&step->answer, MSGID_FIRST, mp_event.bytes[0]);
        if (i < canned->count) {
            wire_put(&step->answer, canned->calls[i].sent.data, canned->calls[i].sent.len);
        } else {
            wire_put(&step->answer, ret, sizeof ret);
        }
        step->request_len = request.len;
        step->number_at = step->answer_number_at = 2;
        step->number_len = step->answer_number_len = NUMBER_MAX;
    }
    limit->first_len = limit->steps[0].request_len;
}

/* --- Connections ------------------------------------------------------------------------------ */

static bool answer(const struct conn *conn, const uint8_t *data, size_t len) {
    return send(conn->fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* StartInstance is looked at, once for each instance: it has any length. The number of bytes used,
 * 0 for more, -1 when it is none. */
static ssize_t start_instance(const struct limit *limit, const struct conn *conn) {
    struct wire reply = {.len = 0};
    if (limit->protocol == WIRE_MSGPACK) {
        bool malformed;
        const uint8_t *end = mp_skip(conn->data, conn->data + conn->have, &malformed);
        static const char method[] = "plugin.StartInstance";
        if (end == NULL) {
            return malformed ? -1 : 0;
        }
        if (conn->have < 32 || memcmp(conn->data + 8, method, strlen(method)) != 0) {
            return -1;
        }
        static const uint8_t head[] = {0x94, 0x01};
        wire_put(&reply, head, sizeof head);
        wire_put(&reply, conn->data + 2, 5);
        wire_byte(&reply, 0xc0);
        wire_byte(&reply, 0x81);
        mp_string(&reply, "Id", 2);
        wire_put(&reply, mp_id.bytes, mp_id.len);
        return answer(conn, reply.data, reply.len) ? end - conn->data : -1;
    }
    static const uint8_t command[] = {0x8a, 0x02}; /* field 33 */
    if (conn->have < 10) {
        return 0;
    }
    size_t len = 4 + ((size_t)conn->data[0] | (size_t)conn->data[1] << 8);
    if (memcmp(conn->data + 8, command, sizeof command) != 0) {
        return -1;
    }
    if (conn->have < len) {
        return 0;
    }
    wire_le32(&reply, 4 + 3 + 6);
    wire_put(&reply, conn->data + 4, 4);
    wire_put(&reply, command, sizeof command);
    wire_byte(&reply, 6);
    wire_byte(&reply, 2 << 3);
    wire_put(&reply, pb_id.bytes, pb_id.len);
    return answer(conn, reply.data, reply.len) ? (ssize_t)len : -1;
}

static void consume(struct conn *conn, size_t len) {
    conn->have -= len;
    if (conn->have > 0) {
        memmove(conn->data, conn->data + len, conn->have);
    }
}

/* The last byte of a value, before what ends the event on ProtoBuf:1. */
static bool answer_wrongly(const struct limit *limit, const struct conn *conn,
                           const struct step *step) {
    struct wire wrong = step->answer;
    struct wire end = {.len = 0};
    if (limit->protocol == WIRE_PROTOBUF) {
        pb_end(&end, SEQUENCE_FIRST);
    }
    wrong.data[wrong.len - end.len - 1] ^= 1;
    return answer(conn, wrong.data, wrong.len);
}

/* The hot path: whole requests that are there. */
static bool answer_events(struct limit *limit, struct conn *conn) {
    for (;;) {
        struct step *step = &limit->steps[conn->step];
        size_t missing = conn->first && conn->step == 0 ? step->request_len - limit->first_len : 0;
        size_t len = step->request_len - missing;
        if (conn->have < len) {
            return true;
        }
        memcpy(conn->number, conn->data + step->number_at - missing, step->number_len);
        memcpy(step->answer.data + step->answer_number_at, conn->number, step->answer_number_len);
        bool wrong = limit->all_wrong || (limit->until_wrong > 0 && --limit->until_wrong == 0);
        if (!(wrong ? answer_wrongly(limit, conn, step)
                    : answer(conn, step->answer.data, step->answer.len))) {
            return false;
        }
        consume(conn, len);
        conn->first = false;
        conn->step = conn->step + 1 == limit->count ? 0 : conn->step + 1;
    }
}

/* --- A real Kong ------------------------------------------------------------------------------ */

/* The sequence of an RpcCall, and the number of its command; false: it is none. */
static bool look_at_call(const uint8_t *at, const uint8_t *end, uint32_t *sequence,
                         unsigned *command) {
    *sequence = *command = 0;
    while (at != NULL && at < end) {
        uint64_t tag, value;
        at = pb_get_varint(at, end, &tag);
        at = at == NULL ? NULL : pb_get_varint(at, end, &value);
        if (at == NULL || tag >> 3 > 100 || ((tag & 7) != 0 && (tag & 7) != 2) ||
            ((tag & 7) == 2 && value > (size_t)(end - at))) {
            return false;
        }
        if ((tag & 7) == 2) {
            *command = (unsigned)(tag >> 3);
            at += value;
        } else {
            *sequence = (uint32_t)value;
        }
    }
    return at == end;
}

static bool start_for_kong(const struct conn *conn) {
    struct wire reply = {.len = 0};
    struct wire content = {.len = 0};
    wire_byte(&content, 1 << 3);
    wire_varint(&content, conn->sequence);
    wire_byte(&content, 0x8a); /* field 33 */
    wire_byte(&content, 0x02);
    wire_byte(&content, 1 + pb_id.len);
    wire_byte(&content, 2 << 3);
    wire_put(&content, pb_id.bytes, pb_id.len);
    wire_le32(&reply, content.len);
    wire_put(&reply, content.data, content.len);
    return answer(conn, reply.data, reply.len);
}

/* The next step of an event; the last one has the end, with Kong's own number. */
static bool next_step(const struct limit *limit, struct conn *conn) {
    const struct step *step = &limit->steps[conn->step];
    conn->due = step->calls;
    if (++conn->step < limit->count) {
        return answer(conn, step->answer.data, step->answer.len);
    }
    struct wire last, number;
    last.len = number.len = 0;
    wire_put(&last, step->answer.data, step->answer.len - 8); /* without the frame of RpcReturn */
    wire_byte(&number, 1 << 3);
    wire_varint(&number, conn->sequence);
    wire_le32(&last, number.len);
    wire_put(&last, number.data, number.len);
    conn->step = 0;
    return answer(conn, last.data, last.len);
}

static bool answer_kong(const struct limit *limit, struct conn *conn) {
    while (conn->have >= 4) {
        const uint8_t *data = conn->data;
        size_t len = 4 + ((size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16);
        unsigned command;
        bool good;
        if (conn->have < len) {
            return len <= sizeof conn->data;
        }
        if (conn->due > 0) {
            good = --conn->due > 0 || conn->step == 0 || next_step(limit, conn);
        } else if (look_at_call(data + 4, data + len, &conn->sequence, &command)) {
            good = command == 36 ? next_step(limit, conn) : command == 33 && start_for_kong(conn);
        } else {
            good = false;
        }
        if (!good) {
            return false;
        }
        consume(conn, len);
    }
    return true;
}

static bool on_bytes(struct limit *limit, struct conn *conn) {
    if (limit->kong) {
        return answer_kong(limit, conn);
    }
    while (!conn->hot && conn->have > 0) {
        ssize_t used = start_instance(limit, conn);
        if (used == 0) {
            return true;
        }
        if (used < 0) {
            conn->hot = conn->first = true;
        } else {
            consume(conn, (size_t)used);
        }
    }
    return answer_events(limit, conn);
}

static void on_readable(struct limit *limit, struct conn *conn) {
    ssize_t got = recv(conn->fd, conn->data + conn->have, sizeof conn->data - conn->have, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got > 0) {
        conn->have += (size_t)got;
    }
    if (got <= 0 || !on_bytes(limit, conn)) {
        close(conn->fd);
        free(conn);
    }
}

static void on_connection(struct limit *limit) {
    int fd = accept4(limit->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct conn *conn = fd < 0 ? NULL : malloc(sizeof *conn);
    if (conn == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    conn->fd = fd;
    conn->hot = conn->first = false;
    conn->step = conn->have = 0;
    conn->due = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    if (epoll_ctl(limit->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        close(fd);
        free(conn);
    }
}

/* --- The loop --------------------------------------------------------------------------------- */

static bool serve(struct limit *limit, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address.sun_path, path, strlen(path));
    struct epoll_event on_listener = {.events = EPOLLIN, .data.ptr = &limit->listener};
    struct epoll_event on_signal = {.events = EPOLLIN, .data.ptr = &limit->signals};
    limit->epoll = epoll_create1(EPOLL_CLOEXEC);
    limit->signals = signalfd(-1, &ends, SFD_CLOEXEC);
    limit->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return limit->epoll >= 0 && limit->signals >= 0 && limit->listener >= 0 &&
           bind(limit->listener, (const struct sockaddr *)&address, sizeof address) == 0 &&
           listen(limit->listener, 4096) == 0 &&
           epoll_ctl(limit->epoll, EPOLL_CTL_ADD, limit->listener, &on_listener) == 0 &&
           epoll_ctl(limit->epoll, EPOLL_CTL_ADD, limit->signals, &on_signal) == 0;
}

static void loop(struct limit *limit) {
    struct epoll_event events[BATCH];
    for (;;) {
        int count = epoll_wait(limit->epoll, events, BATCH, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &limit->signals) {
                return;
            }
            if (events[i].data.ptr == &limit->listener) {
                on_connection(limit);
            } else {
                on_readable(limit, events[i].data.ptr);
            }
        }
    }
}

int main(int argc, char **argv) {
    char name[32];
    snprintf(name, sizeof name, "%s", argc > 3 ? argv[3] : "set-header");
    size_t len = strlen(name);
    bool together = len > 0 && name[len - 1] == '+';
    name[together ? len - 1 : len] = '\0';
    const struct script *script = script_find(name);
    struct limit *limit = calloc(1, sizeof *limit);
    struct canned *canned = calloc(1, sizeof *canned);
    struct rlimit files;
    if (argc < 3 || argc > 5 || script == NULL || limit == NULL || canned == NULL) {
        fputs("usage: limit_server SOCKET protobuf|kong|msgpack [SCRIPT[+] [N]]\n", stderr);
        free(limit);
        free(canned);
        return 2;
    }
    limit->protocol = strcmp(argv[2], "msgpack") == 0 ? WIRE_MSGPACK : WIRE_PROTOBUF;
    limit->kong = strcmp(argv[2], "kong") == 0;
    limit->until_wrong = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    limit->all_wrong = argc > 4 && limit->until_wrong == 0;
    script_canned(script, limit->protocol, canned);
    if (limit->protocol == WIRE_MSGPACK) {
        prepare_msgpack(limit, canned);
    } else {
        prepare_protobuf(limit, canned, together);
    }
    free(canned);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* nobody forgets it */
    int status = 0;
    if (serve(limit, argv[1])) {
        loop(limit);
        unlink(argv[1]);
    } else {
        fprintf(stderr, "limit_server: %s: %s\n", argv[1], strerror(errno));
        status = 1;
    }
    free(limit);
    return status;
}
