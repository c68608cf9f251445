/* What the tests of the examples share. Each test_X.c includes it behind cmocka.h. */
#ifndef TESTS_PLUGINS_EXAMPLE_H
#define TESTS_PLUGINS_EXAMPLE_H

#include "kong_test.h"

static const bool protobuf = false;
static const bool msgpack = true;

/* A test over one protocol, which is its state. */
#define ON(test, protocol)                                                                         \
    { #test ", " #protocol, test, NULL, NULL, (void *)&protocol }
#define ON_BOTH(test) ON(test, protobuf), ON(test, msgpack)

/* A gateway with a plugin; fails the test when it does not start. */
static inline struct kong_test *gateway_of(const struct kong_plugin *plugin, void **state,
                                           const char *config) {
    const bool *protocol = *state;
    struct kong_test_options options = {.plugin = plugin, .config = config, .msgpack = *protocol};
    struct kong_test *test = NULL;
    char error[512];
    if (kong_test_open(&options, &test, error, sizeof error) != 0) {
        fail_msg("%s", error);
    }
    return test;
}

#define assert_outcome(test, outcome)                                                              \
    do {                                                                                           \
        enum kong_test_outcome got_ = kong_test_run(test);                                         \
        if (got_ != (outcome)) {                                                                   \
            fail_msg("outcome %d: %s", (int)got_, kong_test_error(test));                          \
        }                                                                                          \
    } while (0)

#endif
