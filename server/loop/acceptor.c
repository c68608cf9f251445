#include "acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

#define RETRY_MS 100
#define HOLD_MS  5
/* The most connections accepted in a row, so that open connections have their turn. */
#define BATCH 64
/* More than a backlog holds. */
#define MOST_WAITING 4096

static void on_ready(uv_poll_t *poll, int status, int events);

static int watch(struct acceptor *acceptor) {
    return acceptor->paused ? 0 : uv_poll_start(&acceptor->poll, UV_READABLE, on_ready);
}

static void on_retry(uv_timer_t *timer) {
    struct acceptor *acceptor = timer->data;
    if (watch(acceptor) != 0) {
        uv_timer_start(timer, on_retry, RETRY_MS, 0);
    }
}

static void rest(struct acceptor *acceptor, uint64_t ms) {
    if (uv_timer_start(&acceptor->retry, on_retry, ms, 0) == 0) {
        uv_poll_stop(&acceptor->poll);
    }
}

/* Out of descriptors or memory: another connection would fail too, so it waits a while. */
static void give_way(struct acceptor *acceptor, int error) {
    uint64_t times;
    if (recurrence_due(&acceptor->failures, clock_ns(), LINE_EVERY_NS, &times)) {
        log_write(acceptor->log, LOG_LEVEL_ERROR,
                  "accept: %s: new connections wait (%llu more failures since the last such line)",
                  strerror(error), (unsigned long long)times - 1);
    }
    rest(acceptor, RETRY_MS);
}

/* 1: one was accepted; 0: nobody waits; or a negative errno. */
static int accept_one(struct acceptor *acceptor) {
    int fd;
    do {
        fd = accept4(acceptor->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
    }
    acceptor->accepted(acceptor, fd);
    return 1;
}

static void on_ready(uv_poll_t *poll, int status, int events) {
    struct acceptor *acceptor = poll->data;
    (void)status; /* accept says what is wrong */
    (void)events;
    for (int i = 0; i < BATCH && acceptor->fd >= 0; i++) {
        if (acceptor->full != NULL && acceptor->full(acceptor)) {
            if (i == 0) { /* else nobody knows yet whether another waits */
                acceptor_pause(acceptor);
                acceptor->waiting(acceptor);
            }
            return;
        }
        if (acceptor->hold != NULL && acceptor->hold(acceptor)) {
            rest(acceptor, HOLD_MS);
            return;
        }
        int rc = accept_one(acceptor);
        if (rc < 0) {
            give_way(acceptor, -rc);
        }
        if (rc <= 0) {
            return;
        }
    }
}

int acceptor_open(struct acceptor *acceptor, uv_loop_t *loop, int fd) {
    acceptor->fd = -1;
    int rc = uv_timer_init(loop, &acceptor->retry);
    if (rc != 0) {
        return rc;
    }
    acceptor->timer_ready = true;
    acceptor->retry.data = acceptor;
    rc = uv_poll_init(loop, &acceptor->poll, fd);
    if (rc != 0) {
        return rc;
    }
    acceptor->poll_ready = true;
    acceptor->poll.data = acceptor;
    rc = watch(acceptor);
    if (rc == 0) {
        acceptor->fd = fd;
    }
    return rc;
}

void acceptor_pause(struct acceptor *acceptor) {
    acceptor->paused = true;
    if (acceptor->poll_ready) {
        uv_poll_stop(&acceptor->poll);
        uv_timer_stop(&acceptor->retry);
    }
}

void acceptor_resume(struct acceptor *acceptor) {
    acceptor->paused = false;
    if (acceptor->fd >= 0) {
        on_retry(&acceptor->retry);
    }
}

int acceptor_move(struct acceptor *acceptor, int fd) {
    int rc = 1;
    for (int i = 0; rc > 0 && i < MOST_WAITING; i++) {
        rc = accept_one(acceptor);
    }
    if (rc < 0) {
        return rc; /* who waits there is not sent away */
    }
    uv_poll_stop(&acceptor->poll);
    /* The same number: what the loop knows of it stays right. */
    rc = dup3(fd, acceptor->fd, O_CLOEXEC) < 0 ? -errno : 0;
    if (rc == 0) {
        close(fd);
    }
    if (watch(acceptor) != 0) { /* `fd` is taken over: the caller must not close it again */
        uv_timer_start(&acceptor->retry, on_retry, RETRY_MS, 0);
    }
    return rc;
}

void acceptor_close(struct acceptor *acceptor) {
    if (acceptor->timer_ready) {
        acceptor->timer_ready = false;
        uv_close((uv_handle_t *)&acceptor->retry, NULL);
    }
    if (acceptor->poll_ready) {
        acceptor->poll_ready = false;
        uv_close((uv_handle_t *)&acceptor->poll, NULL);
    }
    if (acceptor->fd >= 0) {
        close(acceptor->fd);
    }
    acceptor->fd = -1;
}
