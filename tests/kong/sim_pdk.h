/* The Lua PDK of one request, as Kong 3.9 has it, for tests: what plugins call is answered from,
 * and changes, the state below. Nothing here knows a protocol.
 *
 * Sources: the documentation and behaviour of kong.* in Kong 3.9.1 and the recorded traces in
 * tests/traces/. Where Kong adds headers of its own (Via, X-Forwarded-*, X-Kong-*) nothing is added
 * here: what can be seen is what the test gave and what plugins did. */
#ifndef SIM_PDK_H
#define SIM_PDK_H

#include "arena.h"
#include "pdk_methods.h"
#include "sim_fields.h"

/* What became of a PDK call. */
enum sim_outcome {
    SIM_RESULT, /* *result is the first value that the Lua function returned */
    SIM_FAILED, /* it returned nil and an error text: *result is the text */
    SIM_RAISED, /* it raised a Lua error: *result is the text. The request is over, with 500 */
    SIM_EXITED, /* kong.response.exit or .error: it never returns */
    SIM_UNKNOWN /* there is no such function */
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
    int port;                    /* the one that Kong listens on */
    double http_version;         /* 1.1 */
    struct kong_str request_uri; /* path and query as sent; does not change */
    struct kong_str args;        /* the raw query; changes */
    struct fields headers;
    struct kong_str body;
    struct kong_str client_ip; /* of the peer, perhaps a proxy */
    int client_port;
    struct kong_str forwarded_ip; /* after trusted proxies; equals client_ip by default */
    int forwarded_port;
};

/* Where the request goes. */
struct sim_upstream {
    struct kong_str scheme, host; /* host: of the service, the target or the Upstream */
    int port;
    struct kong_str path;        /* nothing escaped: escaped where Kong does */
    struct kong_str host_header; /* the Host that the upstream sees; {NULL, 0}: Kong's choice */
    bool buffered;               /* kong.service.request.enable_buffering, or a response handler */
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

/* Everything in it belongs to it and may be read; `kong_test.h` and the functions below write it.
 * Strings live in `memory` until sim_pdk_reset. */
struct sim_pdk {
    struct arena memory;
    enum kong_phase phase;
    struct sim_request request;
    struct sim_upstream upstream;
    struct sim_response service; /* the upstream's answer; status 0 before there is one */
    struct sim_response client;  /* the answer to the client */
    enum sim_source source;
    bool exited; /* by kong.response.exit or .error */
    struct kong_str
        serialized; /* what kong.log.serialize gives in the log phase: saved before it */
    struct kong_value route, service_entity, consumer, credential; /* maps, or nil */
    struct kong_value uri_captures;                                /* {unnamed: list, named: map} */
    struct kong_value consumers;        /* list of maps: what load_consumer finds */
    struct kong_value upstreams;        /* list of names: what set_upstream finds */
    struct kong_value trusted_ips;      /* list of addresses and CIDR blocks (IPv4, IPv6) */
    struct kong_value shared;           /* kong.ctx.shared: a map */
    struct kong_value ngx_ctx;          /* a map */
    struct kong_value ngx_vars;         /* a map: variables beyond those that the request gives */
    struct kong_value memory_stats;     /* what kong.node.get_memory_stats gives */
    struct kong_value serialize_values; /* list of {key, value} */
    struct kong_value vault;            /* map of reference to secret */
    struct kong_str node_id, hostname, cluster_id, plugin_id, tls_version;
    struct kong_value client_tls; /* map: full_chain; disable_session_reuse and so on are set */
    double start_time;            /* seconds since the epoch */
    struct sim_log *logs;
    size_t log_count, log_capacity;
    size_t body_buffer_size;  /* client_body_buffer_size: larger bodies are in a file */
    char *body_file;          /* malloc'ed path of that file; NULL while there is none */
    size_t calls;             /* PDK calls answered since the reset */
    size_t called[PDK_COUNT]; /* the same, by method */
};

/* NULL when out of memory. The state after it, and after a reset: GET / of http, host "localhost",
 * port 8000, client 127.0.0.1, no route, service or consumer; memory statistics, node id as
 * recorded from Kong 3.9.1. */
struct sim_pdk *sim_pdk_create(void);
void sim_pdk_destroy(struct sim_pdk *pdk);
bool sim_pdk_reset(struct sim_pdk *pdk); /* false when out of memory */

/* Another phase begins. Entering the log phase saves what kong.log.serialize will give there, as
 * Kong does for plugin servers. False when out of memory. */
bool sim_pdk_set_phase(struct sim_pdk *pdk, enum kong_phase phase);

/* A sim_pdk_fn; ctx is the struct sim_pdk. Refuses, as Kong does, what the phase does not allow. */
int sim_pdk_call(void *ctx, const struct pdk_method *method, struct kong_str name,
                 const struct kong_value *args, size_t count, struct arena *arena,
                 struct kong_value *result);

/* What Kong answers the client when a plugin failed: kong.response.error(status). False when out of
 * memory. */
bool sim_pdk_fail(struct sim_pdk *pdk, int status);

/* --- The request and its surroundings; all false when out of memory or for a bad text --- */

/* "GET", "/path?query" or "https://host:port/path?query". Sets the Host header where it is given
 * and none is there. */
bool sim_pdk_set_request(struct sim_pdk *pdk, const char *method, const char *url);
bool sim_pdk_add_request_header(struct sim_pdk *pdk, const char *name, const char *value);
bool sim_pdk_set_request_body(struct sim_pdk *pdk, const void *data, size_t len);
/* One of the fields `struct kong_value`, from a JSON text. */
bool sim_pdk_set_json(struct sim_pdk *pdk, struct kong_value *field, const char *json);

/* Kong's balancer is at work: upstream's scheme, host, port, path are derived from the service and
 * the route, where no plugin has set them. */
bool sim_pdk_route(struct sim_pdk *pdk);

/* The upstream's answer has come. buffered: the headers replace those that plugins set before, else
 * they are appended (as seen on Kong 3.9.1). */
bool sim_pdk_upstream_answered(struct sim_pdk *pdk, bool buffered);

/* A value of a map, set or taken away (nil). The map is copied on the way: `map` may be any of the
 * fields above. */
bool sim_map_set(struct arena *arena, struct kong_value *map, struct kong_str key,
                 const struct kong_value *value);
const struct kong_value *sim_map_get(const struct kong_value *map, struct kong_str key);

#endif
