/* The plugin api-version, in a gateway: what its README promises, and the cases of the Lua tutorial
 * that it comes from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "kong_test.h"

#include "api_version.c"

static struct kong_test *gateway(void **state, const char *config, unsigned phases) {
    struct kong_test *test = NULL;
    char error[256];
    struct kong_test_options options = {
        .plugin = &plugin, .config = config, .msgpack = *(bool *)*state, .phases = phases};
    if (kong_test_open(&options, &test, error, sizeof error) != 0) {
        fail_msg("%s", error);
    }
    kong_test_request(test, "GET", "/status/200");
    kong_test_upstream(test, 200, "body");
    return test;
}

static void refuses(const char *config, const char *line) {
    struct kong_test *test = NULL;
    char error[512];
    struct kong_test_options options = {.plugin = &plugin, .config = config};
    assert_int_equal(kong_test_open(&options, &test, error, sizeof error), 1);
    assert_string_equal(error, line);
}

#define assert_run(test)                                                                           \
    do {                                                                                           \
        if (kong_test_run(test) != KONG_TEST_OK) {                                                 \
            fail_msg("%s", kong_test_error(test));                                                 \
        }                                                                                          \
    } while (0)

static void default_header(void **state) {
    struct kong_test *test = gateway(state, NULL, 0);
    assert_run(test);
    assert_string_equal(kong_test_response_header(test, "Version"), "0.1");
    assert_null(kong_test_response_header_at(test, "Version", 1));
    assert_null(kong_test_sent_header(test, "Version"));
    assert_int_equal(kong_test_response_status(test), 200);
    assert_string_equal(kong_test_response_body(test, NULL), "body");
    /* One call of Kong's PDK: the floor of both protocols. */
    assert_int_equal(kong_test_pdk_calls(test), 1);
    kong_test_close(test);
}

static void another_header(void **state) {
    struct kong_test *test = gateway(state, "{\"response_header\":\"Plugin-Version\"}", 0);
    assert_run(test);
    assert_string_equal(kong_test_response_header(test, "Plugin-Version"), "0.1");
    assert_null(kong_test_response_header(test, "Version"));
    kong_test_close(test);
}

static void another_version(void **state) {
    struct kong_test *test = gateway(state, "{\"version\":\"2026-11 ~beta\"}", 0);
    assert_run(test);
    assert_string_equal(kong_test_response_header(test, "Version"), "2026-11 ~beta");
    kong_test_close(test);
}

/* Only request_header is given: the response header is the default one. */
static void request_header(void **state) {
    struct kong_test *test =
        gateway(state, "{\"request_header\":\"X-Api-Version\",\"version\":\"7\"}", 0);
    kong_test_request_header(test, "X-Api-Version", "forged");
    assert_run(test);
    assert_string_equal(kong_test_sent_header_at(test, "X-Api-Version", 0), "7");
    assert_null(kong_test_sent_header_at(test, "X-Api-Version", 1));
    assert_string_equal(kong_test_response_header(test, "Version"), "7");
    kong_test_close(test);
}

/* An upstream's header of the same name: access alone leaves both, ours first; with response, or
 * header_filter where a Kong can call it, there is one, ours. */
static void upstreams_own_header(void **state) {
    static const struct {
        unsigned phases;
        const char *second;
    } cases[] = {
        {KONG_PHASE_BIT(KONG_PHASE_ACCESS), "theirs"},
        {KONG_PHASE_BIT(KONG_PHASE_REWRITE), "theirs"},
        {KONG_PHASE_BIT(KONG_PHASE_ACCESS) | KONG_PHASE_BIT(KONG_PHASE_RESPONSE), NULL},
        {KONG_PHASE_BIT(KONG_PHASE_RESPONSE), NULL},
        {KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER), NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kong_test *test = gateway(state, NULL, cases[i].phases);
        kong_test_upstream_header(test, "version", "theirs");
        assert_run(test);
        assert_string_equal(kong_test_response_header_at(test, "Version", 0), "0.1");
        const char *second = kong_test_response_header_at(test, "Version", 1);
        assert_int_equal(second == NULL, cases[i].second == NULL);
        assert_true(second == NULL || strcmp(second, cases[i].second) == 0);
        kong_test_close(test);
    }
}

