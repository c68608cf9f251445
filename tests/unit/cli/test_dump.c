/* What --dump prints, read back: each field Kong looks at, for each protocol and version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "dump.h"
#include "phase.h"
#include "schema.h"

struct config {
    const char *word;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, word, .default_json = KONG_TEXT("x"),
                      .description = "a word")};
static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

static int handle(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    return 0;
}

static const struct kong_plugin plugin = {
    .name = "a-plugin",
    .version = "2.10",
    .priority = 1000,
    .schema = &schema,
    .handlers = {
        [KONG_PHASE_REWRITE] = handle, [KONG_PHASE_ACCESS] = handle, [KONG_PHASE_LOG] = handle}};

static const struct {
    unsigned phases;
    const char *names; /* with a blank behind each */
} sets[] = {{KONG_PHASE_BIT(KONG_PHASE_ACCESS), "access "},
            {KONG_PHASE_BIT(KONG_PHASE_LOG) | KONG_PHASE_BIT(KONG_PHASE_REWRITE), "rewrite log "},
            {0, ""}};

static struct options options_of(size_t set, int kong_major) {
    static char path[] = "/run/a \"quoted\".socket";
    return (struct options){.plugin = &plugin,
                            .phases = sets[set].phases,
                            .priority = -7,
                            .protocol = set == 0 ? PROTOCOL_MSGPACK : PROTOCOL_PROTOBUF,
                            .kong_major = kong_major,
                            .socket = path};
}

static void assert_text(const json_t *object, const char *key, const char *wanted) {
    assert_string_equal(json_string_value(json_object_get(object, key)), wanted);
}

static void assert_phases(const json_t *list, const char *wanted) {
    char names[200] = "";
    size_t len = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        len += (size_t)snprintf(names + len, sizeof names - len, "%s ",
                                json_string_value(json_array_get(list, i)));
    }
    assert_string_equal(names, wanted);
}

static json_t *schema_of(int kong_major) {
    json_t *json = schema_to_json(&schema, plugin.name, dump_default_phases(&plugin), kong_major);
    assert_non_null(json);
    return json;
}

static void for_the_query_command(void **state) {
    (void)state;
    for (size_t set = 0; set < sizeof sets / sizeof *sets; set++) {
        for (int major = 2; major <= 3; major++) {
            struct options options = options_of(set, major);
            char *text = dump_json(&options);
            assert_non_null(text);
            json_t *all = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
            json_t *wanted = schema_of(major);
            assert_non_null(all);
            assert_int_equal(json_object_size(all), 3);
            assert_text(all, "Protocol", set == 0 ? "MsgPack:1" : "ProtoBuf:1");
            assert_text(all, "SocketPath", "/run/a \"quoted\".socket");
            const json_t *list = json_object_get(all, "Plugins");
            assert_int_equal(json_array_size(list), 1);
            const json_t *one = json_array_get(list, 0);
            assert_int_equal(json_object_size(one), 5);
            assert_text(one, "Name", "a-plugin");
            assert_text(one, "Version", "2.10");
            assert_true(json_is_integer(json_object_get(one, "Priority")));
            assert_int_equal(json_integer_value(json_object_get(one, "Priority")), -7);
            assert_phases(json_object_get(one, "Phases"), sets[set].names);
            assert_true(json_equal(json_object_get(one, "Schema"), wanted));
            assert_int_equal(strstr(text, "a word") != NULL, major == 3); /* Kong 2 refuses it */
            json_decref(wanted);
            json_decref(all);
            free(text);
        }
    }
}

/* The same over the socket. */
static void for_the_socket(void **state) {
    (void)state;
    for (size_t set = 0; set < sizeof sets / sizeof *sets; set++) {
        struct options options = options_of(set, 3);
        struct dump dump;
        char names[200] = "";
        size_t len = 0;
        assert_int_equal(dump_init(&dump, &options), 0);
        assert_string_equal(dump.info.name.data, "a-plugin");
        assert_string_equal(dump.info.version.data, "2.10");
        assert_int_equal(dump.info.priority, -7);
        for (size_t i = 0; i < dump.info.phase_count; i++) {
            len +=
                (size_t)snprintf(names + len, sizeof names - len, "%s ", dump.info.phases[i].data);
        }
        assert_string_equal(names, sets[set].names);
        json_t *got = json_loads(dump.info.schema.data, 0, NULL);
        json_t *wanted = schema_of(3);
        assert_true(json_equal(got, wanted));
        assert_int_equal(strlen(dump.info.schema.data), dump.info.schema.len);
        assert_null(strchr(dump.info.schema.data, '\n'));
        json_decref(wanted);
        json_decref(got);
        dump_free(&dump);
        assert_null(dump.schema);
    }
}

/* What has a handler; but for header_filter, unless the plugin says so itself. */
static void phases_by_default(void **state) {
    struct kong_plugin filter = plugin;
    (void)state;
    filter.handlers[KONG_PHASE_HEADER_FILTER] = handle;
    const unsigned three = KONG_PHASE_BIT(KONG_PHASE_REWRITE) | KONG_PHASE_BIT(KONG_PHASE_ACCESS) |
                           KONG_PHASE_BIT(KONG_PHASE_LOG);
    assert_int_equal(dump_default_phases(&plugin), three);
    assert_int_equal(dump_default_phases(&filter), three);
    assert_int_equal(dump_handled_phases(&filter),
                     three | KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER));
    filter.phases = KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER);
    assert_int_equal(dump_default_phases(&filter), KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(for_the_query_command),
        cmocka_unit_test(for_the_socket),
        cmocka_unit_test(phases_by_default),
    };
    return cmocka_run_group_tests_name("test_dump", tests, NULL, NULL);
}
