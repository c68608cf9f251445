/* One handler against a Kong that follows a script, over rpc.h: no sockets. What the handler saw is
 * written down as text, for cmocka's asserts must not run on a handler's stack. */
#ifndef TESTS_UNIT_PDK_BENCH_H
#define TESTS_UNIT_PDK_BENCH_H

#include "blocking_pool.h"
#include "event.h"
#include "prefetch.h"
#include "rpc.h"

#define BENCH_CALLS   64
#define BENCH_THREADS 4 /* for kong_run_blocking */

struct bench;
typedef int bench_handler(struct kong *kong, struct bench *bench);

/* What Kong does when a call that waits arrives. */
enum bench_kind {
    BENCH_JSON,    /* answers what the text says */
    BENCH_VALUE,   /* answers *value */
    BENCH_ERROR,   /* MsgPack: StepError with the text; ProtoBuf: closes, as after a Lua error */
    BENCH_GARBAGE, /* answers something of no use: MsgPack a map in a list, ProtoBuf a broken frame
                    */
    BENCH_RAW,     /* answers with the bytes of *value: MsgPack a Step's `Data`, ProtoBuf a frame */
    BENCH_GONE,    /* closes the connection, in the middle of the event */
    BENCH_STALL,   /* does not answer */
};

struct bench_answer {
    enum bench_kind kind;
    const char *text;
    const struct kong_value *value;
};

struct bench_call {
    struct kong_str method;
    struct kong_value args; /* a list without its tail of nils */
};

struct bench {
    enum protocol protocol;
    bench_handler *handler;
    void *data;            /* for the handler */
    enum kong_phase phase; /* of the events; access by default */
    const struct bench_answer *answers;
    size_t answer_count, answers_given;
    const char *content_length; /* answers each question for this header, which is not in `calls`;
                                   NULL: there is none */
    size_t posted_answer_len;   /* so many bytes answer a posted call; 0: as Kong does */
    size_t piece;               /* Kong's bytes arrive so many at a time; 0: all at once */

    struct bench_call calls[BENCH_CALLS]; /* what arrived at Kong */
    size_t call_count;
    bool over;             /* Kong was told that the event is over */
    bool ended;            /* a terminal call arrived */
    bool raised;           /* a call arrived that Kong does not allow in the phase */
    bool closed;           /* by bench_close */
    bool close_at_write;   /* the connection breaks when something is to be written */
    struct kong_str error; /* MsgPack: the error that answered the event */

    char notes[16384]; /* what the handler wrote down */
    size_t notes_len;
    unsigned running; /* handlers at work */

    /* private */
    struct kong_plugin plugin;
    struct plugin hosted;
    struct plugins plugins;
    bool exits_count; /* a handler that returns 0 though its exit was refused has failed, as ever */
    bool kong_2_8;    /* what Kong is */
    struct registry *registry;
    struct events *events;
    struct blocking_pool *blocking; /* its own; NULL */
    struct events_shared shared;
    struct stats stats;
    struct stats_plugin plugin_stats;
    struct running crash_record;
    struct arena memory, scratch;
    struct rpc_env env;
    struct rpc rpc;
    struct frame_reader reader;
    struct kong_str method; /* ProtoBuf: named, its arguments are to come */
    bool method_named;
    bool ending; /* ProtoBuf: the empty frame came, RpcReturn is to come */
    int64_t msgid;
    uint64_t now_ms;
    int32_t instance;
};

/* loop: a uv_loop_t for handlers that wait on it, or NULL. Fails the test when it can't. */
struct bench *bench_create(enum protocol protocol, void *loop);
/* With threads for kong_run_blocking that are the caller's, and so long a wait for one (0: no
 * limit).
 */
struct bench *bench_create_sharing(enum protocol protocol, void *loop,
                                   struct blocking_pool *blocking, uint64_t blocking_wait_ms);
/* The same for a Kong 2.8, and a server that knows it. */
struct bench *bench_create_2_8(enum protocol protocol);
/* From now on getters are asked for ahead (prefetch.h); `wants` is declared for bench->phase. */
void bench_prefetch(struct bench *bench, enum prefetch_mode mode, const struct kong_want *wants);
/* No event may be alive, and no call may have arrived on which Kong raises (both asserted). */
void bench_destroy(struct bench *bench);

/* One event: the handler runs, Kong answers, until there is nothing more to do. A closed connection
 * is opened anew. */
void bench_run(struct bench *bench, bench_handler *handler, void *data,
               const struct bench_answer *answers, size_t count);

/* Takes what the server has written, and answers it. */
void bench_pump(struct bench *bench);

/* The connection is gone. */
void bench_close(struct bench *bench);

/* Moves the clock, and lets the server look at it. */
void bench_tick(struct bench *bench, uint64_t ms);

/* From the handler: "NAME " and a result. */
void note(struct bench *bench, const char *format, ...) __attribute__((format(printf, 2, 3)));
void note_error(struct bench *bench, int error); /* "ok " or "E_TYPE " */
void note_str(struct bench *bench, struct kong_str string);
void note_value(struct bench *bench, const struct kong_value *value);

/* The notes since the last time. */
const char *bench_notes(struct bench *bench);

/* A call's arguments as JSON. */
const char *bench_args(struct bench *bench, size_t call);

#endif
