/* The upstream: where the request goes, what it gets, what it answered. Part of kong.h. */
#ifndef KONG_SERVICE_H
#define KONG_SERVICE_H

#include "kong_headers.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- The upstream: where to --- */

/* kong.service.set_upstream: sends the request to the Upstream entity of this name, which balances
 * over its targets.
 * Phases: access. Kong 2.8 on ProtoBuf:1: none.
 * KONG_E_KONG: there is no such Upstream. Where the service's own host is an IP address the request
 * fails later: with 500 on Kong 3.9.1, with 502 on 2.8.5. */
int kong_service_set_upstream(struct kong *kong, const char *name);

/* kong.service.set_target: sends the request to this host (a name or an address) and port (0 to
 * 65535).
 * Phases: access, preread. Kong 2.8: not in preread. Posted.
 * A name where the service's own host is an IP address: as kong_service_set_upstream.
 * KONG_E_INVALID: an empty host, another port. */
int kong_service_set_target(struct kong *kong, const char *host, int port);

/* kong.service.set_retries: how often Kong tries again when the upstream fails, 0 to 32767.
 * Phases: access. Kong 2.8: none. Posted. MsgPack:1 only. */
int kong_service_set_retries(struct kong *kong, int retries);

/* kong.service.set_timeouts: in milliseconds, 1 to 2147483646 each.
 * Phases: access. Kong 2.8: none. Posted. MsgPack:1 only. */
int kong_service_set_timeouts(struct kong *kong, int connect_timeout, int write_timeout,
                              int read_timeout);

/* kong.service.set_tls_verify: whether the upstream's certificate is verified.
 * Phases: rewrite, access, preread. MsgPack:1 only.
 * KONG_E_KONG: it could not be set. */
int kong_service_set_tls_verify(struct kong *kong, bool on);

/* kong.service.set_tls_verify_depth: how many certificates may stand between the upstream's and a
 * trusted one.
 * Phases: rewrite, access, preread. MsgPack:1 only.
 * KONG_E_KONG: it could not be set. KONG_E_INVALID: below 0. */
int kong_service_set_tls_verify_depth(struct kong *kong, int depth);

/* --- The request to the upstream --- */

/* kong.service.request.set_scheme: "http" or "https".
 * Phases: rewrite, access. Kong 2.8: not in rewrite. Posted.
 * In rewrite it has no effect: the router sets it again. KONG_E_INVALID: another one. */
int kong_service_request_set_scheme(struct kong *kong, const char *scheme);

/* kong.service.request.set_path: begins with "/"; without a query.
 * Phases: rewrite, access. Kong 2.8: not in rewrite. Posted.
 * In rewrite it has no effect: the router sets it again. KONG_E_INVALID: begins otherwise. */
int kong_service_request_set_path(struct kong *kong, const char *path);

/* kong.service.request.set_raw_query: what stands behind the `?`, encoded already.
 * Phases: rewrite, access. Posted. */
int kong_service_request_set_raw_query(struct kong *kong, const char *query);

/* kong.service.request.set_query: all arguments; a map of name to a string, a number, true (an
 * argument without `=`) or a list of these. Kong encodes them. An empty map: no query.
 * Phases: rewrite, access. Posted.
 * KONG_E_INVALID: no map, or other values in it. */
int kong_service_request_set_query(struct kong *kong, struct kong_value query);

/* kong.service.request.clear_query_arg: removes all arguments of this name.
 * Phases: rewrite, access. Kong 2.8: none. Posted. MsgPack:1 only. */
int kong_service_request_clear_query_arg(struct kong *kong, const char *name);

/* kong.service.request.set_method: GET, HEAD, PUT, POST, DELETE, OPTIONS, MKCOL, COPY, MOVE,
 * PROPFIND, PROPPATCH, LOCK, UNLOCK, PATCH or TRACE.
 * Phases: rewrite, access. Posted.
 * With HEAD for a client's GET and a buffered response the client waits for ever. (A client's PURGE
 * reaches the upstream as GET when the response is buffered.) KONG_E_INVALID: another one. */
int kong_service_request_set_method(struct kong *kong, const char *method);

/* kong.service.request.set_header: replaces a header that the upstream gets. "Host" changes the
 * host that the upstream is asked for.
 * Phases: rewrite, access. Posted.
 * A value of "" arrives as one space. Host set in rewrite has no effect on a route with
 * preserve_host. KONG_E_INVALID, here and below: an empty name; Content-Length, which Kong sets by
 * itself (a smaller one would make Kong take the rest of the body for another request). */
int kong_service_request_set_header(struct kong *kong, const char *name, const char *value);

