/* The memory that peers can make a server hold, seen from outside: one budget over all connections
 * and events. What is over it is refused, counted, and harms nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "limit.h"
#include "msgpack_peer.h"
#include "msgpack_rpc.h"
#include "process_peer.h"
#include "value.h"

#define BUDGET     ((size_t)16 << 20)
#define BUDGET_KIB ((long)(BUDGET >> 10))
#define STEP       ((size_t)4 << 20)
#define PEERS      16

static int64_t limit_reached(struct msgpack_peer *peer, const char *name) {
    struct arena arena;
    arena_init(&arena, (size_t)1 << 24);
    struct rpc_reply reply =
        msgpack_peer_ask(peer, (struct rpc_call){.command = RPC_GET_STATUS}, &arena);
    assert_int_equal(reply.kind, RPC_REPLY_STATUS);
    const struct kong_value *limits = value_get(&reply.status, "Limits");
    assert_non_null(limits);
    int64_t times = value_get(limits, name)->integer;
    arena_free(&arena);
    return times;
}

/* An event of the mode "value", which waits for an answer of any kind. */
static uint64_t begin(struct msgpack_peer *peer, int64_t *instance) {
    struct arena arena;
    arena_init(&arena, (size_t)1 << 20);
    if (*instance == 0) {
        struct rpc_call start = {.command = RPC_START_INSTANCE,
                                 .name = kong_str("hurt"),
                                 .config = kong_str("{\"mode\":\"value\"}")};
        *instance = msgpack_peer_ask(peer, start, &arena).instance.id;
    }
    struct rpc_reply reply = msgpack_peer_ask(peer,
                                              (struct rpc_call){.command = RPC_HANDLE_EVENT,
                                                                .instance_id = *instance,
                                                                .event = kong_str("access")},
                                              &arena);
    assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
    uint64_t id = reply.event_id;
    arena_free(&arena);
    return id;
}

static void send_all(int fd, const uint8_t *data, size_t len) {
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        assert_true(sent > 0 || errno == EINTR);
        data += sent > 0 ? sent : 0;
        len -= sent > 0 ? (size_t)sent : 0;
    }
}

/* Sixteen Steps of 4 MiB at once, each but its last byte, on a budget of 16 MiB: the server holds
 * no more than that, and each event gets its answer or KONG_E_TOO_BIG. */
