/* Each type: what is taken, what is said otherwise, what arrives in the struct. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol.h"
#include "schema_lines.h"

/* --- Scalars ------------------------------------------------------------------------------ */

struct scalars {
    const char *text;
    struct kong_str bytes;
    int64_t integer;
    const int64_t *optional_integer;
    double number;
    const double *optional_number;
    bool boolean;
    const bool *optional_boolean;
    int64_t ten;
    const bool *yes;
    const double *half;
};

static const KONG_FIELDS(struct scalars) scalars_fields[] = {
    KONG_STRING_FIELD(struct scalars, text, .allow_empty = true),
    KONG_STRING_FIELD(struct scalars, bytes, .allow_empty = true),
    KONG_INTEGER_FIELD(struct scalars, integer),
    KONG_INTEGER_FIELD(struct scalars, optional_integer),
    KONG_NUMBER_FIELD(struct scalars, number),
    KONG_NUMBER_FIELD(struct scalars, optional_number),
    KONG_BOOLEAN_FIELD(struct scalars, boolean),
    KONG_BOOLEAN_FIELD(struct scalars, optional_boolean),
    KONG_INTEGER_FIELD(struct scalars, ten, .default_json = "10"),
    KONG_BOOLEAN_FIELD(struct scalars, yes, .default_json = "true"),
    KONG_NUMBER_FIELD(struct scalars, half, .default_json = "0.5"),
};
static const struct kong_schema scalars = KONG_SCHEMA(struct scalars, scalars_fields);

static void scalars_arrive(void **state) {
    (void)state;
    struct arena arena;
    struct scalars *config =
        decode_good(&arena, &scalars,
                    "{\"text\":\"\xc3\xa9\",\"bytes\":\"a\\u0000b\",\"integer\":-3,"
                    "\"optional_integer\":4e3,\"number\":1,\"optional_number\":-0.25,"
                    "\"boolean\":true,\"optional_boolean\":false,\"ten\":11.0,\"yes\":false}");
    assert_string_equal(config->text, "\xc3\xa9");
    assert_int_equal(config->bytes.len, 3);
    assert_memory_equal(config->bytes.data, "a\0b", 4);
    assert_int_equal(config->integer, -3);
    assert_int_equal(*config->optional_integer, 4000);
    assert_true(config->number > 0.99 && config->number < 1.01);
    assert_true(*config->optional_number > -0.26 && *config->optional_number < -0.24);
    assert_true(config->boolean);
    assert_false(*config->optional_boolean);
    assert_int_equal(config->ten, 11);
    assert_false(*config->yes);
    assert_true(*config->half > 0.49 && *config->half < 0.51);
    arena_free(&arena);
}

/* Unset is told apart from 0, false and "". Null is "unset" also where there is a default. */
static void unset_scalars_are_told_apart(void **state) {
    (void)state;
    struct arena arena;
    struct scalars *config = decode_good(&arena, &scalars, "{}");
    assert_null(config->text);
    assert_null(config->bytes.data);
    assert_null(config->optional_integer);
    assert_null(config->optional_number);
    assert_null(config->optional_boolean);
    assert_int_equal(config->integer, 0);
    assert_int_equal(config->ten, 10);
    assert_true(*config->yes);
    arena_free(&arena);

    config = decode_good(&arena, &scalars,
                         "{\"text\":\"\",\"bytes\":\"\",\"optional_integer\":0,\"ten\":null,"
                         "\"yes\":null,\"half\":null}");
    assert_string_equal(config->text, "");
    assert_non_null(config->bytes.data);
    assert_int_equal(config->bytes.len, 0);
    assert_int_equal(*config->optional_integer, 0);
    assert_int_equal(config->ten, 0);
    assert_null(config->yes);
    assert_null(config->half);
    arena_free(&arena);
}

