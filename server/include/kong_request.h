/* The request as the client sent it. Part of kong.h. */
#ifndef KONG_REQUEST_H
#define KONG_REQUEST_H

#include "kong_headers.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- The request: where to --- */

/* kong.request.get_scheme: "http" or "https", as the client spoke to Kong.
 * Phases: rewrite, access, response, header_filter. */
int kong_request_get_scheme(struct kong *kong, struct kong_str *scheme) KONG_NONNULL(1, 2);

/* kong.request.get_host: the host that was asked for, from the request line or the Host header, in
 * lower case, without the port.
 * Phases: rewrite, access, response, header_filter.
 * In response it is the host that was set for the upstream, if one was set. */
int kong_request_get_host(struct kong *kong, struct kong_str *host) KONG_NONNULL(1, 2);

/* kong.request.get_port: the port of Kong that the request came in by.
 * Phases: rewrite, access, response, header_filter, preread.
 * 0 in preread behind TLS. */
int kong_request_get_port(struct kong *kong, int *port) KONG_NONNULL(1, 2);

/* kong.request.get_forwarded_scheme: as kong_request_get_scheme, but what a trusted proxy says in
 * X-Forwarded-Proto comes first.
 * Phases: rewrite, access, response, header_filter. */
int kong_request_get_forwarded_scheme(struct kong *kong, struct kong_str *scheme)
    KONG_NONNULL(1, 2);

/* kong.request.get_forwarded_host: as kong_request_get_host, but what a trusted proxy says in
 * X-Forwarded-Host comes first.
 * Phases: rewrite, access, response, header_filter. */
int kong_request_get_forwarded_host(struct kong *kong, struct kong_str *host) KONG_NONNULL(1, 2);

/* kong.request.get_forwarded_port: as kong_request_get_port, but what a trusted proxy says in
 * X-Forwarded-Port or X-Forwarded-Host comes first.
 * Phases: rewrite, access, response, header_filter. */
int kong_request_get_forwarded_port(struct kong *kong, int *port) KONG_NONNULL(1, 2);

/* kong.request.get_forwarded_path: as kong_request_get_path, but what a trusted proxy says in
 * X-Forwarded-Path comes first.
 * Phases: rewrite, access, response, header_filter. MsgPack:1 only. */
int kong_request_get_forwarded_path(struct kong *kong, struct kong_str *path) KONG_NONNULL(1, 2);

/* kong.request.get_forwarded_prefix: the part of the path that Kong, or a trusted proxy, stripped.
 * Phases: rewrite, access, response, header_filter. MsgPack:1 only.
 * nil: nothing was stripped. */
int kong_request_get_forwarded_prefix(struct kong *kong, struct kong_str *prefix)
    KONG_NONNULL(1, 2);

/* kong.request.get_http_version: 1.0, 1.1, 2.0.
 * Phases: rewrite, access, response, header_filter. */
int kong_request_get_http_version(struct kong *kong, double *version) KONG_NONNULL(1, 2);

/* kong.request.get_method: "GET" and so on, in capitals.
 * Phases: rewrite, access, response, header_filter. */
int kong_request_get_method(struct kong *kong, struct kong_str *method) KONG_NONNULL(1, 2);

/* kong.request.get_path: the path, normalised, without the query.
 * Phases: rewrite, access, response, header_filter. */
int kong_request_get_path(struct kong *kong, struct kong_str *path) KONG_NONNULL(1, 2);

/* kong.request.get_raw_path: the path as the client sent it, without the query.
 * Phases: rewrite, access, response, header_filter. Kong 2.8: none. MsgPack:1 only. */
int kong_request_get_raw_path(struct kong *kong, struct kong_str *path) KONG_NONNULL(1, 2);

/* kong.request.get_path_with_query: path and query as the client sent them.
 * Phases: rewrite, access, response, header_filter. */
int kong_request_get_path_with_query(struct kong *kong, struct kong_str *path) KONG_NONNULL(1, 2);

/* kong.request.get_start_time: when Kong began with the request, in milliseconds since the epoch.
 * Phases: rewrite, access, response, header_filter, log. Kong 2.8: none. MsgPack:1 only. */
int kong_request_get_start_time(struct kong *kong, double *ms) KONG_NONNULL(1, 2);

/* What the router cut out of the path: "(?<name>...)" and "(...)" in the paths of routes. */
struct kong_capture {
    struct kong_str name;
    struct kong_str value; /* nil: this group took no part */
};

