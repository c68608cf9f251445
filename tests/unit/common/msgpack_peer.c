#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "msgpack_peer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "frame.h"
#include "limit.h"
#include "msgpack_rpc.h"
#include "sim_client.h"
#include "sim_reply.h"

void msgpack_peer_open(struct msgpack_peer *peer, const char *path) {
    struct timeval patience = {.tv_sec = 60};
    *peer = (struct msgpack_peer){.fd = sim_connect_unix((char *)(uintptr_t)path)};
    assert_true(peer->fd >= 0);
    assert_int_equal(setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    buffer_init(&peer->in, LIMIT_FRAME);
}

void msgpack_peer_close(struct msgpack_peer *peer) {
    close(peer->fd);
    buffer_free(&peer->in);
}

void msgpack_peer_send(struct msgpack_peer *peer, struct rpc_call call) {
    struct buffer bytes;
    buffer_init(&bytes, LIMIT_FRAME);
    call.sequence = ++peer->msgid;
    assert_int_equal(msgpack_encode_call(&bytes, &call), CODEC_OK);
    assert_int_equal(send(peer->fd, bytes.data, bytes.len, MSG_NOSIGNAL), bytes.len);
    buffer_free(&bytes);
}

struct rpc_reply msgpack_peer_answer(struct msgpack_peer *peer, enum rpc_command command,
                                     struct arena *arena) {
    struct frame_reader reader;
    frame_reader_init(&reader, PROTOCOL_MSGPACK, LIMIT_FRAME);
    for (;;) {
        struct frame frame;
        struct codec_reason reason;
        struct rpc_reply reply;
        size_t missing;
        int64_t pid;
        int rc = frame_next(&reader, peer->in.data, peer->in.len, LIMIT_FRAME, &frame, &missing,
                            &reason);
        assert_true(rc >= 0);
        if (rc == 0) {
            uint8_t piece[4096];
            ssize_t count = recv(peer->fd, piece, sizeof piece, 0);
            if (count <= 0) {
                fail_msg("no answer: %s", count == 0 ? "closed" : strerror(errno));
            }
            buffer_append(&peer->in, piece, (size_t)count);
        } else if (msgpack_decode_server_pid(frame.data, frame.len, &pid)) {
            buffer_consume(&peer->in, frame.total);
        } else {
            assert_int_equal(
                sim_msgpack_decode_reply(arena, frame.data, frame.len, command, &reply), CODEC_OK);
            assert_int_equal(reply.sequence, peer->msgid);
            buffer_consume(&peer->in, frame.total);
            return reply;
        }
    }
}

struct rpc_reply msgpack_peer_ask(struct msgpack_peer *peer, struct rpc_call call,
                                  struct arena *arena) {
    msgpack_peer_send(peer, call);
    return msgpack_peer_answer(peer, call.command, arena);
}

struct rpc_reply msgpack_peer_lost_step(struct msgpack_peer *peer, struct rpc_call event,
                                        struct arena *arena) {
    struct rpc_reply reply = msgpack_peer_ask(peer, event, arena);
    assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
    struct rpc_call step = {.command = RPC_STEP, .event_id = reply.event_id};
    while (reply.kind == RPC_REPLY_PDK_CALL) {
        reply = msgpack_peer_ask(peer, step, arena);
    }
    assert_int_equal(reply.kind, RPC_REPLY_RETURN);
    return msgpack_peer_ask(peer, step, arena);
}
