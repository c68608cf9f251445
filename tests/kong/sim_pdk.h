/* The Lua PDK of one request, as Kong 3.9 has it, for tests: what plugins call is answered from,
 * and changes, the state below. Nothing here knows a protocol.
 *
 * Sources: the documentation and behaviour of kong.* in Kong 3.9.1, the recorded traces in
 * tests/traces/ and the recordings in tests/recordings/. Of the headers that Kong adds itself, only
 * X-Forwarded-* and X-Real-IP to the upstream are here, and X-Consumer-* where the test gave a
 * consumer. Via, Server, Date and X-Kong-* are not. */
#ifndef SIM_PDK_H
#define SIM_PDK_H

#include "arena.h"
#include "pdk_methods.h"
#include "scratch.h"
#include "sim_fields.h"

/* What became of a PDK call. */
enum sim_outcome {
    SIM_RESULT, /* *result is the first value that the Lua function returned */
    SIM_FAILED, /* it returned nil and an error text: *result is the text */
    SIM_RAISED, /* it raised a Lua error: *result is the text. The request is over, with 500 */
    SIM_EXITED, /* kong.response.exit or .error: it never returns */
    SIM_UNKNOWN /* there is no such function; Kong has written a line about it on MsgPack:1 */
};

/* Answers one PDK call. `method` is its entry of the table, or NULL when it is not in there. The
 * result lives in the arena. */
typedef int sim_pdk_fn(void *ctx, const struct pdk_method *method, struct kong_str name,
                       const struct kong_value *args, size_t count, struct arena *arena,
                       struct kong_value *result);

enum sim_source { SIM_SOURCE_SERVICE, SIM_SOURCE_EXIT, SIM_SOURCE_ERROR };

struct sim_log {
    struct kong_str level; /* "err" */
    struct kong_str text;  /* the arguments, joined as Kong does: each by tostring */
};

/* The request: what the client sent, changed by kong.service.request.*: Kong's getters see the
 * changes, as they do in nginx. */
struct sim_request {
    struct kong_str method, scheme, host;
    bool by_head;                /* the client sent HEAD; does not change */
    int port;                    /* the one that Kong listens on */
    double http_version;         /* 1.1 */
    struct kong_str request_uri; /* path and query as sent; does not change */
    struct kong_str args;        /* the raw query; changes */
    struct fields headers;
    struct kong_str sent_host; /* the Host header as the client sent it: preserve_host's */
    struct kong_str body;
    bool body_read;            /* nginx has read the body: Content-Length cuts it no more */
    struct kong_str client_ip; /* of the peer, perhaps a proxy */
    int client_port;
    struct kong_str forwarded_ip; /* what a trusted proxy's X-Real-IP says, else client_ip */
    int forwarded_port;           /* 0 when the trusted proxy names none */
};

/* The headers about the client that Kong sends to the upstream, in place of what came. */
enum sim_forwarded {
    SIM_FORWARDED_FOR,
    SIM_FORWARDED_PROTO,
    SIM_FORWARDED_HOST,
    SIM_FORWARDED_PORT,
    SIM_FORWARDED_PATH,
    SIM_FORWARDED_PREFIX,
    SIM_REAL_IP,
    SIM_FORWARDED_COUNT
};

/* Where the request goes. Kong's router sets scheme, host, port and path when the access phase
 * begins: what a plugin has set in rewrite is lost, as in Kong. */
struct sim_upstream {
    struct kong_str scheme, host; /* host: of the service, the target or the Upstream */
    int port;
    struct kong_str path;        /* escaped, without the query */
    bool query_joined;           /* the balancer has run: $upstream_uri has the query, too */
    bool target_set;             /* by kong.service.set_target or set_upstream */
    struct kong_str host_header; /* the Host that the upstream sees; {NULL, 0}: Kong's choice */
    struct kong_str prefix;      /* what strip_path took away; {NULL, 0}: nothing */
    bool routed;                 /* the router has run: forwarded[] is filled */
    struct kong_str forwarded[SIM_FORWARDED_COUNT]; /* {NULL, 0}: not sent */
    bool buffered; /* kong.service.request.enable_buffering, or a response handler */
    int64_t retries, connect_timeout, write_timeout, read_timeout; /* -1: as the service has it */
    int tls_verify;                                                /* -1: not set */
    int64_t tls_verify_depth;                                      /* -1: not set */
    bool tls_disabled;
};

struct sim_response {
    int status;
    struct fields headers;
    struct kong_str body;
};

/* What Kong keeps of the request for a plugin server's log phase, which runs when the request is
 * over. */
struct sim_saved {
    struct kong_str serialized;        /* what kong.log.serialize gives */
    struct kong_value request_headers; /* tables of at most 100 headers; nil in a stream */
    struct kong_value response_headers;
};

/* Everything in it belongs to it and may be read; `kong_test.h` and the functions below write it.
 * Strings live in `memory` until sim_pdk_reset. */
