/* One struct for what Kong asks and one for what it is told, whatever the protocol.
 * Sources: Kong's kong/runloop/plugin_servers/ (pb_rpc.lua, mp_rpc.lua) and the recorded traces in
 * tests/traces/. */
#ifndef PROTO_RPC_MESSAGE_H
#define PROTO_RPC_MESSAGE_H

#include "protocol.h"

enum rpc_command {
    RPC_UNKNOWN, /* a command that we do not know: `method` names it (MsgPack) or is empty
                    (ProtoBuf) */
    RPC_PLUGIN_NAMES,
    RPC_PLUGIN_INFO,
    RPC_START_INSTANCE,
    RPC_INSTANCE_STATUS,
    RPC_CLOSE_INSTANCE,
    RPC_HANDLE_EVENT,
    RPC_STEP,       /* MsgPack only: an answer to a PDK call; all Step* methods */
    RPC_GET_STATUS, /* MsgPack only */
};

/* What Kong asks. Strings point into the bytes that were decoded or into the arena. */
struct rpc_call {
    enum rpc_command command;
    int64_t sequence;       /* RpcCall.sequence (int64), or MessagePack-RPC's msgid (uint32) */
    bool notification;      /* MsgPack: [2, method, arg]: no answer is expected */
    struct kong_str method; /* MsgPack: as sent, "plugin.HandleEvent" */
    struct kong_str name;   /* PLUGIN_INFO, START_INSTANCE: of the plugin */
    struct kong_str config; /* START_INSTANCE: a JSON text */
    int64_t instance_id; /* INSTANCE_STATUS, CLOSE_INSTANCE, HANDLE_EVENT; int32 where it is one of
                            ours */
    struct kong_str event; /* HANDLE_EVENT: Kong's name of the phase; a NUL need not follow */
    uint64_t event_id;     /* STEP */
    struct kong_value
        data; /* STEP: the result of the PDK call; nil when absent. Deep, in the arena */
    struct kong_str error; /* STEP by plugin.StepError: the text; data NULL otherwise */
    int data_error; /* STEP: a codec_error; not CODEC_OK: Kong sent what `data` cannot hold */
};

enum rpc_reply_kind {
    RPC_REPLY_NAMES,
    RPC_REPLY_INFO,
    RPC_REPLY_INSTANCE,
    RPC_REPLY_RETURN, /* the event is over. ProtoBuf: RpcReturn without content; MsgPack: {EventId,
                         Data: "ret"} */
    RPC_REPLY_PDK_CALL, /* MsgPack only: {EventId, Data: {Method, Args}} */
    RPC_REPLY_STATUS,   /* MsgPack only */
    RPC_REPLY_ERROR,    /* MsgPack only: the error is a string, never anything else */
};

struct rpc_instance {
    struct kong_str name;
    int32_t id;
    struct kong_value config; /* what was configured, or nil */
    double started_at; /* seconds since the epoch, with fraction; ProtoBuf carries whole seconds */
};

struct rpc_plugin_info {
    struct kong_str name;
    struct kong_str version;
    int32_t priority;
    const struct kong_str *phases;
    size_t phase_count;
    struct kong_str schema; /* JSON text */
    int64_t updated_at;     /* seconds since the epoch */
    int64_t loaded_at;
};

/* What Kong is told. Nothing is owned. */
struct rpc_reply {
    enum rpc_reply_kind kind;
    int64_t sequence;             /* of the call */
    const struct kong_str *names; /* NAMES */
    size_t name_count;
    struct rpc_plugin_info info;  /* INFO */
    struct rpc_instance instance; /* INSTANCE */
    uint64_t event_id;            /* RETURN, PDK_CALL */
    struct kong_str method;       /* PDK_CALL: "kong.response.set_header" */
    const struct kong_value
        *args; /* PDK_CALL: `Args`, its tail of nils left off and other nils sent as "" */
    size_t arg_count;
    struct kong_value status; /* STATUS: a map */
    struct kong_str error;    /* ERROR */
};

#endif
