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

#define PDK(id, name, args, result, flags, phases, not_2_8) PDK_FUNCTION(id);
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

/* Checks a header's name and value as Kong does. SIM_RESULT, or SIM_RAISED with Kong's text. */
int check_header(struct call *call, const struct kong_value *name, const struct kong_value *value);
int check_headers(struct call *call, const struct kong_value *map);

/* Sets (replacing) or appends the values of a header, a list as several; "" becomes " ", as Kong
 * does. False when out of memory. */
bool header_write(struct fields *headers, struct arena *scratch, struct kong_str name,
                  const struct kong_value *value, bool replace);

/* True when ip is in one of the addresses and blocks of sim_pdk.trusted_ips. */
bool ip_trusted(const struct sim_pdk *pdk, struct kong_str ip);

/* A body decoded by its content type: kong.request.get_body, kong.service.response.get_body. */
int body_decode(struct call *call, struct kong_str body, struct kong_str content_type,
                const struct kong_value *max_args);

/* kong.response.error, after its checks. message {NULL, 0}: Kong's text for the status. */
int sim_error_answer(struct call *call, int status, struct kong_str message,
                     const struct kong_value *headers);

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
/* The one of the route's paths that the request's path starts with; {NULL, 0} when there is none.
 */
struct kong_str sim_route_prefix(const struct sim_pdk *pdk);

#endif
