/* One path, several servers: who has it, who gets it, who goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "socket_rig.h"

static void test_stale_socket(void **state) {
    struct place *place = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    bool replaced = true;

    memcpy(address.sun_path, place->path, strlen(place->path));
    assert_int_equal(bind(dead, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(dead, 1), 0);
    close(dead);
    place_open(place, &place->file, &replaced);
    assert_false(replaced);
    assert_int_equal(socket_who_answers(place->path, place->file.fd, 'n'), 'n');
}

/* Found out by connecting; the path stays as it is. */
static void test_look(void **state) {
    struct place *place = *state;
    pid_t pid = 1;

    assert_int_equal(socket_look(place->path, &pid), SOCKET_PATH_FREE);
    assert_int_equal(pid, 0);
    place_open(place, &place->file, NULL);
    assert_int_equal(socket_look(place->path, &pid), SOCKET_PATH_LIVE);
    assert_int_equal(pid, getpid());
    close(place->file.fd);
    place->file.fd = -1;
    assert_int_equal(socket_look(place->path, &pid), SOCKET_PATH_FREE);
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
    assert_int_equal(socket_look(place->path, &pid), SOCKET_PATH_LIVE);
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
    place_open(place, &old, &replaced);
    assert_false(replaced);
    assert_int_equal(
        socket_file_open(&place->options, &place->file, NULL, place->error, sizeof place->error),
        SOCKET_FILE_BUSY);
    assert_non_null(strstr(place->error, "already listens at "));
    assert_non_null(strstr(place->error, "--take-over"));
    assert_null(strchr(place->error, '\n'));
    assert_int_equal(place->file.fd, -1);
    assert_int_equal(place_count(place), 1);
    assert_true(socket_file_is_ours(&old));
    close(old.fd);
    old.fd = -1;
    place_open(place, &place->file, &replaced);
    assert_false(replaced);
    assert_int_equal(socket_who_answers(place->path, place->file.fd, 'b'), 'b');
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
    assert_int_equal(place_count(place), 0);
}

/* Made again with the same rights, unless somebody else was quicker. */
static void test_renew(void **state) {
    struct place *place = *state;
    struct socket_file other = {.fd = -1};

    place->options.mode = 0640;
    place_open(place, &place->file, NULL);
    unlink(place->path);
    place_open(place, &other, NULL);
    assert_int_equal(
        socket_file_renew(&place->file, SOCKET_LOCK_WAIT, place->error, sizeof place->error),
        SOCKET_FILE_BUSY);
    assert_false(socket_file_is_ours(&place->file));
    assert_true(place->file.fd >= 0);
    socket_file_close(&other);
    assert_int_equal(
        socket_file_renew(&place->file, SOCKET_LOCK_WAIT, place->error, sizeof place->error), 0);
    assert_true(socket_file_is_ours(&place->file));
    assert_int_equal(file_status(place->path).st_mode & 07777, 0640);
    assert_int_equal(socket_who_answers(place->path, place->file.fd, 'c'), 'c');
    assert_int_equal(place_count(place), 1);
}

static void test_live_socket_is_replaced(void **state) {
    struct place *place = *state;
    struct socket_file old;
    int waiting;
    bool replaced = false;

    place_open(place, &old, NULL);
    waiting = socket_connect(place->path);
    assert_true(waiting >= 0);
    place_open(place, &place->file, &replaced);
    assert_true(replaced);
    assert_int_equal(place_count(place), 1);
    assert_false(socket_file_is_ours(&old));
    assert_true(socket_file_is_ours(&place->file));
    assert_true(socket_serve_waiting(old.fd, 'o') >= 1); /* who came before is still served */
    close(waiting);
    socket_file_close(&old); /* must not take the new one away */
    assert_true(socket_file_is_ours(&place->file));
    assert_int_equal(socket_who_answers(place->path, place->file.fd, 'n'), 'n');
}

/* A listener whose queue is full is alive. */
static void test_full_queue_is_live(void **state) {
    struct place *place = *state;
    struct socket_file old;
    int clients[4];
    bool replaced = false;

    place->options.backlog = 0;
    place_open(place, &old, NULL);
    for (size_t i = 0; i < 4; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        memcpy(address.sun_path, place->path, strlen(place->path));
        clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(clients[i], (struct sockaddr *)&address, sizeof address);
    }
    assert_int_equal(errno, EAGAIN);
    place_open(place, &place->file, &replaced);
    assert_true(replaced);
    for (size_t i = 0; i < 4; i++)
        close(clients[i]);
    socket_file_close(&old);
}

