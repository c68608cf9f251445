#include "ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "limit.h"
#include "msgpack_rpc.h"
#include "protobuf_rpc.h"

#define READ_SIZE ((size_t)16 << 10)

static int fail(struct ask *ask, const char *what, const char *why) {
    snprintf(ask->error, sizeof ask->error, "%s%s%s", what, why[0] != '\0' ? ": " : "", why);
    return -1;
}

/* A connection refused by a full backlog, or an answer that does not come. */
static int fail_io(struct ask *ask, const char *what) {
    ask->dropped = !ask->answered && (errno == EPIPE || errno == ECONNRESET);
    bool late = errno == EAGAIN || errno == EWOULDBLOCK;
    return fail(ask, what, late ? "no answer in time" : strerror(errno));
}

/* Waits for the socket until the conversation's time is over: a byte now and then does not win more
 * of it. */
static int wait_until_ready(struct ask *ask, short events, const char *what) {
    struct pollfd ready = {.fd = ask->fd, .events = events};
    int rc;
    do {
        int64_t left = ask->deadline_ms - (int64_t)clock_ms();
        rc = left > 0 ? poll(&ready, 1, (int)left) : 0;
    } while (rc < 0 && errno == EINTR);
    if (rc == 0) {
        errno = EAGAIN;
    }
    return rc > 0 ? 0 : fail_io(ask, what);
}

int ask_open(struct ask *ask, const char *path, enum protocol protocol, int timeout_ms) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval timeout = {.tv_sec = timeout_ms / 1000,
                              .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000};
    *ask = (struct ask){
        .fd = -1, .protocol = protocol, .deadline_ms = (int64_t)clock_ms() + timeout_ms};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return fail(ask, "connect", strerror(errno));
    }
    memcpy(address.sun_path, path, strlen(path));
    ask->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (ask->fd < 0) {
        return fail_io(ask, "socket");
    }
    /* connect waits where the backlog is full */
    setsockopt(ask->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    if (connect(ask->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        fail_io(ask, "connect");
        close(ask->fd);
        ask->fd = -1;
        errno = error;
        return -1;
    }
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(ask->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0) {
        ask->peer = peer.pid;
    }
    buffer_init(&ask->in, LIMIT_FRAME + READ_SIZE);
    frame_reader_init(&ask->reader, protocol, LIMIT_FRAME);
    return 0;
}

void ask_close(struct ask *ask) {
    if (ask->fd >= 0) {
        close(ask->fd);
        ask->fd = -1;
        buffer_free(&ask->in);
    }
}

int ask_send(struct ask *ask, const struct buffer *message) {
    size_t sent = 0;
    if (message->failed) {
        return fail(ask, "out of memory", "");
    }
    while (sent < message->len) {
        if (wait_until_ready(ask, POLLOUT, "write") != 0) {
            return -1;
        }
        ssize_t n =
            send(ask->fd, message->data + sent, message->len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (n < 0) {
            return fail_io(ask, "write");
        }
        sent += (size_t)n;
    }
    return 0;
}

static int read_more(struct ask *ask) {
    if (!buffer_reserve(&ask->in, READ_SIZE)) {
        return fail(ask, "out of memory", "");
    }
    ssize_t n;
    do {
        if (wait_until_ready(ask, POLLIN, "read") != 0) {
            return -1;
        }
        n = recv(ask->fd, ask->in.data + ask->in.len, READ_SIZE, MSG_DONTWAIT);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n < 0) {
        return fail_io(ask, "read");
    }
    if (n == 0) {
        ask->dropped = !ask->answered;
        return fail(ask, "the server closed the connection", "");
    }
    ask->answered = true;
    ask->in.len += (size_t)n;
    return 0;
}

int ask_next(struct ask *ask, struct frame *frame) {
    struct codec_reason reason;
    size_t missing;
    buffer_consume(&ask->in, ask->used);
    ask->used = 0;
    for (;;) {
        int rc = frame_next(&ask->reader, ask->in.data, ask->in.len, LIMIT_FRAME, frame, &missing,
                            &reason);
        if (rc < 0) {
            return fail(ask, "no answer of a plugin server", reason.text);
        }
        if (rc > 0) {
            ask->used = frame->total;
            return 0;
        }
        if (read_more(ask) != 0) {
            return -1;
        }
    }
}

int ask_send_call(struct ask *ask, struct rpc_call *call) {
    struct buffer out;
    buffer_init(&out, LIMIT_FRAME);
    call->sequence = ++ask->sequence;
    int rc = ask->protocol == PROTOCOL_PROTOBUF ? protobuf_encode_call(&out, call)
                                                : msgpack_encode_call(&out, call);
    rc = rc != 0 ? fail(ask, "call", codec_strerror(rc)) : ask_send(ask, &out);
    buffer_free(&out);
    return rc;
}

int ask_call(struct ask *ask, struct rpc_call *call, struct arena *arena, struct rpc_reply *reply) {
    struct frame frame;
    int64_t pid;
    if (ask_send_call(ask, call) != 0) {
        return -1;
    }
    do {
        if (ask_next(ask, &frame) != 0) {
            return -1;
        }
    } while (ask->protocol == PROTOCOL_MSGPACK &&
             msgpack_decode_server_pid(frame.data, frame.len, &pid));
    int rc = ask->protocol == PROTOCOL_PROTOBUF
                 ? protobuf_decode_reply(arena, frame.data, frame.len, reply)
                 : msgpack_decode_reply(arena, frame.data, frame.len, call->command, reply);
    if (rc != 0) {
        return fail(ask, "answer", codec_strerror(rc));
    }
    return reply->sequence == call->sequence ? 0 : fail(ask, "an answer to another call", "");
}