static void wrong_scalars_are_named(void **state) {
    (void)state;
    CHECK(&scalars, "{\"text\":1,\"bytes\":[],\"integer\":\"1\",\"number\":true,\"boolean\":0}",
          "config.boolean: expected a boolean", "config.bytes: expected a string",
          "config.integer: expected an integer", "config.number: expected a number",
          "config.text: expected a string");
    CHECK(&scalars, "{\"integer\":1.5}", "config.integer: expected an integer");
    CHECK(&scalars, "{\"integer\":1e300}", "config.integer: integer out of range");
    CHECK(&scalars, "{\"integer\":9223372036854775808}", "config.integer: integer out of range");
    CHECK(&scalars, "{\"text\":\"a\\u0000\"}", "config.text: expected a string without NUL");
    CHECK(&scalars, "{\"integer\":true}", "config.integer: expected an integer");
    CHECK(&scalars, "{\"text\":{}}", "config.text: expected a string");

    struct arena arena;
    struct scalars *config = decode_good(
        &arena, &scalars, "{\"integer\":-9223372036854775808,\"number\":12345678901234567890}");
    assert_true(config->integer == INT64_MIN);
    assert_true(config->number > 1.2e19);
    arena_free(&arena);
}

/* --- Lists -------------------------------------------------------------------------------- */

struct names {
    const char *const *items;
    size_t count;
};

struct lists {
    KONG_ARRAY_OF(const char *) words;
    KONG_ARRAY_OF(int64_t) ports;
    KONG_ARRAY_OF(struct names) groups;
    KONG_ARRAY_OF(const char *) tags;
    KONG_ARRAY_OF(bool) flags;
};

static const KONG_FIELDS(struct lists) lists_fields[] = {
    KONG_ARRAY_FIELD(struct lists, words, KONG_STRING_ITEM(.match = "^%l+$")),
    KONG_ARRAY_FIELD(struct lists, ports, KONG_INTEGER_ITEM(.between = KONG_BETWEEN(1, 65535)),
                     .default_json = "[80, 443]", .len_max = 3),
    KONG_ARRAY_FIELD(struct lists, groups, KONG_ARRAY_ITEM(struct names, KONG_STRING_ITEM())),
    KONG_SET_FIELD(struct lists, tags, KONG_STRING_ITEM(), .len_min = 2, .len_max = 2),
    KONG_ARRAY_FIELD(struct lists, flags, KONG_BOOLEAN_ITEM()),
};
static const struct kong_schema lists = KONG_SCHEMA(struct lists, lists_fields);

static void lists_arrive(void **state) {
    (void)state;
    struct arena arena;
    struct lists *config =
        decode_good(&arena, &lists,
                    "{\"words\":[\"a\",\"b\",\"a\"],\"groups\":[[\"x\",\"y\"],[],"
                    "{}],\"tags\":[\"q\",\"p\",\"q\",\"q\"],\"flags\":[true,false]}");
    assert_int_equal(config->words.count, 3);
    assert_string_equal(config->words.items[2], "a");
    assert_int_equal(config->ports.count, 2);
    assert_int_equal(config->ports.items[1], 443);
    assert_int_equal(config->groups.count, 3);
    assert_int_equal(config->groups.items[0].count, 2);
    assert_string_equal(config->groups.items[0].items[1], "y");
    assert_int_equal(config->groups.items[1].count, 0);
    assert_int_equal(config->groups.items[2].count, 0);
    assert_int_equal(config->tags.count, 2); /* the first of equal ones stays, in its place */
    assert_string_equal(config->tags.items[0], "q");
    assert_string_equal(config->tags.items[1], "p");
    assert_true(config->flags.items[0]);
    assert_false(config->flags.items[1]);
    arena_free(&arena);

    config = decode_good(&arena, &lists, "{\"words\":{},\"ports\":null}");
    assert_non_null(config->words.items); /* an empty list, from Lua */
    assert_int_equal(config->words.count, 0);
    assert_null(config->ports.items);
    arena_free(&arena);
}

