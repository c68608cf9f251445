/* A configuration against its schema: texts, defaults, decoding. The texts are those that Kong's
 * Admin API gives for the same schema. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema_lines.h"

/* --- The schema of api-version ------------------------------------------------------------ */

#define HEADER "^[%w_-]+$"

struct headers {
    const char *response_header;
    const char *version;
    const char *request_header;
};

static const KONG_FIELDS(struct headers) headers_fields[] = {
    KONG_STRING_FIELD(struct headers, response_header, .required = true, .match = HEADER,
                      .default_json = KONG_TEXT("Version")),
    KONG_STRING_FIELD(struct headers, version, .required = true, .len_max = 256,
                      .match = "^[ -~]+$", .default_json = KONG_TEXT("0.1")),
    KONG_STRING_FIELD(struct headers, request_header, .match = HEADER),
};
static const struct kong_schema headers =
    KONG_SCHEMA(struct headers, headers_fields,
                KONG_CONFIG_CHECKS(KONG_DISTINCT("request_header", "response_header")));

static void defaults_are_applied(void **state) {
    (void)state;
    struct arena arena;
    struct headers *config = decode_good(&arena, &headers, "{}");
    assert_string_equal(config->response_header, "Version");
    assert_string_equal(config->version, "0.1");
    assert_null(config->request_header);
    arena_free(&arena);

    config = decode_kongs(&arena, &headers,
                          "{\"__key__\":\"plugins:x\",\"__seq__\":2,\"__plugin_id\":\"p\","
                          "\"__ws_id\":\"w\",\"route_id\":null,\"service_id\":\"s\","
                          "\"consumer_id\":null,\"plugin_instance_name\":\"i\","
                          "\"version\":\"1.2\",\"request_header\":\"X-V\"}");
    assert_string_equal(config->response_header, "Version");
    assert_string_equal(config->version, "1.2");
    assert_string_equal(config->request_header, "X-V");
    arena_free(&arena);
}

static void texts_are_kongs(void **state) {
    (void)state;
    CHECK(&headers, "{\"response_header\":null}", "config.response_header: required field missing");
    CHECK(&headers, "{\"response_header\":7}", "config.response_header: expected a string");
    CHECK(&headers, "{\"response_header\":\"\"}",
          "config.response_header: length must be at least 1");
    CHECK(&headers, "{\"response_header\":\"has space\"}",
          "config.response_header: invalid value: has space");
    CHECK(&headers, "{\"foo\":1}", "config.foo: unknown field");
    CHECK(&headers, "{\"request_header\":\"A\",\"response_header\":\"A\"}",
          "config.@entity: values of these fields must be distinct: 'request_header', "
          "'response_header'");
    CHECK(&headers, "{\"request_header\":\"Version\"}",
          "config.@entity: values of these fields must be distinct: 'request_header', "
          "'response_header'");
    CHECK(&headers, "{\"version\":\"caf\xc3\xa9\"}", "config.version: invalid value: caf\xc3\xa9");
}

/* All at once, in the order of Kong's own message: by name. */
static void all_violations_come_at_once(void **state) {
    (void)state;
    CHECK(&headers,
          "{\"zoo\":1,\"version\":7,\"response_header\":\"a b\",\"request_header\":\"a "
          "b\",\"alpha\":{}}",
          "config.@entity: values of these fields must be distinct: 'request_header', "
          "'response_header'",
          "config.alpha: unknown field", "config.request_header: invalid value: a b",
          "config.response_header: invalid value: a b", "config.version: expected a string",
          "config.zoo: unknown field");
}

static void broken_json_says_where(void **state) {
    (void)state;
    CHECK(&headers, "{\n  \"version\": \"1\",\n  oops\n}", "config: line 3, column 6: *");
    CHECK(&headers, "", "config: line 1, column 0: *");
    CHECK(&headers, "{\"version\":\"\xff\"}", "config: line 1, column 12: *");
    CHECK(&headers, "[1]", "config: expected a record");
    CHECK(&headers, "\"x\"", "config: expected a record");
    CHECK(&headers, "null", "config: required field missing");
    struct arena arena;
    assert_non_null(decode_good(&arena, &headers, "[]")); /* Lua's empty table */
    arena_free(&arena);
    assert_non_null(decode_good(&arena, &headers, NULL));
    arena_free(&arena);
}

static void nesting_is_bounded(void **state) {
    (void)state;
    char json[2000];
    memset(json, '[', sizeof json);
    check_lines(&headers, json, sizeof json,
                (const char *const[]){"config: nested deeper than 32", NULL});
    /* Brackets in strings do not nest; a quote may be escaped. */
    CHECK(&headers, "{\"version\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\\\",\"foo\":1}",
          "config.foo: unknown field");
    CHECK(&headers, "{\"foo\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
          "config.foo: unknown field");
    CHECK(&headers, "{\"foo\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
          "config: nested deeper than 32");
    /* What closes nothing is no level: the parser names the place. */
    CHECK(&headers, "]][", "config: line 1, column 1: *");
}

/* What a user wrote is data: in no format, on one line, with any byte in it. */
static void values_are_data(void **state) {
    (void)state;
    CHECK(&headers, "{\"response_header\":\"%s%n%d\"}",
          "config.response_header: invalid value: %s%n%d");
    CHECK(&headers, "{\"response_header\":\"a\\nb\\u001b\"}",
          "config.response_header: invalid value: a\\nb\\u001b");
    CHECK(&headers, "{\"%s\\n\":1}", "config.%s\\n: unknown field");
    CHECK(&headers, "{\"response_header\":\"a\\u0000b\"}",
          "config.response_header: expected a string without NUL");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_applied),        cmocka_unit_test(texts_are_kongs),
        cmocka_unit_test(all_violations_come_at_once), cmocka_unit_test(broken_json_says_where),
        cmocka_unit_test(nesting_is_bounded),          cmocka_unit_test(values_are_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
