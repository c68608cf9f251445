/* A pipe that a log writes to. Include behind <cmocka.h>. */
#ifndef TESTS_UNIT_LOG_ENDS_H
#define TESTS_UNIT_LOG_ENDS_H

#include <poll.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

/* Both ends of what stderr would be. */
struct ends {
    int reader;
    int writer;
};

static inline struct ends open_pipe(void) {
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    return (struct ends){fds[0], fds[1]};
}

static inline void close_ends(struct ends ends) {
    close(ends.reader);
    close(ends.writer);
}

/* What is in the pipe now, as a string that lives until the next call. */
static inline const char *read_now(struct ends ends) {
    static char text[1 << 20];
    size_t len = 0;
    struct pollfd ready = {.fd = ends.reader, .events = POLLIN};

    while (poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN)) {
        ssize_t n = read(ends.reader, text + len, sizeof text - 1 - len);

        assert_true(n > 0);
        len += (size_t)n;
    }
    text[len] = '\0';
    return text;
}

#endif