static void wrong_elements_have_their_number(void **state) {
    (void)state;
    CHECK(&lists, "{\"words\":[\"a\",1,\"B\",null,\"\"]}", "config.words[2]: expected a string",
          "config.words[3]: invalid value: B", "config.words[4]: required field missing",
          "config.words[5]: length must be at least 1");
    CHECK(&lists, "{\"words\":{\"a\":1},\"tags\":\"x\"}", "config.tags: expected a set",
          "config.words: expected an array");
    CHECK(&lists, "{\"ports\":[0,1,2,3]}", "config.ports[1]: value should be between 1 and 65535");
    CHECK(&lists, "{\"ports\":[1,2,3,4]}", "config.ports: length must be at most 3");
    CHECK(&lists, "{\"tags\":[\"a\",\"a\"]}", "config.tags: length must be at least 2");
    CHECK(&lists, "{\"groups\":[[],[\"a\",2]]}", "config.groups[2][2]: expected a string");
    CHECK(&lists, "{\"words\":[1,\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",2]}",
          "config.words[1]: expected a string", "config.words[10]: expected a string");
}

/* --- Maps --------------------------------------------------------------------------------- */

struct maps {
    KONG_MAP_OF(int64_t) limits;
    KONG_MAP_OF(struct names) groups;
};

static const KONG_FIELDS(struct maps) maps_fields[] = {
    KONG_MAP_FIELD(struct maps, limits, KONG_STRING_ITEM(.match = "^%l+$"),
                   KONG_INTEGER_ITEM(.gt = KONG_GT(0)), .len_max = 3),
    KONG_MAP_FIELD(struct maps, groups, KONG_STRING_ITEM(),
                   KONG_ARRAY_ITEM(struct names, KONG_STRING_ITEM())),
};
static const struct kong_schema maps = KONG_SCHEMA(struct maps, maps_fields);

static void maps_arrive(void **state) {
    (void)state;
    struct arena arena;
    struct maps *config = decode_good(
        &arena, &maps, "{\"limits\":{\"b\":2,\"a\":1},\"groups\":{\"x\":[\"y\",\"z\"]}}");
    assert_int_equal(config->limits.count, 2);
    assert_string_equal(config->limits.entries[0].key, "b");
    assert_int_equal(config->limits.entries[0].value, 2);
    assert_string_equal(config->limits.entries[1].key, "a");
    assert_int_equal(config->limits.entries[1].value, 1);
    assert_string_equal(config->groups.entries[0].value.items[1], "z");
    arena_free(&arena);

    config = decode_good(&arena, &maps, "{\"limits\":[]}");
    assert_non_null(config->limits.entries);
    assert_int_equal(config->limits.count, 0);
    assert_null(config->groups.entries);
    arena_free(&arena);
}

/* Kong says it of the map, of the first bad entry only. */
static void wrong_entries_are_the_maps(void **state) {
    (void)state;
    CHECK(&maps, "{\"limits\":{\"a\":1,\"B\":2}}", "config.limits: invalid value: B");
    CHECK(&maps, "{\"limits\":{\"a\":0,\"b\":\"x\"}}",
          "config.limits: value must be greater than 0");
    CHECK(&maps, "{\"limits\":{\"a\":null}}", "config.limits: required field missing");
    CHECK(&maps, "{\"limits\":{\"a\":1,\"b\":1,\"c\":1,\"d\":1}}",
          "config.limits: length must be at most 3");
    CHECK(&maps, "{\"limits\":\"x\"}", "config.limits: expected a map");
    CHECK(&maps, "{\"limits\":[1]}", "config.limits: expected a string");
    CHECK(&maps, "{\"groups\":{\"x\":[1]}}", "config.groups[1]: expected a string");
}

/* --- Records ------------------------------------------------------------------------------ */

struct server {
    const char *host;
    int64_t port;
};

struct records {
    struct server redis;
    const struct server *backup;
    const struct server *always;
    KONG_ARRAY_OF(struct server) servers;
    KONG_MAP_OF(struct server) by_name;
};

static const KONG_FIELDS(struct server) server_fields[] = {
    KONG_STRING_FIELD(struct server, host, .required = true),
    KONG_INTEGER_FIELD(struct server, port, .default_json = "6379",
                       .between = KONG_BETWEEN(0, 65535)),
};

