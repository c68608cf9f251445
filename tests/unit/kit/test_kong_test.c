/* The kit with which plugin authors test their plugins, used as they would: a plugin that checks an
 * API key, rewrites the request, marks the response, reports in the log phase. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "kong_test.h"

/* --- The plugin --- */

struct config {
    const char *header;
    int64_t limit;
    const char *trouble; /* what to do wrong, and when */
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, header, .required = true,
                      .default_json = KONG_TEXT("X-Api-Key")),
    KONG_INTEGER_FIELD(struct config, limit, .default_json = "3", .between = KONG_BETWEEN(1, 100)),
    KONG_STRING_FIELD(struct config, trouble),
};

static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

static bool trouble(const struct config *config, const char *what) {
    return config->trouble != NULL && strcmp(config->trouble, what) == 0;
}

static int rewrite(struct kong *kong, const void *data) {
    (void)data;
    return kong_ctx_shared_set(kong, "seen", kong_integer(1));
}

static int deny(struct kong *kong, const char *why) {
    struct kong_pair pair = kong_pair("WWW-Authenticate", kong_string("Key"));
    return kong_response_exit(kong, 401, kong_printf(kong, "{\"why\":\"%s\"}", why),
                              kong_map(&pair, 1));
}

static int admit(struct kong *kong, const struct config *config, const struct kong_consumer *who) {
    struct kong_str path;
    char limit[16];
    int error = kong_client_authenticate(kong, who, NULL);
    snprintf(limit, sizeof limit, "%d", (int)config->limit);
    error = error != 0 ? error : kong_request_get_path(kong, &path);
    error = error != 0 ? error : kong_service_request_clear_header(kong, config->header);
    error = error != 0 ? error : kong_service_request_set_header(kong, "X-Who", who->username.data);
    error = error != 0 ? error : kong_service_request_add_header(kong, "X-Many", "two");
    error = error != 0
                ? error
                : kong_service_request_set_path(kong, kong_printf(kong, "/api%s", path.data).data);
    error = error != 0 ? error : kong_service_request_set_raw_query(kong, "changed=1");
    return error != 0 ? error : kong_response_set_header(kong, "X-Limit", limit);
}

static int access_phase(struct kong *kong, const void *data) {
    const struct config *config = data;
    struct kong_consumer who;
    struct kong_str key;
    if (trouble(config, "fail")) {
        return KONG_E_FAILED;
    }
    if (trouble(config, "wrong phase")) {
        int status;
        return kong_response_get_status(kong, &status);
    }
    int error = kong_request_get_header(kong, config->header, &key);
    if (error != 0) {
        return error;
    }
    if (key.data == NULL || key.len == 0) {
        return deny(kong, "no key");
    }
    error = kong_client_load_consumer(kong, key.data, true, &who);
    if (error != 0) {
        return error;
    }
    return who.id.data == NULL ? deny(kong, "unknown key") : admit(kong, config, &who);
}

static int response(struct kong *kong, const void *data) {
    struct kong_str body;
    (void)data;
    int error = kong_service_response_get_raw_body(kong, 1000, &body);
    if (error != 0) {
        return error;
    }
    error = kong_response_set_header(kong, "X-Size", kong_printf(kong, "%zu", body.len).data);
    return error != 0 ? error : kong_response_set_header(kong, "Version", "ours");
}

static int report(struct kong *kong, const void *data) {
    struct kong_str json;
    (void)data;
    int error = kong_log_serialize(kong, &json);
    if (error != 0) {
        return error;
    }
    return kong_log_notice(kong, "request %s", strstr(json.data, "\"status\":200") ? "ok" : "bad");
}

static const struct kong_plugin plugin = {
    .name = "kit",
    .version = "1.0",
    .priority = 1,
    .on_error = KONG_FAIL_CLOSED,
    .schema = &schema,
    .handlers = {[KONG_PHASE_REWRITE] = rewrite,
                 [KONG_PHASE_ACCESS] = access_phase,
                 [KONG_PHASE_RESPONSE] = response,
                 [KONG_PHASE_LOG] = report},
};

/* --- Its tests --- */

#define ANN                                                                                        \
    "[{\"id\":\"7a267194-6123-5ee0-a1c9-4c1559eb0d95\",\"username\":\"ann\",\"created_at\":1}]"

