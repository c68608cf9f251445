/* A log in a file of its own, which is moved and opened again; and levels for systemd's journal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "log_file.h"
#include "scratch.h"

struct place {
    char directory[SCRATCH_PATH], path[SCRATCH_PATH + 8], moved[SCRATCH_PATH + 8];
    int fd; /* what standard error would be */
    struct log *log;
};

static void place_make(struct place *place) {
    assert_true(scratch_make(place->directory));
    snprintf(place->path, sizeof place->path, "%s/log", place->directory);
    snprintf(place->moved, sizeof place->moved, "%s/log.1", place->directory);
    place->fd = open("/dev/null", O_WRONLY);
    place->log = log_create(place->fd, LOG_LEVEL_INFO, "api-version");
    assert_non_null(place->log);
}

static void place_end(struct place *place) {
    log_destroy(place->log);
    close(place->fd);
    assert_true(scratch_remove(place->directory));
}

/* The whole file; "" for none. Lives until the next call. */
static const char *content(const char *path) {
    static char text[4096];
    size_t len = 0;
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        len = fread(text, 1, sizeof text - 1, file);
        fclose(file);
    }
    text[len] = '\0';
    return text;
}

static void lines_go_to_the_file(void **state) {
    struct place place;
    struct stat status;
    (void)state;
    place_make(&place);
    umask(022);
    assert_false(log_has_file(place.log));
    assert_int_equal(log_use_file(place.log, place.path), 0);
    assert_true(log_has_file(place.log));
    log_write(place.log, LOG_LEVEL_INFO, "first");
    assert_int_equal(stat(place.path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_non_null(strstr(content(place.path), "]: first\n"));
    /* what else is written to the descriptor is in it, too */
    assert_int_equal(write(place.fd, "raw\n", 4), 4);
    assert_non_null(strstr(content(place.path), "first\nraw\n"));
    place_end(&place);
}

static void a_moved_file_is_opened_again(void **state) {
    struct place place;
    (void)state;
    place_make(&place);
    assert_int_equal(log_use_file(place.log, place.path), 0);
    log_write(place.log, LOG_LEVEL_INFO, "first");
    assert_int_equal(rename(place.path, place.moved), 0);
    log_write(place.log, LOG_LEVEL_INFO, "second");
    log_reopen(place.log);
    log_write(place.log, LOG_LEVEL_INFO, "third");
    assert_non_null(strstr(content(place.moved), "second\n"));
    assert_null(strstr(content(place.moved), "third\n"));
    assert_null(strstr(content(place.path), "second\n"));
    assert_non_null(strstr(content(place.path), "third\n"));
    assert_non_null(strstr(content(place.path), "/log again\n"));
    /* it is appended to, not begun anew */
    log_reopen(place.log);
    assert_non_null(strstr(content(place.path), "third\n"));
    place_end(&place);
}

static void what_cannot_be_opened_leaves_the_old_file(void **state) {
    struct place place;
    (void)state;
    place_make(&place);
    assert_int_equal(log_use_file(place.log, "/nonexistent/log"), ENOENT);
    assert_false(log_has_file(place.log));
    assert_int_equal(log_use_file(place.log, place.path), 0);
    assert_int_equal(rename(place.path, place.moved), 0);
    assert_int_equal(mkdir(place.path, 0700), 0);
    log_reopen(place.log);
    log_write(place.log, LOG_LEVEL_INFO, "after");
    assert_non_null(strstr(content(place.moved), " again: Is a directory; lines go to the old"));
    assert_non_null(strstr(content(place.moved), "after\n"));
    assert_int_equal(rmdir(place.path), 0);
    place_end(&place);
}

/* Nobody reads the pipe: an error at once, not a wait. */
static void a_pipe_without_a_reader(void **state) {
    struct place place;
    (void)state;
    place_make(&place);
    assert_int_equal(mkfifo(place.path, 0600), 0);
    assert_int_equal(log_use_file(place.log, place.path), ENXIO);
    place_end(&place);
}

static void the_journal_gets_levels(void **state) {
    static const char *const wanted[] = {"<7>", "<6>", "<5>", "<4>", "<3>"};
    struct place place;
    struct stat status;
    char stream[64];
    (void)state;
    place_make(&place);
    int fd = open(place.path, O_RDWR | O_CREAT | O_APPEND, 0600);
    assert_int_equal(fstat(fd, &status), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
    assert_true(log_file_is_journal(fd));
    assert_false(log_file_is_journal(place.fd)); /* another one than the journal's */
    struct log *log = log_create(fd, LOG_LEVEL_DEBUG, "api-version");
    assert_non_null(log);
    for (int level = LOG_LEVEL_DEBUG; level < LOG_LEVEL_COUNT; level++) {
        assert_int_equal(ftruncate(fd, 0), 0);
        log_write(log, (enum log_level)level, "text");
        assert_memory_equal(content(place.path), wanted[level], 3);
        assert_true(content(place.path)[3] == '2'); /* the year */
    }
    log_set_format(log, LOG_FORMAT_JSON);
    assert_int_equal(ftruncate(fd, 0), 0);
    log_write(log, LOG_LEVEL_WARN, "text");
    assert_memory_equal(content(place.path), "<4>{\"time\"", 10);
    /* a file of its own is not the journal */
    assert_int_equal(log_use_file(log, place.moved), 0);
    log_write(log, LOG_LEVEL_WARN, "text");
    assert_int_equal(content(place.moved)[0], '{');
    log_destroy(log);
    close(fd);
    static const char *const others[] = {"", "1", "1:", "1:2x", "x:1", "0:0"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(setenv("JOURNAL_STREAM", others[i], 1), 0);
        assert_false(log_file_is_journal(place.fd));
    }
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    assert_false(log_file_is_journal(place.fd));
    place_end(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_go_to_the_file),
        cmocka_unit_test(a_moved_file_is_opened_again),
        cmocka_unit_test(what_cannot_be_opened_leaves_the_old_file),
        cmocka_unit_test(a_pipe_without_a_reader),
        cmocka_unit_test(the_journal_gets_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
