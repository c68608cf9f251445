/* Each case plays in a child process of its own: the socket is descriptor 3 there, and the
 * environment is its own. What the child saw is its exit status and a text in shared memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "service_manager.h"

#define NO_FD (-1)

static struct seen {
    int result;
    bool given, close_on_exec, ours, variables_left, still_there;
    int fd;
    char path[256];
    char error[256];
} * seen;

static struct {
    char directory[SCRATCH_PATH];
    char path[96];
} place;

static int set_up(void **state) {
    (void)state;
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(scratch_make(place.directory));
    snprintf(place.path, sizeof place.path, "%s/s.socket", place.directory);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    munmap(seen, sizeof *seen);
    unlink(place.path);
    return scratch_remove_empty(place.directory) ? 0 : -1;
}

static int unix_socket(int type, bool listening) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", place.path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_true(!listening || listen(fd, 5) == 0);
    return fd;
}

/* In the child. `pid` NULL: its own. */
static void look(int fd, const char *pid, const char *count, const char *names) {
    char own[32];
    struct socket_file file = {.fd = -7};
    if (fd == NO_FD) {
        close(3);
    } else if (fd != 3) {
        dup2(fd, 3);
    }
    snprintf(own, sizeof own, "%d", (int)getpid());
    setenv("LISTEN_PID", pid != NULL ? pid : own, 1);
    if (count != NULL) {
        setenv("LISTEN_FDS", count, 1);
    }
    if (names != NULL) {
        setenv("LISTEN_FDNAMES", names, 1);
    }
    memset(seen->error, 0, sizeof seen->error);
    seen->result = service_manager_socket(&file, seen->error, sizeof seen->error);
    seen->variables_left = getenv("LISTEN_FDS") != NULL || getenv("LISTEN_FDNAMES") != NULL;
    seen->fd = file.fd;
    if (seen->result == 1) {
        seen->given = file.inherited;
        seen->close_on_exec = (fcntl(3, F_GETFD) & FD_CLOEXEC) != 0;
        seen->ours = socket_file_is_ours(&file);
        snprintf(seen->path, sizeof seen->path, "%s", file.path);
        socket_file_remove(&file, SOCKET_LOCK_WAIT);
        seen->ours = seen->ours && socket_file_is_ours(&file);
        socket_file_close(&file);
        seen->still_there = access(place.path, F_OK) == 0;
    }
}

static void in_child(int fd, const char *pid, const char *count, const char *names) {
    pid_t child = fork();
    int status = -1;
    if (child == 0) {
        look(fd, pid, count, names);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void taken(void **state) {
    (void)state;
    int fd = unix_socket(SOCK_STREAM, true);
    in_child(fd, NULL, "1", "apiversion-server.socket");
    assert_int_equal(seen->result, 1);
    assert_int_equal(seen->fd, 3);
    assert_true(seen->given);
    assert_true(seen->close_on_exec);
    assert_true(seen->ours);
    assert_string_equal(seen->path, place.path);
    assert_false(seen->variables_left);
    assert_true(seen->still_there); /* the file is the manager's */
    close(fd);
}

static void abstract_name(void **state) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)state;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int len = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "kong-%d", (int)getpid());
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)),
                     0);
    assert_int_equal(listen(fd, 5), 0);
    in_child(fd, NULL, "1", NULL);
    assert_int_equal(seen->result, 1);
    assert_int_equal(seen->path[0], '@');
    assert_string_equal(seen->path + 1, address.sun_path + 1);
    close(fd);
}

static void not_for_us(void **state) {
    static const struct {
        const char *pid, *count;
    } cases[] = {{"1", "1"}, {NULL, NULL}, {NULL, "0"}, {"", "1"}, {"x", "1"}, {"-1", "1"}};
    (void)state;
    int fd = unix_socket(SOCK_STREAM, true);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        in_child(fd, cases[i].pid, cases[i].count, NULL);
        assert_int_equal(seen->result, 0);
        assert_int_equal(seen->fd, -7);
        assert_string_equal(seen->error, "");
        /* another process' variables are left to it */
        assert_true(seen->variables_left == (cases[i].pid != NULL));
    }
    close(fd);
}

static void expect_refusal(int fd, const char *count, const char *names, const char *text) {
    in_child(fd, NULL, count, names);
    assert_int_equal(seen->result, -1);
    assert_int_equal(seen->fd, -7);
    if (strstr(seen->error, text) == NULL || strchr(seen->error, '\n') != NULL) {
        fail_msg("\"%s\" is not in: %s", text, seen->error);
    }
    if (fd != NO_FD) {
        close(fd);
    }
    unlink(place.path);
}

static void refused(void **state) {
    int pair[2];
    (void)state;
    expect_refusal(unix_socket(SOCK_STREAM, true), "2", "a.socket:b.socket",
                   "2 sockets (a.socket:b.socket)");
    expect_refusal(unix_socket(SOCK_STREAM, true), "many\n", NULL, "many");
    expect_refusal(unix_socket(SOCK_STREAM, false), "1", NULL, "not a listening socket");
    expect_refusal(unix_socket(SOCK_DGRAM, false), "1", NULL, "not a stream socket");
    expect_refusal(unix_socket(SOCK_SEQPACKET, true), "1", NULL, "not a stream socket");
    expect_refusal(socket(AF_INET, SOCK_STREAM, 0), "1", NULL, "not a Unix socket");
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    close(pair[1]);
    expect_refusal(pair[0], "1", NULL, "Accept=no");
    expect_refusal(open("/dev/null", O_RDWR), "1", NULL, strerror(ENOTSOCK));
    expect_refusal(NO_FD, "1", NULL, strerror(EBADF));
}

static void expect_state(int fd, const char *text) {
    char got[64] = "";
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 5000), 1);
    assert_int_equal(recv(fd, got, sizeof got - 1, 0), strlen(text));
    assert_string_equal(got, text);
}

static void notifies(void **state) {
    struct pollfd poll_fd = {.events = POLLIN};
    (void)state;
    int fd = unix_socket(SOCK_DGRAM, false);
    poll_fd.fd = fd;
    setenv("NOTIFY_SOCKET", place.path, 1);
    service_manager_notify("READY=1");
    expect_state(fd, "READY=1");
    /* whoever asks for what can't be, or for nothing, gets nothing */
    static const char *const wrong[] = {"", "/", "s.socket", "/nobody/listens/here"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        setenv("NOTIFY_SOCKET", wrong[i], 1);
        service_manager_notify("READY=1");
    }
    char longest[200];
    memset(longest, '/', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    setenv("NOTIFY_SOCKET", longest, 1);
    service_manager_notify("READY=1");
    unsetenv("NOTIFY_SOCKET");
    service_manager_notify("READY=1");
    assert_int_equal(poll(&poll_fd, 1, 0), 0);
    close(fd);
}

static void notifies_an_abstract_name(void **state) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    (void)state;
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    int len = snprintf(name, sizeof name, "@notify-%d", (int)getpid());
    memcpy(address.sun_path, name, (size_t)len);
    address.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
    service_manager_notify("STOPPING=1");
    expect_state(fd, "STOPPING=1");
    unsetenv("NOTIFY_SOCKET");
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(abstract_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(not_for_us, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(notifies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(notifies_an_abstract_name, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