static struct kong_test *gateway(void **state, const char *config) {
    struct kong_test *test = NULL;
    char error[256];
    struct kong_test_options options = {
        .plugin = &plugin, .config = config, .msgpack = *(bool *)*state, .event_ms = 1000};
    if (kong_test_open(&options, &test, error, sizeof error) != 0) {
        fail_msg("%s", error);
    }
    kong_test_consumers(test, ANN);
    kong_test_service(test, "{\"host\":\"up.example\",\"port\":8080,\"protocol\":\"http\"}");
    return test;
}

#define assert_run(test, wanted)                                                                   \
    do {                                                                                           \
        if (kong_test_run(test) != (wanted)) {                                                     \
            fail_msg("%s", kong_test_error(test));                                                 \
        }                                                                                          \
    } while (0)

static void admitted(void **state) {
    struct kong_test *test = gateway(state, NULL);
    kong_test_request(test, "GET", "/users?id=7");
    kong_test_request_header(test, "X-API-KEY", "ann");
    kong_test_request_header(test, "X-Many", "one");
    kong_test_upstream(test, 200, "hello");
    kong_test_upstream_header(test, "Version", "theirs");
    kong_test_upstream_header(test, "X-Theirs", "yes");
    assert_run(test, KONG_TEST_OK);
    assert_string_equal(kong_test_error(test), "");
    assert_true(kong_test_reached_upstream(test));
    assert_string_equal(kong_test_sent_method(test), "GET");
    assert_string_equal(kong_test_sent_scheme(test), "http");
    assert_string_equal(kong_test_sent_to(test), "up.example");
    assert_int_equal(kong_test_sent_port(test), 8080);
    assert_string_equal(kong_test_sent_path(test), "/api/users");
    assert_string_equal(kong_test_sent_query(test), "changed=1");
    assert_string_equal(kong_test_sent_header(test, "x-who"), "ann");
    assert_string_equal(kong_test_sent_header(test, "Host"), "up.example:8080");
    assert_null(kong_test_sent_header(test, "X-Api-Key"));
    assert_string_equal(kong_test_sent_header_at(test, "X-Many", 0), "one");
    assert_string_equal(kong_test_sent_header_at(test, "X-Many", 1), "two");
    assert_null(kong_test_sent_header_at(test, "X-Many", 2));
    assert_int_equal(kong_test_response_status(test), 200);
    assert_string_equal(kong_test_response_body(test, NULL), "hello");
    assert_string_equal(kong_test_response_header(test, "X-Limit"), "3");
    assert_string_equal(kong_test_response_header(test, "X-Size"), "5");
    assert_string_equal(kong_test_response_header(test, "X-Theirs"), "yes");
    assert_string_equal(kong_test_response_header_at(test, "Version", 0), "ours");
    assert_null(kong_test_response_header_at(test, "Version", 1));
    assert_int_equal(kong_test_ctx(test, "seen").type == KONG_NIL, 0);
    struct kong_value who = kong_test_authenticated_consumer(test);
    assert_string_equal(kong_map_get(&who, "username")->string.data, "ann");
    assert_true(kong_test_logged(test, "notice", "request ok"));
    assert_false(kong_test_logged(test, "err", ""));
    kong_test_close(test);
}

static void denied(void **state) {
    struct kong_test *test = gateway(state, "{\"header\":\"X-Other\"}");
    kong_test_request(test, "GET", "/users");
    kong_test_request_header(test, "X-Api-Key", "ann");
    assert_run(test, KONG_TEST_EXITED);
    assert_false(kong_test_reached_upstream(test));
    assert_int_equal(kong_test_response_status(test), 401);
    assert_string_equal(kong_test_response_body(test, NULL), "{\"why\":\"no key\"}");
    assert_string_equal(kong_test_response_header(test, "WWW-Authenticate"), "Key");
    assert_true(kong_test_logged(test, "notice", "request bad"));
    kong_test_request_header(test, "X-Other", "bob");
    /* The request that was denied goes on where it is: a new one starts afresh. */
    kong_test_request(test, "GET", "/users");
    kong_test_request_header(test, "X-Other", "bob");
    assert_run(test, KONG_TEST_EXITED);
    assert_string_equal(kong_test_response_body(test, NULL), "{\"why\":\"unknown key\"}");
    kong_test_close(test);
}

