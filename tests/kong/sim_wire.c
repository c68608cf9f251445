#include "sim_wire.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "limit.h"

void wire_init(struct wire *wire, int fd, enum protocol protocol, int timeout_ms) {
    *wire = (struct wire){.fd = fd, .timeout_ms = timeout_ms};
    buffer_init(&wire->in, LIMIT_FRAME * 2);
    buffer_init(&wire->held, LIMIT_FRAME * 2);
    frame_reader_init(&wire->reader, protocol, LIMIT_FRAME);
}

void wire_close(struct wire *wire) {
    if (wire->fd >= 0) {
        close(wire->fd);
        wire->fd = -1;
    }
    buffer_free(&wire->in);
    buffer_free(&wire->held);
    wire->consumed = 0;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum wire_status await(const struct wire *wire, short events, int64_t deadline) {
    for (;;) {
        int64_t left = deadline - now_ms();
        struct pollfd poll_fd = {.fd = wire->fd, .events = events};
        int ready = poll(&poll_fd, 1, left < 0 ? 0 : (int)left);
        if (ready > 0) {
            return WIRE_OK;
        }
        if (ready == 0) {
            return WIRE_TIMEOUT;
        }
        if (errno != EINTR) {
            return WIRE_CLOSED;
        }
    }
}

static enum wire_status write_all(struct wire *wire, const uint8_t *data, size_t len) {
    int64_t deadline = now_ms() + wire->timeout_ms;
    while (len > 0) {
        size_t part = wire->chunk != 0 && wire->chunk < len ? wire->chunk : len;
        ssize_t n = send(wire->fd, data, part, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            enum wire_status status = await(wire, POLLOUT, deadline);
            if (status != WIRE_OK) {
                return status;
            }
        } else if (n < 0 && errno != EINTR) {
            wire->error = errno;
            return WIRE_CLOSED;
        } else if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return WIRE_OK;
}

enum wire_status wire_count(struct wire *wire) {
    if (wire->countdown != NULL && *wire->countdown > 0 && --*wire->countdown == 0) {
        wire_close(wire);
        return WIRE_DROPPED;
    }
    return WIRE_OK;
}

enum wire_status wire_hold(struct wire *wire, const void *data, size_t len) {
    if (wire->fd < 0) {
        return WIRE_CLOSED;
    }
    buffer_append(&wire->held, data, len);
    return wire->held.failed ? WIRE_NOMEM : WIRE_OK;
}

enum wire_status wire_flush(struct wire *wire) {
    if (wire->fd < 0) {
        return WIRE_CLOSED;
    }
    enum wire_status status = write_all(wire, wire->held.data, wire->held.len);
    buffer_clear(&wire->held, 65536);
    return status;
}

enum wire_status wire_write(struct wire *wire, const void *data, size_t len) {
    enum wire_status status = WIRE_OK;
    bool last = wire->countdown != NULL && *wire->countdown == 1;
    if (wire->fd < 0) {
        return WIRE_CLOSED;
    }
    if (last && !wire->drop_half) {
        return wire_count(wire);
    }
    if (wire->held.len > 0) {
        /* In one write: the test wants what was held joined with what comes now. */
        status = wire_hold(wire, data, last ? len / 2 : len);
        status = status == WIRE_OK ? wire_flush(wire) : status;
    } else {
        status = write_all(wire, data, last ? len / 2 : len);
    }
    return status == WIRE_OK ? wire_count(wire) : status;
}

/* At most what there is; blocks until there is something. */
static enum wire_status read_more(struct wire *wire, int64_t deadline) {
    if (!buffer_reserve(&wire->in, 65536)) {
        return WIRE_NOMEM;
    }
    for (;;) {
        ssize_t n = recv(wire->fd, wire->in.data + wire->in.len, 65536, MSG_DONTWAIT);
        if (n > 0) {
            wire->in.len += (size_t)n;
            wire->reads++;
            return WIRE_OK;
        }
        if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
            wire->error = n == 0 ? 0 : errno;
            return WIRE_CLOSED;
        }
        enum wire_status status = await(wire, POLLIN, deadline);
        if (status != WIRE_OK) {
            return status;
        }
    }
}

enum wire_status wire_read(struct wire *wire, struct frame *frame) {
    int64_t deadline = now_ms() + wire->timeout_ms;
    size_t missing = 0;
    if (wire->fd < 0) {
        return WIRE_CLOSED;
    }
    buffer_consume(&wire->in, wire->consumed);
    wire->consumed = 0;
    for (;;) {
        int result = frame_next(&wire->reader, wire->in.data, wire->in.len, LIMIT_FRAME, frame,
                                &missing, &wire->reason);
        if (result < 0) {
            return WIRE_BROKEN;
        }
        if (result > 0) {
            wire->consumed = frame->total;
            wire->messages++;
            return wire_count(wire);
        }
        enum wire_status status = read_more(wire, deadline);
        if (status != WIRE_OK) {
            return status;
        }
    }
}

bool wire_ready(struct wire *wire, int wait_ms) {
    if (wire->fd < 0) {
        return false;
    }
    return wire->in.len > wire->consumed || await(wire, POLLIN, now_ms() + wait_ms) == WIRE_OK;
}
