/* What plugins share during one request: kong.ctx.shared, and nginx's context. Part of kong.h. */
#ifndef KONG_CTX_H
#define KONG_CTX_H

#include "kong_event.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Shared between plugins --- */

/* kong.ctx.shared.get: what a plugin left under this key during the same request, of any type. An
 * empty Lua table comes as an empty map on ProtoBuf:1, as an empty list on MsgPack:1; a list with
 * holes ends at the first on ProtoBuf:1, and comes as a map of numbers on MsgPack:1.
 * Phases: all.
 * nil: nothing is there. Kong raises an error for what cannot travel (functions): the request fails
 * with a 500. In log never ask for a key that may hold such a thing. */
int kong_ctx_shared_get(struct kong *kong, const char *key, struct kong_value *value)
    KONG_NONNULL(1, 3);

/* kong.ctx.shared.set: leaves a value for other plugins; nil removes it. On ProtoBuf:1 false
 * arrives as nil; numbers beyond 2^53 are rounded, as in Lua.
 * Phases: all. Posted. */
int kong_ctx_shared_set(struct kong *kong, const char *key, struct kong_value value);

/* --- nginx --- */

/* kong.nginx.get_ctx: a value of ngx.ctx, as kong_ctx_shared_get.
 * Phases: all.
 * nil: nothing is there. */
int kong_nginx_get_ctx(struct kong *kong, const char *key, struct kong_value *value)
    KONG_NONNULL(1, 3);

/* kong.nginx.set_ctx: sets a value of ngx.ctx, as kong_ctx_shared_set. Kong keeps much of its own
 * there.
 * Phases: all. Posted. */
int kong_nginx_set_ctx(struct kong *kong, const char *key, struct kong_value value);

/* kong.nginx.get_var: a variable of nginx, without the `$`: "request_id", "upstream_status".
 * Phases: rewrite, access, response, header_filter, preread.
 * nil: it does not exist, or is not set. */
int kong_nginx_get_var(struct kong *kong, const char *name, struct kong_str *value)
    KONG_NONNULL(1, 3);

/* kong.nginx.get_tls1_version_str: "TLSv1.3" and so on.
 * Phases: all.
 * nil: the client does not speak TLS; always in log. */
int kong_nginx_get_tls1_version_str(struct kong *kong, struct kong_str *version) KONG_NONNULL(1, 2);

/* kong.nginx.get_subsystem: "http" or "stream".
 * Phases: all. */
int kong_nginx_get_subsystem(struct kong *kong, struct kong_str *subsystem) KONG_NONNULL(1, 2);

/* kong.nginx.req_start_time: when the request came, in seconds since the epoch, with fraction.
 * Phases: all.
 * 0 in certificate, in preread and in the log of a stream. */
int kong_nginx_req_start_time(struct kong *kong, double *seconds) KONG_NONNULL(1, 2);

/* What nginx counts, over all of its workers since it started. */
struct kong_nginx_statistics {
    int64_t connections_active;
    int64_t connections_reading;
    int64_t connections_writing;
    int64_t connections_waiting;
    int64_t connections_accepted;
    int64_t connections_handled;
    int64_t total_requests;
};

/* kong.nginx.get_statistics: connections and requests of nginx.
 * Phases: all. Kong 2.8: none. MsgPack:1 only. */
int kong_nginx_get_statistics(struct kong *kong, struct kong_nginx_statistics *statistics)
    KONG_NONNULL(1, 2);

#ifdef __cplusplus
}
#endif

#endif