static void fails_closed(void **state) {
    struct kong_test *test = gateway(state, "{\"trouble\":\"fail\"}");
    assert_run(test, KONG_TEST_FAILED);
    assert_string_equal(kong_test_error(test), "kit: access failed: the plugin failed");
    assert_int_equal(kong_test_response_status(test), 500);
    assert_true(kong_test_logged(test, "err", "kit: access failed: the plugin failed"));
    kong_test_close(test);
}

/* The library refuses the call: Kong raises no error, and the event ends as a failed one. */
static void wrong_phase(void **state) {
    struct kong_test *test = gateway(state, "{\"trouble\":\"wrong phase\"}");
    assert_run(test, KONG_TEST_FAILED);
    assert_true(kong_test_logged(test, "err",
                                 "kit: access failed: kong.response.get_status: Kong does not "
                                 "allow it in the phase access, only in response, header_filter, "
                                 "log; not sent"));
    assert_int_equal(kong_test_response_status(test), 500);
    assert_false(kong_test_reached_upstream(test));
    kong_test_close(test);
}

static void configuration(void **state) {
    struct kong_test *test = gateway(state, "{\"limit\":7}");
    char error[256];
    kong_test_request(test, "GET", "/");
    kong_test_request_header(test, "X-Api-Key", "ann");
    assert_run(test, KONG_TEST_OK);
    assert_string_equal(kong_test_response_header(test, "X-Limit"), "7");
    assert_int_equal(kong_test_configure(test, "{\"limit\":101}", error, sizeof error), 1);
    assert_string_equal(error, "config.limit: value should be between 1 and 100");
    assert_int_equal(kong_test_configure(test, "{\"limit\":8}", error, sizeof error), 0);
    kong_test_request(test, "GET", "/");
    kong_test_request_header(test, "X-Api-Key", "ann");
    assert_run(test, KONG_TEST_OK);
    assert_string_equal(kong_test_response_header(test, "X-Limit"), "8");
    kong_test_close(test);
}

static void refused_configuration(void **state) {
    struct kong_test *test = NULL;
    char error[256];
    struct kong_test_options options = {
        .plugin = &plugin, .config = "{\"limit\":0,\"nonsense\":1}", .msgpack = *(bool *)*state};
    assert_int_equal(kong_test_open(&options, &test, error, sizeof error), 1);
    assert_null(test);
    assert_non_null(strstr(error, "config.limit: value should be between 1 and 100"));
    assert_non_null(strstr(error, "config.nonsense: unknown field"));
}

static void one_phase(void **state) {
    struct kong_test *test = gateway(state, NULL);
    kong_test_request(test, "GET", "/");
    kong_test_ctx_set(test, "seen", "{\"by\":[1,2]}");
    assert_int_equal(kong_test_phase(test, KONG_PHASE_ACCESS), KONG_TEST_EXITED);
    assert_int_equal(kong_test_pdk_calls(test), 2);
    kong_test_request(test, "GET", "/");
    assert_int_equal(kong_test_phase(test, KONG_PHASE_REWRITE), KONG_TEST_OK);
    assert_int_equal(kong_test_pdk_calls(test), 1);
    kong_test_close(test);
}

/* A mistake of the test itself is told, and not taken for one of the plugin. */
static void mistakes(void **state) {
    struct kong_test *test = gateway(state, NULL);
    kong_test_request(test, "GET", "/");
    kong_test_consumer(test, "{not json");
    assert_int_equal(kong_test_run(test), KONG_TEST_BROKEN);
    assert_string_equal(kong_test_error(test), "no JSON: {not json");
    kong_test_request(test, "GET", "nowhere");
    assert_int_equal(kong_test_phase(test, KONG_PHASE_ACCESS), KONG_TEST_BROKEN);
    kong_test_request(test, "GET", "/");
    kong_test_request_header(test, "X-Api-Key", "ann");
    assert_run(test, KONG_TEST_OK);
    kong_test_close(test);
}

