/* A recorded conversation (trace.h) cut into messages, and what its plugin called. */
#ifndef TESTS_UNIT_RECORDING_H
#define TESTS_UNIT_RECORDING_H

#include "pdk_methods.h"
#include "protocol.h"
#include "rpc_message.h"
#include "trace.h"

#define MOST_MESSAGES 2000
#define MOST_SCRIPTS  64
#define MOST_CALLS    64
#define MOST_WIRES    16 /* connections are numbered below it */

enum kind {
    OPEN,
    CLOSE,
    CALL,   /* Kong: RpcCall, or a request */
    ANSWER, /* Kong, ProtoBuf: the result of a PDK call */
    METHOD, /* server, ProtoBuf */
    ARGS,   /* server, ProtoBuf */
    EMPTY,  /* server, ProtoBuf */
    RETURN, /* server: RpcReturn, or a response */
};

struct message {
    enum kind kind;
    unsigned line, connection;
    const uint8_t *data; /* without a frame's length */
    size_t len;
    enum rpc_command asked;          /* CALL, RETURN */
    const struct pdk_method *method; /* ARGS */
};

struct call {
    struct kong_str name;
    const struct kong_value *args;
    size_t count;
};

/* One event: what the plugin called. */
struct script {
    struct call calls[MOST_CALLS];
    size_t count;
};

struct recording {
    enum protocol protocol;
    struct trace trace;
    struct arena arena;
    struct message messages[MOST_MESSAGES];
    size_t count;
    struct script scripts[MOST_SCRIPTS];
    size_t script_count;
};

/* Fails the test when the recording is not of the format. */
struct recording *recording_read(const char *name, enum protocol protocol);
void recording_free(struct recording *recording);

#endif
