/* A getter that is asked again is answered from memory, as long as nothing was called that could
 * change the answer; everything else goes to Kong each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "kong.h"
#include "limit.h"
#include "pdk_bench.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static const enum protocol protobuf = PROTOCOL_PROTOBUF;
static const enum protocol msgpack = PROTOCOL_MSGPACK;

static int setup(void **state) {
    enum protocol protocol = *(const enum protocol *)*state;
    *state = bench_create(protocol, NULL);
    return 0;
}

static int teardown(void **state) {
    bench_destroy(*state);
    return 0;
}

/* How often a function arrived at Kong. */
static unsigned asked(const struct bench *bench, const char *method) {
    unsigned count = 0;
    for (size_t i = 0; i < bench->call_count; i++) {
        count += kong_str_equal(bench->calls[i].method, kong_str(method));
    }
    return count;
}

/* --- What stands between two questions --- */

/* A getter, something else, the same getter. */
struct sandwich {
    enum kong_phase phase;
    const char *getter;
    const char *argument; /* of the getter; NULL: none */
    const char *between;  /* NULL: nothing */
    unsigned asked;       /* so often */
    bool msgpack_only;
};

#define ACCESS   KONG_PHASE_ACCESS
#define RESPONSE KONG_PHASE_RESPONSE

static const struct sandwich sandwiches[] = {
    {ACCESS, "kong.request.get_method", NULL, NULL, 1, false},
    {ACCESS, "kong.request.get_header", "X-A", NULL, 1, false},
    {ACCESS, "kong.client.get_ip", NULL, NULL, 1, false},
    {ACCESS, "kong.router.get_route", NULL, NULL, 1, false},
    {ACCESS, "kong.ctx.shared.get", "k", NULL, 1, false},
    {RESPONSE, "kong.response.get_header", "X-A", NULL, 1, false},
    {RESPONSE, "kong.service.response.get_status", NULL, NULL, 1, false},
    {ACCESS, "kong.request.get_raw_path", NULL, NULL, 1, true},
    /* what may be another at any time */
    {ACCESS, "kong.nginx.get_var", "request_time", NULL, 2, false},
    {ACCESS, "kong.nginx.get_ctx", "k", NULL, 2, false},
    {ACCESS, "kong.node.get_memory_stats", NULL, NULL, 2, false},
    /* what changes nothing that a getter tells */
    {ACCESS, "kong.request.get_method", NULL, "kong.log.err", 1, false},
    {ACCESS, "kong.request.get_method", NULL, "kong.response.set_header", 1, false},
    {ACCESS, "kong.request.get_method", NULL, "kong.response.set_status", 1, false},
    {ACCESS, "kong.request.get_header", "X-A", "kong.response.add_header", 1, false},
    {ACCESS, "kong.client.get_ip", NULL, "kong.service.request.set_method", 1, false},
    {ACCESS, "kong.request.get_method", NULL, "kong.ctx.shared.set", 1, false},
    {RESPONSE, "kong.request.get_header", "X-A", "kong.response.set_header", 1, false},
    /* what does */
    {ACCESS, "kong.request.get_method", NULL, "kong.service.request.set_method", 2, false},
    {ACCESS, "kong.request.get_header", "X-A", "kong.service.request.set_header", 2, false},
    {ACCESS, "kong.request.get_header", "X-A", "kong.service.request.clear_header", 2, false},
    {ACCESS, "kong.request.get_raw_query", NULL, "kong.service.request.set_raw_query", 2, false},
    {ACCESS, "kong.request.get_method", NULL, "kong.nginx.set_ctx", 2, false},
    {ACCESS, "kong.ctx.shared.get", "k", "kong.ctx.shared.set", 2, false},
    {ACCESS, "kong.ctx.shared.get", "k", "kong.response.set_header", 2, false},
    {ACCESS, "kong.client.get_consumer", NULL, "kong.client.authenticate", 2, false},
    {ACCESS, "kong.router.get_service", NULL, "kong.service.set_target", 2, false},
    {ACCESS, "kong.router.get_service", NULL, "kong.service.set_upstream", 2, false},
    {RESPONSE, "kong.response.get_header", "X-A", "kong.response.set_header", 2, false},
    {RESPONSE, "kong.response.get_status", NULL, "kong.response.set_status", 2, false},
    /* a function that nobody knows */
    {ACCESS, "kong.request.get_method", NULL, "kong.no.such", 2, true},
};

