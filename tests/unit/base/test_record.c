#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record.h"
#include "scratch.h"
#include "trace.h"

/* A directory of the test's own, with the path of a file in it. */
static char directory[SCRATCH_PATH];
static char path[64];

static int set_up(void **state) {
    (void)state;
    if (!scratch_make(directory)) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/trace", directory);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    return scratch_remove_empty(directory) ? 0 : -1;
}

static struct record *opened(struct log *log) {
    char error[256];
    struct record *record = record_open(path, SIZE_MAX, log, error, sizeof error);
    if (record == NULL) {
        fail_msg("%s", error);
    }
    return record;
}

static void read_all(const char *name, char *text, size_t size) {
    FILE *file = fopen(name, "r");
    assert_non_null(file);
    size_t len = fread(text, 1, size - 1, file);
    text[len] = '\0';
    fclose(file);
}

static void lines(void **state) {
    char text[1024];
    struct record *record = opened(NULL);
    (void)state;
    record_scene(record, "api-version 0.1\nx");
    assert_int_equal(record_connection(record), 1);
    assert_int_equal(record_connection(record), 2);
    record_bytes(record, 1, '>', "\0\x01\xfe\xff", 4);
    record_bytes(record, 2, '<', "az", 2);
    record_bytes(record, 2, '<', "", 0);
    record_connection_end(record, 2);
    read_all(path, text, sizeof text); /* before it is closed: a line is written at once */
    assert_string_equal(text, "== api-version 0.1\\x0Ax\n"
                              "1 open\n2 open\n1 > 0001feff\n2 < 617a\n2 close\n");
    record_close(record);
}

/* The tests' reader takes it, and joins what was cut. */
static void long_data(void **state) {
    static uint8_t data[10000];
    struct trace trace;
    size_t len = 0;
    struct record *record = opened(NULL);
    (void)state;
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 7 % 251);
    }
    record_connection(record);
    record_bytes(record, 1, '>', data, sizeof data);
    record_close(record);
    setenv("TRACES", directory, 1);
    assert_true(trace_read(&trace, "trace"));
    unsetenv("TRACES");
    assert_int_equal(trace.count, 1 + 3);
    uint8_t *stream = trace_stream(&trace, 1, TRACE_KONG, &len);
    assert_int_equal(len, sizeof data);
    assert_memory_equal(stream, data, len);
    free(stream);
    trace_free(&trace);
}

static void nobody_records(void **state) {
    (void)state;
    assert_int_equal(record_connection(NULL), 0);
    record_scene(NULL, "x");
    record_bytes(NULL, 0, '>', "x", 1);
    record_connection_end(NULL, 0);
    record_close(NULL);
}

/* For its owner alone, whatever the old one was; who still writes to that goes on there. */
static void in_the_place_of_another(void **state) {
    char text[64];
    char other[80];
    struct stat about;
    mode_t mask = umask(0);
    (void)state;
    snprintf(other, sizeof other, "%s/other", directory);
    struct record *old = opened(NULL);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(link(path, other), 0);
    struct record *record = opened(NULL);
    umask(mask);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    record_connection(old);
    record_connection(old);
    record_connection(record);
    read_all(path, text, sizeof text);
    assert_string_equal(text, "1 open\n");
    read_all(other, text, sizeof text);
    assert_string_equal(text, "1 open\n2 open\n");
    record_close(old);
    record_close(record);
    unlink(other);
}

static void refused(const char *name, const char *expected) {
    char error[256] = "";
    assert_null(record_open(name, SIZE_MAX, NULL, error, sizeof error));
    assert_string_equal(error, expected);
}

static void no_file(void **state) {
    char expected[128];
    (void)state;
    snprintf(expected, sizeof expected, "cannot record to %s: it is there and no file", directory);
    refused(directory, expected);
    snprintf(expected, sizeof expected, "cannot record to %s: it is there and no file", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(path, expected);
    unlink(path);
    assert_int_equal(symlink("/dev/null", path), 0);
    refused(path, expected);
    unlink(path);
    refused("/nonexistent/\n", "cannot record to /nonexistent/\\x0A: No such file or directory");
}

/* In a child, for the limit stays: no signal ends it, the log has one line. */
static void no_room(void **state) {
    char text[1024];
    char logged[80];
    (void)state;
    snprintf(logged, sizeof logged, "%s/log", directory);
    int fd = open(logged, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {200, 200};
        char error[256];
        struct log *log = log_create(fd, LOG_LEVEL_WARN, "p");
        struct record *record = record_open(path, SIZE_MAX, log, error, sizeof error);
        bool limited = setrlimit(RLIMIT_FSIZE, &limit) == 0;
        for (int i = 0; i < 100 && record != NULL; i++) {
            record_connection(record);
        }
        record_close(record);
        log_destroy(log);
        _exit(record != NULL && limited ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(fd);
    read_all(logged, text, sizeof text);
    unlink(logged);
    const char *line = strstr(text, "the recording ends: File too large\n");
    assert_non_null(line);
    assert_null(strstr(line + 1, "the recording ends"));
}

/* The file never gets larger than it may, whoever writes; the log says so once. */
static void limited(void **state) {
    char text[1024];
    char error[256];
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    struct log *log = log_create(ends[1], LOG_LEVEL_WARN, "p");
    struct record *record = record_open(path, 20, log, error, sizeof error);
    assert_non_null(record);
    assert_int_equal(record_connection(record), 1);
    record_bytes(record, 1, '>', "\1\2", 2);
    record_bytes(record, 1, '<', "\3\4", 2);
    record_connection_end(record, 1);
    read_all(path, text, sizeof text);
    assert_string_equal(text, "1 open\n1 > 0102\n");
    record_close(record);
    log_destroy(log);
    close(ends[1]);
    ssize_t len = read(ends[0], text, sizeof text - 1);
    assert_true(len > 0);
    text[len] = '\0';
    close(ends[0]);
    const char *line = strstr(text, "the recording ends: the file is as large as it may be");
    assert_non_null(line);
    assert_null(strstr(line + 1, "the recording ends"));
}

/* A supervisor's children, one after the other, have numbers of their own. */
static void children(void **state) {
    char text[256];
    struct record *record = opened(NULL);
    (void)state;
    for (int i = 0; i < 2; i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            record_scene(record, "child");
            record_connection(record);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
    }
    record_close(record);
    read_all(path, text, sizeof text);
    assert_string_equal(text, "== child\n1 open\n== child\n2 open\n");
}

int main(void) {
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(lines),   TEST(long_data), TEST(nobody_records), TEST(in_the_place_of_another),
        TEST(no_file), TEST(no_room),   TEST(limited),        TEST(children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
