/* One peer's conversation: bytes in, bytes out, no I/O. conn gives it what was read and writes what
 * it leaves in `out`. The same code serves the fuzzers and the tests.
 *
 * How an event talks to Kong is in rpc_protobuf.c and rpc_msgpack.c, commands are in
 * rpc_command.c. */
#ifndef SERVER_RPC_H
#define SERVER_RPC_H

#include <sys/queue.h>

#include "buffer.h"
#include "event.h"
#include "frame.h"
#include "in_flight.h"
#include "limit.h"
#include "msgpack_skip.h"
#include "rpc_message.h"
#include "status.h"
#include "throttle.h"

struct rpc;
struct forward;
struct process_forward_env;
struct prefetch;

/* Sends a Step (a whole message) to the thread or the server `to`; its answer, or an error, comes
 * into rpc->out later. False: it could not be sent. */
typedef bool forward_start(struct rpc *rpc, uint32_t to, const struct rpc_call *step,
                           const uint8_t *data, size_t len);

/* What all conversations of one loop share. Everything is borrowed. */
struct rpc_env {
    struct events *events;
    struct registry *registry;
    struct log *log;
    struct throttle *complaints; /* lines about what peers do wrong; NULL: all are written */
    const struct plugins *plugins;
    const struct rpc_plugin_info *info; /* of each plugin: what its dump says too */
    struct arena *scratch;              /* for one message, reset before each */
    const struct budget *budget;        /* of what is read and written; NULL: none */
    struct prefetch *prefetch;          /* ProtoBuf:1; NULL: nothing is asked for ahead */
    bool declares;                      /* prefetch_declares */
    size_t max_frame;
    size_t max_connections;
    const struct running *running; /* for its restarts; NULL: not known */
    /* Fills in what all threads have counted. NULL: there is only this one. */
    void (*gather)(const struct rpc_env *env, struct status_source *source);
    int64_t pid;
    double started_at;
    /* Where the Step of an event goes that lives elsewhere: on another thread, in another server.
     * NULL: nowhere else. */
    forward_start *to_thread, *to_process;
    struct process_forward_env *process_forward_env;
    uint32_t tag;                    /* of this server's event ids */
    uint64_t (*now_ms)(void *clock); /* the loop's clock */
    void *clock;
};

/* What status.h and metrics_text.h tell of. */
struct status_source rpc_status_source(const struct rpc_env *env);

/* How far a conversation has come: it never goes back (rpc_conversation.c has the table). */
enum rpc_state {
    RPC_OPEN,
    RPC_EXITED, /* ProtoBuf:1: a terminal call was sent. Kong closes, but may ask on */
    RPC_ENDING, /* our side is shut: of what comes only answers that are due are taken */
    RPC_BROKEN, /* nothing more can be said: close the connection once `out` is written */
    RPC_CLOSED, /* nothing is left of it */
};

struct rpc {
    const struct rpc_env *env;
    enum protocol protocol;
    enum rpc_state state;
    uint64_t state_ms; /* since when, on the loop's clock; RPC_OPEN: 0 */
    struct frame_reader reader;
    struct buffer in;              /* the message under way */
    struct buffer out;             /* for the caller to write and to consume */
    size_t unwritten;              /* the caller's: bytes taken from `out` that wait elsewhere */
    void (*wake)(struct rpc *rpc); /* something was put in `out` outside of rpc_feed */
    /* Says a few bytes without a buffer; false: others wait before them. NULL: never. */
    bool (*say_at_once)(struct rpc *rpc, const uint8_t *data, size_t len);
    struct in_flight *in_flight; /* where requests are noted; borrowed; NULL: nowhere */
    bool feeding;
    bool steps_only;  /* the peer is another generation of this server: it may send Steps of events
                         that are here, and nothing else */
    uint64_t half_ms; /* since when a message is under way, on the loop's clock; 0: there is none */
    bool held;        /* `in` has messages that are taken up when the peer has read its answers */
    bool skipping; /* the message under way is over a limit, which `reason` names: it is skipped */
    uint64_t skip_left; /* ProtoBuf: bytes of it still to come */
    struct msgpack_skip skip;
    char reason[200];

    /* ProtoBuf:1 */
    struct event *event; /* at work on this connection */
    int64_t sequence;    /* of its RpcCall */
    size_t results_due;  /* PDK calls sent that Kong has not answered; their frames come before all
                            others */
    uint32_t calls_sent; /* … of the event at work, in all */
    bool ready; /* the answer that the handler waits for is in event->answer: it goes on when the
                   other answers that have come are read, too */

