/* One PDK call under way; only for the files sim_pdk_*.c that implement the functions. Each
 * function of proto/pdk_methods.def is one PDK_FUNCTION(ID): a missing one does not link. */
#ifndef SIM_PDK_CALL_H
#define SIM_PDK_CALL_H

#include "sim_pdk.h"

struct call {
    struct sim_pdk *pdk;
    const struct pdk_method *method;
    const struct kong_value *args;
    size_t count;
    struct arena *arena;
    struct kong_value *result;
};

#define PDK_FUNCTION(id) int sim_pdk_##id(struct call *call)

#define PDK(id, name, args, result, flags, phases, not_2_8, reads, changes) PDK_FUNCTION(id);
#include "pdk_methods.def"
#undef PDK

/* The argument at a position, from 0; nil behind the last. */
const struct kong_value *call_arg(const struct call *call, size_t index);

/* Ends a call: with a Lua error, with nil and an error text, out of memory (raised too). */
int call_raise(struct call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
int call_fail(struct call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
int call_nomem(struct call *call);

int call_string(struct call *call, struct kong_str text); /* {NULL, 0}: nil */
int call_integer(struct call *call, int64_t integer);
int call_value(struct call *call, struct kong_value value);
int call_nil(struct call *call);

/* Whether the argument is a Lua table: a list or a map. */
bool is_table(const struct kong_value *value);
bool is_number(const struct kong_value *value);
double to_number(const struct kong_value *value);
bool is_string(const struct kong_value *value);

/* A copy of text in the state's memory; {NULL, 0} when out of memory. */
struct kong_str state_copy(struct sim_pdk *pdk, struct kong_str text);

/* Checks max_headers or max_args: *max is 100 for nil. SIM_RESULT, or SIM_RAISED. */
int call_max(struct call *call, const char *what, size_t *max);

/* Where Kong 3.9.1 allows a function to a plugin server. */
enum sim_allowed {
    SIM_ALLOWED,
    SIM_FORBIDDEN,   /* it raises */
    SIM_NOT_PRESENT, /* this subsystem has no such function */
};
enum sim_allowed sim_phase_check(const struct sim_pdk *pdk, const struct pdk_method *method);
/* SIM_RAISED, with Kong's text. */
int sim_phase_refuse(struct call *call);

/* Checks a header's name and value as Kong does. SIM_RESULT, or SIM_RAISED with Kong's text. */
int check_header(struct call *call, const struct kong_value *name, const struct kong_value *value);
int check_headers(struct call *call, const struct kong_value *map);

/* Sets (replacing) or appends the values of a header, a list as several; "" becomes " ", and what
 * must not be in a header is percent-encoded, as Kong and nginx do. False when out of memory. */
bool header_write(struct fields *headers, struct arena *scratch, struct kong_str name,
                  const struct kong_value *value, bool replace);

/* The name of a response header as nginx writes it: '_' is '-'. {NULL, 0} when out of memory. */
struct kong_str response_name(struct arena *arena, struct kong_str name);

/* Sets one header of the answer, or those of a table: nothing but a warning for Transfer-Encoding.
 * SIM_RESULT, or SIM_RAISED when out of memory. */
int response_set(struct call *call, struct kong_str name, const struct kong_value *value);
int response_set_all(struct call *call, const struct kong_value *map);

/* $http_NAME: the values of a header, joined as nginx does. {NULL, 0} in *value: there is none.
 * False when out of memory. */
bool header_variable(const struct fields *headers, struct kong_str name, struct arena *arena,
                     struct kong_str *value);

/* A name in a table of ngx.req.get_headers: as it is, or else in lower case, or else also with '-'
 * for
 * '_'. Of a list the first. {NULL, 0}: it is not there, or out of memory. */
struct kong_str table_header(const struct kong_value *map, struct kong_str name,
                             struct arena *arena);

/* The headers of the answer as ngx.resp.get_headers(max) gives them. False when out of memory. */
bool response_table(struct sim_pdk *pdk, struct arena *arena, size_t max, struct kong_value *map);

/* A table by Lua's tostring: its address is another each time. */
#define SIM_TABLE_TEXT "table: 0x7f0000000000"

/* The request's body and its Content-Length. False when out of memory. */
bool replace_body(struct sim_pdk *pdk, struct arena *scratch, struct kong_str body);

/* $host of a Host header: without the port, in lower case. False when out of memory. */
bool sim_pdk_set_host(struct sim_pdk *pdk, const char *text);

/* True when ip is in one of the addresses and blocks of sim_pdk.trusted_ips. */
bool ip_trusted(const struct sim_pdk *pdk, struct kong_str ip);

/* A body decoded by its content type: kong.request.get_body, kong.service.response.get_body. */
int body_decode(struct call *call, struct kong_str body, struct kong_str content_type,
                const struct kong_value *max_args);

/* kong.response.error, after its checks. message {NULL, 0}: Kong's text for the status. */
int sim_error_answer(struct call *call, int status, struct kong_str message,
                     const struct kong_value *headers);

/* The answer leaves, as kong.response.exit sends it: body a string, a table (JSON) or nil (nothing,
 * or nginx' error page). SIM_EXITED, or SIM_RAISED. */
int sim_send(struct call *call, int status, const struct kong_value *body,
             const struct kong_value *headers);

/* The body of an error for a media type that Kong knows, "" for gRPC. */
struct kong_str sim_error_body(struct sim_pdk *pdk, struct arena *arena, const char *media_type,
                               struct kong_str message);
/* The media type of an error for an Accept header, {NULL, 0} when there is none. Static. */
const char *sim_error_type(struct kong_str accept);

/* The value of an nginx variable; nil when there is none. */
int sim_variable(struct call *call, struct kong_str name);

/* The port that Kong listens on. In a stream the one that its route has as destination; 0 behind
 * TLS, as in Kong. */
int sim_server_port(const struct sim_pdk *pdk);
/* "TLSv1.3"; {NULL, 0} without TLS. */
struct kong_str sim_tls_version(const struct sim_pdk *pdk);

/* The text of kong.log.serialize, from the state as it is; {NULL, 0} when out of memory, or *error
 * is filled with a Lua error. */
struct kong_str sim_serialize(struct sim_pdk *pdk, struct arena *arena, struct kong_str *error);

/* The plain text of kong.log: appends to the logs. */
int log_append(struct call *call, const char *level);

/* Percent-decodes what needs no encoding, removes "." and "..", merges slashes:
 * kong.request.get_path. {NULL, 0} when out of memory, as path_escape. */
struct kong_str path_normalize(struct arena *arena, struct kong_str path);
/* Percent-encodes what a path cannot hold as it is: kong.service.request.set_path. */
struct kong_str path_escape(struct arena *arena, struct kong_str path);
/* The path before the query; it points into request_uri. */
struct kong_str raw_path(struct kong_str request_uri);
/* $uri: percent-decoded, without "." and "..", slashes merged. {NULL, 0} when out of memory. */
struct kong_str path_decode(struct arena *arena, struct kong_str path);
/* Percent-decodes as ngx.unescape_uri does: '+' is a space where `plus`. {NULL, 0} when out of
 * memory. */
struct kong_str uri_unescape(struct arena *arena, struct kong_str text, bool plus);

#endif
