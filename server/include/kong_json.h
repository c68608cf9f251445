/* JSON: texts into values and back, and answers in JSON. Part of kong.h.
 *
 *     struct kong_builder answer = kong_build_map(kong);
 *     kong_build_set(&answer, "message", kong_string("no such user"));
 *     kong_build_set(&answer, "user", kong_string(name));
 *     struct kong_value value;
 *     int error = kong_build_end(&answer, &value);
 *     return error != 0 ? error : kong_response_exit_json(kong, 404, value, kong_nil());
 *
 * None of these asks Kong, but for kong_response_exit_json. */
#ifndef KONG_JSON_H
#define KONG_JSON_H

#include "kong_event.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Texts --- */

/* Reads a JSON text (RFC 8259) of at most `limit` bytes, in the event's memory. null is nil, an
 * object a map in the order of the text, an array a list. A number is an integer where it is
 * written without fraction and exponent and fits int64_t, else a number. Of a key that repeats the
 * last value counts, as in Kong.
 * KONG_E_INVALID: no JSON, or no UTF-8; kong_error_text says where and what: "JSON, line 2, column
 * 7: …" (columns count bytes). KONG_E_TOO_BIG: over the limit, nested deeper than
 * KONG_LIMIT_NESTING, more than KONG_LIMIT_ELEMENTS values. KONG_E_NOMEM. */
int kong_json_parse(struct kong *kong, struct kong_str text, size_t limit, struct kong_value *value)
    KONG_NONNULL(1, 4);

/* Writes a value as a JSON text without spaces, in the event's memory. nil is null. Texts are
 * escaped; a NUL in them is \u0000.
 * KONG_E_INVALID: a text or a key that is not UTF-8, a number that is not finite. KONG_E_TOO_BIG:
 * nested deeper than KONG_LIMIT_NESTING. KONG_E_NOMEM. */
int kong_json(struct kong *kong, struct kong_value value, struct kong_str *text) KONG_NONNULL(1, 3);

/* kong_response_exit with a value as JSON, and Content-Type "application/json; charset=utf-8" where
 * `headers` has none. Errors are those of kong_json and of kong_response_exit.
 * Phases: rewrite, access, response, header_filter, preread. Terminal. */
int kong_response_exit_json(struct kong *kong, int status, struct kong_value value,
                            struct kong_value headers);

/* --- Maps and lists, piece by piece --- */

/* One that is being built. All fields are private. */
struct kong_builder {
    struct kong *kong;
    struct kong_pair *pairs;
    struct kong_value *items;
    size_t count, room;
    bool is_map;
    int error;
};

struct kong_builder kong_build_map(struct kong *kong);
struct kong_builder kong_build_list(struct kong *kong);

/* Sets a key of a map. What was there is replaced; the time grows with the count of keys. Key and
 * value are not copied: what they point to must stay as long as the map. */
void kong_build_set(struct kong_builder *builder, const char *key, struct kong_value value)
    KONG_NONNULL(1);

/* Adds a value behind those of a list. It is not copied, as above. */
void kong_build_add(struct kong_builder *builder, struct kong_value value) KONG_NONNULL(1);

/* The map or list, in the event's memory; nil, and the first error, where one of the functions
 * above has failed: KONG_E_NOMEM; KONG_E_INVALID: a key for a list, none for a map, a key that is
 * NULL. */
int kong_build_end(struct kong_builder *builder, struct kong_value *value) KONG_NONNULL(1, 2);

#ifdef __cplusplus
}
#endif

#endif
