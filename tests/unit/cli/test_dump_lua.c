/* --dump --lua: what Lua would read otherwise than JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "dump.h"

struct config {
    const char *text;
    const char *end;
    const double *share;
    const int64_t *count;
    const char *none;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, text, .default_json = "\"a\\\"b\\\\c\\n\\u00e9\\u007f]]\"",
                      .description = "First line, \"quoted\"."),
    KONG_STRING_FIELD(struct config, end, .one_of = KONG_STRINGS("x", "y z")),
    KONG_NUMBER_FIELD(struct config, share, .default_json = "0.1"),
    KONG_INTEGER_FIELD(struct config, count, .between = KONG_BETWEEN(-1, 9007199254740992)),
    KONG_STRING_FIELD(struct config, none, .eq_json = "null"),
};

static const struct kong_schema schema =
    KONG_SCHEMA(struct config, fields, .no_consumer = true, .no_route = true, .no_service = true);

static int handle(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    return 0;
}

static const struct kong_plugin plugin = {
    .name = "odd", .version = "1.0", .schema = &schema, .handlers = {[KONG_PHASE_ACCESS] = handle}};

static void lua_has_its_own_words(void **state) {
    static const char *const wanted[] = {
        "local typedefs = require \"kong.db.schema.typedefs\"\n\nreturn {\n  name = \"odd\",\n",
        "\n      consumer = typedefs.no_consumer,\n",
        "\n      route = typedefs.no_route,\n",
        "\n      service = typedefs.no_service,\n",
        "default = \"a\\\"b\\\\c\\010\xc3\xa9\\127]]\",",
        "description = \"First line, \\\"quoted\\\".\",",
        "[\"end\"] = {",
        "one_of = { \"x\", \"y z\" },",
        "default = 0.10000000000000001,",
        "between = { -1, 9007199254740992 },",
        "eq = ngx.null,",
    };
    struct options options = {.plugin = &plugin};
    char *text = dump_lua(&options);
    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (strstr(text, wanted[i]) == NULL) {
            fail_msg("no %s in:\n%s", wanted[i], text);
        }
    }
    assert_string_equal(text + strlen(text) - 2, "\n}");
    free(text);
}

static void descriptions_go_with_an_old_kong(void **state) {
    struct options options = {.plugin = &plugin, .kong_major = 2};
    char *text = dump_lua(&options);
    (void)state;
    assert_non_null(text);
    assert_null(strstr(text, "description"));
    free(text);
}

static void a_plugin_without_configuration(void **state) {
    static const struct kong_plugin bare = {
        .name = "bare", .version = "1.0", .handlers = {[KONG_PHASE_ACCESS] = handle}};
    struct options options = {.plugin = &bare};
    char *text = dump_lua(&options);
    (void)state;
    assert_non_null(text);
    assert_ptr_equal(strstr(text, "return {\n  name = \"bare\",\n"), text);
    assert_non_null(strstr(text, "fields = {},"));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lua_has_its_own_words),
        cmocka_unit_test(descriptions_go_with_an_old_kong),
        cmocka_unit_test(a_plugin_without_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
