/* api-version's declaration: what it advertises, takes and refuses, and that its README says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The plugin is one file with a main of its own. */
#define main plugin_main
int plugin_main(int argc, char **argv);
#include "../../../plugins/api_version/api_version.c"
#undef main

#include "schema_lines.h"

static void is_declared_soundly(void **state) {
    (void)state;
    char error[256] = "";
    schema_check(&schema, error, sizeof error);
    assert_string_equal(error, "");
    assert_string_equal(plugin.name, "api-version");
    assert_string_equal(plugin.version, "0.1");
    assert_int_equal(plugin.priority, 3000);
    assert_int_equal(plugin.phases, KONG_PHASE_BIT(KONG_PHASE_ACCESS));
    assert_int_equal(plugin.on_error, KONG_FAIL_OPEN);
    assert_non_null(plugin.handlers[KONG_PHASE_REWRITE]);
    assert_non_null(plugin.handlers[KONG_PHASE_ACCESS]);
    assert_non_null(plugin.handlers[KONG_PHASE_HEADER_FILTER]);
    assert_non_null(plugin.handlers[KONG_PHASE_RESPONSE]);
    assert_null(plugin.handlers[KONG_PHASE_LOG]);
}

static void takes_what_the_readme_says(void **state) {
    (void)state;
    struct arena arena;
    struct config *config = decode_good(&arena, &schema, "{}");
    assert_string_equal(config->response_header, "Version");
    assert_string_equal(config->version, "0.1");
    assert_null(config->request_header);
    arena_free(&arena);

    config =
        decode_good(&arena, &schema, "{\"request_header\":\"version\",\"version\":\"1 (~) !\"}");
    assert_string_equal(config->request_header, "version"); /* another name, to Kong's distinct */
    assert_string_equal(config->version, "1 (~) !");
    arena_free(&arena);
}

static void check_length(const char *name, size_t len, const char *const *expected) {
    char json[512];
    char version[300];
    memset(version, 'v', len);
    version[len] = '\0';
    int json_len = snprintf(json, sizeof json, "{\"%s\":\"%s\"}", name, version);
    check_lines(&schema, json, (size_t)json_len, expected);
}

static void refuses_what_the_readme_says(void **state) {
    (void)state;
    CHECK(&schema, "{\"response_header\":\"has space\"}",
          "config.response_header: invalid value: has space");
    CHECK(&schema, "{\"response_header\":\"\"}",
          "config.response_header: length must be at least 1");
    CHECK(&schema, "{\"response_header\":null}", "config.response_header: required field missing");
    CHECK(&schema, "{\"version\":2}", "config.version: expected a string");
    CHECK(&schema, "{\"version\":\"a\\tb\"}", "config.version: invalid value: a\\tb");
    CHECK(&schema, "{\"version\":\"a\\n\"}", "config.version: invalid value: a\\n");
    CHECK(&schema, "{\"version\":\"   \"}", "config.version: has spaces only");
    CHECK_GOOD(&schema, "{\"version\":\" . \"}");
    CHECK_GOOD(&schema, "{\"version\":\"{vault://env/api-version}\"}");
    CHECK_KONGS_GOOD(&schema, "{\"version\":\"\",\"$refs\":{\"version\":\"{vault://env/x}\"}}");
    CHECK(&schema, "{\"request_header\":\"Version\"}",
          "config.@entity: values of these fields must be distinct: 'request_header', "
          "'response_header'");
    CHECK(&schema, "{\"header\":\"X\"}", "config.header: unknown field");
    check_length("version", 0,
                 (const char *const[]){"config.version: length must be at least 1", NULL});
    check_length("version", 256, (const char *const[]){NULL});
    check_length("version", 257,
                 (const char *const[]){"config.version: length must be at most 256", NULL});
}

static void header_names_have_a_limit(void **state) {
    (void)state;
    check_length("response_header", 256, (const char *const[]){NULL});
    check_length("request_header", 256, (const char *const[]){NULL});
    check_length("response_header", 257,
                 (const char *const[]){"config.response_header: length must be at most 256", NULL});
    check_length("request_header", 257,
                 (const char *const[]){"config.request_header: length must be at most 256", NULL});
}

static void readme_has_the_table(void **state) {
    (void)state;
    static char readme[65536];
    FILE *file = fopen("plugins/api_version/README.md", "r");
    if (file == NULL) {
        fail_msg("no plugins/api_version/README.md: run from the top of the repository");
        return;
    }
    size_t len = fread(readme, 1, sizeof readme - 1, file);
    readme[len] = '\0';
    assert_int_equal(fclose(file), 0);
    char *table = schema_to_markdown(&schema);
    assert_non_null(table);
    if (strstr(readme, table) == NULL) {
        fail_msg("plugins/api_version/README.md lacks this table:\n%s", table);
    }
    free(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_declared_soundly),
        cmocka_unit_test(takes_what_the_readme_says),
        cmocka_unit_test(refuses_what_the_readme_says),
        cmocka_unit_test(header_names_have_a_limit),
        cmocka_unit_test(readme_has_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
