/* Named values in the order in which they came, names repeating: HTTP headers and query arguments,
 * with nginx's rules for both. */
#ifndef SIM_FIELDS_H
#define SIM_FIELDS_H

#include "arena.h"

struct field {
    struct kong_str name;
    struct kong_str value;
    bool flag; /* a query argument without '=': Lua sees true */
};

/* Memory is the arena's: nothing is freed one by one. */
struct fields {
    struct arena *arena;
    struct field *items;
    size_t count;
    size_t capacity;
};

void fields_init(struct fields *fields, struct arena *arena);

/* Appends, copying both. False when out of memory. */
bool fields_add(struct fields *fields, struct kong_str name, struct kong_str value, bool flag);

/* Header names are the same without regard to case, and '_' is '-' (nginx's $http_ variables, and
 * Kong's get_header on top of them). */
bool header_name_equal(struct kong_str a, struct kong_str b);

/* The first value of a header; NULL when there is none. */
const struct field *headers_find(const struct fields *headers, struct kong_str name);

/* Takes away every value of a header. Here and in headers_set '_' is not '-': nginx looks for what
 * it changes by the name as it is, in any case. */
void headers_clear(struct fields *headers, struct kong_str name);

/* Replaces all values of a header by one, where the first of them stood; appends when there was
 * none. */
bool headers_set(struct fields *headers, struct kong_str name, struct kong_str value);

/* The table of ngx.req.get_headers(max): names in lower case; a string, or a list of strings where
 * a name repeats; at most max lines of headers (0: all). Names in `exempt` (a NULL-terminated list
 * of lower-case names, or NULL) do not count and are always there. */
bool headers_to_map(const struct fields *headers, size_t max, const char *const *exempt,
                    struct arena *arena, struct kong_value *map);

/* Parses "a=1&b&c=x" as ngx.decode_args does: percent and plus decoded, an argument without a name
 * dropped. */
bool query_parse(struct fields *args, struct kong_str text);

/* The same, of an argument without a name, too. */
bool query_parse_all(struct fields *args, struct kong_str text);

/* "a=1&b=": as application/x-www-form-urlencoded writes it, a space as '+'. {NULL, 0} when out of
 * memory. */
struct kong_str query_write(const struct fields *args, struct arena *arena);

/* Percent-encodes what nginx lets into no query: spaces and control characters. {NULL, 0} when out
 * of memory. */
struct kong_str query_escape(struct arena *arena, struct kong_str text);

/* The table of ngx.req.get_uri_args(max): a string, true for a flag, a list where a name repeats.
 */
bool query_to_map(const struct fields *args, size_t max, struct arena *arena,
                  struct kong_value *map);

/* What Kong makes of a table of arguments: "a=1&b&c=x&c=y", sorted by name. 0; 1 when a value has a
 * type that ngx.encode_args refuses (*bad_key and *bad_type tell), -1 when out of memory. */
int query_encode(const struct kong_value *map, struct arena *arena, struct kong_str *text,
                 struct kong_str *bad_key, const char **bad_type);

/* Lua's name of a value's type: "nil", "boolean", "number", "string", "table". */
const char *lua_type(const struct kong_value *value);

/* Lua's tostring of a string, number or boolean. {NULL, 0} for other types, or out of memory. */
struct kong_str lua_tostring(struct arena *arena, const struct kong_value *value);

#endif
