#include "log.h"

#include "printable.h"

#include <assert.h>
#include <errno.h>
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
#include <time.h>
#include <unistd.h>

#define LINE 2048 /* with the newline */
#define LOST 320  /* the line that says how many were lost */

/* A write of at most PIPE_BUF into a pipe with room is whole and does not block. */
_Static_assert(LINE + LOST <= PIPE_BUF, "both lines go out in one write");

struct log {
    const char *name;
    int fd;
    bool is_socket;
    enum log_format format;
    atomic_int level;
    atomic_uint_fast64_t dropped;
    pthread_mutex_t lock;
    uint64_t unreported; /* of the dropped ones; under the lock */
};

static const char *const names[LOG_LEVEL_COUNT] = {"debug", "info", "notice", "warn", "error"};

struct log *log_create(int fd, enum log_level level, const char *name) {
    struct log *log = calloc(1, sizeof *log);
    struct stat status;

    assert(name && level >= 0 && level < LOG_LEVEL_COUNT);
    if (!log)
        return NULL;
    log->name = name;
    log->fd = fd;
    log->is_socket = fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
    atomic_init(&log->level, (int)level);
    atomic_init(&log->dropped, 0);
    pthread_mutex_init(&log->lock, NULL); /* default attributes: cannot fail on Linux */
    return log;
}

void log_destroy(struct log *log) {
    if (!log)
        return;
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
    log->format = format;
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
              "log level %s", names[level]);
}

uint64_t log_dropped(const struct log *log) {
    return atomic_load(&log->dropped);
}

/* Everything before the text. Shorter than LOST / 2 but for a long name, which is cut. */
static size_t print_head(const struct log *log, enum log_level level, char *out, size_t size) {
    struct timespec now;
    struct tm utc;
    char date[64];
    int n;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    snprintf(date, sizeof date, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
             utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
             (int)(now.tv_nsec / 1000000));
    if (log->format == LOG_FORMAT_JSON)
        n = snprintf(out, size,
                     "{\"time\":\"%s\",\"level\":\"%s\",\"plugin\":\"%.32s\",\"pid\":%ld,", date,
                     names[level], log->name, (long)getpid());
    else
        n = snprintf(out, size, "%s %-5s %.32s[%ld]: ", date, names[level], log->name,
                     (long)getpid());
    assert(n > 0 && (size_t)n < size);
    return (size_t)n;
}

/* A printable text as a JSON string, cut to `size` with its quotes; size >= 8. */
static size_t quote(char *out, size_t size, const char *text) {
    size_t n = 0;

    out[n++] = '"';
    while (*text != '\0') {
        bool escaped = *text == '"' || *text == '\\';
        size_t len = 1; /* of the character: its bytes stay together */
        while ((text[len] & 0xc0) == 0x80)
            len++;
        if (n + len + escaped + sizeof "...\"" - 1 > size) {
            for (int i = 0; i < 3; i++)
                out[n++] = '.';
            break;
        }
        if (escaped)
            out[n++] = '\\';
        memcpy(out + n, text, len);
        n += len;
        text += len;
    }
    out[n++] = '"';
    return n;
}

/* The whole line, with its newline and no NUL. */
static size_t print_line(const struct log *log, enum log_level level, const char *request_id,
                         const char *text, char *out, size_t size) {
    char id[80] = "";
    char tail[96] = "";
    size_t n = print_head(log, level, out, size);

    if (request_id != NULL)
        printable_copy(id, sizeof id, request_id, strlen(request_id));
    if (log->format == LOG_FORMAT_JSON) {
        char plain[LINE];
        printable_copy(plain, sizeof plain, text, strlen(text));
        if (request_id != NULL) {
            n += (size_t)snprintf(out + n, size - n, "\"request_id\":");
            n += quote(out + n, sizeof id * 2, id);
            out[n++] = ',';
        }
        n += (size_t)snprintf(out + n, size - n, "\"message\":");
        n += quote(out + n, size - n - 2, plain);
        out[n++] = '}';
    } else {
        size_t len = 0;
        if (request_id != NULL)
            len = (size_t)snprintf(tail, sizeof tail, " (request %s)", id);
        n += printable_copy(out + n, size - n - len, text, strlen(text));
        memcpy(out + n, tail, len);
        n += len;
    }
    out[n++] = '\n'; /* in the NUL's place */
    return n;
}

static size_t print_lost(const struct log *log, char *out) {
    char text[80];

    snprintf(text, sizeof text, "%llu lines lost: nobody read them in time",
             (unsigned long long)log->unreported);
    return print_line(log, LOG_LEVEL_WARN, NULL, text, out, LOST);
}

/* Whether all of it went out. The descriptor is shared with others, so it stays in the mode that it
 * is in, and is asked for room first: nobody but this process writes to the pipe that Kong gives.
 */
static bool put(const struct log *log, const char *data, size_t len) {
    struct pollfd room = {.fd = log->fd, .events = POLLOUT};
    ssize_t n;

    if (log->is_socket) {
        do
            n = send(log->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n == (ssize_t)len;
    }
    do
        n = poll(&room, 1, 0);
    while (n < 0 && errno == EINTR);
    if (n != 1 || room.revents != POLLOUT) /* full, or nobody will ever read it */
        return false;
    do
        n = write(log->fd, data, len);
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

/* `format` is checked where the callers call. */
static void write_line(struct log *log, enum log_level level, const char *request_id,
                       const char *format, va_list args) __attribute__((format(printf, 4, 0)));

static void write_line(struct log *log, enum log_level level, const char *request_id,
                       const char *format, va_list args) {
    int saved = errno; /* callers log between a failure and its strerror */
    char text[LINE];
    char buffer[LOST + LINE];
    char *line = buffer + LOST;

    if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    put_line(log, line, print_line(log, level, request_id, text, line, LINE));
    errno = saved;
}

void log_write(struct log *log, enum log_level level, const char *format, ...) {
    va_list args;

    if (!log_enabled(log, level))
        return;
    va_start(args, format);
    write_line(log, level, NULL, format, args);
    va_end(args);
}

void log_write_for(struct log *log, enum log_level level, const char *request_id,
                   const char *format, ...) {
    va_list args;

    if (!log_enabled(log, level))
        return;
    va_start(args, format);
    write_line(log, level, request_id, format, args);
    va_end(args);
}

int log_level_parse(const char *text) {
    for (int i = 0; i < LOG_LEVEL_COUNT; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    return -1;
}

const char *log_level_name(enum log_level level) {
    return (unsigned)level < LOG_LEVEL_COUNT ? names[level] : NULL;
}
