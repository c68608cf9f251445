/* Vault references, and what Kong sends besides the schema's fields: what is let pass at the start
 * of an instance, and is not where a user's configuration is checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "limit.h"
#include "schema_lines.h"

struct inner {
    const char *token;
    int64_t port;
};

struct config {
    const char *secret;
    const char *plain;
    const char *other;
    KONG_ARRAY_OF(const char *) keys;
    KONG_ARRAY_OF(const char *) names;
    KONG_MAP_OF(const char *) headers;
    const struct inner *inner;
    KONG_ARRAY_OF(struct inner) list;
};

static const KONG_FIELDS(struct inner) inner_fields[] = {
    KONG_STRING_FIELD(struct inner, token, .referenceable = true, .required = true,
                      .match = "^%d+$"),
    KONG_INTEGER_FIELD(struct inner, port, .between = KONG_BETWEEN(1, 9)),
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, secret, .referenceable = true, .len_min = 8,
                      .one_of = KONG_STRINGS("eight---")),
    KONG_STRING_FIELD(struct config, plain, .len_min = 8),
    KONG_STRING_FIELD(struct config, other, .referenceable = true),
    KONG_ARRAY_FIELD(struct config, keys,
                     KONG_STRING_ITEM(.referenceable = true, .starts_with = "k"), .len_max = 12),
    KONG_SET_FIELD(struct config, names,
                   KONG_STRING_ITEM(.referenceable = true, .starts_with = "n")),
    KONG_MAP_FIELD(struct config, headers, KONG_STRING_ITEM(.len_max = 3),
                   KONG_STRING_ITEM(.referenceable = true, .uuid = true)),
    KONG_RECORD_FIELD(struct config, inner, KONG_RECORD_OF(struct inner, inner_fields)),
    KONG_ARRAY_FIELD(struct config, list,
                     KONG_RECORD_ITEM(KONG_RECORD_OF(struct inner, inner_fields))),
};

static const struct kong_schema schema =
    KONG_SCHEMA(struct config, fields, KONG_CONFIG_CHECKS(KONG_DISTINCT("secret", "other")));

#define REF(name) "\"{vault://env/" name "}\""

/* What Kong 3.9 sends for a field, a list, a map, a record and a list of records; 2.8 sends the
 * same without "$refs". */
static void rules_are_not_for_secrets(void **state) {
    (void)state;
    struct arena arena;
    struct config *config = decode_kongs(
        &arena, &schema,
        "{\"secret\":\"short\",\"keys\":[\"key\",\"x\",\"\"],\"headers\":{\"a\":\"no uuid\"},"
        "\"inner\":{\"token\":\"letters\",\"$refs\":{\"token\":" REF(
            "t") "}},"
                 "\"list\":[{\"token\":\"1\"},{\"token\":\"\",\"$refs\":{\"token\":" REF(
                     "u") "}}],"
                          "\"$refs\":{\"secret\":" REF("s") ",\"keys\":[null," REF("k") "," REF(
                              "l") "],"
                                   "\"headers\":{\"a\":" REF("h") "}}}");
    assert_string_equal(config->secret, "short");
    assert_string_equal(config->keys.items[1], "x");
    assert_string_equal(config->keys.items[2], "");
    assert_string_equal(config->headers.entries[0].value, "no uuid");
    assert_string_equal(config->inner->token, "letters");
    assert_string_equal(config->list.items[1].token, "");
    arena_free(&arena);
    /* one that cannot be resolved; a list with holes, as cjson writes it with keys */
    config = decode_kongs(&arena, &schema,
                          "{\"secret\":\"\",\"keys\":[\"k1\",\"k2\",\"third\"],"
                          "\"$refs\":{\"secret\":" REF("s") ",\"keys\":{\"3\":" REF("k") "}}}");
    assert_string_equal(config->secret, "");
    assert_string_equal(config->keys.items[2], "third");
    arena_free(&arena);
    config = decode_kongs(&arena, &schema,
                          "{\"secret\":\"short\",\"keys\":[\"x\"],\"headers\":{\"a\":\"no uuid\"},"
                          "\"inner\":{\"token\":\"letters\"},\"names\":[\"x\",\"x\",\"y\"]}");
    assert_string_equal(config->secret, "short");
    assert_string_equal(config->keys.items[0], "x");
    assert_string_equal(config->headers.entries[0].value, "no uuid");
    assert_string_equal(config->inner->token, "letters");
    assert_int_equal(config->names.count, 2);
    arena_free(&arena);
}

/* A field that cannot be a reference, also where Kong says that it was one; a list's or map's own
 * rules. */
