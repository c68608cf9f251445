/* A schema's table written in C++ is the same as in C: its dump, and what it decodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>

#include "limit.h"
#include "rows.h"
#include "schema.h"

const struct kong_schema *schema_of_cxx(void);

static char *dump(const struct kong_schema *of) {
    json_t *json = schema_to_json(of, "table", 1u << KONG_PHASE_ACCESS, 3);
    char *text = json_dumps(json, JSON_SORT_KEYS);
    assert_non_null(text);
    json_decref(json);
    return text;
}

static void same_dump(void **state) {
    char *c = dump(&schema);
    char *cxx = dump(schema_of_cxx());
    char error[400];
    (void)state;
    assert_int_equal(schema_check(schema_of_cxx(), error, sizeof error), 0);
    assert_string_equal(cxx, c);
    free(c);
    free(cxx);
}

static void decodes(void **state) {
    const char *json =
        "{\"header\":\"Vx\",\"raw\":\"abc\",\"limit\":7,\"optional\":3,\"maybe\":true,"
        "\"methods\":[\"GET\",\"POST\"],\"codes\":[404,500],"
        "\"weights\":{\"one\":1.5},\"redis\":{\"port\":6379},\"origin\":{\"x\":2},"
        "\"line\":{\"points\":[{\"x\":1},{\"x\":3,\"y\":4}]},"
        "\"groups\":[[\"a\",\"b\"],[\"c\"]]}";
    struct schema_result result;
    struct arena arena;
    (void)state;
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    assert_int_equal(
        schema_decode(schema_of_cxx(), kong_str(json), SCHEMA_FROM_USER, &arena, &result), 0);
    const struct settings *is = result.config;
    assert_string_equal(is->header, "Vx");
    assert_int_equal(is->raw.len, 3);
    assert_int_equal(is->limit, 7);
    assert_int_equal(*is->optional, 3);
    assert_true(is->ratio == 0.25);
    assert_true(*is->maybe);
    assert_int_equal(is->methods.count, 2);
    assert_string_equal(is->methods.items[1], "POST");
    assert_int_equal(is->codes.items[1], 500);
    assert_string_equal(is->weights.entries[0].key, "one");
    assert_true(is->weights.entries[0].value == 1.5);
    assert_string_equal(is->redis.host, "localhost");
    assert_int_equal(is->redis.port, 6379);
    assert_true(is->origin->x == 2 && is->origin->y == 0.5);
    assert_true(is->line.points.items[1].y == 4);
    assert_string_equal(is->groups.items[0].items[1], "b");
    json_decref(result.tree);
    arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_dump),
        cmocka_unit_test(decodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