static const KONG_FIELDS(struct records) records_fields[] = {
    KONG_RECORD_FIELD(struct records, redis, KONG_RECORD_OF(struct server, server_fields),
                      .required = true),
    KONG_RECORD_FIELD(struct records, backup, KONG_RECORD_OF(struct server, server_fields)),
    KONG_RECORD_FIELD(struct records, always, KONG_RECORD_OF(struct server, server_fields),
                      .default_json = "{\"host\":\"local\"}"),
    KONG_ARRAY_FIELD(struct records, servers,
                     KONG_RECORD_ITEM(KONG_RECORD_OF(struct server, server_fields)),
                     .default_json = "[{\"host\":\"a\"},{\"host\":\"b\",\"port\":1}]"),
    KONG_MAP_FIELD(struct records, by_name, KONG_STRING_ITEM(),
                   KONG_RECORD_ITEM(KONG_RECORD_OF(struct server, server_fields))),
};
static const struct kong_schema records = KONG_SCHEMA(struct records, records_fields);

/* Defaults inside records too, of items and inside of defaults. */
static void records_arrive(void **state) {
    (void)state;
    struct arena arena;
    struct records *config = decode_good(
        &arena, &records, "{\"redis\":{\"host\":\"r\"},\"by_name\":{\"x\":{\"host\":\"h\"}}}");
    assert_string_equal(config->redis.host, "r");
    assert_int_equal(config->redis.port, 6379);
    assert_null(config->backup);
    assert_string_equal(config->always->host, "local");
    assert_int_equal(config->always->port, 6379);
    assert_int_equal(config->servers.count, 2);
    assert_int_equal(config->servers.items[0].port, 6379);
    assert_int_equal(config->servers.items[1].port, 1);
    assert_string_equal(config->by_name.entries[0].value.host, "h");
    assert_int_equal(config->by_name.entries[0].value.port, 6379);
    arena_free(&arena);

    config = decode_good(&arena, &records,
                         "{\"redis\":{\"host\":\"r\",\"port\":7},\"backup\":{\"host\":\"b\"},"
                         "\"always\":null,\"servers\":[]}");
    assert_int_equal(config->redis.port, 7);
    assert_string_equal(config->backup->host, "b");
    assert_null(config->always);
    assert_int_equal(config->servers.count, 0);
    arena_free(&arena);
}

static void wrong_records_have_paths(void **state) {
    (void)state;
    CHECK(&records, "{}", "config.redis.host: required field missing");
    CHECK(&records, "{\"redis\":null}", "config.redis: required field missing");
    CHECK(&records,
          "{\"redis\":{\"host\":1,\"port\":-1,\"x\":1},\"servers\":[{},{\"host\":\"h\"},7]}",
          "config.redis.host: expected a string",
          "config.redis.port: value should be between 0 and 65535", "config.redis.x: unknown field",
          "config.servers[1].host: required field missing", "config.servers[3]: expected a record");
    CHECK(&records, "{\"redis\":\"x\"}", "config.redis: expected a record");
    CHECK(&records, "{\"redis\":[1]}", "config.redis[1]: unknown field",
          "config.redis.host: required field missing");
    /* Kong takes false for "not there". */
    CHECK(&records, "{\"redis\":false}", "config.redis.host: required field missing");
    CHECK(&records, "{\"redis\":[]}", "config.redis.host: required field missing");
    CHECK(&records, "{\"redis\":{\"host\":\"h\",\"service_id\":1},\"service_id\":1}",
          "config.redis.service_id: unknown field", "config.service_id: unknown field");
    CHECK(&records, "{\"redis\":{\"host\":\"h\"},\"by_name\":{\"x\":{}}}",
          "config.by_name.host: required field missing");
}

/* --- Names --------------------------------------------------------------------------------- */

KONG_ENTRY(named_weight, double);

struct named {
    const char *my_greeting;
    const bool *standard;
    KONG_MAP_OF_ENTRIES(struct named_weight) weights;
};

static const KONG_FIELDS(struct named) named_fields[] = {
    KONG_STRING_FIELD(struct named, my_greeting, .name = "my-greeting", .required = true),
    KONG_BOOLEAN_FIELD(struct named, standard, .name = "default", .default_json = "true"),
    KONG_MAP_FIELD(struct named, weights, KONG_STRING_ITEM(), KONG_NUMBER_ITEM()),
};

