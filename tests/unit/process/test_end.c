/* The end of a server's process, whatever it is doing and whenever its parent goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
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
        pause_ms(200); /* it has begun, most likely: the process ends in time if not */
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
        cmocka_unit_test(function_that_does_not_return),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
