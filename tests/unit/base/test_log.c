#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "log_ends.h"

/* The text of a line that must be in the pipe alone; the head of the line is checked. */
static const char *read_text(struct ends ends, const char *level) {
    const char *line = read_now(ends);
    char head[256];
    char year[8];
    time_t now = time(NULL);
    struct tm utc;
    regex_t regex;
    regmatch_t match;

    strftime(year, sizeof year, "%Y-", gmtime_r(&now, &utc));
    snprintf(head, sizeof head,
             "^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z %-6s"
             "api-version\\[%ld\\]: ",
             level, (long)getpid());
    assert_int_equal(regcomp(&regex, head, REG_EXTENDED), 0);
    if (regexec(&regex, line, 1, &match, 0) != 0)
        fail_msg("not the head of a line: %s", line);
    regfree(&regex);
    assert_memory_equal(line, year, 5);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    return line + match.rm_eo;
}

static void test_line(void **state) {
    struct ends ends = open_pipe();
    struct log *log = log_create(ends.writer, LOG_LEVEL_DEBUG, "api-version");

    (void)state;
    log_write(log, LOG_LEVEL_WARN, "%d of %s", 3, "many");
    assert_string_equal(read_text(ends, "warn"), "3 of many\n");
    log_write(log, LOG_LEVEL_DEBUG, "x");
    assert_string_equal(read_text(ends, "debug"), "x\n");
    log_write(log, LOG_LEVEL_INFO, "%s", "");
    assert_string_equal(read_text(ends, "info"), "\n");
    log_write(log, LOG_LEVEL_ERROR, "y");
    assert_string_equal(read_text(ends, "error"), "y\n");
    assert_int_equal(log_dropped(log), 0);
    log_destroy(log);
    close_ends(ends);
}

static void expect_json(struct ends ends, const char *wanted) {
    char pid[64];
    const char *line = read_now(ends);
    snprintf(pid, sizeof pid, "Z\",\"level\":\"warn\",\"plugin\":\"api-version\",\"pid\":%ld,",
             (long)getpid());
    assert_memory_equal(line, "{\"time\":\"2", 10);
    const char *rest = strstr(line, pid);
    assert_non_null(rest);
    assert_string_equal(rest + strlen(pid), wanted);
}

static void test_json(void **state) {
    struct ends ends = open_pipe();
    struct log *log = log_create(ends.writer, LOG_LEVEL_DEBUG, "api-version");
    char text[3000];

    (void)state;
    log_set_format(log, LOG_FORMAT_JSON);
    log_write(log, LOG_LEVEL_WARN, "say \"%s\"\n\\", "\xc3\xbc");
    expect_json(ends, "\"message\":\"say \\\"\xc3\xbc\\\"\\\\x0A\\\\\"}\n");
    log_write_for(log, NULL, LOG_LEVEL_WARN, "a\"b", "x");
    expect_json(ends, "\"request_id\":\"a\\\"b\",\"message\":\"x\"}\n");
    log_write_for(log, NULL, LOG_LEVEL_WARN, NULL, "%s", "");
    expect_json(ends, "\"message\":\"\"}\n");
    /* Cut: it stays JSON, and a line's length. */
    for (int shift = 0; shift < 4; shift++) {
        memset(text, '"', sizeof text);
        memset(text, 'x', (size_t)shift);
        for (size_t i = 1000; i + 2 < sizeof text; i += 2) {
            memcpy(text + i, "\xc3\xbc", 2);
        }
        text[sizeof text - 1] = '\0';
        log_write_for(log, NULL, LOG_LEVEL_WARN, text, "%s", text);
        const char *line = read_now(ends);
        size_t len = strlen(line);
        assert_true(len > 1900 && len <= 2048);
        assert_string_equal(line + len - 6, "...\"}\n");
    }
    log_destroy(log);
    close_ends(ends);
}

