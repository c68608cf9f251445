#include "schema_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A `*` at the end stands for any text (jansson's words are its own). */
static bool is_line(const char *expected, const char *got) {
    size_t len = strlen(expected);
    return len > 0 && expected[len - 1] == '*' ? strncmp(expected, got, len - 1) == 0
                                               : strcmp(expected, got) == 0;
}

static void *decode(struct arena *arena, const struct kong_schema *schema,
                    enum schema_source source, const char *json, size_t len,
                    const char *const *expected) {
    struct schema_result result;

    arena_init(arena, (size_t)64 << 20);
    int rc = schema_decode(schema, (struct kong_str){json, len}, source, arena, &result);
    size_t i = 0;
    for (; expected[i] != NULL || i < result.count; i++) {
        const char *got = i < result.count ? result.lines[i] : "(nothing)";
        if (expected[i] == NULL || !is_line(expected[i], got)) {
            fail_msg("%s: line %zu is\n\t%s\nnot\n\t%s", json, i + 1, got,
                     expected[i] == NULL ? "(nothing)" : expected[i]);
        }
    }
    json_decref(result.tree);
    assert_int_equal(rc, i == 0 ? 0 : 1);
    if (rc != 0) {
        assert_null(result.config);
    }
    return result.config;
}

/* Decodes into `arena`, which must be given back; the lines must be the expected ones, all of them,
 * in order. */
void *decode_lines(struct arena *arena, const struct kong_schema *schema, const char *json,
                   size_t len, const char *const *expected) {
    return decode(arena, schema, SCHEMA_FROM_USER, json, len, expected);
}

void check_kongs_lines(const struct kong_schema *schema, const char *json, size_t len,
                       const char *const *expected) {
    struct arena arena;
    decode(&arena, schema, SCHEMA_FROM_KONG, json, len, expected);
    arena_free(&arena);
}

void *decode_kongs(struct arena *arena, const struct kong_schema *schema, const char *json) {
    return decode(arena, schema, SCHEMA_FROM_KONG, json, strlen(json), (const char *const[]){NULL});
}

void check_lines(const struct kong_schema *schema, const char *json, size_t len,
                 const char *const *expected) {
    struct arena arena;
    decode_lines(&arena, schema, json, len, expected);
    arena_free(&arena);
}

void *decode_good(struct arena *arena, const struct kong_schema *schema, const char *json) {
    return decode_lines(arena, schema, json, json == NULL ? 0 : strlen(json),
                        (const char *const[]){NULL});
}
