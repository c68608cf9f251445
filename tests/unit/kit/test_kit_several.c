/* The kit's gateway with several plugins: their order, configurations, jobs, protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "kong_test.h"
#include "three.h"

/* --- Plugins that write down who was called --- */

static int note(struct kong *kong, const char *text) {
    struct kong_value before;
    char all[200];
    int error = kong_ctx_shared_get(kong, "called", &before);
    if (error != 0) {
        return error;
    }
    snprintf(all, sizeof all, "%.*s%s ", before.type == KONG_STRING ? (int)before.string.len : 0,
             before.type == KONG_STRING ? before.string.data : "", text);
    return kong_ctx_shared_set(kong, "called", kong_string(all));
}

static int show(struct kong *kong, const char *header, struct kong_str value) {
    return kong_response_set_header_value(kong, header, kong_bytes(value.data, value.len));
}

/* Kong has it over MsgPack:1 only. */
static int show_id(struct kong *kong, const char *header) {
    struct kong_str id;
    int error = kong_plugin_get_id(kong, &id);
    return error == KONG_E_UNSUPPORTED ? 0 : error != 0 ? error : show(kong, header, id);
}

static int early(struct kong *kong, const void *config) {
    struct kong_str deny;
    (void)config;
    int error = kong_request_get_header(kong, "X-Deny", &deny);
    error = error != 0 ? error : show_id(kong, "X-Early-Id");
    error = error != 0 ? error : note(kong, "early");
    if (error == 0 && deny.data != NULL) {
        return kong_response_exit(kong, 403, kong_str("denied"), kong_nil());
    }
    return error;
}

static int late(struct kong *kong, const void *config) {
    (void)config;
    int error = show_id(kong, "X-Late-Id");
    return error != 0 ? error : note(kong, "late");
}

static int early_log(struct kong *kong, const void *config) {
    (void)config;
    return note(kong, "early-log");
}

static int late_log(struct kong *kong, const void *config) {
    (void)config;
    return note(kong, "late-log");
}

static int raw_path(struct kong *kong, const void *config) {
    struct kong_str path;
    (void)config;
    int error = kong_request_get_raw_path(kong, &path);
    return error != 0 ? error : show(kong, "X-Raw", path);
}

/* Of the same priority: the name decides, and the last in the alphabet is first. */
static const struct kong_plugin early_plugin = {
    .name = "notes-z",
    .version = "1.0",
    .priority = 5,
    .handlers = {[KONG_PHASE_ACCESS] = early, [KONG_PHASE_LOG] = early_log}};
static const struct kong_plugin late_plugin = {
    .name = "notes-a",
    .version = "1.0",
    .priority = 5,
    .handlers = {[KONG_PHASE_ACCESS] = late, [KONG_PHASE_LOG] = late_log}};
static const struct kong_plugin raw_plugin = {.name = "raw",
                                              .version = "1.0",
                                              .protocol = KONG_PROTOCOL_MSGPACK,
                                              .handlers = {[KONG_PHASE_ACCESS] = raw_path}};
static const struct kong_plugin *const notes[] = {&late_plugin, &early_plugin};

static struct kong_test *opened(const struct kong_test_options *options) {
    struct kong_test *test;
    char error[256];
    if (kong_test_open(options, &test, error, sizeof error) != 0) {
        fail_msg("%s", error);
    }
    return test;
}

static void refused(const struct kong_test_options *options, const char *wanted) {
    struct kong_test *test;
    char error[256];
    assert_int_equal(kong_test_open(options, &test, error, sizeof error), -1);
    if (strstr(error, wanted) == NULL) {
        fail_msg("%s, not: %s", error, wanted);
    }
    assert_null(test);
}

static void ran(struct kong_test *test, enum kong_test_outcome wanted) {
    if (kong_test_run(test) != wanted) {
        fail_msg("%s", kong_test_error(test));
    }
}

static void called(struct kong_test *test, const char *wanted) {
    struct kong_value value = kong_test_ctx(test, "called");
    assert_int_equal(value.type, KONG_STRING);
    assert_string_equal(value.string.data, wanted);
}

/* --- Tests --- */

static void in_kongs_order(void **state) {
    struct kong_test_options options = {
        .plugins = notes, .plugin_count = 2, .msgpack = *(bool *)*state};
    struct kong_test *test = opened(&options);
    ran(test, KONG_TEST_OK);
    called(test, "early late early-log late-log ");
    assert_true(kong_test_reached_upstream(test));
    if (options.msgpack) {
        assert_string_not_equal(kong_test_response_header(test, "X-Early-Id"),
                                kong_test_response_header(test, "X-Late-Id"));
    }
    /* who ends the request ends it for those behind; log runs for all */
    kong_test_request(test, "GET", "/");
    kong_test_request_header(test, "X-Deny", "1");
    ran(test, KONG_TEST_EXITED);
    called(test, "early early-log late-log ");
    assert_int_equal(kong_test_response_status(test), 403);
    kong_test_request(test, "GET", "/");
    assert_int_equal(kong_test_phase(test, KONG_PHASE_LOG), KONG_TEST_OK);
    called(test, "early-log late-log ");
    assert_int_equal(kong_test_phase(test, KONG_PHASE_REWRITE), KONG_TEST_OK);
    kong_test_close(test);
    options.phases = KONG_PHASE_BIT(KONG_PHASE_LOG) | KONG_PHASE_BIT(KONG_PHASE_REWRITE);
    test = opened(&options);
    ran(test, KONG_TEST_OK);
    called(test, "early-log late-log ");
    kong_test_close(test);
}

