/* The end of a server's process, whatever it is doing and whenever its parent goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "process_peer.h"

#define KILL_PARENT "TEST_KILL_PARENT"

/* In a server that was started so: its parent is gone when it asks for the second time. */
pid_t getppid(void) {
    static unsigned asked;
    pid_t parent = (pid_t)syscall(SYS_getppid);
    if (getenv(KILL_PARENT) != NULL && ++asked == 2) {
        kill(parent, SIGKILL);
        while (syscall(SYS_getppid) == parent) {
            usleep(1000);
        }
        return (pid_t)syscall(SYS_getppid);
    }
    return parent;
}

#define CLAIM_ROOM "TEST_CLAIM_ROOM"

/* In a server that was started so: whoever asks whether a pipe has room hears yes, though another
 * process has filled it. The C library's headers have a poll of their own, in line: this one has
 * the symbol only. */
int poll_in_the_program(struct pollfd *fds, nfds_t count, int timeout) __asm__("poll");

int poll_in_the_program(struct pollfd *fds, nfds_t count, int timeout) {
    struct timespec wait = {.tv_sec = timeout / 1000, .tv_nsec = timeout % 1000 * 1000000L};
    if (count == 1 && fds[0].events == POLLOUT && getenv(CLAIM_ROOM) != NULL) {
        fds[0].revents = POLLOUT;
        return 1;
    }
    return ppoll(fds, count, timeout < 0 ? NULL : &wait, NULL);
}

static void claim_room(void) {
    setenv(CLAIM_ROOM, "yes", 1);
}

/* Fills the pipe that the process has as its stderr; somebody who reads it must not run. */
static void fill_stderr(pid_t pid) {
    char path[64];
    static const char bytes[4096];
    snprintf(path, sizeof path, "/proc/%d/fd/2", (int)pid);
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    for (size_t size = sizeof bytes; size > 0; size /= 2) {
        while (write(fd, bytes, size) > 0) {
        }
    }
    close(fd);
}

/* What a crash says about itself does not keep the process from dying. */
static void crash_with_a_full_pipe(void **state) {
    static const char *const options[] = {"--supervise", "no", NULL};
    struct process_setup setup = {.options = options, .prepare = claim_room};
    struct process process;
    struct kong_peer peer;
    (void)state;
    process_start(&process, &setup);
    kong_peer_open(&peer, &process, PROTOCOL_PROTOBUF);
    int64_t id = kong_peer_start(&peer, "{\"mode\":\"segv\"}");
    fill_stderr(process.pid);
    assert_int_equal(kong_peer_event(&peer, id, NULL), SIM_EVENT_CLOSED);
    assert_true(process_gone(process.pid, PATIENCE_MS));
    kong_peer_close(&peer);
    process_end(&process, 0);
}

static void ask_for_it(void) {
    setenv(KILL_PARENT, "yes", 1);
}

/* Kong's worker dies between the moments in which the server looks who started it and in which it
 * begins to watch that: it ends all the same. */
static void parent_dies_at_the_start(void **state) {
    static const char *const plain[] = {"--supervise", "no", NULL};
    static const char *const supervised[] = {"--supervise", "yes", NULL};
    static const char *const *const each[] = {NULL, plain, supervised};
    (void)state;
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        struct process_setup setup = {
            .options = each[i], .as_kong = true, .silent = true, .prepare = ask_for_it};
        struct process process;
        process_start(&process, &setup);
        assert_true(process_gone(process.pid, PATIENCE_MS));
        process_end(&process, 0);
    }
}

struct call {
    struct kong_peer *peer;
    int64_t id;
    pthread_t thread;
    enum sim_event_outcome outcome;
};

static void *run_call(void *arg) {
    struct call *call = arg;
    call->outcome = kong_peer_event(call->peer, call->id, NULL);
    return NULL;
}

/* A thread that runs an author's function cannot be told to end; the process does not wait for it
 * for longer than --drain-timeout and a second. */
static void function_that_does_not_return(void **state) {
    static const char *const one[] = {"--supervise", "no", "--drain-timeout", "0.1", NULL};
    static const char *const two[] = {"--supervise",     "no",  "--threads", "2",
                                      "--drain-timeout", "0.1", NULL};
    static const char *const supervised[] = {"--supervise", "yes", "--drain-timeout", "0.1", NULL};
    static const char *const *const each[] = {one, two, supervised};
    (void)state;
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        struct process_setup setup = {.options = each[i]};
        struct process process;
        struct kong_peer peer;
        process_start(&process, &setup);
        kong_peer_open(&peer, &process, PROTOCOL_PROTOBUF);
        struct call call = {.peer = &peer,
                            .id = kong_peer_start(&peer, "{\"mode\":\"block\",\"ms\":60000}")};
        assert_int_equal(pthread_create(&call.thread, NULL, run_call, &call), 0);
        assert_at_work(&process, 1);
        assert_int_equal(kill(process.pid, SIGTERM), 0);
        assert_true(process_gone(process.pid, PATIENCE_MS));
        assert_int_equal(pthread_join(call.thread, NULL), 0);
        assert_int_equal(call.outcome, SIM_EVENT_CLOSED);
        kong_peer_close(&peer);
        assert_orderly(process_end(&process, 0));
        assert_int_not_equal(access(process.path, F_OK), 0);
    }
}

int main(int argc, char **argv) {
    int status;
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parent_dies_at_the_start),
        cmocka_unit_test(crash_with_a_full_pipe),
        cmocka_unit_test(function_that_does_not_return),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
