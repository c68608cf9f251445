/* The files are real, in a directory that each test gets and that must be empty at its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "socket_file.h"

#define LONGEST 107 /* of a path */
#define NOBODY  65534

/* --- The system calls that the module makes, watched and made to fail --- */

static struct {
    mode_t mode_at_bind; /* of the file that bind made */
    int fail_listen;     /* errno, or 0 */
    int fail_rename;
    int address_in_use; /* so many binds find their name taken */
} calls;

int bind(int fd, const struct sockaddr *address, socklen_t len) {
    struct sockaddr_un un;
    struct stat status;

    if (calls.address_in_use > 0) {
        calls.address_in_use--;
        errno = EADDRINUSE;
        return -1;
    }
    if (syscall(SYS_bind, fd, address, len) != 0)
        return -1;
    memcpy(&un, address, sizeof un);
    if (lstat(un.sun_path, &status) == 0)
        calls.mode_at_bind = status.st_mode & 07777;
    return 0;
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

/* --- The directory --- */

struct place {
    char directory[SCRATCH_PATH];
    char path[128];
    char error[256];
    struct socket_file_options options;
    struct socket_file file;
    unsigned descriptors; /* open before the test */
};

static unsigned count_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    unsigned n = 0;

    while (directory && readdir(directory))
        n++;
    if (directory)
        closedir(directory);
    return n;
}

static int setup(void **state) {
    struct place *place = calloc(1, sizeof *place);

    if (!place)
        return -1;
    memset(&calls, 0, sizeof calls);
    umask(022);
    if (!scratch_make(place->directory)) {
        free(place);
        return -1;
    }
    snprintf(place->path, sizeof place->path, "%s/api.socket", place->directory);
    place->options = (struct socket_file_options){
        .path = place->path, .mode = 0600, .backlog = 16, .take_over = true};
    place->file.fd = -1;
    place->descriptors = count_descriptors();
    *state = place;
    return 0;
}

static int teardown(void **state) {
    struct place *place = *state;
    int result;

    socket_file_close(&place->file);
    result = scratch_remove_empty(place->directory) ? 0 : -1; /* fails if anything was left */
    if (result != 0)
        print_error("left in %s: something\n", place->directory);
    if (count_descriptors() != place->descriptors) {
        print_error("descriptors left open\n");
        result = -1;
    }
    free(place);
    return result;
}

static size_t count_files(const struct place *place) {
    DIR *directory = opendir(place->directory);
    size_t n = 0;

    assert_non_null(directory);
    while (readdir(directory))
        n++;
    closedir(directory);
    return n - 2; /* . and .. */
}

static struct stat status_of(const char *path) {
    struct stat status;

    if (lstat(path, &status) != 0)
        fail_msg("%s: %s", path, strerror(errno));
    return status;
}

/* --- The other side --- */

static int connect_to(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, path, strlen(path));
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Accepts all who wait, says one byte to each. */
static unsigned serve_waiting(int listener, char byte) {
    unsigned served = 0;
    int fd;

    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        served += send(fd, &byte, 1, MSG_NOSIGNAL) == 1;
        close(fd);
    }
    return served;
}

/* Which of the servers answers at the path; 0 when none does. */
static char who_answers(const char *path, int listener, char byte) {
    int fd = connect_to(path);
    char answer = 0;

    if (fd < 0)
        return 0;
    serve_waiting(listener, byte);
    if (recv(fd, &answer, 1, MSG_DONTWAIT) != 1)
        answer = 0;
    close(fd);
    return answer;
}

static void open_ok(struct place *place, struct socket_file *file, bool *replaced) {
    if (socket_file_open(&place->options, file, replaced, place->error, sizeof place->error) != 0)
        fail_msg("%s", place->error);
}

/* It fails, says all of `what`, in one line, and leaves nothing. */
static void open_fails(struct place *place, const char *what, const char *more) {
    size_t before = count_files(place);

    memset(place->error, 'x', sizeof place->error);
    assert_int_equal(
        socket_file_open(&place->options, &place->file, NULL, place->error, sizeof place->error),
        -1);
    if (!strstr(place->error, what) || !strstr(place->error, more))
        fail_msg("\"%s\" should say: %s ... %s", place->error, what, more);
    assert_null(strchr(place->error, '\n'));
    assert_int_equal(place->file.fd, -1);
    assert_null(place->file.path);
    assert_int_equal(count_files(place), before);
}

