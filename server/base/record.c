#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "printable.h"

/* Bytes of a line at most, before they become hex. */
#define LINE_BYTES ((size_t)4096)

/* In memory that processes share: a supervisor's children go on counting. */
struct record {
    struct log *log;
    int fd;
    size_t max_bytes;
    atomic_size_t bytes;
    _Atomic unsigned last; /* connection */
    atomic_bool failed;
};

static int refuse(const char *path, const char *reason, char *error, size_t error_size) {
    return printable_error(error, error_size, "cannot record to %.256s: %s", path, reason);
}

/* A new file in the place of the old one. A process that still records to the old one keeps it. */
static int open_file(const char *path, char *error, size_t error_size) {
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOCTTY | O_CLOEXEC;
    struct stat about;
    int fd = open(path, flags, 0600);
    if (fd < 0 && errno == EEXIST && lstat(path, &about) == 0) {
        if (!S_ISREG(about.st_mode)) {
            return refuse(path, "it is there and no file", error, error_size);
        }
        if (unlink(path) == 0) {
            fd = open(path, flags, 0600);
        }
    }
    return fd >= 0 ? fd : refuse(path, strerror(errno), error, error_size);
}

struct record *record_open(const char *path, size_t max_bytes, struct log *log, char *error,
                           size_t error_size) {
    int fd = open_file(path, error, error_size);
    if (fd < 0) {
        return NULL;
    }
    struct record *record =
        mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (record == MAP_FAILED) {
        refuse(path, strerror(errno), error, error_size);
        close(fd);
        return NULL;
    }
    record->log = log;
    record->fd = fd;
    record->max_bytes = max_bytes;
    atomic_init(&record->bytes, 0);
    atomic_init(&record->last, 0);
    atomic_init(&record->failed, false);
    signal(SIGXFSZ, SIG_IGN);
    return record;
}

void record_close(struct record *record) {
    if (record != NULL) {
        close(record->fd);
        munmap(record, sizeof *record);
    }
}

static void end_recording(struct record *record, const char *why) {
    if (!atomic_exchange(&record->failed, true)) {
        log_write(record->log, LOG_LEVEL_WARN, "the recording ends: %s", why);
    }
}

static void write_line(struct record *record, const char *line, size_t len) {
    ssize_t written = 0;
    if (atomic_load(&record->failed)) {
        return;
    }
    if (atomic_fetch_add(&record->bytes, len) + len > record->max_bytes) {
        end_recording(record, "the file is as large as it may be (--record-size)");
        return;
    }
    for (size_t done = 0; done < len; done += (size_t)written) {
        do {
            written = write(record->fd, line + done, len - done);
        } while (written < 0 && errno == EINTR);
        if (written <= 0) {
            end_recording(record, strerror(written < 0 ? errno : EIO));
            return;
        }
    }
}

void record_scene(struct record *record, const char *text) {
    char line[512] = "== ";
    if (record != NULL) {
        size_t len = 3 + printable_copy(line + 3, sizeof line - 4, text, strlen(text));
        line[len++] = '\n';
        write_line(record, line, len);
    }
}

static void write_state(struct record *record, unsigned connection, const char *state) {
    char line[64];
    int len = snprintf(line, sizeof line, "%u %s\n", connection, state);
    write_line(record, line, (size_t)len);
}

unsigned record_connection(struct record *record) {
    if (record == NULL) {
        return 0;
    }
    unsigned connection = atomic_fetch_add(&record->last, 1) + 1;
    write_state(record, connection, "open");
    return connection;
}

void record_connection_end(struct record *record, unsigned connection) {
    if (record != NULL) {
        write_state(record, connection, "close");
    }
}

void record_write_bytes(struct record *record, unsigned connection, char direction,
                        const void *data, size_t len) {
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    char line[32 + 2 * LINE_BYTES];
    while (len > 0) {
        size_t count = len < LINE_BYTES ? len : LINE_BYTES;
        size_t used = (size_t)snprintf(line, 32, "%u %c ", connection, direction);
        for (size_t i = 0; i < count; i++) {
            line[used++] = digits[bytes[i] >> 4];
            line[used++] = digits[bytes[i] & 15];
        }
        line[used++] = '\n';
        write_line(record, line, used);
        bytes += count;
        len -= count;
    }
}
