/* Who may connect, what the server makes of where it is started, and what a configuration's text
 * can do to a log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process_peer.h"

#define NOBODY 65534

static void serve_and_end(struct process *process) {
    struct kong_peer peer;
    kong_peer_open(&peer, process, PROTOCOL_PROTOBUF);
    kong_peer_serves(&peer);
    kong_peer_close(&peer);
    assert_orderly(process_end(process, SIGTERM));
}

/* --- Where it is started --- */

static void umask_0(void) {
    umask(0);
}

static void umask_0777(void) {
    umask(0777);
}

static void socket_is_private(void **state) {
    void (*const each[])(void) = {NULL, umask_0, umask_0777};
    (void)state;
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        struct process_setup setup = {.prepare = each[i]};
        struct process process;
        struct stat status;
        process_start(&process, &setup);
        assert_int_equal(lstat(process.path, &status), 0);
        assert_true(S_ISSOCK(status.st_mode));
        assert_int_equal(status.st_mode & 07777, 0600);
        assert_int_equal(status.st_uid, geteuid());
        serve_and_end(&process);
    }
}

static void spoil_environment(void) {
    clearenv();
    setenv("PATH", "", 1);
    setenv("HOME", "/nonexistent/%s%n", 1);
    setenv("TMPDIR", "/nonexistent", 1);
    setenv("TZ", ":/etc/passwd", 1);
    setenv("LC_ALL", "xx_XX.%n", 1);
    setenv("LANG", "../../../..", 1);
    setenv("POSIXLY_CORRECT", "1", 1);
    setenv("UV_THREADPOOL_SIZE", "-1", 1);
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "99999999999", 1);
    setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
    setenv("MALLOC_ARENA_MAX", "x", 1);
}

static void no_environment(void) {
    clearenv();
}

static void hostile_environment(void **state) {
    void (*const each[])(void) = {spoil_environment, no_environment};
    (void)state;
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        struct process_setup setup = {.prepare = each[i]};
        struct process process;
        process_start(&process, &setup);
        serve_and_end(&process);
    }
}

static void close_standard_descriptors(void) {
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
}

/* What is opened later must not be written to as if it were stderr. */
static void closed_standard_descriptors(void **state) {
    struct process_setup setup = {.prepare = close_standard_descriptors, .silent = true};
    struct process process;
    int fd = -1;
    (void)state;
    process_start(&process, &setup);
    for (int i = 0; i < 12000 && (fd = raw_connect(&process)) < 0; i++) {
        pause_ms(5);
    }
    assert_true(fd >= 0);
    close(fd);
    for (int i = 0; i <= STDERR_FILENO; i++) {
        char link[64];
        char target[64] = "";
        snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)process.pid, i);
        assert_true(readlink(link, target, sizeof target - 1) > 0);
        assert_string_equal(target, "/dev/null");
    }
    serve_and_end(&process);
}

static void inherit_many(void) {
    for (int i = 0; i < 200; i++) {
        int fd = i % 2 == 0 ? open("/dev/null", O_RDWR) : socket(AF_UNIX, SOCK_STREAM, 0);
        (void)fd;
    }
}

/* Kong's own (its database, its sockets): left alone, neither closed nor used. */
static void inherited_descriptors(void **state) {
    struct process_setup plain = {.silent = false};
    struct process_setup many = {.prepare = inherit_many};
    struct process process;
    (void)state;
    process_start(&process, &plain);
    size_t own = process_descriptors(process.pid);
    serve_and_end(&process);
    process_start(&process, &many);
    assert_int_equal(process_descriptors(process.pid), own + 200);
    serve_and_end(&process);
}

/* --- Who may connect --- */