/* Only the phases that the options name, as after --phases. */
static void chosen_phases(void **state) {
    struct kong_test *test = NULL;
    char error[256];
    struct kong_test_options options = {
        .plugin = &plugin, .msgpack = *(bool *)*state, .phases = KONG_PHASE_BIT(KONG_PHASE_ACCESS)};
    assert_int_equal(kong_test_open(&options, &test, error, sizeof error), 0);
    kong_test_consumers(test, ANN);
    kong_test_request(test, "GET", "/");
    kong_test_request_header(test, "X-Api-Key", "ann");
    kong_test_upstream(test, 204, NULL);
    kong_test_upstream_header(test, "X-Limit", "theirs");
    assert_run(test, KONG_TEST_OK);
    assert_int_equal(kong_test_response_status(test), 204);
    assert_null(kong_test_response_header(test, "X-Size"));
    assert_int_equal(kong_test_ctx(test, "seen").type, KONG_NIL);
    /* Streamed: the client sees both. */
    assert_string_equal(kong_test_response_header_at(test, "X-Limit", 0), "3");
    assert_string_equal(kong_test_response_header_at(test, "X-Limit", 1), "theirs");
    kong_test_close(test);
}

/* --- Vault references --- */

struct vault_config {
    const char *secret;
    KONG_ARRAY_OF(const char *) keys;
    KONG_MAP_OF(const char *) names;
    struct vault_inner {
        const char *token;
    } inner;
};

static const KONG_FIELDS(struct vault_inner) vault_inner_fields[] = {
    KONG_STRING_FIELD(struct vault_inner, token, .referenceable = true, .match = "^%d+$"),
};

static const KONG_FIELDS(struct vault_config) vault_fields[] = {
    KONG_STRING_FIELD(struct vault_config, secret, .referenceable = true, .len_min = 8),
    KONG_ARRAY_FIELD(struct vault_config, keys, KONG_STRING_ITEM(.referenceable = true)),
    KONG_MAP_FIELD(struct vault_config, names, KONG_STRING_ITEM(),
                   KONG_STRING_ITEM(.referenceable = true)),
    KONG_RECORD_FIELD(struct vault_config, inner,
                      KONG_RECORD_OF(struct vault_inner, vault_inner_fields)),
};

static const struct kong_schema vault_schema = KONG_SCHEMA(struct vault_config, vault_fields);

static int show_secrets(struct kong *kong, const void *data) {
    const struct vault_config *config = data;
    int error = kong_response_set_header(kong, "X-Secret", config->secret);
    error = error != 0 ? error : kong_response_set_header(kong, "X-Key", config->keys.items[1]);
    error = error != 0 ? error
                       : kong_response_set_header(kong, "X-Name", config->names.entries[0].value);
    return error != 0 ? error : kong_response_set_header(kong, "X-Token", config->inner.token);
}

static const struct kong_plugin vault_plugin = {.name = "vault-test",
                                                .version = "1.0",
                                                .schema = &vault_schema,
                                                .handlers = {[KONG_PHASE_ACCESS] = show_secrets}};

/* References arrive resolved, as Kong does it: with "$refs" beside them, "" where there is no
 * secret, and no new instance when a secret changes. */
static void references_are_resolved(void **state) {
    static const char config[] =
        "{\"secret\":\"{vault://env/s}\",\"keys\":[\"plain\",\"{vault://env/k}\"],"
        "\"names\":{\"n\":\"{vault://env/none}\"},\"inner\":{\"token\":\"{vault://env/t}\"}}";
    struct kong_test *test = NULL;
    char error[256];
    struct kong_test_options options = {
        .plugin = &vault_plugin, .msgpack = *(bool *)*state, .config = config};
    assert_int_equal(kong_test_open(&options, &test, error, sizeof error), 0);
    kong_test_secrets(test, "{\"{vault://env/s}\":\"short\",\"{vault://env/k}\":\"key\","
                            "\"{vault://env/t}\":\"no digits\"}");
    kong_test_request(test, "GET", "/");
    assert_run(test, KONG_TEST_OK);
    assert_string_equal(kong_test_response_header(test, "X-Secret"), "short");
    assert_string_equal(kong_test_response_header(test, "X-Key"), "key");
    assert_string_equal(kong_test_response_header(test, "X-Name"), "");
    assert_string_equal(kong_test_response_header(test, "X-Token"), "no digits");
    assert_true(kong_test_logged(test, "notice", "unable to resolve reference {vault://env/none}"));
    assert_false(kong_test_logged(test, "err", ""));

    kong_test_secrets(test, "{\"{vault://env/s}\":\"rotated\"}");
    kong_test_request(test, "GET", "/");
    assert_run(test, KONG_TEST_OK);
    assert_string_equal(kong_test_response_header(test, "X-Secret"), "short");
    assert_int_equal(kong_test_configure(test, config, error, sizeof error), 0);
    assert_run(test, KONG_TEST_OK);
    assert_string_equal(kong_test_response_header(test, "X-Secret"), "rotated");
    /* The Admin API knows no "$refs". */
    assert_int_equal(kong_test_configure(test, "{\"$refs\":{}}", error, sizeof error), 1);
    assert_string_equal(error, "config.$refs: unknown field");
    kong_test_close(test);
}

