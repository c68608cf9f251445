/* Asks a running server over its socket, as Kong would: one connection, one call after the other,
 * blocking. For the program's own commands (--status, --doctor); a server does not use it. */
#ifndef SERVER_ASK_H
#define SERVER_ASK_H

#include <sys/types.h>

#include "buffer.h"
#include "frame.h"
#include "rpc_message.h"

struct plugins;

/* Owned by whoever embeds it. */
struct ask {
    int fd; /* -1: not open */
    enum protocol protocol;
    struct frame_reader reader;
    struct buffer in;
    size_t used; /* of `in`: messages that were given out */
    int64_t sequence;
    int64_t deadline_ms; /* of the whole conversation, on the monotonic clock */
    pid_t peer;          /* who made the socket listen; 0: not known */
    bool answered;       /* it has said anything */
    bool dropped;        /* it closed the connection before that, as it does to users it refuses */
    char error[256];     /* why the last function failed: one printable line */
};

/* Connects. The server has timeout_ms for the whole conversation. 0, or -1 with ask->error; then
 * errno is that of connect(2) (ENOENT, ECONNREFUSED: no server listens), and ask_close is not
 * needed. */
int ask_open(struct ask *ask, const char *path, enum protocol protocol, int timeout_ms);
/* Why a server dropped us, in one line: its --allow-uid, if its command line says so or cannot be
 * read. False: it did not, or not for that. */
bool ask_find_refusal(const struct ask *ask, const struct plugins *plugins, char *text,
                      size_t size);

/* Idempotent. */
void ask_close(struct ask *ask);

/* One command, or an event's first message: sequence is filled in. The reply lives in the arena. An
 * error text of MsgPack:1 is a reply too (RPC_REPLY_ERROR). 0, or -1 with ask->error. */
int ask_call(struct ask *ask, struct rpc_call *call, struct arena *arena, struct rpc_reply *reply);

/* The same without waiting for the reply. */
int ask_send_call(struct ask *ask, struct rpc_call *call);

/* Sends whole messages as they are; reads the next one, which lives until the next call. 0, or -1
 * with ask->error. */
int ask_send(struct ask *ask, const struct buffer *message);
int ask_next(struct ask *ask, struct frame *frame);

#endif
