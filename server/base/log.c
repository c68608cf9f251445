#include "log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log_file.h"
#include "log_line.h"

#define LOST 320 /* the line that says how many were lost */

/* A write of at most PIPE_BUF into a pipe with room is whole and does not block. */
_Static_assert(LOG_LINE_BYTES + LOST <= PIPE_BUF, "both lines go out in one write");

struct log {
    struct log_style style;
    int fd;
    const char *path; /* of the file that log_use_file put there; NULL: there is none */
    bool is_socket;
    int own_fd; /* the same pipe, in a mode of our own: never blocking. -1: none */
    atomic_int level;
    atomic_uint_fast64_t dropped;
    pthread_mutex_t lock;
    uint64_t unreported; /* of the dropped ones; under the lock */
};

/* Another description of the same pipe, which never blocks. The one that we are given is shared
 * with others (a supervisor and its child, Kong's other servers), so its mode is not ours to
 * change; and between the question whether it has room and the write others may fill it. -1: there
 * is no /proc, or no right to it. */
static int open_again(int fd) {
    char path[32];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* What fd is now. */
static void look_at_fd(struct log *log) {
    struct stat status;
    bool known = fstat(log->fd, &status) == 0;

    if (log->own_fd >= 0)
        close(log->own_fd);
    log->is_socket = known && S_ISSOCK(status.st_mode);
    log->own_fd = known && S_ISFIFO(status.st_mode) ? open_again(log->fd) : -1;
}

struct log *log_create(int fd, enum log_level level, const char *name) {
    struct log *log = calloc(1, sizeof *log);

    assert(name && level >= 0 && level < LOG_LEVEL_COUNT);
    if (!log)
        return NULL;
    log->style.name = name;
    log->fd = fd;
    log->own_fd = -1;
    log->style.journal = log_file_is_journal(fd);
    look_at_fd(log);
    atomic_init(&log->level, (int)level);
    atomic_init(&log->dropped, 0);
    pthread_mutex_init(&log->lock, NULL); /* default attributes: cannot fail on Linux */
    return log;
}

void log_destroy(struct log *log) {
    if (!log)
        return;
    if (log->own_fd >= 0)
        close(log->own_fd);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

bool log_enabled(const struct log *log, enum log_level level) {
    return log && (int)level >= atomic_load_explicit(&log->level, memory_order_relaxed);
}

void log_set_level(struct log *log, enum log_level level) {
    atomic_store_explicit(&log->level, (int)level, memory_order_relaxed);
}

void log_set_format(struct log *log, enum log_format format) {
    log->style.format = format;
}

static int open_file(struct log *log, const char *path) {
    pthread_mutex_lock(&log->lock);
    int error = log_file_open(path, log->fd);

    if (error == 0)
        look_at_fd(log);
    pthread_mutex_unlock(&log->lock);
    return error;
}

int log_use_file(struct log *log, const char *path) {
    int error = open_file(log, path);

    if (error == 0) {
        log->path = path;
        log->style.journal = false;
    }
    return error;
}

bool log_has_file(const struct log *log) {
    return log && log->path;
}

void log_reopen(struct log *log) {
    if (!log_has_file(log))
        return;
    int error = open_file(log, log->path);

    if (error == 0)
        log_write(log, LOG_LEVEL_INFO, "opened %s again", log->path);
    else
        log_write(log, LOG_LEVEL_ERROR,
                  "cannot open %s again: %s; lines go to the old file until a SIGHUP can open it",
                  log->path, strerror(error));
}

void log_shift_level(struct log *log, int steps) {
    if (!log)
        return;
    int level = atomic_load(&log->level) + steps;
    level = level < LOG_LEVEL_DEBUG   ? LOG_LEVEL_DEBUG
            : level > LOG_LEVEL_ERROR ? LOG_LEVEL_ERROR
                                      : level;
    log_set_level(log, (enum log_level)level);
    log_write(log, level > LOG_LEVEL_NOTICE ? (enum log_level)level : LOG_LEVEL_NOTICE,
              "log level %s", log_level_name((enum log_level)level));
}

uint64_t log_dropped(const struct log *log) {
    return atomic_load(&log->dropped);
}

static size_t print_lost(const struct log *log, char *out) {
    char text[80];

    snprintf(text, sizeof text, "%llu lines lost: nobody read them in time",
             (unsigned long long)log->unreported);
    return log_line_print(&log->style, NULL, LOG_LEVEL_WARN, NULL, text, out, LOST);
}

static bool has_room(int fd) {
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    int n;

    do
        n = poll(&room, 1, 0);
    while (n < 0 && errno == EINTR);
    return n == 1 &&
           room.revents == POLLOUT; /* otherwise the pipe is full, or its reader has gone */
}

/* Whether all of it went out. Other threads wait for the lock meanwhile, so this must not block. A
 * terminal, which has no mode of our own, is asked for room first; a pipe too, so that no SIGPIPE
 * comes where nobody reads. */
static bool put(const struct log *log, const char *data, size_t len) {
    int fd = log->own_fd >= 0 ? log->own_fd : log->fd;
    ssize_t n;

    if (!log->is_socket && !has_room(fd))
        return false;
    do
        n = log->is_socket ? send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL)
                           : write(fd, data, len);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)len;
}

/* `line` has LOST free bytes in front of it. */
static void put_line(struct log *log, char *line, size_t len) {
    pthread_mutex_lock(&log->lock);
    if (log->unreported > 0) {
        char lost[LOST];
        size_t n = print_lost(log, lost);

        line -= n;
        len += n;
        memcpy(line, lost, n);
    }
    if (put(log, line, len)) {
        log->unreported = 0;
    } else {
        log->unreported++;
        atomic_fetch_add(&log->dropped, 1);
    }
    pthread_mutex_unlock(&log->lock);
}

void log_write_for(struct log *log, const char *plugin, enum log_level level,
                   const char *request_id, const char *format, ...) {
    int saved = errno; /* callers log between a failure and its strerror */
    char text[LOG_LINE_BYTES];
    char buffer[LOST + LOG_LINE_BYTES];
    char *line = buffer + LOST;
    va_list args;

    if (!log_enabled(log, level))
        return;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    va_end(args);
    put_line(log, line,
             log_line_print(&log->style, plugin, level, request_id, text, line, LOG_LINE_BYTES));
    errno = saved;
}