static void rules_are_for_all_others(void **state) {
    (void)state;
    CHECK_KONGS(&schema, "{\"plain\":\"short\",\"$refs\":{\"plain\":" REF("p") "}}",
                "config.plain: length must be at least 8");
    CHECK_KONGS(&schema,
                "{\"headers\":{\"long name\":\"x\"},\"$refs\":{\"headers\":{\"long "
                "name\":" REF("h") "}}}",
                "config.headers: length must be at most 3");
    CHECK_KONGS(&schema,
                "{\"list\":[{\"token\":\"1\",\"port\":10,\"$refs\":{\"port\":" REF("p") "}}]}",
                "config.list[1].port: value should be between 1 and 9");
    CHECK(&schema, "{\"secret\":\"short\",\"keys\":[\"x\"],\"inner\":{\"token\":\"x\"}}",
          "config.inner.token: invalid value: x", "config.keys[1]: should start with: k",
          "config.secret: expected one of: eight---");
}

/* The type, and that it is there. */
static void required_and_type_are_for_secrets_too(void **state) {
    (void)state;
    CHECK_KONGS(&schema, "{\"secret\":7,\"$refs\":{\"secret\":" REF("s") "}}",
                "config.secret: expected a string");
    CHECK_KONGS(&schema, "{\"inner\":{\"token\":null,\"$refs\":{\"token\":" REF("s") "}}}",
                "config.inner.token: required field missing");
    CHECK_KONGS(&schema, "{\"keys\":[\"k\",3],\"$refs\":{\"keys\":[null," REF("s") "]}}",
                "config.keys[2]: expected a string");
}

/* Kong did not know the secret when it checked. */
static void rules_over_several_fields_leave_secrets_out(void **state) {
    (void)state;
    struct arena arena;
    decode_kongs(&arena, &schema,
                 "{\"secret\":\"same\",\"other\":\"same\",\"$refs\":{\"secret\":" REF("s") "}}");
    arena_free(&arena);
    decode_kongs(&arena, &schema, "{\"secret\":\"same\",\"other\":\"same\"}");
    arena_free(&arena);
    CHECK(&schema, "{\"secret\":\"eight---\",\"other\":\"eight---\"}",
          "config.@entity: values of these fields must be distinct: 'secret', 'other'");
}

/* Two references of a set that resolve to the same: one element, and the others keep their places.
 */
static void a_set_of_secrets(void **state) {
    (void)state;
    struct arena arena;
    struct config *config =
        decode_kongs(&arena, &schema,
                     "{\"names\":[\"x\",\"x\",\"n\",\"y\"],\"$refs\":{\"names\":[" REF("a") "," REF(
                         "b") ",null," REF("c") "]}}");
    assert_int_equal(config->names.count, 3);
    assert_string_equal(config->names.items[1], "n");
    assert_string_equal(config->names.items[2], "y");
    arena_free(&arena);
}

/* As many as fit a configuration. */
static void many_secrets(void **state) {
    (void)state;
    static char json[1 << 20];
    size_t len = 0;
    int count = 5000;
    len += (size_t)sprintf(json, "{\"names\":[");
    for (int i = 0; i < count; i++) {
        len += (size_t)sprintf(json + len, "%s\"v%d\"", i > 0 ? "," : "", i);
    }
    len += (size_t)sprintf(json + len, "],\"$refs\":{\"names\":[");
    for (int i = 0; i < count; i++) {
        len += (size_t)sprintf(json + len, "%s" REF("%d"), i > 0 ? "," : "", i);
    }
    sprintf(json + len, "]}}");
    struct arena arena;
    struct config *config = decode_kongs(&arena, &schema, json);
    assert_int_equal(config->names.count, count);
    arena_free(&arena);
}

/* Whatever a later Kong adds, wherever. */
static void unknown_keys_are_let_pass(void **state) {
    (void)state;
    static const char json[] =
        "{\"__new\":1,\"plain\":\"as it is\",\"$more\":{},\"service_id\":\"s\",\"$refs\":{},"
        "\"inner\":{\"token\":\"1\",\"$refs\":{},\"unheard\":[]},\"list\":[{\"token\":\"1\",\"x\":"
        "1}]}";
    struct arena arena;
    struct schema_result result;
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    assert_int_equal(schema_decode(&schema, kong_str(json), SCHEMA_FROM_KONG, &arena, &result), 0);
    assert_string_equal(((struct config *)result.config)->plain, "as it is");
    assert_int_equal(result.ignored_count, 4);
    assert_true(strcmp(result.ignored, "unheard") == 0 || strcmp(result.ignored, "x") == 0 ||
                result.ignored[2] == 'n' || result.ignored[1] == 'm');
    json_decref(result.tree);
    assert_int_equal(
        schema_decode(&schema, kong_str("{\"__seq__\":1}"), SCHEMA_FROM_KONG, &arena, &result), 0);
    assert_null(result.ignored);
    json_decref(result.tree);
    arena_free(&arena);
}

