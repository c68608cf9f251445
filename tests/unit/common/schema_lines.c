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

/* Decodes into `arena`, which must be given back; the lines must be the expected ones, all of them,
 * in order. */
void *decode_lines(struct arena *arena, const struct kong_schema *schema, const char *json,
                   size_t len, const char *const *expected) {
    struct schema_report report;
    void *config = (void *)"untouched";

    arena_init(arena, (size_t)64 << 20);
    int rc = schema_decode(schema, (struct kong_str){json, len}, arena, &config, &report);
    size_t i = 0;
    for (; expected[i] != NULL || i < report.count; i++) {
        const char *got = i < report.count ? report.lines[i] : "(nothing)";
        if (expected[i] == NULL || !is_line(expected[i], got)) {
            fail_msg("%s: line %zu is\n\t%s\nnot\n\t%s", json, i + 1, got,
                     expected[i] == NULL ? "(nothing)" : expected[i]);
        }
    }
    assert_int_equal(rc, i == 0 ? 0 : 1);
    if (rc != 0) {
        assert_null(config);
    }
    return config;
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