/* A server that fails before it publishes leaves the path to the one that serves. */
static void test_prepared_only(void **state) {
    struct place *place = *state;
    struct socket_file next;
    bool replaced;

    place_open(place, &place->file, NULL);
    assert_int_equal(socket_file_prepare(&place->options, &next, place->error, sizeof place->error),
                     0);
    assert_true(socket_file_is_ours(&place->file));
    assert_false(socket_file_is_ours(&next));
    socket_file_close(&next);
    assert_true(socket_file_is_ours(&place->file));
    int fd = socket_connect(place->path);
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

/* --- A directory that another process keeps locked --- */

static unsigned pauses; /* for the lock: others are longer */

int nanosleep(const struct timespec *wanted, struct timespec *left) {
    pauses += wanted->tv_sec == 0 && wanted->tv_nsec == 2000000;
    return (int)syscall(SYS_nanosleep, wanted, left);
}

static int lock_directory(const struct place *place) {
    int fd = open(place->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    pauses = 0;
    return fd;
}

/* Who must not wait is told that it is locked, and can go on without the lock. */
static void test_locked_directory(void **state) {
    struct place *place = *state;

    place_open(place, &place->file, NULL);
    int stranger = lock_directory(place);
    assert_false(socket_file_remove(&place->file, SOCKET_LOCK_TRY));
    assert_true(socket_file_is_ours(&place->file));
    unlink(place->path);
    assert_int_equal(
        socket_file_renew(&place->file, SOCKET_LOCK_TRY, place->error, sizeof place->error),
        SOCKET_FILE_LOCKED);
    assert_int_equal(place_count(place), 0);
    assert_int_equal(
        socket_file_renew(&place->file, SOCKET_LOCK_SKIP, place->error, sizeof place->error), 0);
    assert_int_equal(socket_who_answers(place->path, place->file.fd, 's'), 's');
    assert_true(socket_file_remove(&place->file, SOCKET_LOCK_SKIP));
    assert_int_equal(place_count(place), 0);
    assert_int_equal(pauses, 0);
    close(stranger);
}

/* Each child of a supervisor publishes its copy: what is published already needs no lock. */
static void test_locked_when_published_again(void **state) {
    struct place *place = *state;

    assert_int_equal(
        socket_file_prepare(&place->options, &place->file, place->error, sizeof place->error), 0);
    struct socket_file copy = place->file;
    assert_int_equal(socket_file_publish(&place->file, NULL, place->error, sizeof place->error), 0);
    int stranger = lock_directory(place);
    assert_int_equal(socket_file_publish(&copy, NULL, place->error, sizeof place->error), 0);
    assert_int_equal(pauses, 0);
    close(stranger);
}

/* A server that serves nobody yet waits for a while, then goes on all the same. */
static void test_locked_at_the_start(void **state) {
    struct place *place = *state;
    int stranger = lock_directory(place);

    place_open(place, &place->file, NULL);
    assert_true(pauses > 0);
    assert_true(socket_file_is_ours(&place->file));
    close(stranger);
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
        int fd = socket_connect(path);
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
            served += socket_serve_waiting(listeners[n], 'x');
    }
    return served;
}

static void test_handover_under_load(void **state) {
    struct place *place = *state;
    struct outcome outcome;
    int stop[2], report[2];
    unsigned served = 0;
    pid_t client;
    int status;

    place_open(place, &place->file, NULL);
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
        place_open(place, &next, &replaced);
        assert_true(replaced);
        both[0] = place->file.fd;
        both[1] = next.fd;
        served += serve_for(both, 2, 3);
        served += socket_serve_waiting(place->file.fd, 'x');
        socket_file_close(&place->file);
        place->file = next;
        assert_int_equal(place_count(place), 1);
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

/* What is at a path that is no server's. */
static void test_look_at_others(void **state) {
    struct place *place = *state;
    char longest[SOCKET_PATH_BYTES + 2];
    pid_t pid = 7;

    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(socket_look(longest, &pid), SOCKET_PATH_FREE);
    assert_int_equal(socket_look(longest + 1, &pid), SOCKET_PATH_FREE); /* it could be there */
    assert_int_equal(pid, 0);
    assert_int_equal(socket_look("/dev/null/socket", &pid), SOCKET_PATH_FREE);
    assert_int_equal(socket_look("/dev/null", &pid), SOCKET_PATH_FREE);
    assert_int_equal(symlink(place->path, place->path), 0);
    assert_int_equal(socket_look(place->path, &pid), SOCKET_PATH_UNKNOWN);
    assert_int_equal(unlink(place->path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLACE_TEST(test_look_at_others),
        PLACE_TEST(test_stale_socket),
        PLACE_TEST(test_look),
        PLACE_TEST(test_datagrams_are_somebodys),
        PLACE_TEST(test_live_socket_is_refused),
        PLACE_TEST(test_two_at_a_time),
        PLACE_TEST(test_renew),
        PLACE_TEST(test_live_socket_is_replaced),
        PLACE_TEST(test_full_queue_is_live),
        PLACE_TEST(test_prepared_only),
        PLACE_TEST(test_locked_directory),
        PLACE_TEST(test_locked_when_published_again),
        PLACE_TEST(test_locked_at_the_start),
        PLACE_TEST(test_handover_under_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