static void half_messages(void **state) {
    static const char *const options[] = {"--max-memory", "16M", NULL};
    struct process process;
    struct process_setup setup = {.options = options};
    struct msgpack_peer peers[PEERS];
    struct msgpack_peer other;
    struct kong_peer served;
    struct buffer bytes;
    char *text = malloc(STEP);
    int64_t instance = 0;
    (void)state;
    assert_non_null(text);
    memset(text, 'x', STEP);
    process_start(&process, &setup);
    msgpack_peer_open(&other, process.path);
    kong_peer_open(&served, &process, PROTOCOL_PROTOBUF);
    kong_peer_serves(&served);
    limit_reached(&other, "max-memory");
    long before = process_figure(process.pid, "VmRSS");
    buffer_init(&bytes, LIMIT_FRAME);
    for (size_t i = 0; i < PEERS; i++) {
        msgpack_peer_open(&peers[i], process.path);
        struct rpc_call step = {.command = RPC_STEP,
                                .sequence = ++peers[i].msgid + 100,
                                .event_id = begin(&peers[i], &instance),
                                .data = kong_bytes(text, STEP)};
        peers[i].msgid = step.sequence;
        buffer_clear(&bytes, LIMIT_FRAME);
        assert_int_equal(msgpack_encode_call(&bytes, &step), 0);
        send_all(peers[i].fd, bytes.data, bytes.len - 1);
    }
    kong_peer_serves(&served);
    long growth = process_figure(process.pid, "VmHWM") - before;
    print_message("  %d halves of 4 MiB: at most %ld KiB more\n", PEERS, growth);
    if (!process_is_padded()) {
        assert_true(growth <= BUDGET_KIB + BUDGET_KIB / 2);
    }
    assert_true(limit_reached(&other, "max-memory") > 0);
    for (size_t i = 0; i < PEERS; i++) {
        struct arena arena;
        arena_init(&arena, (size_t)1 << 20);
        send_all(peers[i].fd, (const uint8_t *)"x", 1);
        struct rpc_reply reply = msgpack_peer_answer(&peers[i], RPC_STEP, &arena);
        /* a header, or an error's line, or the end where that line was written already */
        assert_true(reply.kind == RPC_REPLY_PDK_CALL || reply.kind == RPC_REPLY_RETURN);
        arena_free(&arena);
        msgpack_peer_close(&peers[i]);
    }
    kong_peer_serves(&served);
    /* all of it has come back: a large answer goes through again */
    struct msgpack_peer last;
    msgpack_peer_open(&last, process.path);
    struct arena arena;
    arena_init(&arena, (size_t)1 << 20);
    struct rpc_call step = {.command = RPC_STEP,
                            .event_id = begin(&last, &instance),
                            .data = kong_bytes(text, STEP / 2)};
    struct rpc_reply reply = msgpack_peer_ask(&last, step, &arena);
    assert_true(kong_str_equal(reply.method, kong_str("kong.response.set_header")));
    arena_free(&arena);
    msgpack_peer_close(&last);
    msgpack_peer_close(&other);
    kong_peer_close(&served);
    buffer_free(&bytes);
    free(text);
    assert_orderly(process_end(&process, SIGTERM));
}

/* A message that stays half is not kept for ever. */
static void half_for_ever(void **state) {
    static const char *const options[] = {"--event-timeout", "1", NULL};
    static const uint8_t half[] = {0x94, 0x00, 0x01, 0xab, 'p', 'l'};
    struct process process;
    struct process_setup setup = {.options = options};
    struct kong_peer served;
    (void)state;
    process_start(&process, &setup);
    kong_peer_open(&served, &process, PROTOCOL_PROTOBUF);
    kong_peer_serves(&served);
    int fd = raw_connect(&process);
    send_all(fd, half, sizeof half);
    assert_true(raw_closed(fd, PATIENCE_MS));
    close(fd);
    assert_says(&process, "connection dropped: a message has not come to its end for 1000 ms");
    kong_peer_serves(&served); /* its connection was quiet all the time, and lives */
    assert_int_equal(sim_client_counts(served.client)->connections, 1);
    kong_peer_close(&served);
    assert_orderly(process_end(&process, SIGTERM));
}

/* One that sends rubbish over and over decides how often, but not how much is logged of it. */
static void rubbish(void **state) {
    enum { TIMES = 400 };
    struct process process;
    struct process_setup setup = {.silent = false};
    struct kong_peer served;
    (void)state;
    process_start(&process, &setup);
    kong_peer_open(&served, &process, PROTOCOL_PROTOBUF);
    double start = seconds_now();
    for (int i = 0; i < TIMES; i++) {
        int fd = raw_connect(&process);
        send_all(fd, (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18);
        assert_true(raw_closed(fd, PATIENCE_MS));
        close(fd);
    }
    kong_peer_serves(&served);
    size_t seconds = (size_t)(seconds_now() - start) + 2;
    assert_says(&process, "connection dropped: frame of 542393671 bytes, limit 8388608");
    size_t lines = process_count(&process, "connection dropped");
    print_message("  %zu lines\n", lines);
    assert_true(lines <= seconds * 10);
    kong_peer_close(&served);
    assert_orderly(process_end(&process, SIGTERM));
}

int main(int argc, char **argv) {
    int status;
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_messages),
        cmocka_unit_test(half_for_ever),
        cmocka_unit_test(rubbish),
    };
    return cmocka_run_group_tests_name("test_memory", tests, NULL, NULL);
}
