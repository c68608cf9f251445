/* What a test sees of a plugin that fails, whatever Kong makes of it, and of the plugin's jobs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "kong_test.h"

/* --- The plugin: its handler fails where the request says so, its configuration where it says so
 */

struct config {
    bool bad;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_BOOLEAN_FIELD(struct config, bad),
};
static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

static atomic_uint flushed;
static atomic_bool flush_fails;

static int configure(const void *data, void **state, char *error, size_t error_size,
                     void *process_data) {
    const struct config *config = data;
    (void)process_data;
    *state = NULL;
    snprintf(error, error_size, "the keys cannot be read");
    return config->bad ? -1 : 0;
}

static void nothing(void *arg) {
    (void)arg;
}

/* Behind a wait the exit leaves at once, not with the end of the handler. */
static int fail_behind_exit(struct kong *kong, const char *how) {
    int error = strcmp(how, "late") == 0 ? kong_run_blocking(kong, nothing, NULL) : 0;
    if (error == 0) {
        error = kong_response_exit(kong, 403, kong_str("no"), kong_nil());
    }
    if (error != 0 || strcmp(how, "well") == 0) {
        return error;
    }
    return strcmp(how, "ended") == 0 ? kong_sleep(kong, 1) : kong_fail(kong, "no room for it");
}

static int handle(struct kong *kong, const void *config) {
    struct kong_str fail, how;
    (void)config;
    int error = kong_request_get_header(kong, "X-Exit", &how);
    if (error == 0 && how.data != NULL) {
        return fail_behind_exit(kong, how.data);
    }
    error = error != 0 ? error : kong_request_get_header(kong, "X-Fail", &fail);
    if (error != 0 || fail.data == NULL) {
        return error;
    }
    if (strcmp(fail.data, "-1") == 0) {
        return -1;
    }
    return kong_fail(kong, "no answer from %s", fail.data);
}

static int in_log(struct kong *kong, const void *config) {
    struct kong_str fail;
    (void)config;
    int error = kong_request_get_header(kong, "X-Fail-Log", &fail);
    return error != 0 || fail.data == NULL ? error : kong_fail(kong, "the disk is full");
}

static int flush(struct kong *kong) {
    atomic_fetch_add(&flushed, 1);
    kong_log_warn(kong, "%u flushed", atomic_load(&flushed));
    return atomic_load(&flush_fails) ? kong_fail(kong, "the collector is away") : 0;
}

static int nap(struct kong *kong) {
    return kong_sleep(kong, 1);
}

static const struct kong_plugin open_plugin = {
    .name = "failing",
    .version = "1.0",
    .schema = &schema,
    .configure = configure,
    .handlers = {[KONG_PHASE_ACCESS] = handle, [KONG_PHASE_LOG] = in_log},
    .jobs = {{"flush", 86400000, flush}, {"nap", 86400000, nap}},
};

static struct kong_test *gateway(void **state, bool closed, const char *config) {
    static struct kong_plugin plugin;
    struct kong_test *test = NULL;
    char error[256];
    plugin = open_plugin;
    plugin.on_error = closed ? KONG_FAIL_CLOSED : KONG_FAIL_OPEN;
    struct kong_test_options options = {
        .plugin = &plugin, .config = config, .msgpack = *(bool *)*state};
    if (kong_test_open(&options, &test, error, sizeof error) != 0) {
        fail_msg("%s", error);
    }
    return test;
}

static void fails_by(struct kong_test *test, const char *header, const char *value,
                     const char *text) {
    kong_test_request(test, "GET", "/");
    kong_test_request_header(test, header, value);
    assert_int_equal(kong_test_run(test), KONG_TEST_FAILED);
    assert_string_equal(kong_test_error(test), text);
    assert_true(kong_test_logged(test, "err", text));
}

static void fails(struct kong_test *test, const char *header, const char *text) {
    fails_by(test, header, "redis", text);
}

/* --- Handlers --- */

static void fails_open_each_time(void **state) {
    struct kong_test *test = gateway(state, false, NULL);
    for (int i = 0; i < 3; i++) {
        fails(test, "X-Fail", "failing: access failed: no answer from redis");
        assert_int_equal(kong_test_response_status(test), 200);
        assert_true(kong_test_reached_upstream(test));
        fails(test, "X-Fail-Log", "failing: log failed: the disk is full");
    }
    kong_test_request(test, "GET", "/");
    assert_int_equal(kong_test_run(test), KONG_TEST_OK);
    assert_string_equal(kong_test_error(test), "");
    assert_false(kong_test_logged(test, "err", ""));
    kong_test_close(test);
}