static const struct kong_schema named_schema =
    KONG_SCHEMA(struct named, named_fields,
                KONG_CONFIG_CHECKS(KONG_CONDITIONAL("my-greeting", KONG_RULES(.match = "^x"),
                                                    "default", KONG_RULES(.eq_json = "false"))));

static double weigh(const struct named_weight *weight) {
    return weight->value;
}

/* A name in the JSON that is none in C; entries of a type that has a name. */
static void names_need_not_be_the_members(void **state) {
    (void)state;
    struct arena arena;
    struct named *config =
        decode_good(&arena, &named_schema, "{\"my-greeting\":\"hi\",\"weights\":{\"a\":1.5}}");
    assert_string_equal(config->my_greeting, "hi");
    assert_true(*config->standard);
    assert_true(weigh(&config->weights.entries[0]) == 1.5);
    arena_free(&arena);
    CHECK(&named_schema, "{\"my_greeting\":\"hi\"}",
          "config.my-greeting: field required for entity check",
          "config.my_greeting: unknown field");
    CHECK(&named_schema, "{\"my-greeting\":\"x\"}",
          "config.@entity: failed conditional validation given value of field 'my-greeting'",
          "config.default: value must be false");
    char *table = schema_to_markdown(&named_schema);
    assert_non_null(strstr(table, "| `my-greeting` | string | yes |"));
    free(table);
    json_t *json = schema_to_json(&named_schema, "x", 0, 3);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_non_null(strstr(text, "{\"my-greeting\":{\"type\":\"string\",\"required\":true}},{"
                                 "\"default\":{\"type\":\"boolean\""));
    free(text);
    json_decref(json);
}

/* --- No fields, no memory ----------------------------------------------------------------- */

static void no_fields_is_no_configuration(void **state) {
    (void)state;
    struct arena arena;
    assert_null(decode_kongs(&arena, NULL, "{\"__key__\":\"x\"}"));
    arena_free(&arena);
    CHECK(NULL, "{\"x\":1}", "config.x: unknown field");
    CHECK(NULL, "{", "config: line 1, column 1: *");
}

static void too_little_memory_is_an_error(void **state) {
    (void)state;
    static const char JSON[] = "{\"redis\":{\"host\":\"r\"}}";
    static const char BAD[] = "{\"redis\":7,\"x\":1}";
    bool decoded = false, reported = false;
    for (size_t limit = 0; limit < 4096; limit += 8) {
        struct arena arena;
        struct schema_result result;
        arena_init(&arena, limit);
        int rc = schema_decode(&records, kong_str(JSON), SCHEMA_FROM_USER, &arena, &result);
        assert_true(rc == CODEC_E_NOMEM || rc == 0);
        assert_true((rc == 0) == (result.config != NULL));
        decoded = decoded || rc == 0;
        json_decref(result.tree);
        arena_reset(&arena);
        rc = schema_decode(&records, kong_str(BAD), SCHEMA_FROM_USER, &arena, &result);
        assert_true(rc == CODEC_E_NOMEM || rc == 1);
        assert_int_equal(result.count, rc == 1 ? 2 : 0);
        reported = reported || rc == 1;
        json_decref(result.tree);
        arena_free(&arena);
    }
    assert_true(decoded);
    assert_true(reported);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_arrive),
        cmocka_unit_test(unset_scalars_are_told_apart),
        cmocka_unit_test(wrong_scalars_are_named),
        cmocka_unit_test(lists_arrive),
        cmocka_unit_test(wrong_elements_have_their_number),
        cmocka_unit_test(maps_arrive),
        cmocka_unit_test(wrong_entries_are_the_maps),
        cmocka_unit_test(records_arrive),
        cmocka_unit_test(wrong_records_have_paths),
        cmocka_unit_test(names_need_not_be_the_members),
        cmocka_unit_test(no_fields_is_no_configuration),
        cmocka_unit_test(too_little_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
