/* Lines of plugins in the server's log, and where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kong_log.h"
#include "process_log.h"

static int ends[2];

static int make_pipe(void **state) {
    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    return 0;
}

static int close_pipe(void **state) {
    (void)state;
    process_log_set(NULL);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static const char *written(void) {
    static char text[16384];
    ssize_t len = read(ends[0], text, sizeof text - 1);
    text[len < 0 ? 0 : len] = '\0';
    return text;
}

static void test_levels(void **state) {
    static const struct {
        enum kong_log_level level;
        const char *shown; /* NULL: below the log's level */
    } levels[] = {
        {KONG_LOG_DEBUG, NULL},  {KONG_LOG_INFO, NULL},     {KONG_LOG_NOTICE, "notice"},
        {KONG_LOG_WARN, "warn"}, {KONG_LOG_ERROR, "error"}, {(enum kong_log_level)77, "error"},
    };
    (void)state;
    struct log *log = log_create(ends[1], LOG_LEVEL_NOTICE, "mine");
    process_log_set(log);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        kong_process_log(levels[i].level, "batch %d\n[error] forged", 7);
        const char *line = written();
        if (levels[i].shown == NULL) {
            assert_string_equal(line, "");
        } else {
            assert_non_null(strstr(line, levels[i].shown));
            assert_non_null(strstr(line, ": batch 7\\x0A[error] forged\n"));
        }
    }
    log_destroy(log);
}

static void test_json(void **state) {
    (void)state;
    struct log *log = log_create(ends[1], LOG_LEVEL_INFO, "mine");
    log_set_format(log, LOG_FORMAT_JSON);
    process_log_set(log);
    kong_process_log(KONG_LOG_INFO, "%s", "a \"quoted\" word");
    const char *line = written();
    assert_int_equal(line[0], '{');
    assert_non_null(strstr(line, "\"level\":\"info\""));
    assert_non_null(strstr(line, "a \\\"quoted\\\" word"));
    log_destroy(log);
}

/* To stderr, as it is, in one line. */
static void test_without_a_log(void **state) {
    int saved = dup(STDERR_FILENO);
    (void)state;
    process_log_set(NULL);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    kong_process_log(KONG_LOG_DEBUG, "%s", "two\nlines");
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    assert_string_equal(written(), "debug: two\\x0Alines\n");
}

static void *write_lines(void *arg) {
    for (int i = 0; i < 20; i++) {
        kong_process_log(KONG_LOG_WARN, "thread %d", *(int *)arg);
    }
    return NULL;
}

/* Whole lines, from several threads. */
static void test_threads(void **state) {
    static int numbers[] = {1, 2, 3};
    pthread_t threads[3];
    size_t lines = 0;
    (void)state;
    struct log *log = log_create(ends[1], LOG_LEVEL_INFO, "mine");
    process_log_set(log);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (const char *at = written(); (at = strstr(at, ": thread ")) != NULL; at++) {
        assert_int_equal(at[10], '\n');
        lines++;
    }
    assert_int_equal(lines, 60);
    log_destroy(log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_levels, make_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_json, make_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_without_a_log, make_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_threads, make_pipe, close_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
