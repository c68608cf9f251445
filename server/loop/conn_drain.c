#include "conn_drain.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* A peer that was heard from within this time may be about to ask again. */
#define FRESH_MS 1000
/* So long a peer has to close its side of a connection that we have ended. */
#define LINGER_MS 500

/* Of what was written, how much the peer has not read. -1: not known. */
static int unread_bytes(int fd) {
    int unread = 0;
    return ioctl(fd, SIOCOUTQ, &unread) == 0 ? unread : -1;
}

bool drain_ends_behind_answer(const struct rpc *rpc, int fd) {
    return rpc->state < RPC_ENDING && rpc->unwritten == 0 && rpc_answered(rpc) &&
           unread_bytes(fd) > 0;
}

bool drain_nudges(const struct rpc *rpc, int fd) {
    return rpc->state < RPC_ENDING && rpc->unwritten == 0 && rpc_nudgeable(rpc) &&
           unread_bytes(fd) == 0;
}

bool drain_ends_idle(const struct rpc *rpc, int fd, uint64_t heard_ms, uint64_t now_ms) {
    char byte;
    return rpc->state < RPC_ENDING && now_ms - heard_ms >= FRESH_MS && rpc_idle(rpc) &&
           rpc->unwritten == 0 && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

bool drain_closes(const struct rpc *rpc, uint64_t heard_ms, uint64_t now_ms) {
    uint64_t quiet_since = heard_ms > rpc->state_ms ? heard_ms : rpc->state_ms;
    return rpc->state == RPC_ENDING && rpc->results_due == 0 && now_ms - quiet_since >= LINGER_MS;
}
