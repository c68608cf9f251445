/* body-transform in a simulated gateway. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "example.h"

#include "body_transform.c"

static const char config_text[] =
    "{\"max_bytes\":65536,\"remove\":[\"password\",\"pin\"],\"set\":{\"source\":\"gateway\"}}";

static void post(struct kong_test *test, const char *type, const char *body) {
    kong_test_request(test, "POST", "/users");
    if (type != NULL) {
        kong_test_request_header(test, "Content-Type", type);
    }
    kong_test_request_body(test, body, strlen(body));
}

static void assert_sent(struct kong_test *test, const char *type, const char *body,
                        const char *expected) {
    size_t len;
    post(test, type, body);
    assert_outcome(test, KONG_TEST_OK);
    assert_string_equal(kong_test_sent_body(test, &len), expected);
    assert_int_equal(len, strlen(expected));
}

static void assert_refused(struct kong_test *test, const char *body, int status,
                           const char *message) {
    post(test, "application/json", body);
    assert_outcome(test, KONG_TEST_EXITED);
    assert_int_equal(kong_test_response_status(test), status);
    const char *answer = kong_test_response_body(test, NULL);
    if (strstr(answer, message) == NULL) {
        fail_msg("%s is not in %s", message, answer);
    }
}

static void members_go_and_come(void **state) {
    static const char *const cases[][2] = {
        {"{\"name\":\"Ada\",\"password\":\"x\",\"age\":36}",
         "{\"name\":\"Ada\",\"age\":36,\"source\":\"gateway\"}"},
        {"{\"source\":\"client\",\"pin\":1,\"password\":[{}]}", "{\"source\":\"gateway\"}"},
        {"{}", "{\"source\":\"gateway\"}"},
        /* only the members of the outermost object */
        {"{\"user\":{\"password\":\"x\"}}",
         "{\"user\":{\"password\":\"x\"},\"source\":\"gateway\"}"},
        {" {\"a\" : [ 1 , 2.5 , null , true , \"\\u00e9\\u0000\\n\" ] } ",
         "{\"a\":[1,2.5,null,true,\"\xc3\xa9\\u0000\\n\"],\"source\":\"gateway\"}"},
        {"{\"a\":[],\"b\":{}}", "{\"a\":[],\"b\":{},\"source\":\"gateway\"}"},
        /* an escape does not hide a name */
        {"{\"pass\\u0077ord\":1,\"password\\u0000\":2}",
         "{\"password\\u0000\":2,\"source\":\"gateway\"}"},
    };
    struct kong_test *test = gateway_of(&plugin, state, config_text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_sent(test, "application/json", cases[i][0], cases[i][1]);
        assert_sent(test, "Application/Problem+JSON; charset=utf-8", cases[i][0], cases[i][1]);
    }
    kong_test_close(test);
}

static void other_types_pass(void **state) {
    static const char *const types[] = {"text/plain", "application/jsonp", "json", NULL};
    struct kong_test *test = gateway_of(&plugin, state, config_text);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        assert_sent(test, types[i], "{\"password\":1}", "{\"password\":1}");
        assert_int_equal(kong_test_called(test, "kong.request.get_raw_body"), 0);
    }
    kong_test_close(test);
}

static void what_is_no_object_is_refused(void **state) {
    static const char *const bodies[][2] = {
        {"", "{\"message\":\"JSON, line 1, column 1: "},
        {"{\"password\":1", "{\"message\":\"JSON, line 1, column 14: "},
        {"{\n\"a\": tru}", "JSON, line 2, "},
        {"{} {}", "JSON, line 1, column 4: "},
        {"{\"a\":\"\xff\"}", "UTF-8"},
        {"[{\"password\":1}]", "The body is no JSON object"},
        {"null", "The body is no JSON object"},
    };
    struct kong_test *test = gateway_of(&plugin, state, config_text);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        assert_refused(test, bodies[i][0], 400, bodies[i][1]);
    }
    kong_test_close(test);
}

/* "{"a":" so often, and the ends to it. NULL: not enough memory. */
static char *nested(size_t depth) {
    char *text = calloc(depth + 1, 6);
    for (size_t i = 0; text != NULL && i < depth; i++) {
        memcpy(text + i * 5, "{\"a\":", 5);
        text[depth * 5 + 1 + i] = '}';
    }
    if (text != NULL) {
        text[depth * 5] = '1';
    }
    return text;
}

static void deep_nesting_is_refused(void **state) {
    struct kong_test *test = gateway_of(&plugin, state, config_text);
    for (size_t depth = KONG_LIMIT_NESTING; depth < 10000; depth = depth * 2 - 31) {
        char *body = nested(depth);
        assert_non_null(body);
        post(test, "application/json", body);
        bool refused = kong_test_run(test) == KONG_TEST_EXITED;
        assert_int_equal(refused, depth > KONG_LIMIT_NESTING);
        assert_int_equal(kong_test_response_status(test), refused ? 400 : 200);
        free(body);
    }
    kong_test_close(test);
}

static void large_bodies_are_refused(void **state) {
    struct kong_test *test = gateway_of(&plugin, state, "{\"max_bytes\":10,\"remove\":[\"x\"]}");
    assert_sent(test, "application/json", "{\"a\":1234}", "{\"a\":1234}");
    assert_refused(test, "{\"a\":12345}", 413, "too large");
    kong_test_close(test);
}

/* As many members as fit: each is looked at once. */
static void many_members(void **state) {
    enum { COUNT = 5000 };
    struct kong_test *test = gateway_of(&plugin, state, config_text);
    char *body = malloc(COUNT * 13 + 2);
    size_t len = 0;
    assert_non_null(body);
    for (int i = 0; i < COUNT; i++) {
        len += (size_t)snprintf(body + len, 14, "%c\"m%05d\":%d", i == 0 ? '{' : ',', i, i % 10);
    }
    memcpy(body + len, "}", 2);
    post(test, "application/json", body);
    assert_outcome(test, KONG_TEST_OK);
    const char *sent = kong_test_sent_body(test, NULL);
    assert_memory_equal(sent, body, len);
    assert_string_equal(sent + len, ",\"source\":\"gateway\"}");
    free(body);
    kong_test_close(test);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_BOTH(members_go_and_come),          ON_BOTH(other_types_pass),
        ON_BOTH(what_is_no_object_is_refused), ON_BOTH(deep_nesting_is_refused),
        ON_BOTH(large_bodies_are_refused),     ON_BOTH(many_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