/* The README's table: what each phase sets. */
static void phase_by_phase(void **state) {
    static const struct {
        enum kong_phase phase;
        const char *request;
    } cases[] = {
        {KONG_PHASE_REWRITE, NULL},
        {KONG_PHASE_ACCESS, "0.1"},
        {KONG_PHASE_RESPONSE, NULL},
        {KONG_PHASE_HEADER_FILTER, NULL},
    };
    struct kong_test *test = gateway(state, "{\"request_header\":\"X-Api\"}", 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kong_test_request(test, "GET", "/");
        assert_int_equal(kong_test_phase(test, cases[i].phase), KONG_TEST_OK);
        assert_string_equal(kong_test_response_header(test, "Version"), "0.1");
        const char *sent = kong_test_sent_header(test, "X-Api");
        assert_int_equal(sent == NULL, cases[i].request == NULL);
        assert_true(sent == NULL || strcmp(sent, cases[i].request) == 0);
        assert_int_equal(kong_test_pdk_calls(test), cases[i].request == NULL ? 1 : 2);
    }
    kong_test_close(test);
}

static void reconfigured(void **state) {
    struct kong_test *test = gateway(state, NULL, 0);
    char error[256];
    assert_run(test);
    assert_string_equal(kong_test_response_header(test, "Version"), "0.1");
    assert_int_equal(
        kong_test_configure(test, "{\"response_header\":\"Plugin-Version\"}", error, sizeof error),
        0);
    kong_test_request(test, "GET", "/");
    assert_run(test);
    assert_string_equal(kong_test_response_header(test, "Plugin-Version"), "0.1");
    assert_null(kong_test_response_header(test, "Version"));
    kong_test_close(test);
}

static void whatever_the_answer(void **state) {
    static const int statuses[] = {201, 204, 304, 404, 500, 503};
    struct kong_test *test = gateway(state, NULL, 0);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        kong_test_request(test, i % 2 == 0 ? "HEAD" : "POST", "/x");
        kong_test_upstream(test, statuses[i], NULL);
        assert_run(test);
        assert_int_equal(kong_test_response_status(test), statuses[i]);
        assert_string_equal(kong_test_response_header(test, "Version"), "0.1");
    }
    kong_test_close(test);
}

static void refused(void **state) {
    (void)state;
    refuses("{\"request_header\":\"X\",\"response_header\":\"X\"}",
            "config.@entity: values of these fields must be distinct: 'request_header', "
            "'response_header'");
    refuses("{\"request_header\":\"Version\"}",
            "config.@entity: values of these fields must be distinct: 'request_header', "
            "'response_header'");
    refuses("{\"response_header\":\"has space\"}",
            "config.response_header: invalid value: has space");
    refuses("{\"response_header\":\"\"}", "config.response_header: length must be at least 1");
    refuses("{\"response_header\":7}", "config.response_header: expected a string");
    refuses("{\"unheard\":7}", "config.unheard: unknown field");
}

int main(void) {
    static bool protobuf = false;
    static bool msgpack = true;
#define ONE(test, protocol)                                                                        \
    { #test " " #protocol, test, NULL, NULL, &protocol }
#define BOTH(test) ONE(test, protobuf), ONE(test, msgpack)
    const struct CMUnitTest tests[] = {
        BOTH(default_header), BOTH(another_header),       BOTH(another_version),
        BOTH(request_header), BOTH(upstreams_own_header), BOTH(whatever_the_answer),
        BOTH(phase_by_phase), BOTH(reconfigured),         ONE(refused, protobuf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
