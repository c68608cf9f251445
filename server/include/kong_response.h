/* The response to the client. Part of kong.h. */
#ifndef KONG_RESPONSE_H
#define KONG_RESPONSE_H

#include "kong_headers.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- The response: what it is --- */

/* kong.response.get_status: the status that the client gets.
 * Phases: response, header_filter, log. */
int kong_response_get_status(struct kong *kong, int *status) KONG_NONNULL(1, 2);

/* kong.response.get_header: the first value of a header. Upper and lower case are the same.
 * Phases: response, header_filter, log.
 * nil: no such header. */
int kong_response_get_header(struct kong *kong, const char *name, struct kong_str *value)
    KONG_NONNULL(1, 3);

/* kong.response.get_headers: all headers, at most `most` of them (1 to 1000; 0: Kong's default,
 * which is 100). In the phase log the limit does nothing.
 * Phases: response, header_filter, log (not of a stream). Kong 2.8 on ProtoBuf:1: not in log. */
int kong_response_get_headers(struct kong *kong, unsigned most, struct kong_headers *headers)
    KONG_NONNULL(1, 3);

/* kong.response.get_source: who made the response: "service" (the upstream), "exit" (a plugin's
 * exit), "error" (Kong).
 * Phases: response, header_filter, log.
 * A 404 without a route is "exit". 502 and 504 of Kong are "error", but "exit" when the response
 * was to be buffered; the phase response is not called for them. */
int kong_response_get_source(struct kong *kong, struct kong_str *source) KONG_NONNULL(1, 2);

/* kong.response.get_raw_body: the body as it goes to the client.
 * Phases: none that reaches a plugin server (Kong allows it in body_filter). MsgPack:1 only.
 * KONG_E_TOO_BIG: it has more than `limit` bytes. For the upstream's body in the phase response see
 * kong_service_response_get_raw_body. */
int kong_response_get_raw_body(struct kong *kong, size_t limit, struct kong_str *body)
    KONG_NONNULL(1, 3);

/* --- The response: changes --- */

/* kong.response.set_status: the status that the client gets, 200 to 599.
 * Phases: rewrite, access, response, header_filter. Posted.
 * KONG_E_INVALID: another one; below 200 the client would wait for an answer that never comes. */
int kong_response_set_status(struct kong *kong, int status);

/* kong.response.set_header: replaces a header of the response.
 * Phases: rewrite, access, response, header_filter. Posted.
 * In rewrite and access an upstream's header of the same name is not replaced: the client sees
 * both. A value of "" arrives as one space. Transfer-Encoding is ignored, and in rewrite and access
 * Content-Type is, too. KONG_E_INVALID, here and below: an empty name; Content-Length, which Kong
 * sets by itself. It would not cut or fill the body: the client would take what is left of it for
 * the next answer, or wait for more. */
int kong_response_set_header(struct kong *kong, const char *name, const char *value);

/* kong.response.set_header with a value of other types: a string with its length, a number, a
 * boolean ("true", "false"), or a list of strings: the header repeated.
 * Phases: rewrite, access, response, header_filter. Posted.
 * As kong_response_set_header. KONG_E_INVALID: nil, a map, a list with anything else in it. */
int kong_response_set_header_value(struct kong *kong, const char *name, struct kong_value value);

/* kong.response.add_header: one more header of this name.
 * Phases: rewrite, access, response, header_filter. Posted. */
int kong_response_add_header(struct kong *kong, const char *name, const char *value);

/* kong.response.add_header with a value of other types, as kong_response_set_header_value takes
 * them.
 * Phases: rewrite, access, response, header_filter. Posted. */
int kong_response_add_header_value(struct kong *kong, const char *name, struct kong_value value);

/* kong.response.clear_header: removes all headers of this name. In rewrite and access an upstream's
 * header is not there yet, and stays. Without Content-Length the client waits for the end.
 * Phases: rewrite, access, response, header_filter. Posted. */
int kong_response_clear_header(struct kong *kong, const char *name);

/* kong.response.set_headers: replaces several headers; a map of name to a value as
 * kong_response_set_header_value takes it.
 * Phases: rewrite, access, response, header_filter. Posted. */
int kong_response_set_headers(struct kong *kong, struct kong_value headers);

/* kong.response.set_raw_body: replaces the body that goes to the client.
 * Phases: none that reaches a plugin server (Kong allows it in body_filter). Posted. MsgPack:1
 * only. */
int kong_response_set_raw_body(struct kong *kong, struct kong_str body);

/* --- The response: ends ---
 *
 * A handler whose end was refused has failed, also where it returns 0: the request was not to go on
 * as it was. Not where it ends it by another call. */

/* kong.response.exit: ends the request with this answer. status is 200 to 599; body may be nil: an
 * empty one; headers is a map of name to a value as kong_response_set_header_value takes it, or
 * nil.
 * Phases: rewrite, access, response, header_filter, preread. Terminal.
 * To HEAD the body is given too: its length is in the answer, and nginx leaves the body off.
 * KONG_E_INVALID: a Content-Length that is not the body's (Kong sets it by itself); in preread a
 * status other than 200, 400, 403, 500, 502 and 503. There headers do nothing, and only with 200
 * the body reaches the client. */
int kong_response_exit(struct kong *kong, int status, struct kong_str body,
                       struct kong_value headers);

/* kong.response.error: ends the request with an error in the format that the client accepts (JSON,
 * HTML, XML, text, gRPC), or that a header "Content-Type" names. status is 400 to 599; message may
 * be NULL: Kong's own for the status, or an empty one when there are headers; headers as in
 * kong_response_exit. The message is not escaped for the format: put no client's text into it.
 * Phases: rewrite, access, response, header_filter. Terminal. MsgPack:1 only.
 * KONG_E_INVALID: a "Content-Type" other than these, with or without "; charset=utf-8"; a
 * Content-Length. */
int kong_response_error(struct kong *kong, int status, const char *message,
                        struct kong_value headers);

#ifdef __cplusplus
}
#endif

#endif
