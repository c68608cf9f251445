/* Each method of the table, called through its typed function in each phase, over both protocols:
 * where Kong allows it exactly that method arrives at the simulated Kong, once, and can be done;
 * elsewhere nothing arrives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "example.h"
#include "pdk_methods.h"

#include "every_call.c"

/* {"call":"request_get_path"} for kong.request.get_path. */
static void choose(struct kong_test *test, const struct pdk_method *method) {
    char config[128];
    char error[256];
    int len = snprintf(config, sizeof config, "{\"call\":\"%s\"}", method->name.data + 5);
    assert_true(len > 0 && (size_t)len < sizeof config);
    for (char *c = config; *c != '\0'; c++) {
        *c = (char)(*c == '.' ? '_' : *c);
    }
    assert_int_equal(kong_test_configure(test, config, error, sizeof error), 0);
}

static struct kong_test *gateway(void **state) {
    struct kong_test *test = gateway_of(&plugin, state, "{\"call\":\"none\"}");
    kong_test_consumers(test, "[{\"id\":\"7a267194-6123-5ee0-a1c9-4c1559eb0d95\","
                              "\"username\":\"ann\",\"created_at\":1700000000}]");
    kong_test_upstreams(test, "[\"up\"]");
    kong_test_secrets(test, "{\"{vault://env/secret}\":\"s\"}");
    kong_test_service(test, "{\"id\":\"7a267194-6123-5ee0-a1c9-4c1559eb0d95\",\"name\":\"s\","
                            "\"protocol\":\"http\",\"host\":\"h\",\"port\":80}");
    kong_test_route(test, "{\"id\":\"eeb325b8-afd4-5ba2-a113-c34eeb969c1d\",\"name\":\"r\","
                          "\"protocols\":[\"http\"],\"paths\":[\"/\"]}");
    return test;
}

static void request(struct kong_test *test) {
    kong_test_request(test, "POST", "https://localhost:8443/x?a=1");
    kong_test_request_header(test, "Content-Type", "application/json");
    kong_test_request_body(test, "{}", 2);
    kong_test_upstream(test, 200, "{}");
    kong_test_upstream_header(test, "Content-Type", "application/json");
}

static bool terminal(const struct pdk_method *method) {
    return (method->flags & PDK_TERMINAL) != 0;
}

/* In header_filter there is a body only when an earlier phase asked for buffering. */
static bool lacks_body(const struct pdk_method *method, enum kong_phase phase) {
    return phase == KONG_PHASE_HEADER_FILTER &&
           (method == &pdk_methods[PDK_SERVICE_RESPONSE_GET_BODY] ||
            method == &pdk_methods[PDK_SERVICE_RESPONSE_GET_RAW_BODY]);
}

/* In the log here Kong serves HTTP, and no response was buffered. */
static bool is_allowed(const struct pdk_method *method, enum kong_phase phase) {
    const unsigned not_here = PDK_LOG_OF_STREAM | PDK_LOG_IF_BUFFERED;
    return (method->phases & KONG_PHASE_BIT(phase)) != 0 &&
           (phase != KONG_PHASE_LOG || (method->flags & not_here) == 0);
}

/* What else arrives: a question of the library's, for a condition of the phase log, or for the
 * length of a body. */
static size_t questions(const struct pdk_method *method, enum kong_phase phase, bool on_msgpack) {
    bool asks = (method->flags & PDK_LOG_OF_HTTP) != 0 &&
                (!on_msgpack || (method->flags & PDK_LOG_PROTOBUF) == 0);
    bool asks_length = on_msgpack && method == &pdk_methods[PDK_REQUEST_GET_RAW_BODY];
    return (phase == KONG_PHASE_LOG && asks) || asks_length;
}

static void check_refused(struct kong_test *test, const struct pdk_method *method,
                          const char *text) {
    const char *line = kong_test_log(test, 0, NULL);
    assert_int_equal(kong_test_called(test, method->name.data),
                     method == &pdk_methods[PDK_LOG_ERR] ? 1 : 0);
    if (line == NULL || strstr(line, text) == NULL) {
        fail_msg("%s: %s", method->name.data, line == NULL ? "nothing is logged" : line);
    }
}

static void check(struct kong_test *test, const struct pdk_method *method, enum kong_phase phase,
                  bool on_msgpack) {
    bool unsupported = !on_msgpack && (method->flags & PDK_MSGPACK_ONLY) != 0;
    bool sent = !unsupported && is_allowed(method, phase);
    request(test);
    enum kong_test_outcome outcome = kong_test_phase(test, phase);
    /* where Kong could not do it, the event's failure is reported, too */
    size_t reports =
        kong_test_called(test, "kong.log.err") - (method == &pdk_methods[PDK_LOG_ERR] ? 1 : 0);
    enum kong_test_outcome expected = !sent || lacks_body(method, phase) ? KONG_TEST_FAILED
                                      : terminal(method)                 ? KONG_TEST_EXITED
                                      : reports > 0                      ? KONG_TEST_FAILED
                                                                         : KONG_TEST_OK;
    if (outcome != expected) {
        fail_msg("%s in %s: %d, not %d: %s", method->name.data, kong_phase_name(phase),
                 (int)outcome, (int)expected, kong_test_error(test));
    }
    if (!sent) {
        check_refused(test, method, unsupported ? "unsupported by this protocol" : "; not sent");
        return;
    }
    /* on ProtoBuf:1 it asks for all arguments */
    bool other = !on_msgpack && method == &pdk_methods[PDK_REQUEST_GET_QUERY_ARG];
    assert_int_equal(kong_test_called(test, other ? "kong.request.get_query" : method->name.data),
                     1);
    if (kong_test_pdk_calls(test) != 1 + reports + questions(method, phase, on_msgpack)) {
        fail_msg("%s in %s: %zu calls: %s", method->name.data, kong_phase_name(phase),
                 kong_test_pdk_calls(test), kong_test_log(test, 0, NULL));
    }
}

static void each_method_in_each_phase(void **state) {
    struct kong_test *test = gateway(state);
    bool over_msgpack = *(const bool *)*state;
    for (size_t id = 0; id < PDK_COUNT; id++) {
        choose(test, &pdk_methods[id]);
        for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
            check(test, &pdk_methods[id], (enum kong_phase)phase, over_msgpack);
        }
    }
    kong_test_close(test);
}

static void a_name_that_is_none(void **state) {
    struct kong_test *test = gateway(state);
    request(test);
    assert_int_equal(kong_test_phase(test, KONG_PHASE_ACCESS), KONG_TEST_FAILED);
    assert_true(kong_test_logged(test, "err", "there is no function kong_none"));
    kong_test_close(test);
}

int main(void) {
    const struct CMUnitTest tests[] = {ON_BOTH(each_method_in_each_phase),
                                       ON_BOTH(a_name_that_is_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
