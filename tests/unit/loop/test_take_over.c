/* Two servers on one path: who may take it, and what the one does that has lost it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process_peer.h"

static const char *const take_over[] = {"--take-over", NULL};
static const char *const supervised[] = {"--supervise", "yes", NULL};

/* The process at the other end of a new connection; 0: nobody. */
static pid_t who_serves(const struct process *process) {
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    int fd = raw_connect(process);
    if (fd >= 0) {
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len), 0);
        close(fd);
    }
    return peer.pid;
}

static void assert_serves(const struct process *process) {
    struct kong_peer peer;
    kong_peer_open(&peer, process, PROTOCOL_PROTOBUF);
    kong_peer_serves(&peer);
    kong_peer_close(&peer);
}

static void wait_until_served_by(const struct process *process, pid_t pid) {
    double until = seconds_now() + PATIENCE_MS / 1000.0;
    while (who_serves(process) != pid) {
        if (seconds_now() > until) {
            fail_msg("process %d does not serve at %s", (int)pid, process->path);
        }
        pause_ms(50);
    }
}

/* By hand, by mistake: it says so in one line, and the first has lost nothing. */
static void by_hand_it_is_refused(void **state) {
    struct process first;
    struct process second;
    const char *const options[] = {"--record", "/nonexistent/record", NULL};
    struct process_setup plain = {.path = NULL};
    (void)state;
    process_start(&first, &plain);
    struct process_setup again = {.path = first.path, .options = options, .silent = true};
    process_start(&second, &again);
    assert_says(&second, "already listens at ");
    char pid[32];
    snprintf(pid, sizeof pid, "a server (process %d)", (int)first.pid);
    assert_says(&second, pid);
    assert_int_equal(process_count(&second, "\n"), 1);
    int status = process_end(&second, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 2);
    assert_int_equal(who_serves(&first), first.pid);
    assert_serves(&first);
    assert_orderly(process_end(&first, SIGTERM));
}

static void kong_takes_over(void **state) {
    struct process first;
    struct process second;
    struct process_setup as_kong = {.as_kong = true};
    (void)state;
    process_start(&first, &as_kong);
    struct process_setup again = {.path = first.path, .as_kong = true};
    process_start(&second, &again);
    assert_says(&second, "took over ");
    assert_int_equal(who_serves(&first), second.pid);
    assert_says(&first, "has taken");
    kill(first.starter, SIGKILL); /* the old worker of nginx ends, and so does its server */
    assert_true(process_gone(first.pid, PATIENCE_MS));
    assert_int_equal(who_serves(&second), second.pid);
    assert_serves(&second);
    process_end(&second, SIGTERM);
    process_end(&first, 0);
}

/* The second one goes, and takes its file with it: the first one is heard again. */
static void the_path_comes_back(void **state) {
    struct process first;
    struct process second;
    struct process_setup setup = {.options = *state};
    process_start(&first, &setup);
    struct process_setup again = {.path = first.path, .options = take_over};
    process_start(&second, &again);
    assert_int_equal(who_serves(&first), second.pid);
    assert_says(&first, "another server (process ");
    assert_orderly(process_end(&second, SIGTERM));
    assert_int_equal(access(first.path, F_OK), -1);
    wait_until_served_by(&first, first.pid);
    assert_says(&first, ": made again");
    assert_serves(&first);
    assert_int_equal(process_count(&first, "another server"), 1);
    assert_orderly(process_end(&first, SIGTERM));
    assert_int_equal(access(first.path, F_OK), -1);
}

/* Removed by somebody, again and again; who is connected notices nothing. */
static void a_file_that_is_removed(void **state) {
    struct process process;
    struct process_setup setup = {.options = NULL};
    struct kong_peer peer;
    (void)state;
    process_start(&process, &setup);
    kong_peer_open(&peer, &process, PROTOCOL_MSGPACK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(unlink(process.path), 0);
        wait_until_served_by(&process, process.pid);
        assert_serves(&process);
        kong_peer_serves(&peer);
    }
    assert_int_equal(process_count(&process, ": made again"), 2);
    kong_peer_close(&peer);
    assert_orderly(process_end(&process, SIGTERM));
    assert_int_equal(access(process.path, F_OK), -1);
}

/* The supervisor's socket is the one that is gone: it has the child's now, for the next one. */
static void the_next_child_has_it(void **state) {
    struct process process;
    struct process_setup setup = {.options = supervised};
    (void)state;
    process_start(&process, &setup);
    assert_int_equal(who_serves(&process), process.pid);
    assert_int_equal(unlink(process.path), 0);
    pid_t child = process_child(process.pid, PATIENCE_MS);
    assert_says(&process, ": made again");
    wait_until_served_by(&process, process.pid);
    kill(child, SIGSEGV);
    assert_true(process_gone(child, PATIENCE_MS));
    assert_int_equal(who_serves(&process), process.pid);
    assert_says(&process, "starting another");
    assert_serves(&process);
    assert_int_equal(process_count(&process, ": made again"), 1);
    assert_orderly(process_end(&process, SIGTERM));
    assert_int_equal(access(process.path, F_OK), -1);
}

int main(int argc, char **argv) {
    int status;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand_it_is_refused),
        cmocka_unit_test(kong_takes_over),
        cmocka_unit_test_prestate(the_path_comes_back, NULL),
        cmocka_unit_test_prestate(the_path_comes_back, (void *)(uintptr_t)supervised),
        cmocka_unit_test(a_file_that_is_removed),
        cmocka_unit_test(the_next_child_has_it),
    };
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
