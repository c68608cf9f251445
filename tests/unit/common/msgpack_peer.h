/* One connection that speaks MsgPack:1, a call at a time, for tests that choose which call goes
 * over which connection. Include behind <cmocka.h>: all of this fails the test when it can't. */
#ifndef TESTS_UNIT_MSGPACK_PEER_H
#define TESTS_UNIT_MSGPACK_PEER_H

#include "arena.h"
#include "buffer.h"
#include "rpc_message.h"

struct msgpack_peer {
    int fd;
    int64_t msgid;
    struct buffer in;
};

void msgpack_peer_open(struct msgpack_peer *peer, const char *path);
void msgpack_peer_close(struct msgpack_peer *peer);

/* The sequence is filled in. */
void msgpack_peer_send(struct msgpack_peer *peer, struct rpc_call call);
/* The answer to what was sent last, behind any serverPid; in the arena. */
struct rpc_reply msgpack_peer_answer(struct msgpack_peer *peer, enum rpc_command command,
                                     struct arena *arena);
struct rpc_reply msgpack_peer_ask(struct msgpack_peer *peer, struct rpc_call call,
                                  struct arena *arena);
/* An event that asks for something, each of its calls with an empty answer. The reply to a Step
 * behind its end, which Kong sends nobody. */
struct rpc_reply msgpack_peer_lost_step(struct msgpack_peer *peer, struct rpc_call event,
                                        struct arena *arena);

#endif