/* A value nested deeper than can be sent. */
static int send_nested(struct kong *kong, const void *data) {
    struct kong_value levels[201];
    struct kong_value result;
    (void)data;
    levels[200] = kong_nil();
    for (int i = 199; i >= 0; i--) {
        levels[i] = kong_list(&levels[i + 1], 1);
    }
    if (kong_ctx_shared_set(kong, "fits", levels[200 - 32]) != KONG_OK) {
        return KONG_E_FAILED;
    }
    const struct kong_value args[] = {kong_string("key"), levels[0]};
    if (kong_call(kong, "kong.ctx.shared.set", args, 2, &result) != KONG_E_INVALID) {
        return KONG_E_FAILED;
    }
    return kong_ctx_shared_set(kong, "key", levels[200 - 33]);
}

static const struct kong_plugin nested_plugin = {
    .name = "nested", .version = "1.0", .handlers = {[KONG_PHASE_ACCESS] = send_nested}};

/* One clear error on both protocols, and the event goes on. */
static void values_nested_too_deep(void **state) {
    struct kong_test *test = NULL;
    char error[256];
    struct kong_test_options options = {.plugin = &nested_plugin, .msgpack = *(bool *)*state};
    assert_int_equal(kong_test_open(&options, &test, error, sizeof error), 0);
    kong_test_request(test, "GET", "/");
    assert_run(test, KONG_TEST_FAILED);
    assert_true(kong_test_logged(test, "err",
                                 "nested: access failed: kong.ctx.shared.set: a value nests deeper "
                                 "than 32 levels; not sent"));
    assert_int_equal(kong_test_ctx(test, "fits").type, KONG_LIST);
    assert_int_equal(kong_test_ctx(test, "key").type, KONG_NIL);
    kong_test_close(test);
    /* the same for a configuration */
    char config[500] = "{\"a\":";
    memset(config + 5, '[', 200);
    memset(config + 205, ']', 200);
    memcpy(config + 405, "}", 2);
    options.config = config;
    assert_int_equal(kong_test_open(&options, &test, error, sizeof error), 1);
    assert_string_equal(error, "config: nested deeper than 32");
}

/* As kong_main: what a server would not start with is refused here too. */
static void mistakes_of_the_plugin(void **state) {
    struct kong_test *test = NULL;
    char error[256];
    struct kong_plugin bad = plugin;
    struct kong_test_options options = {.plugin = &bad, .msgpack = *(bool *)*state};
    bad.name = "key-auth";
    assert_int_equal(kong_test_open(&options, &test, error, sizeof error), -1);
    assert_null(test);
    assert_string_equal(error, "the plugin's name \"key-auth\" is that of a plugin bundled with "
                               "Kong, which Kong loads instead: give it another");
    bad.name = plugin.name;
    bad.version = "1";
    assert_int_equal(kong_test_open(&options, &test, error, sizeof error), -1);
    assert_non_null(strstr(error, "version \"1\", with which Kong does not start"));
}

int main(void) {
    static bool protobuf = false;
    static bool msgpack = true;
#define ONE(test, protocol)                                                                        \
    { #test " " #protocol, test, NULL, NULL, &protocol }
#define BOTH(test) ONE(test, protobuf), ONE(test, msgpack)
    const struct CMUnitTest tests[] = {
        BOTH(admitted),
        BOTH(denied),
        BOTH(fails_closed),
        BOTH(wrong_phase),
        BOTH(one_phase),
        BOTH(configuration),
        BOTH(chosen_phases),
        BOTH(mistakes),
        BOTH(refused_configuration),
        BOTH(references_are_resolved),
        BOTH(mistakes_of_the_plugin),
        BOTH(values_nested_too_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
