/* Exceptions of C++ in handlers: each flow has its own, and one that leaves a handler is a failure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exceptions.h"
#include "kong_test.h"

#define STACK ((size_t)256 << 10)

/* The first to wait is the first to go on: the exception thrown last is not its own. */
static void throw_on_is_ones_own(void **state) {
    struct fiber_pool *pool = fiber_pool_create(STACK, 4);
    struct thrower a = {.pool = pool, .text = "one"}, b = {.pool = pool, .text = "two"};
    bool finished;
    (void)state;
    struct fiber *first = fiber_start(pool, throw_on_after_wait, &a, &finished);
    struct fiber *second = fiber_start(pool, throw_on_after_wait, &b, &finished);
    assert_true(fiber_resume(first));
    assert_true(fiber_resume(second));
    assert_string_equal(a.caught, "one");
    assert_string_equal(b.caught, "two");
    assert_int_equal(a.uncaught, 0);
    assert_int_equal(b.uncaught, 0);
    fiber_pool_destroy(pool);
}

static void others_do_not_unwind(void **state) {
    struct fiber_pool *pool = fiber_pool_create(STACK, 4);
    struct thrower a = {.pool = pool, .text = "one"}, b = {.pool = pool, .text = "two"};
    bool finished;
    (void)state;
    struct fiber *unwinding = fiber_start(pool, wait_while_unwinding, &a, &finished);
    struct fiber *other = fiber_start(pool, throw_on_after_wait, &b, &finished);
    assert_int_equal(a.uncaught, 1);
    assert_true(fiber_resume(other));
    assert_int_equal(b.uncaught, 0);
    assert_string_equal(b.caught, "two");
    assert_true(fiber_resume(unwinding));
    assert_string_equal(a.caught, "one");
    fiber_pool_destroy(pool);
}

static struct kong_test *open_with(const struct kong_plugin *plugin) {
    const struct kong_test_options options = {.plugin = plugin};
    struct kong_test *test;
    char error[256];
    if (kong_test_open(&options, &test, error, sizeof error) != 0) {
        fail_msg("%s", error);
    }
    kong_test_request(test, "GET", "/");
    return test;
}

/* Runs a request: the plugin failed, and Kong's log has this line. */
static void fails_with(const struct kong_plugin *plugin, const char *line) {
    struct kong_test *test = open_with(plugin);
    kong_test_run(test);
    assert_true(kong_test_logged(test, "err", line));
    assert_int_equal(live_objects(), 0);
    /* the server lives */
    kong_test_request(test, "GET", "/again");
    assert_int_not_equal(kong_test_run(test), KONG_TEST_BROKEN);
    kong_test_close(test);
}

static void an_exception_is_a_failed_event(void **state) {
    (void)state;
    struct kong_test *test = open_with(&throws_in_handler);
    assert_int_equal(kong_test_run(test), KONG_TEST_FAILED);
    assert_int_equal(kong_test_response_status(test), 500);
    kong_test_close(test);
    fails_with(&throws_in_handler, "throws: access failed: exception: the redis is down");
    fails_with(&throws_a_number, "throws: access failed: exception that is no std::exception");
}

static void an_exception_in_the_other_thread(void **state) {
    (void)state;
    fails_with(&throws_in_thread, "throws: access failed: exception: the thread gave up");
}

static void an_exception_in_configure(void **state) {
    (void)state;
    fails_with(&throws_in_configure, "configuration refused: exception: no such table");
}

static void an_exception_in_open(void **state) {
    const struct kong_test_options options = {.plugin = &throws_in_open};
    struct kong_test *test;
    char error[256];
    (void)state;
    assert_int_equal(kong_test_open(&options, &test, error, sizeof error), -1);
    assert_non_null(strstr(error, "exception: no such file"));
}

static void a_stack_for_regular_expressions(void **state) {
    (void)state;
    struct kong_test *test = open_with(&matches);
    assert_int_equal(kong_test_run(test), KONG_TEST_OK);
    kong_test_close(test);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(throw_on_is_ones_own),
        cmocka_unit_test(others_do_not_unwind),
        cmocka_unit_test(an_exception_is_a_failed_event),
        cmocka_unit_test(an_exception_in_the_other_thread),
        cmocka_unit_test(an_exception_in_configure),
        cmocka_unit_test(an_exception_in_open),
        cmocka_unit_test(a_stack_for_regular_expressions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
