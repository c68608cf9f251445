/* Connections of a loop that turns only when the test says so: no timer runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"
#include "limit.h"
#include "msgpack_peer.h"
#include "msgpack_rpc.h"
#include "pdk_bench.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

struct place {
    struct bench *bench;
    struct conn_env env;
    struct busy_poll busy_poll;
    struct socket_file socket;
    uv_loop_t loop;
};

static void on_closed(struct conn_env *env) {
    (void)env;
}

static void place_open(struct place *place, bool kong_2_8) {
    *place = (struct place){.socket.fd = -1};
    assert_int_equal(uv_loop_init(&place->loop), 0);
    place->bench = kong_2_8 ? bench_create_2_8(PROTOCOL_PROTOBUF)
                            : bench_create_sharing(PROTOCOL_MSGPACK, NULL, NULL, 0);
    place->env = (struct conn_env){.rpc = place->bench->env,
                                   .loop = &place->loop,
                                   .busy_poll = &place->busy_poll,
                                   .peer_patience_ms = 60000,
                                   .store = fd_store_create(&place->socket, NULL, NULL),
                                   .closed = on_closed};
    assert_non_null(place->env.store);
    place->env.read_buffer = fd_store_read_buffer(place->env.store, 0);
}

static void turn(struct place *place) {
    uv_run(&place->loop, UV_RUN_NOWAIT);
}

static void place_close(struct place *place) {
    conns_close_all(&place->env);
    uv_run(&place->loop, UV_RUN_DEFAULT);
    assert_int_equal(place->env.count, 0);
    assert_int_equal(uv_loop_close(&place->loop), 0);
    fd_store_destroy(place->env.store);
    bench_destroy(place->bench);
}

/* The peer's end of a new connection; *server: ours. */
static int connect_to(struct place *place, int *server) {
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(conn_adopt(&place->env, ends[0], false), 0);
    *server = ends[0];
    return ends[1];
}

/* The read buffer is everyone's: what it has next may be another peer's, and is not taken for that
 * of a connection on which a message is under way. */
static void a_half_is_not_in_the_buffer(void **state) {
    static const struct {
        bool kong_2_8;
        const char *bytes;
        size_t len;
        uint8_t what;
    } rows[] = {
        {false, "\x94", 1, IN_FLIGHT_OTHER},
        {false, "\x94\x00\x07", 3, IN_FLIGHT_OTHER},
        {false, "\x94\x00\x07\xb2", 4, IN_FLIGHT_OTHER},
        {false, "\x94\x00\x07\xabplugin.Step", 15, IN_FLIGHT_MSGPACK_EVENT | IN_FLIGHT_HALF},
        {false, "\x10\x00", 2, IN_FLIGHT_OTHER},
        {true, "\x10\x00", 2, IN_FLIGHT_PROTOBUF_EVENT},
        {true, "\xff\x00\x00\x00\x10", 5, IN_FLIGHT_OTHER}, /* no event is so long */
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct place place;
        int server;
        place_open(&place, rows[i].kong_2_8);
        int peer = connect_to(&place, &server);
        const struct in_flight *in_flight = fd_store_in_flight(place.env.store, server);
        assert_int_equal(in_flight->what, 0);
        assert_int_equal(send(peer, rows[i].bytes, rows[i].len, MSG_NOSIGNAL), rows[i].len);
        turn(&place);
        assert_int_equal(in_flight->what, rows[i].what);
        close(peer);
        place_close(&place);
    }
}

static void peer_open(struct place *place, struct msgpack_peer *peer) {
    int server;
    *peer = (struct msgpack_peer){.fd = connect_to(place, &server)};
    buffer_init(&peer->in, LIMIT_FRAME);
}

static void peer_asks(struct place *place, struct msgpack_peer *peer) {
    msgpack_peer_send(peer, (struct rpc_call){.command = RPC_PLUGIN_NAMES});
    turn(place);
    struct rpc_reply reply = msgpack_peer_answer(peer, RPC_PLUGIN_NAMES, &place->bench->memory);
    assert_int_equal(reply.kind, RPC_REPLY_NAMES);
}

/* The number of a serverPid that the peer was sent; 0: it was sent nothing. */
static int64_t pid_sent(const struct msgpack_peer *peer) {
    uint8_t bytes[64];
    int64_t pid = 0;
    ssize_t len = recv(peer->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    assert_int_equal(peer->in.len, 0);
    assert_true(len < 0 || msgpack_decode_server_pid(bytes, (size_t)len, &pid));
    return pid;
}

/* Another server has the path: a message of one connection is the moment to nudge the others. */
static void a_message_nudges_others(void **state) {
    struct place place;
    struct msgpack_peer peers[3];
    (void)state;
    place_open(&place, false);
    for (size_t i = 0; i < LENGTH(peers); i++) {
        peer_open(&place, &peers[i]);
        peer_asks(&place, &peers[i]);
    }
    peer_asks(&place, &peers[0]);
    for (size_t i = 0; i < LENGTH(peers); i++) {
        assert_int_equal(pid_sent(&peers[i]), 0);
    }
    place.env.draining = place.env.taken_over = true;
    peer_asks(&place, &peers[0]);
    assert_int_equal(pid_sent(&peers[0]), 0); /* Kong may not have read its answer yet */
    assert_int_equal(pid_sent(&peers[1]), place.env.rpc.pid);
    assert_int_equal(pid_sent(&peers[2]), place.env.rpc.pid);
    peer_asks(&place, &peers[1]);
    assert_int_equal(pid_sent(&peers[0]), place.env.rpc.pid);
    assert_int_equal(pid_sent(&peers[2]), 0); /* it has been, and has said nothing since */
    for (size_t i = 0; i < LENGTH(peers); i++) {
        msgpack_peer_close(&peers[i]);
    }
    place_close(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_half_is_not_in_the_buffer),
        cmocka_unit_test(a_message_nudges_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
