/* What the typed PDK functions share: calling by the table, turning Kong's answer into the promised
 * type, and error texts. Each function notes its error in the event, and sets its results also when
 * it fails. */
#ifndef SERVER_PDK_CALL_H
#define SERVER_PDK_CALL_H

#include "event.h"

/* The arguments of a call: `ARGS(kong_string(name)), …` or `NO_ARGS`. */
#define ARGS(...)                                                                                  \
    (const struct kong_value[]){__VA_ARGS__},                                                      \
        sizeof((const struct kong_value[]){__VA_ARGS__}) / sizeof(struct kong_value)
#define NO_ARGS NULL, 0

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A `struct kong` is an event, seen by a plugin. */
static inline struct event *pdk_event(struct kong *kong) {
    return (struct event *)kong;
}

static inline struct arena *pdk_arena(struct kong *kong) {
    return &pdk_event(kong)->arena;
}

static inline bool pdk_is_msgpack(struct kong *kong) {
    return pdk_event(kong)->ops->protocol == PROTOCOL_MSGPACK;
}

/* Kong gives no more headers, or arguments of a query. */
#define PDK_MOST_HEADERS 1000u

/* No method of the table looks at more arguments. */
#define PDK_MOST_ARGS 5

/* Notes an error with a text ("kong.request.get_port: " before it) and returns it. */
int pdk_fail(struct kong *kong, enum pdk_id id, int error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int pdk_no_memory(struct kong *kong);

/* KONG_E_TYPE: `what` (a part of Kong's answer) has another type. */
int pdk_fail_type(struct kong *kong, enum pdk_id id, const char *what,
                  const struct kong_value *value);

/* KONG_E_PHASE, with a text, when Kong would raise an error on this call in the current phase. In
 * the phase log this may ask Kong first, and wait for the answer. */
int pdk_look_at_phase(struct kong *kong, const struct pdk_method *method) __attribute__((cold));

/* The same, fast for the calls that are always allowed in a phase. */
static inline int pdk_check_phase(struct kong *kong, const struct pdk_method *method) {
    bool plain = (method->plain_phases & KONG_PHASE_BIT(pdk_event(kong)->phase)) != 0;
    return __builtin_expect(plain, 1) ? KONG_OK : pdk_look_at_phase(kong, method);
}

/* Calls a posted function, after checking phase and arguments: where the table says that the first
 * is a string, nil is KONG_E_INVALID. */
int pdk_post(struct kong *kong, enum pdk_id id, const struct kong_value *args, size_t count);

/* What a call that was to end the request returns. Where it was not sent, the event fails, whatever
 * its handler returns; a call behind the end, or to a Kong that is gone, is no failure. */
int pdk_end(struct kong *kong, int error);

/* A function whose answer is of any type. */
int pdk_get(struct kong *kong, enum pdk_id id, const struct kong_value *args, size_t count,
            struct kong_value *value);

/* A string; nil is {NULL, 0}. */
int pdk_get_str(struct kong *kong, enum pdk_id id, const struct kong_value *args, size_t count,
                struct kong_str *string);

/* An integer in the range of int; nil is 0. */
int pdk_get_int(struct kong *kong, enum pdk_id id, const struct kong_value *args, size_t count,
                int *integer);

/* A number; nil is 0. */
int pdk_get_number(struct kong *kong, enum pdk_id id, const struct kong_value *args, size_t count,
                   double *number);

/* A boolean; nil is false. */
int pdk_get_bool(struct kong *kong, enum pdk_id id, const struct kong_value *args, size_t count,
                 bool *boolean);

/* A function that returns true in Lua, or nil and a text. Anything but true is KONG_E_KONG with the
 * text `refused`. */
int pdk_confirm(struct kong *kong, enum pdk_id id, const struct kong_value *args, size_t count,
                const char *refused);

/* Headers (exact false) or a query (exact true), at most `most` names; 0 is Kong's default. */
int pdk_get_headers(struct kong *kong, enum pdk_id id, unsigned most, bool exact,
                    struct kong_headers *headers);

/* Turns Kong's map of names into kong_headers. */
int pdk_to_headers(struct kong *kong, enum pdk_id id, const struct kong_value *map, bool exact,
                   struct kong_headers *headers);

/* Header functions that take a name and a value, or only a name. */
int pdk_post_header(struct kong *kong, enum pdk_id id, const char *name, struct kong_value value);
int pdk_post_header_name(struct kong *kong, enum pdk_id id, const char *name);

/* Kong takes statuses from 100 on; below 200 the client gets no answer, and waits. */
#define PDK_LEAST_STATUS 200

/* Whether Kong takes it in an exit in preread. */
bool pdk_is_stream_status(const struct kong_value *status);

/* "Content-Length" in any case. nginx takes '_' in the name of an answer's header for '-', and some
 * upstreams do it too. */
bool pdk_is_length(struct kong_str name);

/* What is wrong with a Content-Length among the headers of an answer with this body; NULL: nothing.
 * body NULL: Kong makes it. */
const char *pdk_wrong_length(const struct kong_value *headers, const struct kong_value *body);

/* The value of one header as Kong takes it. */
int pdk_check_header(struct kong *kong, enum pdk_id id, struct kong_str name,
                     const struct kong_value *value, struct kong_value *checked);

/* Whether a function that sets one header takes a list of values. Kong 2.8 raises an error on it
 * (not in set_headers). service.request.add_header of 3.9 makes one header "table: 0x7f…" of it. */
bool pdk_takes_list(struct kong *kong, enum pdk_id id);

/* Whether Kong has a format for an error with these headers: of their Content-Type. */
int pdk_check_format(struct kong *kong, const struct kong_value *headers);

/* Headers as Kong takes them, in the event's arena: a map, or nil where `nil_too`. */
int pdk_check_headers(struct kong *kong, enum pdk_id id, struct kong_value headers, bool nil_too,
                      struct kong_value *checked);

/* A value as Lua prints it in a header or a query: integers become text, for Lua would write large
 * ones as 1e+15. Booleans too where `booleans_too`: on ProtoBuf:1 false arrives as nil. */
int pdk_scalar(struct kong *kong, enum pdk_id id, const struct kong_value *value, bool booleans_too,
               struct kong_value *scalar);

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx". */
bool pdk_is_uuid(struct kong_str text);

/* A string, an integer in the range of int, or a boolean; `what` names it in an error's text. */
int pdk_to_str(struct kong *kong, enum pdk_id id, const char *what, const struct kong_value *value,
               struct kong_str *string);
int pdk_to_int(struct kong *kong, enum pdk_id id, const char *what, const struct kong_value *value,
               int *integer);
int pdk_to_bool(struct kong *kong, enum pdk_id id, const char *what, const struct kong_value *value,
                bool *boolean);

/* A list of strings; nil is an empty one. `what` names it in an error's text. */
int pdk_to_strings(struct kong *kong, enum pdk_id id, const char *what,
                   const struct kong_value *value, struct kong_strings *strings);

/* Whole functions, where there is nothing to check: a getter without arguments (`to_`: its
 * parameter, as the header calls it), a getter of a string by its name, headers, a body, those that
 * take a name or a key and a value, and those that Kong confirms. */
#define PDK_GETTER(name_, id_, type_, get_, result_)                                               \
    int name_(struct kong *kong, type_ *result_) {                                                 \
        return get_(kong, id_, NO_ARGS, result_);                                                  \
    }
#define PDK_GET_STR(name_, id_, to_)    PDK_GETTER(name_, id_, struct kong_str, pdk_get_str, to_)
#define PDK_GET_INT(name_, id_, to_)    PDK_GETTER(name_, id_, int, pdk_get_int, to_)
#define PDK_GET_NUMBER(name_, id_, to_) PDK_GETTER(name_, id_, double, pdk_get_number, to_)

#define PDK_GET_STR_OF(name_, id_)                                                                 \
    int name_(struct kong *kong, const char *name, struct kong_str *value) {                       \
        return pdk_get_str(kong, id_, ARGS(kong_string(name)), value);                             \
    }
#define PDK_GET_HEADERS(name_, id_)                                                                \
    int name_(struct kong *kong, unsigned most, struct kong_headers *headers) {                    \
        return pdk_get_headers(kong, id_, most, false, headers);                                   \
    }
#define PDK_POST_HEADER(name_, id_)                                                                \
    int name_(struct kong *kong, const char *name, const char *value) {                            \
        return pdk_post_header(kong, id_, name, kong_string(value));                               \
    }
#define PDK_POST_HEADER_VALUE(name_, id_)                                                          \
    int name_(struct kong *kong, const char *name, struct kong_value value) {                      \
        return pdk_post_header(kong, id_, name, value);                                            \
    }
#define PDK_CLEAR_HEADER(name_, id_)                                                               \
    int name_(struct kong *kong, const char *name) {                                               \
        return pdk_post_header_name(kong, id_, name);                                              \
    }
#define PDK_POST_HEADERS(name_, id_)                                                               \
    int name_(struct kong *kong, struct kong_value headers) {                                      \
        struct kong_value checked;                                                                 \
        int error = pdk_check_headers(kong, id_, headers, false, &checked);                        \
        return error != 0 ? error : pdk_post(kong, id_, &checked, 1);                              \
    }
#define PDK_POST_BODY(name_, id_)                                                                  \
    int name_(struct kong *kong, struct kong_str body) {                                           \
        return body.data == NULL ? pdk_fail(kong, id_, KONG_E_INVALID, "the body is nil")          \
                                 : pdk_post(kong, id_, ARGS(kong_bytes(body.data, body.len)));     \
    }
#define PDK_CONFIRM(name_, id_, refused_)                                                          \
    int name_(struct kong *kong) {                                                                 \
        return pdk_confirm(kong, id_, NO_ARGS, refused_);                                          \
    }
#define PDK_GET_VALUE_OF(name_, id_)                                                               \
    int name_(struct kong *kong, const char *key, struct kong_value *value) {                      \
        return pdk_get(kong, id_, ARGS(kong_string(key)), value);                                  \
    }
#define PDK_POST_VALUE(name_, id_)                                                                 \
    int name_(struct kong *kong, const char *key, struct kong_value value) {                       \
        return pdk_post(kong, id_, ARGS(kong_string(key), value));                                 \
    }

#endif