    /* MsgPack:1 */
    bool announced; /* serverPid was sent */
    bool nudged;    /* rpc_nudge, and Kong has not said anything since */
    LIST_HEAD(, event)
    requests; /* events whose Kong request came over this connection and is unanswered */
    LIST_HEAD(, forward) forwards; /* Steps from this connection that are elsewhere (forward.h) */
    size_t forwarded_bytes;        /* of these */
};

void rpc_init(struct rpc *rpc, const struct rpc_env *env, void (*wake)(struct rpc *));

/* Goes on with a conversation of ProtoBuf:1 that another process began: Kong still has to answer so
 * many PDK calls of it. Right after rpc_init. */
void rpc_expect_results(struct rpc *rpc, size_t results_due);

/* Takes all of data; a message over a limit is passed over without being kept, and the event whose
 * answer it is gets KONG_E_TOO_BIG. 0, or -1: the stream is broken, rpc->reason says why (static
 * text and figures only, nothing of the peer's bytes); write what is in `out`, then close. */
int rpc_feed(struct rpc *rpc, const uint8_t *data, size_t len);

/* True when messages are held and can be taken up: call rpc_resume. */
bool rpc_resumable(const struct rpc *rpc);
/* Takes up what was held, as rpc_feed does. */
int rpc_resume(struct rpc *rpc);

/* More waits for the peer, or for other threads on its behalf, than LIMIT_OUT_PAUSE: nothing new of
 * it is taken up, and nothing should be read. ProtoBuf:1: answers that are due are taken all the
 * same, for Kong writes them before it reads on. */
static inline bool rpc_is_paused(const struct rpc *rpc) {
    return rpc->results_due == 0 &&
           rpc->out.len + rpc->unwritten + rpc->forwarded_bytes > LIMIT_OUT_PAUSE;
}

/* Logs what a peer does wrong, unless too much of that is logged. */
void rpc_complain(const struct rpc_env *env, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* RPC_ENDING, from now on. */
void rpc_end(struct rpc *rpc);

/* The server ends, and nothing follows. MsgPack:1, where Kong takes "closed" for an event that is
 * over: what Kong waits for is answered as of an event over its time. ProtoBuf:1: Kong sends the
 * event again, to the next server. */
void rpc_give_up(struct rpc *rpc);

/* The peer is gone: its events are resumed with KONG_E_GONE. Frees everything. */
void rpc_close(struct rpc *rpc);

/* Nothing is under way: no event, nothing to write, nothing that Kong still has to write. Part of a
 * message may be there; it does not count. */
bool rpc_idle(const struct rpc *rpc);

/* Nothing of what Kong asked over this connection is under way, nor a part of a message; on
 * ProtoBuf:1 it may still have to answer PDK calls (results_due). */
bool rpc_quiet(const struct rpc *rpc);

/* ProtoBuf:1, after an answer was written: nothing more follows about what Kong asked over this
 * connection. */
bool rpc_answered(const struct rpc *rpc);

/* MsgPack:1: puts a serverPid into `out` that nobody asked for, where nothing is under way; once
 * after each message of Kong's. False: nothing was done. */
bool rpc_nudge(struct rpc *rpc);
/* Whether it would do something. */
bool rpc_nudgeable(const struct rpc *rpc);

/* The answer to a request that a dead process left unanswered (in_flight.h), in `out`; how many
 * bytes, 0: there is none. `read`: IN_FLIGHT_HEAD bytes of it, which nobody has looked at; NULL:
 * `what` and `id` say what it is. An event, or the start of an instance, is sent again by Kong
 * where next_process says that there is somebody to send it to. Else the event's request ends when
 * the plugin fails closed. */
size_t rpc_answer_orphan(const struct plugins *plugins, uint8_t what, uint32_t id,
                         const uint8_t *read, bool next_process, uint8_t *out, size_t size);

/* On ProtoBuf:1 Kong 2.8 goes on without the plugin when it reads "closed" in place of an answer to
 * an event: so a connection of such a Kong does not just end. Behind an exit it does: Kong closes.
 */
bool rpc_wants_words(const struct rpc *rpc);

/* What is to be said before our side ends with nothing under way, in `out`; how many bytes, mostly
 * 0. Kong reads them where it writes an event at that moment, and sends it again. nginx does not
 * use a connection with such bytes again. */
size_t rpc_last_words(const struct rpc *rpc, uint8_t *out, size_t size);

#endif
