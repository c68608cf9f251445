/* The address at which a server takes Steps from other generations of itself: what else comes there
 * is refused, and who takes its names is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "limit.h"
#include "msgpack_peer.h"
#include "process_peer.h"
#include "scratch.h"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])
#define NOBODY        65534
#define TAGS          4096u
#define PREFIX        "kong-pdk."

/* Whether a descriptor of the process is the socket with this inode. */
static bool has_socket(pid_t pid, unsigned long inode) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    for (int fd = 0; fd < 64; fd++) {
        char path[64];
        char link[64];
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
        ssize_t len = readlink(path, link, sizeof link - 1);
        if (len > 0 && (size_t)len == strlen(wanted) && memcmp(link, wanted, (size_t)len) == 0) {
            return true;
        }
    }
    return false;
}

/* "kong-pdk.HASH.TAG" of a server; false when it has none. */
static bool address_name(pid_t pid, char name[64]) {
    char line[256];
    char each[64];
    bool found = false;
    FILE *sockets = fopen("/proc/net/unix", "r");
    assert_non_null(sockets);
    while (!found && fgets(line, sizeof line, sockets) != NULL) {
        unsigned long inode;
        found = sscanf(line, "%*s %*s %*s %*s %*s %*s %lu @%63s", &inode, each) == 2 &&
                strncmp(each, PREFIX, strlen(PREFIX)) == 0 && has_socket(pid, inode);
    }
    if (found) { /* else `name` stays: other servers run beside this test */
        memcpy(name, each, sizeof each);
    }
    fclose(sockets);
    return found;
}

static int abstract(const char *name, struct sockaddr_un *address, socklen_t *len) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path + 1, name, strlen(name));
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int dial(const char *name) {
    struct sockaddr_un address;
    socklen_t len;
    struct timeval patience = {.tv_sec = 60};
    int fd = abstract(name, &address, &len);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
    return fd;
}

static struct msgpack_peer peer_at(const char *name) {
    struct msgpack_peer peer = {.fd = dial(name)};
    buffer_init(&peer.in, LIMIT_FRAME);
    return peer;
}

/* --- Who comes there --- */

static void nothing_but_steps(void **state) {
    static const struct rpc_call calls[] = {
        {.command = RPC_PLUGIN_NAMES},
        {.command = RPC_GET_STATUS},
        {.command = RPC_START_INSTANCE, .name = {"hurt", 4}, .config = {"{}", 2}},
        {.command = RPC_HANDLE_EVENT, .instance_id = 1, .event = {"access", 6}},
        {.command = RPC_CLOSE_INSTANCE, .instance_id = 1},
    };
    static const uint8_t protobuf[] = {5, 0, 0, 0, 0x08, 1, 0xfa, 0x01, 0};
    struct process process;
    struct process_setup setup = {.silent = false};
    char name[64];
    (void)state;
    process_start(&process, &setup);
    assert_true(address_name(process.pid, name));
    for (size_t i = 0; i < LENGTH(calls); i++) {
        struct msgpack_peer peer = peer_at(name);
        msgpack_peer_send(&peer, calls[i]);
        assert_true(raw_closed(peer.fd, PATIENCE_MS));
        msgpack_peer_close(&peer);
    }
    int fd = dial(name);
    assert_int_equal(send(fd, protobuf, sizeof protobuf, MSG_NOSIGNAL), sizeof protobuf);
    assert_true(raw_closed(fd, PATIENCE_MS));
    close(fd);
    assert_says(&process, "connection dropped: other than a Step at the address for Steps");
    assert_orderly(process_end(&process, SIGTERM));
}

/* A Step of no event here is answered, of whatever generation it says it is: none is asked on. */
static void steps_of_nothing(void **state) {
    struct process process;
    struct process_setup setup = {.silent = false};
    struct arena arena;
    char name[64];
    (void)state;
    arena_init(&arena, (size_t)1 << 20);
    process_start(&process, &setup);
    assert_true(address_name(process.pid, name));
    uint64_t tag = strtoull(strrchr(name, '.') + 1, NULL, 16);
    struct msgpack_peer peer = peer_at(name);
    for (uint64_t i = 0; i < 3; i++) {
        struct rpc_call step = {.command = RPC_STEP, .event_id = (tag + i) << 41 | 77};
        struct rpc_reply reply = msgpack_peer_ask(&peer, step, &arena);
        assert_int_equal(reply.kind, RPC_REPLY_ERROR);
        assert_string_equal(reply.error.data, "no such event");
    }
    msgpack_peer_close(&peer);
    arena_free(&arena);
    assert_orderly(process_end(&process, SIGTERM));
}