static void call_between(struct kong *kong, struct bench *bench, const char *name) {
    const struct pdk_method *method = pdk_method_find(kong_str(name));
    struct kong_value consumer = kong_map(&(struct kong_pair){kong_str("id"), kong_string("i")}, 1);
    struct kong_value args[] = {kong_string("X-A"), kong_string("v")};
    size_t count = 2;
    switch (method == NULL ? PDK_ARGS_EMPTY : method->args) {
    case PDK_ARGS_EMPTY:
        count = 0;
        break;
    case PDK_ARGS_INT:
        args[0] = kong_integer(200);
        count = 1;
        break;
    case PDK_ARGS_TARGET:
        args[1] = kong_integer(80);
        break;
    case PDK_ARGS_AUTHENTICATE:
        args[0] = consumer;
        count = 1;
        break;
    case PDK_ARGS_STRING:
    case PDK_ARGS_LIST:
        count = 1;
        break;
    default:
        break;
    }
    note_error(bench, kong_call(kong, name, args, count, NULL));
}

static int ask_twice(struct kong *kong, struct bench *bench) {
    const struct sandwich *sandwich = bench->data;
    struct kong_value arg = kong_string(sandwich->argument);
    size_t count = sandwich->argument == NULL ? 0 : 1;
    struct kong_value result;
    for (int i = 0; i < 2; i++) {
        if (i == 1 && sandwich->between != NULL) {
            call_between(kong, bench, sandwich->between);
        }
        note_error(bench, kong_call(kong, sandwich->getter, &arg, count, &result));
    }
    return KONG_OK;
}

static void test_between(void **state) {
    struct bench *bench = *state;
    for (size_t i = 0; i < LENGTH(sandwiches); i++) {
        const struct sandwich *sandwich = &sandwiches[i];
        if (sandwich->msgpack_only && bench->protocol == PROTOCOL_PROTOBUF) {
            continue;
        }
        bench->phase = sandwich->phase;
        bench_run(bench, ask_twice, (void *)(uintptr_t)sandwich, NULL, 0);
        assert_true(bench->over);
        assert_string_equal(bench_notes(bench), sandwich->between == NULL ? "ok ok " : "ok ok ok ");
        if (asked(bench, sandwich->getter) != sandwich->asked) {
            fail_msg("%s with %s between: asked %u times, not %u", sandwich->getter,
                     sandwich->between == NULL ? "nothing" : sandwich->between,
                     asked(bench, sandwich->getter), sandwich->asked);
        }
    }
}

/* --- What an answer is --- */

static void note_text(struct bench *bench, struct kong_str text) {
    note(bench, "%s ", text.data == NULL ? "nil" : text.data);
}

static int get_headers_twice(struct kong *kong, struct bench *bench) {
    struct kong_str value;
    struct kong_headers headers;
    note_error(bench, kong_request_get_header(kong, "X-A", &value));
    note_text(bench, value);
    note_error(bench, kong_request_get_header(kong, "x-a", &value)); /* the same for Kong */
    note_text(bench, value);
    note_error(bench, kong_request_get_header(kong, "X-B", &value));
    note_text(bench, value);
    for (int i = 0; i < 2; i++) {
        note_error(bench, kong_request_get_headers(kong, 0, &headers));
        note_text(bench, kong_headers_get(&headers, "h"));
    }
    note_error(bench, kong_request_get_headers(kong, 7, &headers));
    return KONG_OK;
}

/* The same arguments have the same answer, others not; nil is an answer, too. */
static void test_arguments(void **state) {
    struct bench *bench = *state;
    static const struct bench_answer answers[] = {{.text = "\"a\""},
                                                  {.text = "null"},
                                                  {.text = "{\"h\":[\"v\"]}"},
                                                  {.text = "{\"h\":[\"w\"]}"}};
    bench_run(bench, get_headers_twice, NULL, answers, LENGTH(answers));
    assert_true(bench->over);
    assert_string_equal(bench_notes(bench), "ok a ok a ok nil ok v ok v ok ");
    assert_int_equal(asked(bench, "kong.request.get_header"), 2);
    assert_int_equal(asked(bench, "kong.request.get_headers"), 2);
    assert_int_equal(bench->stats.answers_kept, 2);
    assert_int_equal(bench->plugin_stats.calls[PDK_REQUEST_GET_HEADER].count, 2);
}

