/* The socket's file: made, refused, taken away. The files are real. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "socket_rig.h"

#define LONGEST 107 /* of a path */

/* --- System calls that fail --- */

static struct {
    int fail_listen; /* errno, or 0 */
    int fail_rename;
    int address_in_use; /* so many binds find their name taken */
} calls;

int bind(int fd, const struct sockaddr *address, socklen_t len) {
    if (calls.address_in_use > 0) {
        calls.address_in_use--;
        errno = EADDRINUSE;
        return -1;
    }
    return (int)syscall(SYS_bind, fd, address, len);
}

int listen(int fd, int backlog) {
    if (calls.fail_listen) {
        errno = calls.fail_listen;
        return -1;
    }
    return (int)syscall(SYS_listen, fd, backlog);
}

int renameat(int old_directory, const char *old_name, int new_directory, const char *new_name) {
    if (calls.fail_rename) {
        errno = calls.fail_rename;
        return -1;
    }
    return (int)syscall(SYS_renameat2, old_directory, old_name, new_directory, new_name, 0);
}

/* --- Tests --- */

static void test_open_and_close(void **state) {
    struct place *place = *state;
    bool replaced = true;
    struct stat status;

    place_open(place, &place->file, &replaced);
    assert_false(replaced);
    assert_int_equal(place_count(place), 1);
    status = file_status(place->path);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_true(socket_file_is_ours(&place->file));
    assert_true(fcntl(place->file.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(place->file.fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(socket_who_answers(place->path, place->file.fd, 'a'), 'a');
    socket_file_close(&place->file);
    assert_int_equal(place_count(place), 0);
    assert_int_equal(place->file.fd, -1);
    assert_false(socket_file_is_ours(&place->file));
    socket_file_close(&place->file);
}

static void test_taken_descriptor_stays_open(void **state) {
    struct place *place = *state;
    int fd;

    place_open(place, &place->file, NULL);
    fd = place->file.fd;
    place->file.fd = -1;
    socket_file_close(&place->file);
    assert_int_equal(place_count(place), 0);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    close(fd);
}

/* Who has connected before the file went is still served. */
static void test_remove_goes_on_listening(void **state) {
    struct place *place = *state;
    int early, fd;

    place_open(place, &place->file, NULL);
    early = socket_connect(place->path);
    assert_true(early >= 0);
    fd = place->file.fd;
    assert_true(socket_file_remove(&place->file, SOCKET_LOCK_WAIT));
    assert_int_equal(place_count(place), 0);
    assert_false(socket_file_is_ours(&place->file));
    assert_int_equal(place->file.fd, fd);
    assert_int_equal(socket_serve_waiting(fd, 'e'), 1);
    close(early);
    assert_true(socket_file_remove(&place->file, SOCKET_LOCK_WAIT));
    assert_int_equal(place->file.fd, fd);
}

static void test_relative_path(void **state) {
    struct place *place = *state;
    int before = open(".", O_PATH | O_DIRECTORY);
    bool ours;

    assert_int_equal(chdir(place->directory), 0);
    place->options.path = "api.socket";
    place_open(place, &place->file, NULL);
    ours = socket_file_is_ours(&place->file);
    socket_file_close(&place->file);
    assert_int_equal(fchdir(before), 0);
    close(before);
    assert_true(ours);
}

static void test_longest_path(void **state) {
    struct place *place = *state;
    char path[LONGEST + 2];
    size_t len = (size_t)snprintf(path, sizeof path, "%s/", place->directory);

    memset(path + len, 's', LONGEST - len);
    path[LONGEST] = '\0';
    place->options.path = path;
    place_open(place, &place->file, NULL);
    assert_int_equal(place_count(place), 1);
    assert_int_equal(socket_who_answers(path, place->file.fd, 'l'), 'l');
    socket_file_close(&place->file);
    memcpy(path + LONGEST, "s", 2);
    place_open_fails(place, "108 bytes", "at most 107");
}

/* The temporary name does not fit beside the path: a deep directory, a short name. */
static void test_deep_directory(void **state) {
    struct place *place = *state;
    char directory[LONGEST + 1], path[LONGEST + 1];
    size_t len = (size_t)snprintf(directory, sizeof directory, "%s/", place->directory);

    memset(directory + len, 'd', LONGEST - 2 - len);
    directory[LONGEST - 2] = '\0';
    assert_int_equal(mkdir(directory, 0700), 0);
    snprintf(path, sizeof path, "%.105s/s", directory);
    assert_int_equal(strlen(path), LONGEST);
    place->options.path = path;
    place_open(place, &place->file, NULL);
    assert_true(S_ISSOCK(file_status(path).st_mode));
    assert_int_equal(socket_who_answers(path, place->file.fd, 'd'), 'd');
    socket_file_close(&place->file);
    assert_int_equal(rmdir(directory), 0); /* nothing left in it */
}

static void test_not_a_socket(void **state) {
    struct place *place = *state;
    char elsewhere[128];
    int fd = open(place->path, O_CREAT | O_WRONLY, 0600);

    assert_int_equal(write(fd, "data", 4), 4);
    close(fd);
    place_open_fails(place, "is a file, not a socket", "--socket");
    assert_int_equal(file_status(place->path).st_size, 4);
    unlink(place->path);

    assert_int_equal(mkdir(place->path, 0700), 0);
    place_open_fails(place, "is a directory, not a socket", place->path);
    rmdir(place->path);

    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", place->directory);
    assert_int_equal(symlink(elsewhere, place->path), 0);
    place_open_fails(place, "is a symbolic link, not a socket", place->path);
    unlink(place->path);

    assert_int_equal(mkfifo(place->path, 0600), 0);
    place_open_fails(place, "is something, not a socket", place->path);
    unlink(place->path);
}

static void test_no_such_directory(void **state) {
    struct place *place = *state;
    char path[LONGEST + 1];
    int fd;

    snprintf(path, sizeof path, "%s/missing/api.socket", place->directory);
    place->options.path = path;
    place_open_fails(place, "/missing: No such file or directory", "create it");
    snprintf(path, sizeof path, "%s/missing", place->directory);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    snprintf(path, sizeof path, "%s/missing/api.socket", place->directory);
    place_open_fails(place, "/missing: Not a directory", "");
    snprintf(path, sizeof path, "%s/missing", place->directory);
    unlink(path);
}

static void test_bad_paths(void **state) {
    struct place *place = *state;
    char path[LONGEST + 1];
    char lengthy[5000];

    place->options.path = "";
    place_open_fails(place, "empty", "--socket");
    snprintf(path, sizeof path, "%s/", place->directory);
    place->options.path = path;
    place_open_fails(place, "ends with a slash", path);
    snprintf(path, sizeof path, "%s/.", place->directory);
    place_open_fails(place, "is a directory", path);
    memset(lengthy, 'a', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = '\0';
    place->options.path = lengthy;
    place_open_fails(place, "4999 bytes", "at most 107");
    snprintf(path, sizeof path, "%s/mis\nsing/x", place->directory);
    place->options.path = path;
    place_open_fails(place, "mis\\x0Asing", "No such file");
}

static void test_late_failures(void **state) {
    struct place *place = *state;
    struct socket_file old;

    place_open(place, &old, NULL);
    calls.fail_listen = EADDRINUSE;
    place_open_fails(place, "cannot listen", strerror(EADDRINUSE));
    calls.fail_listen = 0;
    calls.fail_rename = ENOSPC;
    place_open_fails(place, "cannot put the socket at", strerror(ENOSPC));
    calls.fail_rename = 0;
    calls.address_in_use = 1000;
    place_open_fails(place, "cannot make a socket", strerror(EADDRINUSE));
    calls.address_in_use = 0;
    assert_true(socket_file_is_ours(&old));
    assert_int_equal(socket_who_answers(place->path, old.fd, 'o'), 'o');
    socket_file_close(&old);
}

static void test_leftovers_do_not_disturb(void **state) {
    struct place *place = *state;

    calls.address_in_use = 3;
    place_open(place, &place->file, NULL);
    assert_int_equal(calls.address_in_use, 0);
    assert_int_equal(place_count(place), 1);
}

static void test_foreign_file_stays(void **state) {
    struct place *place = *state;
    struct stat before, after;
    int fd;

    place_open(place, &place->file, NULL);
    unlink(place->path);
    assert_false(socket_file_is_ours(&place->file));
    fd = open(place->path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    before = file_status(place->path);
    socket_file_close(&place->file);
    after = file_status(place->path);
    assert_int_equal(before.st_ino, after.st_ino);
    unlink(place->path);
}

static void test_file_gone_already(void **state) {
    struct place *place = *state;

    place_open(place, &place->file, NULL);
    unlink(place->path);
    socket_file_close(&place->file);
    assert_int_equal(place_count(place), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLACE_TEST(test_open_and_close),
        PLACE_TEST(test_taken_descriptor_stays_open),
        PLACE_TEST(test_remove_goes_on_listening),
        PLACE_TEST(test_relative_path),
        PLACE_TEST(test_longest_path),
        PLACE_TEST(test_deep_directory),
        PLACE_TEST(test_not_a_socket),
        PLACE_TEST(test_no_such_directory),
        PLACE_TEST(test_bad_paths),
        PLACE_TEST(test_late_failures),
        PLACE_TEST(test_leftovers_do_not_disturb),
        PLACE_TEST(test_foreign_file_stays),
        PLACE_TEST(test_file_gone_already),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