/* Connects as another user: whether the server answers. */
static bool served_as(const struct process *process, uid_t uid) {
    static const uint8_t names[] = {5, 0, 0, 0, 0x08, 1, 0xfa, 0x01, 0};
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char byte;
        if (setresuid(uid, uid, uid) != 0) {
            _exit(2);
        }
        int fd = raw_connect(process);
        bool asked = fd >= 0 && send(fd, names, sizeof names, MSG_NOSIGNAL) > 0;
        _exit(asked && recv(fd, &byte, 1, 0) == 1 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    return WEXITSTATUS(status) == 0;
}

static void allowed_users(void **state) {
    char own[64];
    const char *options[] = {"--allow-uid", own, "--socket-mode", "0666", NULL};
    struct process_setup setup = {.options = options};
    struct process process;
    (void)state;
    snprintf(own, sizeof own, "%u", (unsigned)geteuid());
    process_start(&process, &setup);
    serve_and_end(&process);
    /* Another's only. */
    snprintf(own, sizeof own, "%u,%u", NOBODY, NOBODY - 1);
    process_start(&process, &setup);
    double before = seconds_now();
    for (int i = 0; i < 100; i++) {
        int fd = raw_connect(&process);
        assert_true(fd >= 0);
        assert_true(raw_closed(fd, PATIENCE_MS));
        close(fd);
    }
    char wanted[128];
    snprintf(wanted, sizeof wanted,
             "connection refused: process %d of user id %u is not allowed (--allow-uid)",
             (int)getpid(), (unsigned)geteuid());
    assert_says(&process, wanted);
    assert_true(process_count(&process, wanted) <= (size_t)(seconds_now() - before) + 1);
    if (geteuid() == 0) {
        assert_int_equal(chmod(process.directory, 0755), 0);
        assert_true(served_as(&process, NOBODY));
        assert_true(served_as(&process, NOBODY - 1));
        assert_false(served_as(&process, NOBODY - 2));
    } else {
        print_message("  SKIPPED: only root can connect as somebody else\n");
    }
    assert_orderly(process_end(&process, SIGTERM));
}

/* --- Texts --- */

/* A configuration's text reaches logs escaped, on one line, and no format string. */
static void texts_are_escaped(void **state) {
    static const char json[] =
        "{\"mode\":\"refuse\",\"text\":\"a\\r\\nb\\u001b[31m%s%n\\u009b\\u007f\"}";
    struct process_setup setup = {.silent = false};
    struct process process;
    struct kong_peer peer;
    struct sim_event event;
    (void)state;
    process_start(&process, &setup);
    kong_peer_open(&peer, &process, PROTOCOL_PROTOBUF);
    int64_t id = kong_peer_start(&peer, json);
    assert_says(&process, "refused: a\\x0D\\x0Ab\\x1B[31m%s%n\\xC2\\x9B\\x7F");
    assert_null(strchr(process.said, '\r'));
    assert_null(strchr(process.said, '\x1b'));
    assert_null(strstr(process.said, "\nb"));
    assert_int_equal(kong_peer_event(&peer, id, &event), SIM_EVENT_OK);
    /* A text with NUL inside ends there, and a configuration that cannot be is refused by name. */
    id = kong_peer_start(&peer, "{\"mode\":\"ok\\u0000x\\r\\ny\"}");
    assert_says(&process, "config.mode");
    assert_null(strstr(process.said, "\ny"));
    /* As a plugin's own line, and as a header, it arrives at Kong byte for byte: nginx encodes CR
     * and LF in a header, and in its log. Nothing of it is a second header or line before that. */
    id = kong_peer_start(&peer, "{\"mode\":\"text\",\"text\":\"v\\r\\nX-Evil: 1 %s%n\"}");
    kong_peer_event(&peer, id, &event);
    assert_null(headers_find(&peer.pdk->client.headers, kong_str("X-Evil")));
    assert_null(strstr(process.said, "\nX-Evil"));
    kong_peer_serves(&peer);
    kong_peer_close(&peer);
    assert_orderly(process_end(&process, SIGTERM));
}

/* --- A handler that overflows its stack --- */

static void overflow_is_reported(void **state) {
    static const char *const options[] = {"--supervise", "no", NULL};
    struct process_setup setup = {.options = options};
    struct process process;
    struct kong_peer peer;
    char wanted[128];
    (void)state;
    process_start(&process, &setup);
    kong_peer_open(&peer, &process, PROTOCOL_PROTOBUF);
    int64_t id = kong_peer_start(&peer, "{\"mode\":\"overflow\"}");
    assert_int_equal(kong_peer_event(&peer, id, NULL), SIM_EVENT_CLOSED);
    snprintf(wanted, sizeof wanted,
             "hurt[%d]: stack overflow in a handler of phase access, instance %d\n",
             (int)process.pid, (int)id);
    assert_says(&process, wanted);
    kong_peer_close(&peer);
    int status = process_end(&process, 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
}

static void invalid_access_is_reported(void **state) {
    struct process_setup setup = {.silent = false};
    struct process process;
    struct kong_peer peer;
    (void)state;
    process_start(&process, &setup);
    kong_peer_open(&peer, &process, PROTOCOL_PROTOBUF);
    int64_t id = kong_peer_start(&peer, "{\"mode\":\"segv\"}");
    assert_int_equal(kong_peer_event(&peer, id, NULL), SIM_EVENT_CLOSED);
    assert_says(&process, "]: invalid access in a handler of phase access, instance ");
    kong_peer_close(&peer);
    int status = process_end(&process, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

int main(int argc, char **argv) {
    int status;
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(socket_is_private),
        cmocka_unit_test(hostile_environment),
        cmocka_unit_test(closed_standard_descriptors),
        cmocka_unit_test(inherited_descriptors),
        cmocka_unit_test(allowed_users),
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(overflow_is_reported),
        cmocka_unit_test(invalid_access_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