static void test_request_id(void **state) {
    struct ends ends = open_pipe();
    struct log *log = log_create(ends.writer, LOG_LEVEL_DEBUG, "api-version");
    char text[3000];

    (void)state;
    log_write_for(log, NULL, LOG_LEVEL_WARN, "1\n2", "x");
    assert_string_equal(read_text(ends, "warn"), "x (request 1\\x0A2)\n");
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    log_write_for(log, NULL, LOG_LEVEL_WARN, "12", "%s", text);
    const char *line = read_now(ends);
    assert_int_equal(strlen(line), 2048);
    assert_string_equal(line + 2048 - 17, "... (request 12)\n");
    log_destroy(log);
    close_ends(ends);
}

static void test_shift(void **state) {
    struct ends ends = open_pipe();
    struct log *log = log_create(ends.writer, LOG_LEVEL_INFO, "api-version");

    (void)state;
    log_shift_level(log, -1);
    assert_string_equal(read_text(ends, "notice "), "log level debug\n");
    log_shift_level(log, -1);
    assert_string_equal(read_text(ends, "notice "), "log level debug\n");
    assert_true(log_enabled(log, LOG_LEVEL_DEBUG));
    for (int i = 0; i < 4; i++) {
        log_shift_level(log, 1);
    }
    read_now(ends);
    assert_false(log_enabled(log, LOG_LEVEL_WARN));
    log_shift_level(log, 1);
    assert_string_equal(read_text(ends, "error"), "log level error\n");
    log_shift_level(NULL, 1);
    log_destroy(log);
    close_ends(ends);
}

/* "notice" fills its column: a space still stands behind it. */
static void test_widest_level(void **state) {
    struct ends ends = open_pipe();
    struct log *log = log_create(ends.writer, LOG_LEVEL_DEBUG, "api-version");

    (void)state;
    log_write(log, LOG_LEVEL_NOTICE, "z");
    assert_string_equal(read_text(ends, "notice "), "z\n");
    log_destroy(log);
    close_ends(ends);
}

static int64_t now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void test_time_is_now(void **state) {
    struct ends ends = open_pipe();
    struct log *log = log_create(ends.writer, LOG_LEVEL_DEBUG, "api-version");

    (void)state;
    setenv("TZ", "EST5", 1);
    tzset();
    for (int i = 0; i < 20; i++) {
        int64_t before = now_ms();
        struct tm utc = {0};
        const char *rest;
        int64_t logged;

        log_write(log, LOG_LEVEL_INFO, "now");
        rest = strptime(read_now(ends), "%Y-%m-%dT%H:%M:%S.", &utc);
        assert_non_null(rest);
        logged = (int64_t)timegm(&utc) * 1000 + strtol(rest, NULL, 10);
        assert_true(before <= logged && logged <= now_ms());
        poll(NULL, 0, 3);
    }
    unsetenv("TZ");
    tzset();
    log_destroy(log);
    close_ends(ends);
}

static void test_levels(void **state) {
    struct ends ends = open_pipe();
    struct log *log = log_create(ends.writer, LOG_LEVEL_WARN, "api-version");

    (void)state;
    log_write(log, LOG_LEVEL_NOTICE, "no");
    assert_string_equal(read_now(ends), "");
    assert_false(log_enabled(log, LOG_LEVEL_NOTICE));
    assert_true(log_enabled(log, LOG_LEVEL_WARN));
    log_set_level(log, LOG_LEVEL_DEBUG);
    assert_true(log_enabled(log, LOG_LEVEL_DEBUG));
    log_write(log, LOG_LEVEL_DEBUG, "yes");
    assert_string_equal(read_text(ends, "debug"), "yes\n");
    log_set_level(log, LOG_LEVEL_ERROR);
    log_write(log, LOG_LEVEL_WARN, "no");
    assert_string_equal(read_now(ends), "");
    assert_int_equal(log_dropped(log), 0);
    log_destroy(log);
    close_ends(ends);
}

static void test_no_log(void **state) {
    (void)state;
    log_write(NULL, LOG_LEVEL_ERROR, "nowhere");
    assert_false(log_enabled(NULL, LOG_LEVEL_ERROR));
    log_destroy(NULL);
}

static void test_level_names(void **state) {
    (void)state;
    for (int i = 0; i < LOG_LEVEL_COUNT; i++)
        assert_non_null(log_level_name((enum log_level)i));
    assert_null(log_level_name(LOG_LEVEL_COUNT));
}

