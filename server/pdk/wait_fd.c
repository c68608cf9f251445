/* A handler that waits for a descriptor, on the loop's own poller. */
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#define ALL ((unsigned)KONG_READABLE | KONG_WRITABLE)

struct fd_wait {
    struct wait wait;
    uv_poll_t poll;
    bool polling; /* the handle is open */
    unsigned wanted, ready;
};

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct fd_wait *wait = poll->data;
    if (status != 0) { /* the descriptor has an error, which the next read or write reports */
        wait->ready = wait->wanted;
    } else {
        wait->ready = ((events & UV_READABLE) != 0 ? (unsigned)KONG_READABLE : 0) |
                      ((events & UV_WRITABLE) != 0 ? (unsigned)KONG_WRITABLE : 0);
        wait->ready &= wait->wanted;
    }
    wait_end(&wait->wait);
}

static void leave(struct wait *wait) {
    struct fd_wait *of = (struct fd_wait *)wait;
    if (of->polling) {
        wait_close(wait, (uv_handle_t *)&of->poll, wait_on_closed);
    }
}

/* What is ready now. */
static unsigned look(int fd, unsigned wanted) {
    struct pollfd poll_fd = {.fd = fd,
                             .events = (short)(((wanted & KONG_READABLE) != 0 ? POLLIN : 0) |
                                               ((wanted & KONG_WRITABLE) != 0 ? POLLOUT : 0))};
    if (poll(&poll_fd, 1, 0) != 1) {
        return 0;
    }
    if ((poll_fd.revents & (POLLERR | POLLHUP)) != 0) {
        return wanted;
    }
    return wanted & (((poll_fd.revents & POLLIN) != 0 ? (unsigned)KONG_READABLE : 0) |
                     ((poll_fd.revents & POLLOUT) != 0 ? (unsigned)KONG_WRITABLE : 0));
}

static int refuse(struct event *event, int fd, const char *why) {
    return event_fail(event, KONG_E_INVALID,
                      arena_printf(&event->arena, "descriptor %d: %s", fd, why));
}

static int check(struct event *event, int fd, unsigned wanted) {
    struct stat what;
    if (wanted == 0 || (wanted & ~ALL) != 0) {
        return event_fail(event, KONG_E_INVALID,
                          kong_str("wait for KONG_READABLE, KONG_WRITABLE, or both"));
    }
    if (fstat(fd, &what) != 0) {
        return refuse(event, fd, errno == EBADF ? "it is not open" : uv_strerror(-errno));
    }
    if (S_ISREG(what.st_mode) || S_ISDIR(what.st_mode)) {
        return refuse(event, fd,
                      "a file is always ready: read it in kong_run_blocking, where it may block");
    }
    return KONG_OK;
}

/* The poller's view of it. */
static int refuse_poll(struct event *event, int fd, int rc) {
    if (rc == UV_EEXIST) {
        return refuse(event, fd, "a handler of this thread waits for it already");
    }
    if (rc == UV_EPERM) {
        return refuse(event, fd, "of a kind that cannot be waited for");
    }
    return event_fail(event, KONG_E_IO, kong_str(uv_strerror(rc)));
}

static int start(struct fd_wait *wait, int fd) {
    int rc = uv_poll_init(wait->wait.loop, &wait->poll, fd);
    if (rc == 0) {
        wait->polling = true;
        wait->poll.data = wait;
        rc = uv_poll_start(&wait->poll,
                           ((wait->wanted & KONG_READABLE) != 0 ? UV_READABLE : 0) |
                               ((wait->wanted & KONG_WRITABLE) != 0 ? UV_WRITABLE : 0),
                           on_poll);
    }
    return rc;
}

static int park(struct fd_wait *wait, struct kong *kong, int fd, uint64_t timeout_ms) {
    int rc = wait_begin(&wait->wait, kong, timeout_ms);
    int refused = 0;
    if (rc != 0) {
        return rc;
    }
    if (!wait->wait.ending && (refused = start(wait, fd)) != 0) {
        wait_end(&wait->wait);
    }
    rc = wait_park(&wait->wait);
    return refused == 0 ? rc : refuse_poll(wait->wait.event, fd, refused);
}

int kong_wait_fd(struct kong *kong, int fd, unsigned wanted, uint64_t timeout_ms, unsigned *ready) {
    struct event *event = pdk_event(kong);
    struct fd_wait wait = {.wait.leave = leave, .wanted = wanted};
    *ready = 0;
    int rc = event_call_error(event);
    if (rc != 0) {
        return event_fail(event, rc, (struct kong_str){NULL, 0});
    }
    rc = check(event, fd, wanted);
    if (rc != 0) {
        return rc;
    }
    if (timeout_ms == 0) {
        *ready = look(fd, wanted);
        return KONG_OK;
    }
    rc = park(&wait, kong, fd, timeout_ms);
    if (rc == KONG_OK) {
        /* the loop may have been so busy that the time-out came before the descriptor's event */
        *ready = wait.ready != 0 ? wait.ready : look(fd, wanted);
    }
    return rc;
}
