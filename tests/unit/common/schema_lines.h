/* A configuration against its schema, line by line: for tests. */
#ifndef TESTS_SCHEMA_LINES_H
#define TESTS_SCHEMA_LINES_H

#include "schema.h"

/* CHECK(&schema, "{...}", "config.x: ...", ...): these violations and no others, in this order. A
 * `*` at the end of a line stands for any text. No lines: the configuration is sound. */
#define CHECK(schema, json, ...)                                                                   \
    check_lines(schema, json, sizeof(json) - 1, (const char *const[]){__VA_ARGS__, NULL})
#define CHECK_GOOD(schema, json)                                                                   \
    check_lines(schema, json, sizeof(json) - 1, (const char *const[]){NULL})

void check_lines(const struct kong_schema *schema, const char *json, size_t len,
                 const char *const *expected);

/* As Kong sends it at the start of an instance. */
#define CHECK_KONGS(schema, json, ...)                                                             \
    check_kongs_lines(schema, json, sizeof(json) - 1, (const char *const[]){__VA_ARGS__, NULL})
#define CHECK_KONGS_GOOD(schema, json)                                                             \
    check_kongs_lines(schema, json, sizeof(json) - 1, (const char *const[]){NULL})
void check_kongs_lines(const struct kong_schema *schema, const char *json, size_t len,
                       const char *const *expected);
void *decode_kongs(struct arena *arena, const struct kong_schema *schema, const char *json);

/* The same, and what was decoded. The arena is initialised here and freed by the caller. */
void *decode_lines(struct arena *arena, const struct kong_schema *schema, const char *json,
                   size_t len, const char *const *expected);

/* A sound configuration, decoded. json may be NULL. */
void *decode_good(struct arena *arena, const struct kong_schema *schema, const char *json);

#endif
