/* The one table of all PDK methods. It lives in pdk_methods.def; the enum, the look-up, the codecs,
 * the typed functions, the docs and the simulated Kong derive from it or are checked against it by
 * a test. */
#ifndef PROTO_PDK_METHODS_H
#define PROTO_PDK_METHODS_H

#include "kong_phase.h"
#include "kong_value.h"

/* The argument message on ProtoBuf:1; on MsgPack:1 the Lua call's arguments in order (right
 * column). */
enum pdk_args {
    PDK_ARGS_EMPTY,        /* ()                                 */
    PDK_ARGS_INT,          /* (integer)                          */
    PDK_ARGS_BOOL,         /* (boolean)                          */
    PDK_ARGS_LIST,         /* (any, ...)       ListValue         */
    PDK_ARGS_STRUCT,       /* (map)            Struct            */
    PDK_ARGS_EXIT,         /* (status, body, headers)            */
    PDK_ARGS_AUTHENTICATE, /* (consumer, credential) maps or nil */
    PDK_ARGS_ANY,          /* (any, ...)       MsgPack only      */
    /* from here on the first is a string: */
    PDK_ARGS_STRING,        /* (string)                           */
    PDK_ARGS_KV,            /* (string, any)                      */
    PDK_ARGS_BYTES,         /* (string)         ByteString        */
    PDK_ARGS_TARGET,        /* (host, port)                       */
    PDK_ARGS_CONSUMER_SPEC, /* (id, search_by_username)           */
};

enum pdk_result {
    PDK_RESULT_EMPTY,
    PDK_RESULT_STRING,
    PDK_RESULT_INT,
    PDK_RESULT_NUMBER,
    PDK_RESULT_BOOL,
    PDK_RESULT_BYTES,
    PDK_RESULT_VALUE,
    PDK_RESULT_STRUCT,
    PDK_RESULT_RAW_BODY,
    PDK_RESULT_URI_CAPTURES,
    PDK_RESULT_ROUTE,
    PDK_RESULT_SERVICE,
    PDK_RESULT_CONSUMER,
    PDK_RESULT_CREDENTIAL,
    PDK_RESULT_MEMORY_STATS,
    PDK_RESULT_ANY, /* MsgPack only */
};

enum pdk_flags {
    PDK_WAITED = 0,       /* the handler needs the result */
    PDK_POSTED = 1,       /* there is no result: the handler goes on at once */
    PDK_TERMINAL = 2,     /* ends the event: no answer ever comes */
    PDK_MSGPACK_ONLY = 4, /* Kong has no ProtoBuf:1 message for it */
    /* Further conditions in the phase log; otherwise Kong raises an error: */
    PDK_LOG_OF_HTTP = 8,      /* the log is one of an HTTP request */
    PDK_LOG_OF_STREAM = 16,   /* … of a stream */
    PDK_LOG_IF_BUFFERED = 32, /* Kong buffered the upstream's response */
    PDK_LOG_PROTOBUF = 64,    /* … on ProtoBuf:1 only */
    PDK_LOG_CONDITIONS = PDK_LOG_OF_HTTP | PDK_LOG_OF_STREAM | PDK_LOG_IF_BUFFERED,
    PDK_2_8_PROTOBUF = 128, /* not_2_8 holds on ProtoBuf:1 only */
    PDK_SAFE = 256,         /* a getter that raises for no request, in the phases that allow it
                               (but those of PDK_LOG_CONDITIONS), changes nothing, costs little */
};

/* What an answer of Kong's depends on. */
enum pdk_of {
    PDK_OF_FIXED = 1,     /* nothing that a handler does, nor time */
    PDK_OF_REQUEST = 2,   /* the request, as kong.service.request.* changes it */
    PDK_OF_RESPONSE = 4,  /* the response */
    PDK_OF_CTX = 8,       /* kong.ctx.shared, ngx.ctx */
    PDK_OF_ROUTE = 16,    /* route and service */
    PDK_OF_CONSUMER = 32, /* consumer and credential */
    PDK_OF_MOMENT = 128,  /* it may be another one at any time: no answer is used twice */
    PDK_OF_ALL = 254,     /* all but what is fixed */
};

struct pdk_method {
    struct kong_str name; /* "kong.response.set_header" */
    enum pdk_args args;
    enum pdk_result result;
    unsigned flags;  /* enum pdk_flags */
    uint8_t phases;  /* bits 1 << enum kong_phase in which Kong 3.9 allows the call; elsewhere it
                         raises */
    uint8_t not_2_8; /* … in which Kong 2.8 raises nevertheless; all: it has no such function */
    uint8_t plain_phases; /* those of `phases` that have no further condition */
    uint8_t reads;        /* enum pdk_of: what a getter's answer depends on; 0: no getter */
    uint8_t changes;      /* … and what a call may change */
    uint8_t id;           /* enum pdk_id: its place in the table */
};

enum pdk_id {
#define PDK(id, name, args, result, flags, phases, not_2_8, reads, changes) PDK_##id,
#include "pdk_methods.def"
#undef PDK
    PDK_COUNT
};

extern const struct pdk_method pdk_methods[PDK_COUNT];

/* Where the method may be called, of Kong 3.9 or (old) of 2.8: bits as above. */
static inline unsigned pdk_phases(const struct pdk_method *method, bool old, bool on_protobuf) {
    bool less = old && (on_protobuf || (method->flags & PDK_2_8_PROTOBUF) == 0);
    return less ? method->phases & ~method->not_2_8 : method->phases;
}

/* The function that carries the headers of neighbouring calls of `method`: set_headers for
 * set_header. NULL: its calls are not merged. */
static inline const struct pdk_method *pdk_merged(const struct pdk_method *method) {
    return method == &pdk_methods[PDK_RESPONSE_SET_HEADER] ? &pdk_methods[PDK_RESPONSE_SET_HEADERS]
           : method == &pdk_methods[PDK_SERVICE_REQUEST_SET_HEADER]
               ? &pdk_methods[PDK_SERVICE_REQUEST_SET_HEADERS]
               : NULL;
}

/* Whether a header of that name means the same in set_headers, beside others. In a response X_A and
 * X-A are one header for nginx, and which of two comes last in a Lua table is left to chance: not
 * with an underscore. Nor ":authority", which Kong takes in set_header only. */
bool pdk_is_plain_header(struct kong_str name);

/* Whether two names of headers are the same, whatever their case. */
bool pdk_same_header(struct kong_str a, struct kong_str b);

/* By its full name; NULL when it is not in the table. */
const struct pdk_method *pdk_method_find(struct kong_str name);

#endif
