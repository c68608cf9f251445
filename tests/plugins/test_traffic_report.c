/* traffic-report in a simulated gateway. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "example.h"

#include "traffic_report.c"

static void request(struct kong_test *test, int status) {
    kong_test_request(test, "GET", "/x");
    kong_test_upstream(test, status, NULL);
    assert_outcome(test, KONG_TEST_OK);
}

static void assert_line(struct kong_test *test, const char *expected) {
    const char *level = NULL;
    const char *line = kong_test_log(test, 0, &level);
    if (expected == NULL) {
        assert_null(line);
        return;
    }
    assert_non_null(line);
    assert_string_equal(line, expected);
    assert_string_equal(level, "notice");
    assert_null(kong_test_log(test, 1, NULL));
}

static void a_line_for_so_many(void **state) {
    static const int statuses[] = {200, 201, 302, 404, 500, 204, 999};
    struct kong_test *test = gateway_of(&plugin, state, "{\"every\":7}");
    kong_test_service(test, "{\"id\":\"7a267194-6123-5ee0-a1c9-4c1559eb0d95\",\"name\":\"shop\"}");
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < 7; i++) {
            request(test, statuses[i]);
            assert_line(test, i < 6 ? NULL
                                    : "shop: 7 answers: 2xx 3, 3xx 1, 4xx 1, 5xx 1; 0 without "
                                      "upstream");
        }
    }
    kong_test_close(test);
}

static void labels(void **state) {
    struct kong_test *test = gateway_of(&plugin, state, "{\"every\":1,\"label\":\"mine\"}");
    char error[256];
    request(test, 200);
    assert_line(test, "mine: 1 answers: 2xx 1, 3xx 0, 4xx 0, 5xx 0; 0 without upstream");
    assert_int_equal(kong_test_called(test, "kong.router.get_service"), 0);
    assert_int_equal(kong_test_configure(test, "{\"every\":1}", error, sizeof error), 0);
    request(test, 200);
    assert_line(test, "(no service): 1 answers: 2xx 1, 3xx 0, 4xx 0, 5xx 0; 0 without upstream");
    kong_test_close(test);
}

/* A new configuration is a new instance, which counts from zero. */
static void each_instance_counts(void **state) {
    struct kong_test *test = gateway_of(&plugin, state, "{\"every\":2,\"label\":\"a\"}");
    char error[256];
    request(test, 200);
    assert_line(test, NULL);
    assert_int_equal(
        kong_test_configure(test, "{\"every\":2,\"label\":\"b\"}", error, sizeof error), 0);
    request(test, 200);
    assert_line(test, NULL);
    request(test, 503);
    assert_line(test, "b: 2 answers: 2xx 1, 3xx 0, 4xx 0, 5xx 1; 0 without upstream");
    kong_test_close(test);
}

/* Where Kong itself answers: the log phase of a request that was never sent on. */
static void without_upstream(void **state) {
    struct kong_test *test = gateway_of(&plugin, state, "{\"every\":1,\"label\":\"x\"}");
    assert_int_equal(kong_test_phase(test, KONG_PHASE_LOG), KONG_TEST_OK);
    const char *line = kong_test_log(test, 0, NULL);
    assert_non_null(line);
    assert_non_null(strstr(line, "1 without upstream"));
    kong_test_close(test);
}

int main(void) {
    const struct CMUnitTest tests[] = {ON_BOTH(a_line_for_so_many), ON_BOTH(labels),
                                       ON_BOTH(each_instance_counts), ON_BOTH(without_upstream)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
