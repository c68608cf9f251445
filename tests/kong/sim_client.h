/* A worker of Kong, as a plugin server sees it: a pool of connections, the commands, and events
 * with their PDK calls, over either protocol, as Kong's Lua client
 * (kong/runloop/plugin_servers/rpc/) behaves on 3.9.1 and in the traces. Blocking, with time-outs;
 * one thread at a time. */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include <sys/types.h>

#include "rpc_message.h"
#include "sim_pdk.h"

struct sim_client;

/* Gives a connected descriptor, which the client then owns; -1: it can't. */
typedef int sim_connect_fn(void *ctx);

/* A sim_connect_fn: ctx is the path of a Unix socket. */
int sim_connect_unix(void *ctx);

/* How this Kong differs from a plain one. */
struct sim_behaviour {
    bool two_writes;     /* ProtoBuf: a frame's length and content apart, as Kong 3.9.1 does */
    size_t chunk;        /* at most so many bytes a write; 0: all at once */
    bool reverse_fields; /* ProtoBuf: fields of RpcCall, and inside, in falling order */
    bool late_answers;   /* ProtoBuf: no answer to a PDK call until the server's RpcReturn was read,
                            or nothing more comes for late_ms */
    int late_ms;         /* 50 when 0 */
    bool joined_answers; /* ProtoBuf: ... and then only together with the next RpcCall, in one
                            write */
    size_t connections;  /* MsgPack: each call goes over the next of so many; 0 or 1: one */
    bool step_error;     /* MsgPack: nil and an error text arrive as plugin.StepError */
    unsigned drop_at;    /* drops the connection at its so-many-th message of an event, sent or
                            read; 0: never */
    bool drop_half;      /* ... a sent one goes by half */
    bool kong_2_8;       /* as Kong 2.8.5 packs results: it raises on some that 3.9 does not */
    int exit_linger_ms;  /* ProtoBuf: the request ends so long after an exit, and only then is the
                            connection dropped. SIM_EVENT_BROKEN when the server says more */
};

struct sim_client_options {
    enum protocol protocol;
    sim_connect_fn *connect;
    void *connect_ctx;
    sim_pdk_fn *pdk; /* answers the PDK calls of events */
    void *pdk_ctx;
    int timeout_ms; /* of each answer; 0: 60 s, as Kong's */
};

/* What became of a command or an event, as Kong sees it. */
enum sim_event_outcome {
    SIM_EVENT_OK,
    SIM_EVENT_EXITED,      /* kong.response.exit or .error */
    SIM_EVENT_RAISED,      /* a PDK call raised: 500 */
    SIM_EVENT_NO_METHOD,   /* ProtoBuf: `method "TEXT" not found`: logged, 500 */
    SIM_EVENT_ERROR,       /* MsgPack: an error text: logged, the request goes on without */
    SIM_EVENT_NO_INSTANCE, /* either, with "no plugin instance" in it: start one and try again */
    SIM_EVENT_CLOSED,      /* "closed": on ProtoBuf Kong 3.9 would try again, for ever. "connection
                              reset by peer" and "broken pipe": it would not, and answer 500. Kong
                              2.8 goes on without the plugin, but for "broken pipe": 500 */
    SIM_EVENT_TIMEOUT,
    SIM_EVENT_BROKEN,  /* the server broke the protocol: text says how */
    SIM_EVENT_DROPPED, /* sim_behaviour.drop_at */
    SIM_EVENT_REFUSED, /* no connection, or no memory */
};

/* "OK", "EXITED" … for messages of tests. Static. */
const char *sim_event_outcome_name(enum sim_event_outcome outcome);

struct sim_event {
    enum sim_event_outcome outcome;
    char text[512];   /* of an error, cut; NUL-terminated */
    size_t pdk_calls; /* made by the server */
    size_t messages;  /* read */
    size_t reads; /* ProtoBuf: read calls that gave bytes: at least the server's writes, unless some
                     came together */
    size_t held;  /* ProtoBuf: bytes of answers not yet given when RpcReturn was read */
};

struct sim_client_counts {
    size_t connections; /* opened so far */
    size_t without_pid; /* MsgPack: connections whose first message was not serverPid */
    int64_t server_pid; /* the last one announced; 0: none yet */
    size_t pid_changes;
};

/* NULL when out of memory. Nothing is connected yet. */
struct sim_client *sim_client_create(const struct sim_client_options *options);
/* Closes all connections. NULL is allowed. */
void sim_client_destroy(struct sim_client *client);

/* May be changed between commands. */
struct sim_behaviour *sim_client_behaviour(struct sim_client *client);
const struct sim_client_counts *sim_client_counts(const struct sim_client *client);

/* Any command but HANDLE_EVENT and STEP. sequence is filled in; MsgPack's UNKNOWN takes
 * call->method. SIM_EVENT_OK: *reply, in the arena. Otherwise *text (may be NULL) says what went
 * wrong. */
enum sim_event_outcome sim_client_command(struct sim_client *client, struct rpc_call *call,
                                          struct arena *arena, struct rpc_reply *reply,
                                          const char **text);

/* plugin.StartInstance, cmd_start_instance. */
enum sim_event_outcome sim_client_start(struct sim_client *client, const char *plugin,
                                        const char *config, int64_t *id);
enum sim_event_outcome sim_client_stop(struct sim_client *client, int64_t id);

/* What went wrong with the last command or event that was not SIM_EVENT_OK. The client's. */
const char *sim_client_text(const struct sim_client *client);

/* One event: event is Kong's name of the phase. Kong's next steps (starting an instance, trying
 * again) are the caller's. */
enum sim_event_outcome sim_client_event(struct sim_client *client, int64_t instance,
                                        const char *event, struct sim_event *result);

/* Sends bytes as they are over a new connection, and reads until the server closes, is silent for
 * wait_ms, or cap bytes came. *closed: it closed. -1: no connection. */
ssize_t sim_client_raw(struct sim_client *client, const void *data, size_t len, int wait_ms,
                       void *out, size_t cap, bool *closed);

/* Drops all idle connections. */
void sim_client_drop(struct sim_client *client);

#endif
