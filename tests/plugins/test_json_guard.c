/* json-guard in a simulated gateway. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "example.h"

#include "json_guard.c"

static void send(struct kong_test *test, const char *type, const char *body, size_t len) {
    kong_test_request(test, "POST", "/x");
    if (type != NULL) {
        kong_test_request_header(test, "Content-Type", type);
    }
    kong_test_request_body(test, body, len);
}

static void assert_refused(struct kong_test *test, int status, const char *body) {
    assert_outcome(test, KONG_TEST_EXITED);
    assert_false(kong_test_reached_upstream(test));
    assert_int_equal(kong_test_response_status(test), status);
    assert_string_equal(kong_test_response_body(test, NULL), body);
}

static void bodies(void **state) {
    static const struct {
        const char *body;
        const char *refusal; /* NULL: passes */
    } cases[] = {
        {"{}", NULL},
        {"[1, {\"a\": [2]}]", NULL},
        {"{\"]\": \"\\\"}[\"}", NULL},
        {"7", NULL},
        {"", NULL},
        {"[[[[]]]]", "{\"message\":\"The body is nested too deep\"}"},
        {"{\"a\":{\"b\":{\"c\":{}}}}", "{\"message\":\"The body is nested too deep\"}"},
        {"[}", "{\"message\":\"The body is no JSON\"}"},
        {"[", "{\"message\":\"The body is no JSON\"}"},
        {"]", "{\"message\":\"The body is no JSON\"}"},
        {"\"open", "{\"message\":\"The body is no JSON\"}"},
        {"\"\\\"", "{\"message\":\"The body is no JSON\"}"},
    };
    struct kong_test *test = gateway_of(&plugin, state, "{\"max_depth\":3}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        send(test, "application/json", cases[i].body, strlen(cases[i].body));
        if (cases[i].refusal != NULL) {
            assert_refused(test, 400, cases[i].refusal);
            continue;
        }
        assert_outcome(test, KONG_TEST_OK);
        assert_int_equal(strtol(kong_test_sent_header(test, "X-Body-Bytes"), NULL, 10),
                         strlen(cases[i].body));
        assert_string_equal(kong_test_sent_body(test, NULL), cases[i].body);
    }
    kong_test_close(test);
}

/* Small ones are in nginx's memory, large ones in a file: the same to the plugin. */
static void sizes(void **state) {
    static const size_t lens[] = {100, 8192, 8193, 100000, 200000, 200001, 400000};
    struct kong_test *test = gateway_of(&plugin, state, "{\"max_bytes\":200000}");
    char *body = malloc(400000);
    assert_non_null(body);
    memset(body, ' ', 400000);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        send(test, "application/json; charset=utf-8", body, lens[i]);
        if (lens[i] > 200000) {
            assert_refused(test, 413, "{\"message\":\"The body is too large\"}");
            continue;
        }
        assert_outcome(test, KONG_TEST_OK);
        assert_int_equal(strtol(kong_test_sent_header(test, "X-Body-Bytes"), NULL, 10), lens[i]);
    }
    free(body);
    kong_test_close(test);
}

static void other_types(void **state) {
    struct kong_test *test = gateway_of(&plugin, state, "{\"max_bytes\":1}");
    send(test, "text/plain", "[[[", 3);
    assert_outcome(test, KONG_TEST_OK);
    send(test, NULL, "[[[", 3);
    assert_outcome(test, KONG_TEST_OK);
    assert_int_equal(kong_test_called(test, "kong.request.get_raw_body"), 0);
    assert_null(kong_test_sent_header(test, "X-Body-Bytes"));
    kong_test_close(test);
}

int main(void) {
    const struct CMUnitTest tests[] = {ON_BOTH(bodies), ON_BOTH(sizes), ON_BOTH(other_types)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
