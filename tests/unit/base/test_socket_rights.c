/* The rights of the socket's file, and those that are needed to make it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "socket_rig.h"

#define NOBODY 65534

/* Watched, and made to do more. */
static struct {
    mode_t mode_at_bind; /* of the file that bind made */
    const char *swap;    /* another process puts a link to this in its place; NULL: none does */
} calls;

int bind(int fd, const struct sockaddr *address, socklen_t len) {
    struct sockaddr_un un;
    struct stat status;

    if (syscall(SYS_bind, fd, address, len) != 0)
        return -1;
    memcpy(&un, address, sizeof un);
    if (lstat(un.sun_path, &status) == 0)
        calls.mode_at_bind = status.st_mode & 07777;
    if (calls.swap && (unlink(un.sun_path) != 0 || symlink(calls.swap, un.sun_path) != 0))
        return -1;
    return 0;
}

static void test_mode_is_exact(void **state) {
    static const mode_t umasks[] = {0, 022, 077, 0777};
    static const mode_t modes[] = {0600, 0660, 0666, 0777, 0640, 0};
    struct place *place = *state;

    for (size_t u = 0; u < sizeof umasks / sizeof *umasks; u++) {
        for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
            umask(umasks[u]);
            place->options.mode = modes[m];
            place_open(place, &place->file, NULL);
            assert_int_equal(file_status(place->path).st_mode & 07777, modes[m]);
            /* never wider, not even before anybody can connect */
            assert_int_equal(calls.mode_at_bind & ~modes[m] & 0777, 0);
            socket_file_close(&place->file);
            assert_int_equal(umask(022), umasks[u]);
        }
    }
}

/* Who may rename files in the directory puts a link in the socket's place, in the moment before it
 * gets its mode: the file that the link names keeps its own. */
static void test_swapped_for_a_link(void **state) {
    struct place *place = *state;
    char victim[128];

    snprintf(victim, sizeof victim, "%s/victim", place->directory);
    close(open(victim, O_CREAT | O_WRONLY, 0600));
    calls.swap = victim;
    place->options.mode = 0666;
    place_open_fails(place, "the new socket in directory", "is gone");
    calls.swap = NULL;
    assert_int_equal(file_status(victim).st_mode & 07777, 0600);
    unlink(victim);
}

static void test_group_by_number(void **state) {
    struct place *place = *state;
    char number[16];

    snprintf(number, sizeof number, "%u", (unsigned)getegid());
    place->options.group = number;
    place_open(place, &place->file, NULL);
    assert_int_equal(file_status(place->path).st_gid, getegid());
    if (geteuid() != 0) {
        print_message("NOT TESTED, for it needs root: a group that the process is not in\n");
        return;
    }
    socket_file_close(&place->file);
    place->options.group = "4242";
    place_open(place, &place->file, NULL);
    assert_int_equal(file_status(place->path).st_gid, 4242);
    assert_int_equal(file_status(place->path).st_mode & 07777, 0600);
}

static void test_group_by_name(void **state) {
    struct place *place = *state;
    struct group *own = getgrgid(getegid());

    assert_non_null(own);
    place->options.group = own->gr_name;
    place->options.mode = 0660;
    place_open(place, &place->file, NULL);
    assert_int_equal(file_status(place->path).st_gid, getegid());
    assert_int_equal(file_status(place->path).st_mode & 07777, 0660);
}

static void test_unknown_group(void **state) {
    static const char *const wrong[] = {"no-such-group", "",    "-1",
                                        "4294967295",    "12x", "99999999999999999999"};
    struct place *place = *state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        place->options.group = wrong[i];
        place_open_fails(place, "unknown group", wrong[i]);
    }
}

static void become_nobody(void) {
    gid_t group = NOBODY;

    if (geteuid() != 0)
        return;
    if (setgroups(1, &group) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
        _exit(100);
}

/* Runs in a child; the number of what went wrong, 0 for nothing. */
static int in_child(int (*check)(struct place *place), struct place *place) {
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        become_nobody();
        _exit(check(place));
    }
    assert_true(waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int try_open(struct place *place, const char *what, const char *more) {
    int result =
        socket_file_open(&place->options, &place->file, NULL, place->error, sizeof place->error);

    if (result != -1)
        return 1;
    if (!strstr(place->error, what) || !strstr(place->error, more)) {
        print_error("\"%s\" should say: %s ... %s\n", place->error, what, more);
        return 2;
    }
    return 0;
}

static int check_cannot_write(struct place *place) {
    return try_open(place, "Permission denied", "let this user write there");
}

static int check_cannot_search(struct place *place) {
    return try_open(place, "Permission denied", "let this user write there");
}

static int check_foreign_group(struct place *place) {
    place->options.group = "4243";
    return try_open(place, "cannot give the socket to group 4243", "member");
}

/* A directory that may be searched and written, but not listed. */
static int check_unreadable(struct place *place) {
    if (socket_file_open(&place->options, &place->file, NULL, place->error, sizeof place->error) !=
        0)
        return 1;
    if (!socket_file_is_ours(&place->file))
        return 2;
    socket_file_close(&place->file);
    return access(place->path, F_OK) == 0 ? 3 : 0;
}

static void test_no_permission(void **state) {
    struct place *place = *state;

    assert_int_equal(chmod(place->directory, 0555), 0);
    assert_int_equal(in_child(check_cannot_write, place), 0);
    assert_int_equal(chmod(place->directory, 0444), 0);
    assert_int_equal(in_child(check_cannot_search, place), 0);
    assert_int_equal(chmod(place->directory, 0333), 0);
    assert_int_equal(in_child(check_unreadable, place), 0);
    assert_int_equal(chmod(place->directory, 0777), 0);
    assert_int_equal(in_child(check_foreign_group, place), 0);
    assert_int_equal(chmod(place->directory, 0700), 0);
    assert_int_equal(place_count(place), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLACE_TEST(test_mode_is_exact),   PLACE_TEST(test_swapped_for_a_link),
        PLACE_TEST(test_group_by_number), PLACE_TEST(test_group_by_name),
        PLACE_TEST(test_unknown_group),   PLACE_TEST(test_no_permission),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