static int get_empty_twice(struct kong *kong, struct bench *bench) {
    const struct kong_value names[] = {kong_string(""), kong_bytes(NULL, 0)};
    for (size_t i = 0; i < 2; i++) {
        struct kong_value value;
        note_error(bench, kong_call(kong, "kong.request.get_header", &names[i], 1, &value));
        note_str(bench, kong_to_str(&value));
    }
    return KONG_OK;
}

/* It is the empty text, and found as that (UBSan looks at how they are compared). */
static void test_empty(void **state) {
    struct bench *bench = *state;
    static const struct bench_answer answers[] = {{.text = "\"a\""}, {.text = "\"b\""}};
    bench_run(bench, get_empty_twice, NULL, answers, LENGTH(answers));
    assert_true(bench->over);
    assert_string_equal(bench_notes(bench), "ok \"a\"ok \"a\"");
    assert_int_equal(asked(bench, "kong.request.get_header"), 1);
}

static int get_port_twice(struct kong *kong, struct bench *bench) {
    int port;
    note_error(bench, kong_request_get_port(kong, &port));
    note_error(bench, kong_request_get_port(kong, &port));
    note(bench, "%d ", port);
    return KONG_OK;
}

/* An error is no answer: Kong is asked again. */
static void test_errors_are_not_kept(void **state) {
    struct bench *bench = *state;
    static const struct bench_answer answers[] = {{.kind = BENCH_GARBAGE}, {.text = "8000"}};
    bench_run(bench, get_port_twice, NULL, answers, LENGTH(answers));
    assert_true(bench->over);
    if (bench->protocol == PROTOCOL_PROTOBUF) {
        assert_string_equal(bench_notes(bench), "TYPE ok 8000 ");
        assert_int_equal(asked(bench, "kong.request.get_port"), 2);
    } else { /* an answer, although not one of the type that the function promises */
        assert_string_equal(bench_notes(bench), "TYPE TYPE 0 ");
        assert_int_equal(asked(bench, "kong.request.get_port"), 1);
    }
}

static int get_many(struct kong *kong, struct bench *bench) {
    char name[16];
    struct kong_str value;
    for (unsigned turn = 0; turn < 2; turn++) {
        for (unsigned i = 0; i < 1000; i++) {
            snprintf(name, sizeof name, "X-%u", i);
            int error = kong_request_get_header(kong, name, &value);
            if (error != 0) {
                note_error(bench, error);
            }
            bench->call_count = 0;
        }
    }
    return KONG_OK;
}

/* So many are kept, and no more; all are answered. */
static void test_bounded(void **state) {
    struct bench *bench = *state;
    bench_run(bench, get_many, NULL, NULL, 0);
    assert_true(bench->over);
    assert_string_equal(bench_notes(bench), "");
    assert_int_equal(bench->stats.answers_kept, ANSWERS_MOST);
    assert_int_equal(bench->plugin_stats.calls[PDK_REQUEST_GET_HEADER].count, 2000 - ANSWERS_MOST);
}

static int set_and_get(struct kong *kong, struct bench *bench) {
    struct kong_str value;
    for (unsigned i = 0; i < 200; i++) {
        int error = kong_service_request_set_header(kong, "X-A", "v");
        if (error == 0) {
            error = kong_request_get_header(kong, "X-A", &value);
        }
        if (error != 0) {
            note_error(bench, error);
        }
        bench->call_count = 0;
    }
    note_error(bench, kong_request_get_header(kong, "X-A", &value));
    return KONG_OK;
}

/* Answers that are stale give their place to others. */
static void test_stale_ones_make_room(void **state) {
    struct bench *bench = *state;
    bench_run(bench, set_and_get, NULL, NULL, 0);
    assert_true(bench->over);
    assert_string_equal(bench_notes(bench), "ok ");
    assert_int_equal(bench->stats.answers_kept, 1);
    assert_int_equal(bench->plugin_stats.calls[PDK_REQUEST_GET_HEADER].count, 200);
}

#define TESTS(test)                                                                                \
    {#test " protobuf", test, setup, teardown, (void *)(uintptr_t)&protobuf}, {                    \
#test " msgpack", test, setup, teardown, (void *)(uintptr_t)&msgpack                       \
    }

int main(void) {
    const struct CMUnitTest tests[] = {
        TESTS(test_between), TESTS(test_arguments),
        TESTS(test_empty),   TESTS(test_errors_are_not_kept),
        TESTS(test_bounded), TESTS(test_stale_ones_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