struct sim_pdk {
    struct arena memory;
    bool kong_2_8; /* plays Kong 2.8.5; this and the next stay where the state is reset */
    bool protobuf; /* the plugin server speaks ProtoBuf:1 */
    enum kong_phase phase;
    struct sim_request request;
    struct sim_upstream upstream;
    struct sim_response service; /* the upstream's answer; status 0 before there is one */
    struct sim_response client;  /* the answer to the client */
    enum sim_source source;
    bool exited;       /* by kong.response.exit or .error, or Kong's own error page */
    bool sent;         /* nginx has sent the answer's headers: sim_pdk_sent */
    bool stream;       /* the request is a stream: preread was called */
    bool client_found; /* forwarded_ip, forwarded_port are set from X-Real-IP */
    struct sim_saved saved;
    struct kong_value route, service_entity, consumer, credential; /* maps, or nil */
    struct kong_value uri_captures;                                /* {unnamed: list, named: map} */
    struct kong_value consumers;    /* list of maps: what load_consumer finds */
    struct kong_value upstreams;    /* list of names: what set_upstream finds */
    struct kong_value trusted_ips;  /* list of addresses and CIDR blocks (IPv4, IPv6) */
    struct kong_value shared;       /* kong.ctx.shared: a map */
    struct kong_value ngx_ctx;      /* a map */
    struct kong_value ngx_vars;     /* a map: variables beyond those that the request gives */
    struct kong_value memory_stats; /* what kong.node.get_memory_stats gives */
    struct kong_value stream_memory_stats; /* the same in a stream */
    struct kong_value serialize_values;    /* list of {key, value} */
    struct kong_value vault;               /* map of reference to secret */
    struct kong_str node_id, hostname, cluster_id, plugin_id, tls_version, tls_cipher;
    struct kong_str request_id;   /* 32 hexadecimal digits */
    struct kong_value client_tls; /* map: full_chain; disable_session_reuse and so on are set */
    double start_time;            /* seconds since the epoch */
    int64_t waited_ms;            /* for the upstream's answer */
    struct sim_log *logs;
    size_t log_count, log_capacity;
    size_t body_buffer_size;           /* client_body_buffer_size: larger bodies are in a file */
    char body_directory[SCRATCH_PATH]; /* of that file; "" while there is none */
    char body_file[SCRATCH_PATH + sizeof SCRATCH_BODY];
    size_t calls;             /* PDK calls answered since the reset */
    size_t called[PDK_COUNT]; /* the same, by method */
};

/* NULL when out of memory. The state after it, and after a reset: GET / of http, host "localhost",
 * port 8000, client 127.0.0.1, no route, service or consumer; memory statistics, node id as
 * recorded from Kong 3.9.1. */
struct sim_pdk *sim_pdk_create(void);
void sim_pdk_destroy(struct sim_pdk *pdk);
bool sim_pdk_reset(struct sim_pdk *pdk); /* false when out of memory */

/* Another phase begins, with what Kong does between the phases: before the first one it looks for
 * the client behind trusted proxies, before access it routes, before log it saves struct sim_saved.
 * False when out of memory. */
bool sim_pdk_set_phase(struct sim_pdk *pdk, enum kong_phase phase);

/* A sim_pdk_fn; ctx is the struct sim_pdk. Refuses, as Kong does, what the phase does not allow. */
int sim_pdk_call(void *ctx, const struct pdk_method *method, struct kong_str name,
                 const struct kong_value *args, size_t count, struct arena *arena,
                 struct kong_value *result);

/* What Kong answers the client when a plugin failed: kong.response.error(status). False when out of
 * memory. */
bool sim_pdk_fail(struct sim_pdk *pdk, int status);

/* What it answers when a PDK function raised: in access kong.response.error(500), elsewhere nginx'
 * error page. False when out of memory. */
bool sim_pdk_raised(struct sim_pdk *pdk);

/* nginx' error page for a status, as Kong has configured it. False when out of memory. */
bool sim_pdk_error_page(struct sim_pdk *pdk, int status);

/* The request is a stream: in preread, and where its route allows streams only. */
bool sim_pdk_is_stream(const struct sim_pdk *pdk);

/* --- The request and its surroundings; all false when out of memory or for a bad text --- */

/* "GET", "/path?query" or "https://host:port/path?query". Sets the Host header where it is given
 * and none is there. */
bool sim_pdk_set_request(struct sim_pdk *pdk, const char *method, const char *url);
bool sim_pdk_add_request_header(struct sim_pdk *pdk, const char *name, const char *value);
bool sim_pdk_set_request_body(struct sim_pdk *pdk, const void *data, size_t len);
/* One of the fields `struct kong_value`, from a JSON text. */
bool sim_pdk_set_json(struct sim_pdk *pdk, struct kong_value *field, const char *json);

/* Kong's router, before the access phase: upstream is set from the service and the route. */
bool sim_pdk_route(struct sim_pdk *pdk);

/* Kong's balancer, after the access phase; routes first where nobody has. *status: 0, or what Kong
 * answers when it cannot ask this upstream, and *why. */
bool sim_pdk_balance(struct sim_pdk *pdk, int *status, const char **why);

/* The method that the upstream gets. Buffered, Kong knows a few only: GET for another one. */
struct kong_str sim_pdk_sent_method(const struct sim_pdk *pdk);

/* The upstream's answer has come. buffered: the headers replace those that plugins set before, else
 * they are appended (as seen on Kong 3.9.1). */
bool sim_pdk_upstream_answered(struct sim_pdk *pdk, bool buffered);

/* nginx sends the answer's headers: what it changes in them. Once a request; does nothing before
 * there is a status. */
bool sim_pdk_sent(struct sim_pdk *pdk);

/* The client waits for more than nginx has sent it: what for, in `why`. */
bool sim_pdk_client_waits(const struct sim_pdk *pdk, char *why, size_t size);

/* A value of a map, set or taken away (nil). The map is copied on the way: `map` may be any of the
 * fields above. */
bool sim_map_set(struct arena *arena, struct kong_value *map, struct kong_str key,
                 const struct kong_value *value);
const struct kong_value *sim_map_get(const struct kong_value *map, struct kong_str key);

#endif