/* As the Admin API, which knows nothing of those keys. */
static void users_are_told_of_unknown_keys(void **state) {
    (void)state;
    CHECK(&schema,
          "{\"route_id\":\"r\",\"__key__\":\"k\",\"$refs\":{\"secret\":" REF(
              "s") "},"
                   "\"secret\":\"short\",\"inner\":{\"token\":\"1\",\"$refs\":{}}}",
          "config.$refs: unknown field", "config.__key__: unknown field",
          "config.inner.$refs: unknown field", "config.route_id: unknown field",
          "config.secret: expected one of: eight---");
    CHECK_GOOD(&schema, "{\"secret\":" REF("s") ",\"keys\":[" REF(
                            "k") "],\"inner\":{\"token\":" REF("t") "}}");
    CHECK(&schema, "{\"plain\":\"{x}\"}", "config.plain: length must be at least 8");
}

/* --- Texts are cut -------------------------------------------------------------------------- */

static void long_values_and_names_are_cut(void **state) {
    (void)state;
    static char json[300000], line[4096];
    struct schema_result result;
    struct arena arena;
    arena_init(&arena, (size_t)16 << 10); /* all that may be kept of it */
    memset(json, 'x', sizeof json);
    memcpy(json, "{\"list\":[{\"token\":\"", sizeof "{\"list\":[{\"token\":\"" - 1);
    memcpy(json + sizeof json - 6, "\"}]}", 5);
    assert_int_equal(schema_decode(&schema, kong_str(json), SCHEMA_FROM_USER, &arena, &result), 1);
    memset(line, 'x', sizeof line);
    memcpy(line, "config.list[1].token: invalid value: ", 37);
    memcpy(line + 37 + 253, "...", 4);
    assert_int_equal(result.count, 1);
    assert_string_equal(result.lines[0], line);
    json_decref(result.tree);

    memset(json, 'y', sizeof json);
    memcpy(json, "{\"", sizeof "{\"" - 1);
    memcpy(json + sizeof json - 6, "\":1}", 5);
    assert_int_equal(schema_decode(&schema, kong_str(json), SCHEMA_FROM_USER, &arena, &result), 1);
    memset(line, 'y', sizeof line);
    memcpy(line, "config.", 7);
    memcpy(line + 7 + 124, "...: unknown field", 19);
    assert_string_equal(result.lines[0], line);
    json_decref(result.tree);
    arena_free(&arena);
}

/* Between characters; control characters grow, and still fit. */
static void what_is_cut_stays_text(void **state) {
    (void)state;
    static char json[8000];
    char *end = json + sprintf(json, "{\"inner\":{\"token\":\"y");
    for (int i = 0; i < 500; i++) {
        end += sprintf(end, "\xc3\xa9");
    }
    sprintf(end, "\"}}");
    struct schema_result result;
    struct arena arena;
    arena_init(&arena, (size_t)16 << 10);
    assert_int_equal(schema_decode(&schema, kong_str(json), SCHEMA_FROM_USER, &arena, &result), 1);
    assert_string_equal(strrchr(result.lines[0], '\xc3'), "\xc3\xa9...");
    json_decref(result.tree);
    end = json + sprintf(json, "{\"inner\":{\"token\":\"");
    for (int i = 0; i < 500; i++) {
        end += sprintf(end, "\\u0001");
    }
    sprintf(end, "\"}}");
    assert_int_equal(schema_decode(&schema, kong_str(json), SCHEMA_FROM_USER, &arena, &result), 1);
    size_t len = strlen(result.lines[0]);
    assert_string_equal(result.lines[0] + len - 9, "\\u0001...");
    assert_in_range(len, 253 * 6, 2047);
    json_decref(result.tree);
    arena_free(&arena);
}

static void many_violations_are_counted(void **state) {
    (void)state;
    static char json[600000];
    size_t len = (size_t)sprintf(json, "{\"list\":[");
    for (int i = 0; i < 10000; i++) {
        len += (size_t)sprintf(json + len, "%s{\"token\":\"a long value that is no number\"}",
                               i > 0 ? "," : "");
    }
    sprintf(json + len, "]}");
    struct schema_result result;
    struct arena arena;
    arena_init(&arena, (size_t)32 << 10);
    assert_int_equal(schema_decode(&schema, kong_str(json), SCHEMA_FROM_USER, &arena, &result), 1);
    assert_int_equal(result.count, 65);
    assert_string_equal(result.lines[63],
                        "config.list[64].token: invalid value: a long value that is no number");
    assert_string_equal(result.lines[64], "config: 9936 more violations");
    json_decref(result.tree);
    arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_not_for_secrets),
        cmocka_unit_test(rules_are_for_all_others),
        cmocka_unit_test(required_and_type_are_for_secrets_too),
        cmocka_unit_test(rules_over_several_fields_leave_secrets_out),
        cmocka_unit_test(a_set_of_secrets),
        cmocka_unit_test(many_secrets),
        cmocka_unit_test(unknown_keys_are_let_pass),
        cmocka_unit_test(users_are_told_of_unknown_keys),
        cmocka_unit_test(long_values_and_names_are_cut),
        cmocka_unit_test(what_is_cut_stays_text),
        cmocka_unit_test(many_violations_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
