/* greeter.cc in a simulated gateway. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kong_test.h"

extern const struct kong_plugin greeter;

static struct kong_test *open_with(const char *config) {
    const struct kong_test_options options = {.plugin = &greeter, .config = config};
    struct kong_test *test;
    char error[256];
    if (kong_test_open(&options, &test, error, sizeof error) != 0) {
        fail_msg("%s", error);
    }
    kong_test_request(test, "GET", "/");
    return test;
}

static void greets(void **state) {
    struct kong_test *test = open_with("{\"names\":[\"Ann\",\"Ben\"]}");
    (void)state;
    assert_int_equal(kong_test_run(test), KONG_TEST_OK);
    assert_string_equal(kong_test_response_header(test, "X-Greeting"), "Hello Ann, Ben");
    kong_test_close(test);
}

static void too_long_is_a_failure_with_its_text(void **state) {
    struct kong_test *test = open_with("{\"names\":[\"Ann\",\"Ben\"],\"limit\":5}");
    (void)state;
    assert_int_equal(kong_test_run(test), KONG_TEST_FAILED);
    assert_int_equal(kong_test_response_status(test), 500);
    assert_true(kong_test_logged(test, "err",
                                 "greeter: access failed: exception: the greeting is too long"));
    kong_test_close(test);
}

static void bad_names_are_refused(void **state) {
    const struct kong_test_options options = {
        .plugin = &greeter, .config = "{\"names\":[\"a name of more than twenty\"]}"};
    struct kong_test *test;
    char error[256];
    (void)state;
    assert_int_equal(kong_test_open(&options, &test, error, sizeof error), 1);
    assert_non_null(strstr(error, "length must be at most 20"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greets),
        cmocka_unit_test(too_long_is_a_failure_with_its_text),
        cmocka_unit_test(bad_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