/* --- Tests --- */

static void test_open_and_close(void **state) {
    struct place *place = *state;
    bool replaced = true;
    struct stat status;

    open_ok(place, &place->file, &replaced);
    assert_false(replaced);
    assert_int_equal(count_files(place), 1);
    status = status_of(place->path);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_true(socket_file_is_ours(&place->file));
    assert_true(fcntl(place->file.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(place->file.fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(who_answers(place->path, place->file.fd, 'a'), 'a');
    socket_file_close(&place->file);
    assert_int_equal(count_files(place), 0);
    assert_int_equal(place->file.fd, -1);
    assert_false(socket_file_is_ours(&place->file));
    socket_file_close(&place->file);
}

static void test_taken_descriptor_stays_open(void **state) {
    struct place *place = *state;
    int fd;

    open_ok(place, &place->file, NULL);
    fd = place->file.fd;
    place->file.fd = -1;
    socket_file_close(&place->file);
    assert_int_equal(count_files(place), 0);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    close(fd);
}

/* Who has connected before the file went is still served. */
static void test_remove_goes_on_listening(void **state) {
    struct place *place = *state;
    int early, fd;

    open_ok(place, &place->file, NULL);
    early = connect_to(place->path);
    assert_true(early >= 0);
    fd = place->file.fd;
    socket_file_remove(&place->file);
    assert_int_equal(count_files(place), 0);
    assert_false(socket_file_is_ours(&place->file));
    assert_int_equal(place->file.fd, fd);
    assert_int_equal(serve_waiting(fd, 'e'), 1);
    close(early);
    socket_file_remove(&place->file);
    assert_int_equal(place->file.fd, fd);
}

static void test_relative_path(void **state) {
    struct place *place = *state;
    int before = open(".", O_PATH | O_DIRECTORY);
    bool ours;

    assert_int_equal(chdir(place->directory), 0);
    place->options.path = "api.socket";
    open_ok(place, &place->file, NULL);
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
    open_ok(place, &place->file, NULL);
    assert_int_equal(count_files(place), 1);
    assert_int_equal(who_answers(path, place->file.fd, 'l'), 'l');
    socket_file_close(&place->file);
    memcpy(path + LONGEST, "s", 2);
    open_fails(place, "108 bytes", "at most 107");
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
    open_ok(place, &place->file, NULL);
    assert_true(S_ISSOCK(status_of(path).st_mode));
    assert_int_equal(who_answers(path, place->file.fd, 'd'), 'd');
    socket_file_close(&place->file);
    assert_int_equal(rmdir(directory), 0); /* nothing left in it */
}

static void test_mode_is_exact(void **state) {
    static const mode_t umasks[] = {0, 022, 077, 0777};
    static const mode_t modes[] = {0600, 0660, 0666, 0777, 0640, 0};
    struct place *place = *state;

    for (size_t u = 0; u < sizeof umasks / sizeof *umasks; u++) {
        for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
            umask(umasks[u]);
            place->options.mode = modes[m];
            open_ok(place, &place->file, NULL);
            assert_int_equal(status_of(place->path).st_mode & 07777, modes[m]);
            /* never wider, not even before anybody can connect */
            assert_int_equal(calls.mode_at_bind & ~modes[m] & 0777, 0);
            socket_file_close(&place->file);
            assert_int_equal(umask(022), umasks[u]);
        }
    }
}

static void test_stale_socket(void **state) {
    struct place *place = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    bool replaced = true;

    memcpy(address.sun_path, place->path, strlen(place->path));
    assert_int_equal(bind(dead, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(dead, 1), 0);
    close(dead);
    open_ok(place, &place->file, &replaced);
    assert_false(replaced);
    assert_int_equal(who_answers(place->path, place->file.fd, 'n'), 'n');
}

/* Found out by connecting; the path stays as it is. */
static void test_look(void **state) {
    struct place *place = *state;
    pid_t pid = 1;

    assert_int_equal(socket_file_look(place->path, &pid), SOCKET_PATH_FREE);
    assert_int_equal(pid, 0);
    open_ok(place, &place->file, NULL);
    assert_int_equal(socket_file_look(place->path, &pid), SOCKET_PATH_LIVE);
    assert_int_equal(pid, getpid());
    close(place->file.fd);
    place->file.fd = -1;
    assert_int_equal(socket_file_look(place->path, &pid), SOCKET_PATH_FREE);
    assert_true(socket_file_is_ours(&place->file));
}

/* Somebody's socket of another kind is not a free path. */
static void test_datagrams_are_somebodys(void **state) {
    struct place *place = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    pid_t pid = 1;
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    assert_true(strlen(place->path) < sizeof address.sun_path);
    memcpy(address.sun_path, place->path, strlen(place->path));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(socket_file_look(place->path, &pid), SOCKET_PATH_LIVE);
    place->options.take_over = false;
    assert_int_equal(
        socket_file_open(&place->options, &place->file, NULL, place->error, sizeof place->error),
        SOCKET_FILE_BUSY);
    assert_non_null(strstr(place->error, "a server already listens at "));
    close(fd);
    assert_int_equal(unlink(place->path), 0);
}

/* Only who means to takes a path from a server; from a dead one anybody does. */
static void test_live_socket_is_refused(void **state) {
    struct place *place = *state;
    struct socket_file old = {.fd = -1};
    bool replaced = true;

    place->options.take_over = false;
    open_ok(place, &old, &replaced);
    assert_false(replaced);
    assert_int_equal(
        socket_file_open(&place->options, &place->file, NULL, place->error, sizeof place->error),
        SOCKET_FILE_BUSY);
    assert_non_null(strstr(place->error, "already listens at "));
    assert_non_null(strstr(place->error, "--take-over"));
    assert_null(strchr(place->error, '\n'));
    assert_int_equal(place->file.fd, -1);
    assert_int_equal(count_files(place), 1);
    assert_true(socket_file_is_ours(&old));
    close(old.fd);
    old.fd = -1;
    open_ok(place, &place->file, &replaced);
    assert_false(replaced);
    assert_int_equal(who_answers(place->path, place->file.fd, 'b'), 'b');
    socket_file_close(&old);
}

/* Both had prepared when nobody was there: the first to publish has it. */
static void test_two_at_a_time(void **state) {
    struct place *place = *state;
    struct socket_file other = {.fd = -1};

    place->options.take_over = false;
    assert_int_equal(
        socket_file_prepare(&place->options, &place->file, place->error, sizeof place->error), 0);
    assert_int_equal(
        socket_file_prepare(&place->options, &other, place->error, sizeof place->error), 0);
    assert_int_equal(socket_file_publish(&other, NULL, place->error, sizeof place->error), 0);
    assert_int_equal(socket_file_publish(&place->file, NULL, place->error, sizeof place->error),
                     SOCKET_FILE_BUSY);
    /* that it is published is no reason to refuse it to itself */
    assert_int_equal(socket_file_publish(&other, NULL, place->error, sizeof place->error), 0);
    socket_file_close(&place->file);
    assert_true(socket_file_is_ours(&other));
    socket_file_close(&other);
    assert_int_equal(count_files(place), 0);
}

/* Made again with the same rights, unless somebody else was quicker. */
static void test_renew(void **state) {
    struct place *place = *state;
    struct socket_file other = {.fd = -1};

    place->options.mode = 0640;
    open_ok(place, &place->file, NULL);
    unlink(place->path);
    open_ok(place, &other, NULL);
    assert_int_equal(socket_file_renew(&place->file, place->error, sizeof place->error),
                     SOCKET_FILE_BUSY);
    assert_false(socket_file_is_ours(&place->file));
    assert_true(place->file.fd >= 0);
    socket_file_close(&other);
    assert_int_equal(socket_file_renew(&place->file, place->error, sizeof place->error), 0);
    assert_true(socket_file_is_ours(&place->file));
    assert_int_equal(status_of(place->path).st_mode & 07777, 0640);
    assert_int_equal(who_answers(place->path, place->file.fd, 'c'), 'c');
    assert_int_equal(count_files(place), 1);
}

static void test_live_socket_is_replaced(void **state) {
    struct place *place = *state;
    struct socket_file old;
    int waiting;
    bool replaced = false;

    open_ok(place, &old, NULL);
    waiting = connect_to(place->path);
    assert_true(waiting >= 0);
    open_ok(place, &place->file, &replaced);
    assert_true(replaced);
    assert_int_equal(count_files(place), 1);
    assert_false(socket_file_is_ours(&old));
    assert_true(socket_file_is_ours(&place->file));
    assert_true(serve_waiting(old.fd, 'o') >= 1); /* who came before is still served */
    close(waiting);
    socket_file_close(&old); /* must not take the new one away */
    assert_true(socket_file_is_ours(&place->file));
    assert_int_equal(who_answers(place->path, place->file.fd, 'n'), 'n');
}

/* A listener whose queue is full is alive. */
static void test_full_queue_is_live(void **state) {
    struct place *place = *state;
    struct socket_file old;
    int clients[4];
    bool replaced = false;

    place->options.backlog = 0;
    open_ok(place, &old, NULL);
    for (size_t i = 0; i < 4; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        memcpy(address.sun_path, place->path, strlen(place->path));
        clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(clients[i], (struct sockaddr *)&address, sizeof address);
    }
    assert_int_equal(errno, EAGAIN);
    open_ok(place, &place->file, &replaced);
    assert_true(replaced);
    for (size_t i = 0; i < 4; i++)
        close(clients[i]);
    socket_file_close(&old);
}

static void test_not_a_socket(void **state) {
    struct place *place = *state;
    char elsewhere[128];
    int fd = open(place->path, O_CREAT | O_WRONLY, 0600);

    assert_int_equal(write(fd, "data", 4), 4);
    close(fd);
    open_fails(place, "is a file, not a socket", "--socket");
    assert_int_equal(status_of(place->path).st_size, 4);
    unlink(place->path);

    assert_int_equal(mkdir(place->path, 0700), 0);
    open_fails(place, "is a directory, not a socket", place->path);
    rmdir(place->path);

    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", place->directory);
    assert_int_equal(symlink(elsewhere, place->path), 0);
    open_fails(place, "is a symbolic link, not a socket", place->path);
    unlink(place->path);

    assert_int_equal(mkfifo(place->path, 0600), 0);
    open_fails(place, "is something, not a socket", place->path);
    unlink(place->path);
}

static void test_no_such_directory(void **state) {
    struct place *place = *state;
    char path[LONGEST + 1];
    int fd;

    snprintf(path, sizeof path, "%s/missing/api.socket", place->directory);
    place->options.path = path;
    open_fails(place, "/missing: No such file or directory", "create it");
    snprintf(path, sizeof path, "%s/missing", place->directory);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    snprintf(path, sizeof path, "%s/missing/api.socket", place->directory);
    open_fails(place, "/missing: Not a directory", "");
    snprintf(path, sizeof path, "%s/missing", place->directory);
    unlink(path);
}

static void test_bad_paths(void **state) {
    struct place *place = *state;
    char path[LONGEST + 1];
    char lengthy[5000];

    place->options.path = "";
    open_fails(place, "empty", "--socket");
    snprintf(path, sizeof path, "%s/", place->directory);
    place->options.path = path;
    open_fails(place, "ends with a slash", path);
    snprintf(path, sizeof path, "%s/.", place->directory);
    open_fails(place, "is a directory", path);
    memset(lengthy, 'a', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = '\0';
    place->options.path = lengthy;
    open_fails(place, "4999 bytes", "at most 107");
    snprintf(path, sizeof path, "%s/mis\nsing/x", place->directory);
    place->options.path = path;
    open_fails(place, "mis\\x0Asing", "No such file");
}

/* --- Groups --- */

static void test_group_by_number(void **state) {
    struct place *place = *state;
    char number[16];

    snprintf(number, sizeof number, "%u", (unsigned)getegid());
    place->options.group = number;
    open_ok(place, &place->file, NULL);
    assert_int_equal(status_of(place->path).st_gid, getegid());
    if (geteuid() != 0) {
        print_message("NOT TESTED, for it needs root: a group that the process is not in\n");
        return;
    }
    socket_file_close(&place->file);
    place->options.group = "4242";
    open_ok(place, &place->file, NULL);
    assert_int_equal(status_of(place->path).st_gid, 4242);
    assert_int_equal(status_of(place->path).st_mode & 07777, 0600);
}

static void test_group_by_name(void **state) {
    struct place *place = *state;
    struct group *own = getgrgid(getegid());

    assert_non_null(own);
    place->options.group = own->gr_name;
    place->options.mode = 0660;
    open_ok(place, &place->file, NULL);
    assert_int_equal(status_of(place->path).st_gid, getegid());
    assert_int_equal(status_of(place->path).st_mode & 07777, 0660);
}

static void test_unknown_group(void **state) {
    static const char *const wrong[] = {"no-such-group", "",    "-1",
                                        "4294967295",    "12x", "99999999999999999999"};
    struct place *place = *state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        place->options.group = wrong[i];
        open_fails(place, "unknown group", wrong[i]);
    }
}

/* --- Without rights: as another user, in a child process if this one is root --- */

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
    assert_int_equal(count_files(place), 0);
}

/* --- Failures half way leave nothing --- */

static void test_late_failures(void **state) {
    struct place *place = *state;
    struct socket_file old;

    open_ok(place, &old, NULL);
    calls.fail_listen = EADDRINUSE;
    open_fails(place, "cannot listen", strerror(EADDRINUSE));
    calls.fail_listen = 0;
    calls.fail_rename = ENOSPC;
    open_fails(place, "cannot put the socket at", strerror(ENOSPC));
    calls.fail_rename = 0;
    calls.address_in_use = 1000;
    open_fails(place, "cannot make a socket", strerror(EADDRINUSE));
    calls.address_in_use = 0;
    assert_true(socket_file_is_ours(&old));
    assert_int_equal(who_answers(place->path, old.fd, 'o'), 'o');
    socket_file_close(&old);
}

static void test_leftovers_do_not_disturb(void **state) {
    struct place *place = *state;

    calls.address_in_use = 3;
    open_ok(place, &place->file, NULL);
    assert_int_equal(calls.address_in_use, 0);
    assert_int_equal(count_files(place), 1);
}

/* --- The end, when the path is another's or nobody's --- */

static void test_foreign_file_stays(void **state) {
    struct place *place = *state;
    struct stat before, after;
    int fd;

    open_ok(place, &place->file, NULL);
    unlink(place->path);
    assert_false(socket_file_is_ours(&place->file));
    fd = open(place->path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    before = status_of(place->path);
    socket_file_close(&place->file);
    after = status_of(place->path);
    assert_int_equal(before.st_ino, after.st_ino);
    unlink(place->path);
}

static void test_file_gone_already(void **state) {
    struct place *place = *state;

    open_ok(place, &place->file, NULL);
    unlink(place->path);
    socket_file_close(&place->file);
    assert_int_equal(count_files(place), 0);
}

/* --- Reload after reload, clients connecting all the time: each of them is served --- */

#define HANDOVERS 60

struct outcome {
    unsigned served;
    unsigned refused;
    unsigned forsaken;
};

/* Connects and waits for its byte, over and over, until the pipe `stop` is closed. */
static void be_client(const char *path, int stop, int report) {
    struct pollfd stopped = {.fd = stop, .events = POLLIN};
    struct outcome outcome = {0};

    alarm(60);
    while (poll(&stopped, 1, 0) == 0) {
        int fd = connect_to(path);
        char byte;

        if (fd < 0)
            outcome.refused++;
        else if (recv(fd, &byte, 1, 0) == 1)
            outcome.served++;
        else
            outcome.forsaken++;
        if (fd >= 0)
            close(fd);
    }
    _exit(write(report, &outcome, sizeof outcome) == sizeof outcome ? 0 : 1);
}

static unsigned serve_for(const int *listeners, size_t count, int ms) {
    struct pollfd ready[2];
    unsigned served = 0;

    for (int i = 0; i < ms; i++) {
        for (size_t n = 0; n < count; n++)
            ready[n] = (struct pollfd){.fd = listeners[n], .events = POLLIN};
        poll(ready, count, 1);
        for (size_t n = 0; n < count; n++)
            served += serve_waiting(listeners[n], 'x');
    }
    return served;
}

/* A server that fails before it publishes leaves the path to the one that serves. */
static void test_prepared_only(void **state) {
    struct place *place = *state;
    struct socket_file next;
    bool replaced;

    open_ok(place, &place->file, NULL);
    assert_int_equal(socket_file_prepare(&place->options, &next, place->error, sizeof place->error),
                     0);
    assert_true(socket_file_is_ours(&place->file));
    assert_false(socket_file_is_ours(&next));
    socket_file_close(&next);
    assert_true(socket_file_is_ours(&place->file));
    int fd = connect_to(place->path);
    assert_true(fd >= 0);
    close(fd);
    /* Published twice, by a copy too: once. */
    assert_int_equal(socket_file_prepare(&place->options, &next, place->error, sizeof place->error),
                     0);
    struct socket_file copy = next;
    assert_int_equal(socket_file_publish(&next, &replaced, place->error, sizeof place->error), 0);
    assert_true(replaced);
    assert_false(socket_file_is_ours(&place->file));
    assert_int_equal(socket_file_publish(&copy, &replaced, place->error, sizeof place->error), 0);
    assert_false(replaced);
    assert_int_equal(socket_file_publish(&next, &replaced, place->error, sizeof place->error), 0);
    assert_true(socket_file_is_ours(&next));
    socket_file_close(&next);
}

static void test_handover_under_load(void **state) {
    struct place *place = *state;
    struct outcome outcome;
    int stop[2], report[2];
    unsigned served = 0;
    pid_t client;
    int status;

    open_ok(place, &place->file, NULL);
    assert_int_equal(pipe(stop), 0);
    assert_int_equal(pipe(report), 0);
    client = fork();
    assert_true(client >= 0);
    if (client == 0) {
        close(stop[1]);
        close(place->file.fd);
        be_client(place->path, stop[0], report[1]);
    }
    for (unsigned i = 0; i < HANDOVERS; i++) {
        struct socket_file next;
        bool replaced;
        int both[2];

        served += serve_for(&place->file.fd, 1, 3);
        open_ok(place, &next, &replaced);
        assert_true(replaced);
        both[0] = place->file.fd;
        both[1] = next.fd;
        served += serve_for(both, 2, 3);
        served += serve_waiting(place->file.fd, 'x');
        socket_file_close(&place->file);
        place->file = next;
        assert_int_equal(count_files(place), 1);
    }
    close(stop[1]);
    do
        serve_for(&place->file.fd, 1, 1);
    while (waitpid(client, &status, WNOHANG) == 0);
    assert_int_equal(read(report[0], &outcome, sizeof outcome), sizeof outcome);
    close(stop[0]);
    close(report[0]);
    close(report[1]);
    assert_int_equal(outcome.refused, 0);
    assert_int_equal(outcome.forsaken, 0);
    assert_true(outcome.served >= HANDOVERS);
    assert_true(served >= HANDOVERS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_open_and_close),
        TEST(test_taken_descriptor_stays_open),
        TEST(test_remove_goes_on_listening),
        TEST(test_relative_path),
        TEST(test_longest_path),
        TEST(test_deep_directory),
        TEST(test_mode_is_exact),
        TEST(test_stale_socket),
        TEST(test_look),
        TEST(test_datagrams_are_somebodys),
        TEST(test_live_socket_is_refused),
        TEST(test_two_at_a_time),
        TEST(test_renew),
        TEST(test_live_socket_is_replaced),
        TEST(test_full_queue_is_live),
        TEST(test_not_a_socket),
        TEST(test_no_such_directory),
        TEST(test_bad_paths),
        TEST(test_group_by_number),
        TEST(test_group_by_name),
        TEST(test_unknown_group),
        TEST(test_no_permission),
        TEST(test_late_failures),
        TEST(test_leftovers_do_not_disturb),
        TEST(test_foreign_file_stays),
        TEST(test_file_gone_already),
        TEST(test_handover_under_load),
        TEST(test_prepared_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
