/* A store with one connection: a forked process is the child, this one the supervisor and the
 * peer. Include behind <cmocka.h>. */
#ifndef TESTS_UNIT_FD_STORE_BENCH_H
#define TESTS_UNIT_FD_STORE_BENCH_H

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd_store_internal.h"

#define PATIENCE_MS 10000

/* Connections that are kept, and those that are being ended. */
static inline size_t count_of(const struct fd_store *store) {
    return store->kept.count + store->ending.count - FD_STORE_FIRST_ENDING;
}

static inline size_t count_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    size_t count = 0;
    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

struct bench {
    struct fd_store *store;
    struct socket_file socket;
    int server, peer; /* the two ends of a connection */
    int said, say;    /* the child has come so far that it says so; its own end of that */
    pid_t child;
    size_t descriptors;
};

/* "(WHAT ID NEXT)", to events of MsgPack only. */
static inline size_t bench_answer(void *arg, uint8_t what, uint32_t id, const uint8_t *read,
                                  bool next_child, uint8_t *out, size_t size) {
    (void)arg;
    if (read != NULL) {
        const uint8_t *end = memchr(read, IN_FLIGHT_UNREAD, IN_FLIGHT_HEAD);
        return (size_t)snprintf((char *)out, size, "(%.*s %d)", (int)(end - read),
                                (const char *)read, next_child);
    }
    if ((what & ~IN_FLIGHT_HALF) != IN_FLIGHT_MSGPACK_EVENT) {
        return 0;
    }
    return (size_t)snprintf((char *)out, size, "(%x %u %d)", (unsigned)what, id, next_child);
}

/* In the child; what it leaves open at its return is what its death finds. */
typedef void child_fn(struct bench *bench);

static inline void start(struct bench *bench, child_fn *run) {
    int ends[2];
    int said[2];
    *bench = (struct bench){.descriptors = count_descriptors(), .socket.fd = -1};
    bench->store = fd_store_create(&bench->socket, bench_answer, bench);
    assert_non_null(bench->store);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(pipe(said), 0);
    bench->server = ends[0];
    bench->peer = ends[1];
    bench->child = fork();
    assert_true(bench->child >= 0);
    if (bench->child == 0) {
        alarm(60);
        close(bench->peer);
        fd_store_enter_child(bench->store);
        bench->say = said[1];
        run(bench);
        (void)!write(said[1], "!", 1);
        pause();
        _exit(0);
    }
    close(bench->server);
    close(said[1]);
    bench->said = said[0];
}

/* Until it has done its part. */
static inline void await_child(struct bench *bench) {
    char byte;
    assert_int_equal(read(bench->said, &byte, 1), 1);
}

static inline void kill_child(struct bench *bench) {
    assert_int_equal(kill(bench->child, SIGKILL), 0);
    assert_int_equal(waitpid(bench->child, NULL, 0), bench->child);
}

/* The supervisor's loop, until so many are left. */
static inline void supervise_until(struct bench *bench, size_t count) {
    for (int i = 0; count_of(bench->store) != count; i++) {
        assert_true(i < PATIENCE_MS / 10);
        fd_store_wait(bench->store, -1, 10);
    }
}

static inline void end(struct bench *bench) {
    fd_store_destroy(bench->store);
    if (bench->socket.fd >= 0) {
        close(bench->socket.fd);
    }
    close(bench->said);
    if (bench->peer >= 0) {
        close(bench->peer);
    }
    assert_int_equal(count_descriptors(), bench->descriptors);
}

static inline void keep_one(struct bench *bench) {
    fd_store_keep(bench->store, bench->server);
}

#endif