struct kong_captures {
    struct kong_strings unnamed; /* the first group at 0; nil where a group took no part */
    const struct kong_capture *named;
    size_t named_count;
};

/* kong.request.get_uri_captures: what the router cut out of the path.
 * Phases: rewrite, access, response, header_filter, log. Kong 2.8: none.
 * Empty in rewrite, where there is no route yet. On ProtoBuf:1 `unnamed` ends at the first group
 * that took no part. */
int kong_request_get_uri_captures(struct kong *kong, struct kong_captures *captures)
    KONG_NONNULL(1, 2);

/* --- The request: query --- */

/* kong.request.get_raw_query: what stands behind the `?`, undecoded; "" without a query.
 * Phases: rewrite, access, response, header_filter. */
int kong_request_get_raw_query(struct kong *kong, struct kong_str *query) KONG_NONNULL(1, 2);

/* kong.request.get_query_arg: the first value of an argument, decoded. Names are exact.
 * Phases: rewrite, access, response, header_filter.
 * nil: no such argument. "": it is empty, or has no `=`. On ProtoBuf:1 the library asks for all
 * arguments (kong.request.get_query, at most 1000), for Kong's own function fails the request with
 * a 500 when a client sends `?name`. */
int kong_request_get_query_arg(struct kong *kong, const char *name, struct kong_str *value)
    KONG_NONNULL(1, 3);

/* kong.request.get_query: all arguments, decoded, at most `most` of them (1 to 1000; 0: Kong's
 * default, which is 100).
 * Phases: rewrite, access, response, header_filter.
 * Kong 2.8.5 on ProtoBuf:1 fails the request with a 500 when an argument is repeated; 3.9.1 does
 * not. For 2.8 use kong_request_get_raw_query where clients are not trusted. */
int kong_request_get_query(struct kong *kong, unsigned most, struct kong_headers *query)
    KONG_NONNULL(1, 3);

/* --- The request: headers --- */

/* kong.request.get_header: the first value of a header; of Cookie all, with "; " between them.
 * Upper and lower case are the same. In rewrite and access so are "-" and "_". In log a "_" in
 * `name` finds "-", but a "-" does not find "_".
 * Phases: rewrite, access, response, header_filter, log (not of a stream).
 * nil: no such header. */
int kong_request_get_header(struct kong *kong, const char *name, struct kong_str *value)
    KONG_NONNULL(1, 3);

/* kong.request.get_headers: all headers, at most `most` of them (1 to 1000; 0: Kong's default,
 * which is 100). In the phase log there are at most 100, whatever `most` says.
 * Phases: rewrite, access, response, header_filter, log (not of a stream). Kong 2.8 on ProtoBuf:1:
 * not in log.
 * Kong 2.8.5 on ProtoBuf:1 fails the request with a 500 when a header is repeated; 3.9.1 does not.
 */
int kong_request_get_headers(struct kong *kong, unsigned most, struct kong_headers *headers)
    KONG_NONNULL(1, 3);

/* --- The request: body --- */

/* kong.request.get_raw_body: the body, whether Kong has it in memory or in a file (which this
 * process must be able to read: the same host, the same user). Kong reads the body from the client
 * first, so this waits for it. No body is an empty one, not nil.
 * Phases: rewrite, access, response.
 * KONG_E_TOO_BIG: it has more than `limit` bytes. KONG_E_IO: the file could not be read.
 * KONG_E_KONG: Kong could not read it. On MsgPack:1 Kong 2.8 does not read a body that does not fit
 * into nginx's client_body_buffer_size; later ones fail the request with a 500 for a body of more
 * than 64 MiB (or `limit`, if that is more) that is sent in chunks. One whose Content-Length is
 * above the limit is not read. Where bodies are large use ProtoBuf:1. */
int kong_request_get_raw_body(struct kong *kong, size_t limit, struct kong_str *body)
    KONG_NONNULL(1, 3);

/* kong.request.get_body: the body, decoded by Kong: a map of a form's arguments (at most 100), of a
 * multipart form's parts, or what a JSON text says. mimetype is what to decode it as; NULL: what
 * Content-Type says. An empty table comes as an empty list.
 * Phases: rewrite, access, response. MsgPack:1 only.
 * KONG_E_KONG: another type, or not to be decoded. */
int kong_request_get_body(struct kong *kong, const char *mimetype, struct kong_value *body)
    KONG_NONNULL(1, 3);

#ifdef __cplusplus
}
#endif

#endif
