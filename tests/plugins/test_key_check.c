/* key-check in a simulated gateway. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "example.h"

#include "key_check.c"

static struct kong_test *gateway(void **state, const char *config) {
    struct kong_test *test = gateway_of(&plugin, state, config);
    kong_test_consumers(test, "[{\"id\":\"7a267194-6123-5ee0-a1c9-4c1559eb0d95\","
                              "\"username\":\"ann\",\"created_at\":1700000000}]");
    kong_test_request(test, "GET", "/x");
    return test;
}

static void assert_refused(struct kong_test *test, const char *body) {
    assert_outcome(test, KONG_TEST_EXITED);
    assert_false(kong_test_reached_upstream(test));
    assert_int_equal(kong_test_response_status(test), 401);
    assert_string_equal(kong_test_response_body(test, NULL), body);
    assert_string_equal(kong_test_response_header(test, "WWW-Authenticate"), "Key");
    assert_int_equal(kong_test_authenticated_consumer(test).type, KONG_NIL);
}

static void assert_ann(struct kong_test *test) {
    struct kong_value consumer = kong_test_authenticated_consumer(test);
    struct kong_value credential = kong_test_authenticated_credential(test);
    assert_true(kong_test_reached_upstream(test));
    assert_string_equal(kong_to_str(kong_map_get(&consumer, "username")).data, "ann");
    assert_string_equal(kong_to_str(kong_map_get(&credential, "id")).data, "key-ann");
    assert_string_equal(kong_test_sent_header(test, "X-Consumer-Username"), "ann");
}

static void no_key(void **state) {
    struct kong_test *test = gateway(state, NULL);
    assert_refused(test, "{\"message\":\"No API key found in request\"}");
    kong_test_request(test, "GET", "/x?apikey=");
    kong_test_request_header(test, "apikey", "");
    assert_refused(test, "{\"message\":\"No API key found in request\"}");
    kong_test_close(test);
}

static void wrong_keys(void **state) {
    static const char *const keys[] = {"ann", "key-", "key", "key-bob", "KEY-ann", "key-ann2"};
    struct kong_test *test = gateway(state, NULL);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        kong_test_request(test, "GET", "/x");
        kong_test_request_header(test, "apikey", keys[i]);
        assert_refused(test, "{\"message\":\"Unauthorized\"}");
    }
    kong_test_close(test);
}

static void key_in_a_header(void **state) {
    struct kong_test *test = gateway(state, NULL);
    kong_test_request_header(test, "ApiKey", "key-ann");
    assert_outcome(test, KONG_TEST_OK);
    assert_ann(test);
    assert_null(kong_test_sent_header(test, "apikey"));
    kong_test_close(test);
}

static void key_in_the_query(void **state) {
    struct kong_test *test = gateway(state, NULL);
    kong_test_request(test, "GET", "/x?a=1&apikey=key-ann&flag&b=2&b=3");
    assert_outcome(test, KONG_TEST_OK);
    assert_ann(test);
    assert_string_equal(kong_test_sent_query(test), "a=1&b=2&b=3&flag");
    kong_test_close(test);
}

/* An argument without a value, which ProtoBuf:1 has no message for. */
static void key_is_a_flag(void **state) {
    struct kong_test *test = gateway(state, NULL);
    kong_test_request(test, "GET", "/x?apikey");
    assert_refused(test, "{\"message\":\"No API key found in request\"}");
    kong_test_close(test);
}

static void configured(void **state) {
    struct kong_test *test =
        gateway(state, "{\"name\":\"x-token\",\"prefix\":\"t:\",\"hide\":false}");
    kong_test_request(test, "GET", "/x?apikey=key-ann");
    kong_test_request_header(test, "X-Token", "t:ann");
    assert_outcome(test, KONG_TEST_OK);
    assert_string_equal(kong_test_sent_header(test, "X-Token"), "t:ann");
    assert_string_equal(kong_test_sent_query(test), "apikey=key-ann");
    kong_test_close(test);
}

/* Kong raises for a header that is no text; nobody gets in. */
static void fails_closed(void **state) {
    struct kong_test *test = gateway(state, NULL);
    kong_test_consumers(test, "[{\"id\":7,\"username\":\"ann\"}]");
    kong_test_request_header(test, "apikey", "key-ann");
    assert_true(kong_test_run(test) != KONG_TEST_OK);
    assert_false(kong_test_reached_upstream(test));
    kong_test_close(test);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_BOTH(no_key),           ON_BOTH(wrong_keys),    ON_BOTH(key_in_a_header),
        ON_BOTH(key_in_the_query), ON_BOTH(key_is_a_flag), ON_BOTH(configured),
        ON_BOTH(fails_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