/* Kong has its answer and is told nothing more; the test is. */
static void fails_after_its_exit(void **state) {
    static const char *const hows[] = {"at once", "late", "well", "ended"};
    for (int closed = 0; closed < 2; closed++) {
        struct kong_test *test = gateway(state, closed != 0, NULL);
        for (size_t i = 0; i < 12; i++) {
            bool fails = i % 4 < 2;
            kong_test_request(test, "GET", "/");
            kong_test_request_header(test, "X-Exit", hows[i % 4]);
            assert_int_equal(kong_test_run(test), fails ? KONG_TEST_FAILED : KONG_TEST_EXITED);
            assert_string_equal(kong_test_error(test),
                                fails ? "failing: access failed after its exit: no room for it"
                                      : "");
            assert_int_equal(kong_test_response_status(test), 403);
            assert_string_equal(kong_test_response_body(test, NULL), "no");
            assert_false(kong_test_logged(test, "err", ""));
        }
        assert_true(
            kong_test_server_logged(test, "error", "access failed after its exit: no room for it"));
        kong_test_close(test);
    }
}

static void fails_closed_each_time(void **state) {
    struct kong_test *test = gateway(state, true, NULL);
    for (int i = 0; i < 3; i++) {
        fails(test, "X-Fail", "failing: access failed: no answer from redis");
        assert_int_equal(kong_test_response_status(test), 500);
        assert_false(kong_test_reached_upstream(test));
        fails_by(test, "X-Fail", "-1", "failing: access failed: the handler returned -1");
        assert_int_equal(kong_test_response_status(test), 500);
        assert_false(kong_test_reached_upstream(test));
    }
    kong_test_close(test);
}

static void configuration_that_fails(void **state) {
    struct kong_test *test = gateway(state, false, "{\"bad\":true}");
    for (int i = 0; i < 2; i++) {
        fails(test, "X-Any", "failing: configuration refused: the keys cannot be read");
        assert_int_equal(kong_test_response_status(test), 200);
    }
    kong_test_close(test);
}

/* --- Jobs --- */

static void jobs_run_on_demand(void **state) {
    struct kong_test *test = gateway(state, false, NULL);
    atomic_store(&flush_fails, false);
    assert_int_equal(kong_test_job(test, "flush"), KONG_TEST_OK);
    unsigned before = atomic_load(&flushed);
    assert_int_equal(kong_test_job(test, "flush"), KONG_TEST_OK);
    assert_int_equal(atomic_load(&flushed), before + 1);
    assert_string_equal(kong_test_error(test), "");
    assert_int_equal(kong_test_job(test, "nap"), KONG_TEST_OK);
    char line[64];
    snprintf(line, sizeof line, "job flush: %u flushed", before + 1);
    assert_true(kong_test_server_logged(test, "warn", line));
    assert_false(kong_test_server_logged(test, "error", line));
    kong_test_close(test);
    assert_int_equal(atomic_load(&flushed), before + 2); /* once more, at the end */
}

static void jobs_that_fail(void **state) {
    struct kong_test *test = gateway(state, false, NULL);
    atomic_store(&flush_fails, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kong_test_job(test, "flush"), KONG_TEST_FAILED);
        assert_string_equal(kong_test_error(test), "the collector is away");
    }
    assert_true(kong_test_server_logged(test, "error", "job flush failed: the collector is away"));
    assert_int_equal(kong_test_job(test, "flushed"), KONG_TEST_BROKEN);
    assert_string_equal(kong_test_error(test), "the plugin has no job flushed");
    kong_test_close(test);
}

static void lines_of_the_server(void **state) {
    struct kong_test *test = gateway(state, false, NULL);
    const char *level = NULL;
    const char *line;
    size_t count = 0;
    fails(test, "X-Fail", "failing: access failed: no answer from redis");
    while ((line = kong_test_server_log(test, count, &level)) != NULL) {
        assert_null(strstr(line, "failing[")); /* the text alone */
        assert_non_null(level);
        count++;
    }
    assert_true(count > 0);
    assert_true(kong_test_server_logged(test, "error", "access failed: no answer from redis"));
    kong_test_close(test);
}

int main(void) {
    static bool protobuf = false;
    static bool msgpack = true;
#define ONE(test, protocol)                                                                        \
    { #test " " #protocol, test, NULL, NULL, &protocol }
#define BOTH(test) ONE(test, protobuf), ONE(test, msgpack)
    const struct CMUnitTest tests[] = {
        BOTH(fails_open_each_time),        BOTH(fails_after_its_exit),
        BOTH(fails_closed_each_time),      BOTH(configuration_that_fails),
        ONE(jobs_run_on_demand, protobuf), ONE(jobs_that_fail, protobuf),
        BOTH(lines_of_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