static void test_text_is_escaped(void **state) {
    struct ends ends = open_pipe();
    struct log *log = log_create(ends.writer, LOG_LEVEL_DEBUG, "api-version");

    (void)state;
    log_write(log, LOG_LEVEL_INFO, "one\ntwo\x1b[2J %s \xff.", "\xc3\xbc");
    assert_string_equal(read_text(ends, "info"), "one\\x0Atwo\\x1B[2J \xc3\xbc \\xFF.\n");
    log_destroy(log);
    close_ends(ends);
}

static void test_long_line_is_cut(void **state) {
    struct ends ends = open_pipe();
    struct log *log = log_create(ends.writer, LOG_LEVEL_DEBUG, "api-version");
    char text[3 * LINE_MAX_BYTES] = {0};
    const char *line;
    size_t head, len;

    (void)state;
    log_write(log, LOG_LEVEL_INFO, "%s", "");
    head = strlen(read_now(ends)) - 1;
    for (size_t longer = 0; longer < 6; longer++) {
        /* from the longest that fits on */
        memset(text, 'x', sizeof text);
        text[LINE_MAX_BYTES - 1 - head + longer] = '\0';
        log_write(log, LOG_LEVEL_INFO, "%s", text);
        line = read_text(ends, "info");
        len = head + strlen(line);
        assert_int_equal(len, LINE_MAX_BYTES);
        assert_string_equal(line + strlen(line) - 4, longer == 0 ? "xxx\n" : "...\n");
    }
    for (size_t i = 0; i < sizeof text - 2; i += 2)
        memcpy(text + i, "\xc3\xbc", 3);
    log_write(log, LOG_LEVEL_INFO, "%s", text);
    line = read_text(ends, "info");
    len = head + strlen(line);
    assert_true(len == LINE_MAX_BYTES || len == LINE_MAX_BYTES - 1);
    assert_string_equal(line + strlen(line) - 6, "\xc3\xbc...\n");
    /* four times as long when escaped */
    memset(text, '\n', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_write(log, LOG_LEVEL_INFO, "%s", text);
    line = read_text(ends, "info");
    assert_in_range(head + strlen(line), LINE_MAX_BYTES - 3, LINE_MAX_BYTES);
    assert_string_equal(line + strlen(line) - 8, "\\x0A...\n");
    log_destroy(log);
    close_ends(ends);
}

static void test_errno_is_kept(void **state) {
    int full = open("/dev/full", O_WRONLY);
    struct log *log = log_create(full, LOG_LEVEL_DEBUG, "api-version");

    (void)state;
    assert_true(full >= 0);
    errno = ENOTDIR;
    log_write(log, LOG_LEVEL_INFO, "x");
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(log_dropped(log), 1);
    log_destroy(log);
    close(full);
}

static size_t count_lines(const char *text) {
    size_t n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* What a reader must find who comes too late: the first lines, whole; then how many were lost; then
 * the next. alarm ends the program if a write blocks. */
static void check_full(struct ends ends) {
    struct log *log = log_create(ends.writer, LOG_LEVEL_DEBUG, "api-version");
    int flags = fcntl(ends.writer, F_GETFL);
    size_t written = 0;
    size_t arrived;
    char expected[64];
    const char *text;

    alarm(60);
    while (log_dropped(log) < 100)
        log_write(log, LOG_LEVEL_INFO, "line %zu", written++);
    assert_int_equal(fcntl(ends.writer, F_GETFL), flags);
    text = read_now(ends);
    arrived = count_lines(text);
    assert_int_equal(arrived + 100, written);
    assert_int_equal(text[strlen(text) - 1], '\n');
    assert_null(strstr(text, "lost"));
    log_write(log, LOG_LEVEL_INFO, "again");
    text = read_now(ends);
    assert_int_equal(count_lines(text), 2);
    snprintf(expected, sizeof expected, "warn  api-version[%ld]: 100 lines lost", (long)getpid());
    assert_non_null(strstr(text, expected));
    assert_true(strstr(text, "]: again\n") > strchr(text, '\n'));
    assert_int_equal(log_dropped(log), 100);
    log_write(log, LOG_LEVEL_INFO, "once");
    assert_string_equal(read_text(ends, "info"), "once\n");
    alarm(0);
    log_destroy(log);
}

static void test_full_pipe(void **state) {
    struct ends ends = open_pipe();

    (void)state;
    assert_true(fcntl(ends.writer, F_SETPIPE_SZ, 8192) >= 8192);
    check_full(ends);
    close_ends(ends);
}

/* Another process that has the same pipe fills it between the question for room and the write. */
static bool claims_room;

/* The C library's headers have a poll of their own, in line: this one has the symbol only. */
int poll_in_the_program(struct pollfd *fds, nfds_t count, int timeout) __asm__("poll");

int poll_in_the_program(struct pollfd *fds, nfds_t count, int timeout) {
    if (claims_room && fds[0].events == POLLOUT) {
        fds[0].revents = POLLOUT;
        return 1;
    }
    struct timespec wait = {.tv_sec = timeout / 1000, .tv_nsec = timeout % 1000 * 1000000L};
    return ppoll(fds, count, timeout < 0 ? NULL : &wait, NULL);
}

static void test_pipe_that_others_fill(void **state) {
    struct ends ends = open_pipe();

    (void)state;
    assert_true(fcntl(ends.writer, F_SETPIPE_SZ, 8192) >= 8192);
    claims_room = true;
    check_full(ends);
    claims_room = false;
    close_ends(ends);
}

static void test_full_socket(void **state) {
    int fds[2];
    int size = 4096;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    check_full((struct ends){fds[0], fds[1]});
    close_ends((struct ends){fds[0], fds[1]});
}

/* The default action of SIGPIPE would end the program. */
static void test_nobody_reads(void **state) {
    struct ends ends = open_pipe();
    struct log *log = log_create(ends.writer, LOG_LEVEL_DEBUG, "api-version");
    int fds[2];

    (void)state;
    signal(SIGPIPE, SIG_DFL);
    close(ends.reader);
    for (int i = 0; i < 3; i++)
        log_write(log, LOG_LEVEL_ERROR, "anybody?");
    assert_int_equal(log_dropped(log), 3);
    log_destroy(log);
    close(ends.writer);

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    close(fds[0]);
    log = log_create(fds[1], LOG_LEVEL_DEBUG, "api-version");
    log_write(log, LOG_LEVEL_ERROR, "anybody?");
    assert_int_equal(log_dropped(log), 1);
    log_destroy(log);
    close(fds[1]);
}

static void test_closed_descriptor(void **state) {
    struct ends ends = open_pipe();
    struct log *log = log_create(ends.writer, LOG_LEVEL_DEBUG, "api-version");

    (void)state;
    close_ends(ends);
    log_write(log, LOG_LEVEL_ERROR, "anybody?");
    assert_int_equal(log_dropped(log), 1);
    log_destroy(log);
}

static void test_file(void **state) {
    FILE *file = tmpfile();
    struct log *log = log_create(fileno(file), LOG_LEVEL_DEBUG, "api-version");
    char line[256];

    (void)state;
    log_write(log, LOG_LEVEL_INFO, "one");
    log_write(log, LOG_LEVEL_INFO, "two");
    rewind(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_non_null(strstr(line, "]: one\n"));
    assert_non_null(fgets(line, sizeof line, file));
    assert_non_null(strstr(line, "]: two\n"));
    assert_int_equal(log_dropped(log), 0);
    log_destroy(log);
    fclose(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_request_id),
        cmocka_unit_test(test_shift),
        cmocka_unit_test(test_widest_level),
        cmocka_unit_test(test_time_is_now),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_no_log),
        cmocka_unit_test(test_level_names),
        cmocka_unit_test(test_text_is_escaped),
        cmocka_unit_test(test_long_line_is_cut),
        cmocka_unit_test(test_errno_is_kept),
        cmocka_unit_test(test_full_pipe),
        cmocka_unit_test(test_pipe_that_others_fill),
        cmocka_unit_test(test_full_socket),
        cmocka_unit_test(test_nobody_reads),
        cmocka_unit_test(test_closed_descriptor),
        cmocka_unit_test(test_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