static void each_has_its_configuration(void **state) {
    static const char *const configs[] = {"{\"word\":\"one\"}", NULL, "{\"word\":\"three\"}"};
    struct kong_test_options options = {
        .plugins = three_plugins, .plugin_count = 3, .configs = configs};
    struct kong_test *test = opened(&options);
    char error[256];
    (void)state;
    ran(test, KONG_TEST_OK);
    assert_string_equal(kong_test_response_header(test, "X-First"), "one");
    assert_string_equal(kong_test_response_header(test, "X-Second"), "1");
    assert_string_equal(kong_test_response_header(test, "X-Third"), "three");
    assert_int_equal(
        kong_test_configure_plugin(test, "three-rough", "{\"word\":\"3\"}", error, sizeof error),
        0);
    assert_int_equal(kong_test_configure(test, NULL, error, sizeof error), 0);
    assert_int_equal(
        kong_test_configure_plugin(test, "three-rough", "{\"word\":3}", error, sizeof error), 1);
    assert_string_equal(error, "config.word: expected a string");
    assert_int_equal(kong_test_configure_plugin(test, "three", "{}", error, sizeof error), -1);
    assert_string_equal(error, "no plugin three");
    kong_test_request(test, "GET", "/");
    ran(test, KONG_TEST_OK);
    assert_string_equal(kong_test_response_header(test, "X-First"), "first");
    assert_string_equal(kong_test_response_header(test, "X-Third"), "3");
    kong_test_close(test);
    options.configs = NULL;
    test = opened(&options);
    ran(test, KONG_TEST_OK);
    assert_string_equal(kong_test_response_header(test, "X-Third"), "first");
    kong_test_close(test);
}

static void one_that_fails(void **state) {
    struct kong_test_options options = {
        .plugins = three_plugins, .plugin_count = 2, .msgpack = *(bool *)*state};
    struct kong_test *test = opened(&options);
    kong_test_request(test, "GET", "/");
    kong_test_request_header(test, "X-Fail", "1");
    ran(test, KONG_TEST_FAILED);
    assert_string_equal(kong_test_error(test),
                        "three-closed: access failed: as the client wants it");
    assert_int_equal(kong_test_response_status(test), 500);
    assert_string_equal(kong_test_response_header(test, "X-First"), "first");
    kong_test_close(test);
}

static void jobs_by_name(void **state) {
    struct kong_test_options options = {.plugins = three_plugins, .plugin_count = 3};
    struct kong_test *test = opened(&options);
    (void)state;
    assert_int_equal(kong_test_job(test, "count"), KONG_TEST_OK);
    assert_int_equal(kong_test_job(test, "three-rough/count"), KONG_TEST_OK);
    assert_int_equal(kong_test_job(test, "three-open/count"), KONG_TEST_BROKEN);
    assert_string_equal(kong_test_error(test), "the plugins have no job three-open/count");
    assert_int_equal(kong_test_job(test, "three/count"), KONG_TEST_BROKEN);
    assert_int_equal(kong_test_job(test, "/count"), KONG_TEST_BROKEN);
    kong_test_close(test);
}

/* The plugin's protocol, also where the test says nothing of it. */
static void protocol_is_the_plugins(void **state) {
    static const struct kong_plugin *const with_raw[] = {&early_plugin, &raw_plugin};
    struct kong_plugin other = raw_plugin;
    struct kong_test_options options = {.plugin = &raw_plugin};
    struct kong_test *test = opened(&options);
    (void)state;
    kong_test_request(test, "GET", "/a%20b?c");
    ran(test, KONG_TEST_OK);
    assert_string_equal(kong_test_response_header(test, "X-Raw"), "/a%20b");
    assert_false(kong_test_server_logged(test, "error", "Kong speaks ProtoBuf:1"));
    kong_test_close(test);
    options = (struct kong_test_options){.plugins = with_raw, .plugin_count = 2};
    test = opened(&options);
    ran(test, KONG_TEST_OK);
    assert_string_equal(kong_test_response_header(test, "X-Raw"), "/");
    kong_test_close(test);
    other.protocol = KONG_PROTOCOL_ANY;
    options = (struct kong_test_options){.plugin = &other};
    test = opened(&options);
    ran(test, KONG_TEST_FAILED);
    kong_test_close(test);
}

static void what_cannot_be(void **state) {
    static const struct kong_plugin *const twice[] = {&early_plugin, &early_plugin};
    struct kong_test_options options = {.plugins = twice, .plugin_count = 2};
    static const char *const configs[] = {NULL, "{\"word\":\"x\"}"};
    struct kong_test *test;
    char error[256];
    (void)state;
    refused(&options, "notes-z");
    options.plugin_count = 0;
    refused(&options, ".plugin_count is 1 to 64");
    options.plugin_count = KONG_PLUGINS_MOST + 1;
    refused(&options, ".plugin_count is 1 to 64");
    options = (struct kong_test_options){.plugins = notes, .plugin_count = 2, .threads = 2};
    refused(&options, "the plugin notes-a does not say that it is thread-safe");
    options = (struct kong_test_options){
        .plugins = three_plugins, .plugin_count = 2, .configs = configs, .threads = 2};
    assert_int_equal(kong_test_open(&options, &test, error, sizeof error), 1);
    assert_string_equal(error, "config.word: unknown field");
}

int main(void) {
    static bool protobuf = false, msgpack = true;
#define BOTH(test)                                                                                 \
    {#test " protobuf", test, NULL, NULL, &protobuf}, {                                            \
#test " msgpack", test, NULL, NULL, &msgpack                                               \
    }
    const struct CMUnitTest tests[] = {
        BOTH(in_kongs_order),
        BOTH(one_that_fails),
        cmocka_unit_test(each_has_its_configuration),
        cmocka_unit_test(jobs_by_name),
        cmocka_unit_test(protocol_is_the_plugins),
        cmocka_unit_test(what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