/* kong.service.request.set_header with a value of other types: a string with its length, a number,
 * a boolean ("true", "false"), or a list of strings: the header repeated.
 * Phases: rewrite, access. Posted.
 * KONG_E_INVALID: nil, a map, a list with anything else in it, several values of Host. */
int kong_service_request_set_header_value(struct kong *kong, const char *name,
                                          struct kong_value value);

/* kong.service.request.add_header: one more header of this name.
 * Phases: rewrite, access. Posted. */
int kong_service_request_add_header(struct kong *kong, const char *name, const char *value);

/* kong.service.request.add_header with a value of other types, as
 * kong_service_request_set_header_value takes them. A list is sent one by one.
 * Phases: rewrite, access. Posted. */
int kong_service_request_add_header_value(struct kong *kong, const char *name,
                                          struct kong_value value);

/* kong.service.request.clear_header: removes all headers of this name.
 * Phases: rewrite, access. Posted. */
int kong_service_request_clear_header(struct kong *kong, const char *name);

/* kong.service.request.set_headers: replaces several headers; a map of name to a value as
 * kong_service_request_set_header_value takes it.
 * Phases: rewrite, access. Posted. */
int kong_service_request_set_headers(struct kong *kong, struct kong_value headers);

/* kong.service.request.set_raw_body: replaces the body. Content-Length follows by itself.
 * Phases: rewrite, access. Posted.
 * KONG_E_INVALID: nil. */
int kong_service_request_set_raw_body(struct kong *kong, struct kong_str body);

/* kong.service.request.set_body: replaces the body by a map (or list) that Kong encodes, and sets
 * Content-Type. mimetype is "application/x-www-form-urlencoded", "application/json" or
 * "multipart/form-data"; NULL: the request's own.
 * Phases: rewrite, access. MsgPack:1 only.
 * KONG_E_INVALID: neither map nor list, or another mimetype. With NULL, Kong fails the request with
 * a 500 when the request's own is another. KONG_E_KONG: NULL, and the request has none. */
int kong_service_request_set_body(struct kong *kong, struct kong_value body, const char *mimetype);

/* kong.service.request.enable_buffering: has Kong read the upstream's whole response before it goes
 * on, so that a plugin can look at its body. (A plugin with the phase response does so anyway.)
 * Phases: rewrite, access. Posted. MsgPack:1 only. */
int kong_service_request_enable_buffering(struct kong *kong);

/* kong.service.request.disable_tls: speaks to the upstream of a stream without TLS.
 * Phases: certificate, rewrite, access, response, header_filter, preread, log (not of a stream).
 * MsgPack:1 only.
 * KONG_E_KONG: it could not be done. */
int kong_service_request_disable_tls(struct kong *kong);

/* --- The response of the upstream --- */

/* kong.service.response.get_status: the upstream's status; 0 when it was not reached.
 * Phases: response, header_filter, log (of a buffered response). Kong 2.8: not in log. */
int kong_service_response_get_status(struct kong *kong, int *status) KONG_NONNULL(1, 2);

/* kong.service.response.get_header: the first value of a header that the upstream sent. Upper and
 * lower case are the same.
 * Phases: response, header_filter, log (of a buffered response). Kong 2.8: not in log.
 * nil: no such header. */
int kong_service_response_get_header(struct kong *kong, const char *name, struct kong_str *value)
    KONG_NONNULL(1, 3);

/* kong.service.response.get_headers: all headers that the upstream sent, at most `most` of them (1
 * to 1000; 0: Kong's default, which is 100).
 * Phases: response, header_filter, log (of a buffered response). Kong 2.8: not in log.
 * Kong 3.9.1 and 2.8.5 send an EMPTY answer in the phase response, on either protocol: use
 * kong_service_response_get_header, or kong_response_get_headers. */
int kong_service_response_get_headers(struct kong *kong, unsigned most,
                                      struct kong_headers *headers) KONG_NONNULL(1, 3);

/* kong.service.response.get_raw_body: the body that the upstream sent. No body is an empty one.
 * Phases: response, header_filter, log (of a buffered response). Kong 2.8: not in log.
 * KONG_E_TOO_BIG: it has more than `limit` bytes. Kong fails the request with a 500 when the
 * response is not buffered, which it is in the phase response. */
int kong_service_response_get_raw_body(struct kong *kong, size_t limit, struct kong_str *body)
    KONG_NONNULL(1, 3);

/* kong.service.response.get_body: the upstream's body, decoded by Kong, as
 * kong_request_get_body.
 * Phases: response, header_filter, log (of a buffered response). Kong 2.8: not in log. MsgPack:1
 * only.
 * KONG_E_KONG: another type, or not to be decoded. */
int kong_service_response_get_body(struct kong *kong, const char *mimetype, struct kong_value *body)
    KONG_NONNULL(1, 3);

#ifdef __cplusplus
}
#endif

#endif
