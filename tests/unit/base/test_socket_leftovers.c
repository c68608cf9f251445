/* Sockets under temporary names, left by servers that died before they published them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "socket_rig.h"

static void path_of(const struct place *place, const char *name, char *path, size_t size) {
    snprintf(path, size, "%s/%s", place->directory, name);
}

/* A listening socket of that name, made so many seconds ago. */
static int make_socket(const struct place *place, const char *name, long age_s) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timespec times[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};

    path_of(place, name, address.sun_path, sizeof address.sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(utimensat(AT_FDCWD, address.sun_path, times, AT_SYMLINK_NOFOLLOW), 0);
    return fd;
}

static bool is_there(const struct place *place, const char *name) {
    char path[128];

    path_of(place, name, path, sizeof path);
    return access(path, F_OK) == 0;
}

static void remove_file(const struct place *place, const char *name) {
    char path[128];

    path_of(place, name, path, sizeof path);
    assert_int_equal(unlink(path), 0);
}

/* The next server on any path of the directory removes them, whatever their process ids stand for
 * by now. */
static void test_dead_are_swept(void **state) {
    struct place *place = *state;

    close(make_socket(place, ".new-99999999-0123abcd", 60));
    close(make_socket(place, ".new-1-89abcdef", 60));
    place_open(place, &place->file, NULL);
    assert_int_equal(place_count(place), 1);
    assert_true(socket_file_is_ours(&place->file));
}

/* A server that has not yet published its own; one that may be about to listen; names that are
 * nearly such; what is no socket. */
static void test_others_stay(void **state) {
    static const char *const names[] = {
        ".new-1-0123abc", ".new-1-0123abcde", ".new-1-0123ABCD",           ".new--0123abcd",
        "new-1-0123abcd", ".new-1x-0123abcd", ".new-12345678901-0123abcd9"};
    struct place *place = *state;
    char path[128];
    int live = make_socket(place, ".new-99999999-0123abcd", 60);

    close(make_socket(place, ".new-99999999-11111111", 0));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        close(make_socket(place, names[i], 60));
    }
    path_of(place, ".new-99999999-22222222", path, sizeof path);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    place_open(place, &place->file, NULL);
    assert_true(is_there(place, ".new-99999999-0123abcd"));
    remove_file(place, ".new-99999999-0123abcd");
    remove_file(place, ".new-99999999-11111111");
    remove_file(place, ".new-99999999-22222222");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        remove_file(place, names[i]);
    }
    close(live);
}

static void test_another_users_stay(void **state) {
    struct place *place = *state;
    char path[128];

    if (geteuid() != 0) {
        print_message("NOT TESTED, for it needs root: another user's socket\n");
        skip();
    }
    close(make_socket(place, ".new-99999999-0123abcd", 60));
    path_of(place, ".new-99999999-0123abcd", path, sizeof path);
    assert_int_equal(lchown(path, 65534, 65534), 0);
    place_open(place, &place->file, NULL);
    remove_file(place, ".new-99999999-0123abcd");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLACE_TEST(test_dead_are_swept),
        PLACE_TEST(test_others_stay),
        PLACE_TEST(test_another_users_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
