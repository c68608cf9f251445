/* Handlers that use the stack as ordinary libraries do: deep recursion over what a client sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kong_test.h"

#define DEPTH 900

static int failed;

/* A body of 1,800 bytes: [[[[…]]]] */
static int parse(struct kong *kong, const void *config) {
    char text[2 * DEPTH];
    json_t *value;
    char *dumped;
    (void)kong;
    (void)config;
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    value = json_loadb(text, sizeof text, 0, NULL);
    dumped = json_dumps(value, 0);
    if (dumped == NULL || strlen(dumped) != sizeof text) {
        failed = 1;
    }
    free(dumped);
    json_decref(value);
    return 0;
}

/* So much of the stack at once. */
static int dig(size_t size) {
    volatile char *low = (char *)__builtin_frame_address(0) - size;
    for (size_t i = 0; i < size; i += 1024) {
        low[i] = 1;
    }
    return 0;
}

static int dig_3_mib(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    return dig((size_t)3 << 20);
}

/* In a child process: 0, or how it ended. */
static int run(const struct kong_plugin *plugin) {
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct kong_test_options options = {.plugin = plugin};
        struct kong_test *test;
        char error[200];
        if (kong_test_open(&options, &test, error, sizeof error) != 0) {
            _exit(2);
        }
        kong_test_request(test, "GET", "/");
        if (kong_test_run(test) != 0 || failed) {
            _exit(3);
        }
        kong_test_close(test);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void deep_json(void **state) {
    static const struct kong_plugin plugin = {
        .name = "deep", .version = "0.1", .handlers = {[KONG_PHASE_ACCESS] = parse}};
    (void)state;
    assert_int_equal(run(&plugin), 0);
}

static void a_size_that_the_plugin_asks_for(void **state) {
    struct kong_plugin plugin = {
        .name = "deep", .version = "0.1", .handlers = {[KONG_PHASE_ACCESS] = dig_3_mib}};
    (void)state;
    plugin.stack_size = (size_t)4 << 20;
    assert_int_equal(run(&plugin), 0);
    plugin.stack_size = (size_t)256 << 10;
    assert_int_not_equal(run(&plugin), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deep_json),
        cmocka_unit_test(a_size_that_the_plugin_asks_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