/* Connections there count like all others, and wait like them. */
static void the_limit_of_connections(void **state) {
    static const char *const options[] = {"--max-connections", "2", NULL};
    struct process process;
    struct process_setup setup = {.options = options};
    struct arena arena;
    char name[64];
    (void)state;
    arena_init(&arena, (size_t)1 << 20);
    process_start(&process, &setup);
    assert_true(address_name(process.pid, name));
    int first = raw_connect(&process);
    int second = raw_connect(&process);
    struct msgpack_peer peer = peer_at(name);
    msgpack_peer_send(&peer, (struct rpc_call){.command = RPC_STEP, .event_id = 77});
    assert_says(&process, "2 connections, limit 2: others wait (--max-connections)");
    close(first);
    assert_int_equal(msgpack_peer_answer(&peer, RPC_STEP, &arena).kind, RPC_REPLY_ERROR);
    msgpack_peer_close(&peer);
    close(second);
    arena_free(&arena);
    assert_orderly(process_end(&process, SIGTERM));
}

static void another_user(void **state) {
    struct process process;
    struct process_setup setup = {.silent = false};
    char name[64];
    int status = 0;
    (void)state;
    if (geteuid() != 0) {
        print_message("  SKIPPED: only root can connect as somebody else\n");
        return;
    }
    process_start(&process, &setup);
    assert_true(address_name(process.pid, name));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct sockaddr_un address;
        socklen_t len;
        char byte;
        int fd = setresuid(NOBODY, NOBODY, NOBODY) == 0 ? abstract(name, &address, &len) : -1;
        bool in = fd >= 0 && connect(fd, (struct sockaddr *)&address, len) == 0;
        _exit(in && recv(fd, &byte, 1, 0) <= 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_says(&process, "connection refused at the address for Steps of other generations");
    assert_says(&process, "of user id 65534");
    assert_orderly(process_end(&process, SIGTERM));
}

/* --- Names that are taken --- */

static int held[TAGS];

/* All names of a path but the last `left`. */
static void take_names(const char *name, unsigned left) {
    char other[80];
    int prefix = (int)(strrchr(name, '.') - name);
    for (unsigned tag = 0; tag < TAGS - left; tag++) {
        struct sockaddr_un address;
        socklen_t len;
        snprintf(other, sizeof other, "%.*s.%03x", prefix, name, tag);
        held[tag] = abstract(other, &address, &len);
        assert_true(held[tag] >= 0);
        assert_int_equal(bind(held[tag], (struct sockaddr *)&address, len), 0);
    }
}

static void leave_names(void) {
    for (unsigned tag = 0; tag < TAGS; tag++) {
        if (held[tag] > 0) {
            close(held[tag]);
            held[tag] = 0;
        }
    }
}

static void names_that_are_taken(void **state) {
    static char path[96];
    const char *const options[] = {NULL};
    struct rlimit files;
    struct process process;
    struct process_setup setup = {.options = options};
    char name[64];
    char directory[SCRATCH_PATH];
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_max < 2 * TAGS) {
        print_message("  SKIPPED: no more than %llu descriptors\n",
                      (unsigned long long)files.rlim_max);
        return;
    }
    rlim_t before = files.rlim_cur;
    files.rlim_cur = 2 * TAGS;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    assert_true(scratch_make(directory));
    snprintf(path, sizeof path, "%s/socket", directory);
    setup.path = path;
    process_start(&process, &setup);
    assert_true(address_name(process.pid, name));
    assert_orderly(process_end(&process, SIGTERM));
    take_names(name, 0);
    process_start(&process, &setup);
    assert_says(&process, "no address for Steps of other generations (address already in use)");
    assert_false(address_name(process.pid, name));
    leave_names();
    struct kong_peer peer;
    kong_peer_open(&peer, &process, PROTOCOL_MSGPACK);
    kong_peer_serves(&peer);
    kong_peer_close(&peer);
    assert_orderly(process_end(&process, SIGTERM));
    /* one is enough */
    take_names(name, 1);
    process_start(&process, &setup);
    assert_true(address_name(process.pid, name));
    assert_string_equal(strrchr(name, '.'), ".fff");
    assert_orderly(process_end(&process, SIGTERM));
    leave_names();
    assert_true(scratch_remove_empty(directory));
    files.rlim_cur = before;
    setrlimit(RLIMIT_NOFILE, &files);
}

int main(int argc, char **argv) {
    int status;
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_but_steps),        cmocka_unit_test(steps_of_nothing),
        cmocka_unit_test(the_limit_of_connections), cmocka_unit_test(another_user),
        cmocka_unit_test(names_that_are_taken),
    };
    return cmocka_run_group_tests_name("test_relay_address", tests, NULL, NULL);
}
