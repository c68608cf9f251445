/* A call that Kong would raise on is refused before it leaves, in every phase, by the typed
 * function and by kong_call: the bench fails when one arrives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "pdk_rows.h"
#include "sim_json.h"
#include "value.h"

#define MP PROTOCOL_MSGPACK
#define PB PROTOCOL_PROTOBUF

static const enum protocol protocols[] = {PB, MP};

static bool unsupported(const struct pdk_method *method, enum protocol protocol) {
    return protocol == PB && (method->flags & PDK_MSGPACK_ONLY) != 0;
}

/* The plugin is one for HTTP and its responses are buffered: no condition stands in the way. */
static const struct bench_answer buffered[] = {
    {.kind = BENCH_JSON, .text = "200"},
    {.kind = BENCH_JSON, .text = "true"},
};

static size_t asked(const struct bench *bench, const struct pdk_method *method) {
    unsigned phases = pdk_phases(method, bench->kong_2_8, bench->protocol == PB);
    bool log = bench->phase == KONG_PHASE_LOG && (phases & KONG_PHASE_BIT(KONG_PHASE_LOG)) != 0;
    return log && (method->flags & PDK_LOG_IF_BUFFERED) != 0 ? 2 : 0;
}

static bool is_allowed(const struct bench *bench, const struct pdk_method *method) {
    unsigned phases = pdk_phases(method, bench->kong_2_8, bench->protocol == PB);
    if (bench->phase == KONG_PHASE_LOG && (method->flags & PDK_LOG_OF_STREAM) != 0) {
        return false;
    }
    return (phases & KONG_PHASE_BIT(bench->phase)) != 0;
}

static bool arrived(const struct bench *bench, const char *name) {
    for (size_t i = 0; i < bench->call_count; i++) {
        if (strcmp(bench->calls[i].method.data, name) == 0) {
            return true;
        }
    }
    return false;
}

/* kong_request_get_query_arg asks for all of them on ProtoBuf:1. */
static const char *name_of(const struct bench *bench, const struct pdk_method *method, bool typed) {
    bool other =
        typed && bench->protocol == PB && method == &pdk_methods[PDK_REQUEST_GET_QUERY_ARG];
    return other ? pdk_methods[PDK_REQUEST_GET_QUERY].name.data : method->name.data;
}

static void check(struct bench *bench, const struct pdk_method *method, bool typed) {
    bool phase_error = strncmp(bench_notes(bench), "PHASE ", 6) == 0;
    bool allowed = is_allowed(bench, method);
    bool sent = arrived(bench, name_of(bench, method, typed));
    if (unsupported(method, bench->protocol)) {
        assert_false(sent || phase_error);
    } else if (phase_error == allowed || sent != allowed) {
        fail_msg("%s in %s: %s", method->name.data, kong_phase_name(bench->phase),
                 allowed ? "refused" : "not refused");
    }
    assert_true(bench->over || bench->ended);
}

/* --- By their functions --- */

static void each_row(struct bench *bench) {
    bench->plugin.handlers[KONG_PHASE_PREREAD] = NULL;
    for (size_t i = 0; i < pdk_row_count; i++) {
        const struct pdk_method *method = &pdk_methods[pdk_rows[i].id];
        for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
            if (phase != KONG_PHASE_PREREAD) {
                bench->phase = (enum kong_phase)phase;
                bench_run(bench, pdk_rows[i].handler, NULL, buffered, asked(bench, method));
                check(bench, method, true);
            }
        }
    }
    bench_destroy(bench);
}

static void test_functions(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        each_row(bench_create(protocols[i], NULL));
        each_row(bench_create_2_8(protocols[i]));
    }
}

/* --- By kong_call, with the arguments of the rows --- */

struct any_call {
    const struct pdk_method *method;
    struct kong_value args;
};

static int call_any(struct kong *kong, struct bench *bench) {
    const struct any_call *call = bench->data;
    struct kong_value result;
    note_error(bench, kong_call(kong, call->method->name.data, call->args.list.items,
                                call->args.list.count, &result));
    note_value(bench, &result);
    return 0;
}

static void each_call(struct bench *bench) {
    bench->plugin.handlers[KONG_PHASE_PREREAD] = NULL;
    for (size_t i = 0; i < pdk_row_count; i++) {
        struct any_call call = {&pdk_methods[pdk_rows[i].id], kong_nil()};
        bool other = bench->protocol == PB && pdk_rows[i].args_protobuf != NULL;
        other = other && pdk_rows[i].arrives_protobuf == 0;
        const char *args = other ? pdk_rows[i].args_protobuf : pdk_rows[i].args;
        assert_true(json_to_value(&bench->memory, kong_str(args), &call.args));
        for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
            if (phase != KONG_PHASE_PREREAD) {
                bench->phase = (enum kong_phase)phase;
                bench_run(bench, call_any, &call, buffered, asked(bench, call.method));
                check(bench, call.method, false);
            }
        }
    }
    bench_destroy(bench);
}

static void test_calls(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        each_call(bench_create(protocols[i], NULL));
        each_call(bench_create_2_8(protocols[i]));
    }
}

/* --- Texts, and what becomes of the event --- */

static int get_path(struct kong *kong, struct bench *bench) {
    struct kong_str path;
    int error = kong_request_get_path(kong, &path);
    note_error(bench, error);
    note(bench, "%s", kong_error_text(kong));
    return error;
}

static int set_status(struct kong *kong, struct bench *bench) {
    int error = kong_response_set_status(kong, 204);
    note_error(bench, error);
    note(bench, "%s", kong_error_text(kong));
    return error;
}

/* The line in Kong's log is the same; nothing else arrives. */
static void check_text(struct bench *bench, enum kong_phase phase, bench_handler *handler,
                       const char *text) {
    char expected[400];
    bench->phase = phase;
    bench_run(bench, handler, NULL, NULL, 0);
    snprintf(expected, sizeof expected, "PHASE %s", text);
    assert_string_equal(bench_notes(bench), expected);
    assert_int_equal(bench->call_count, 1);
    assert_string_equal(bench->calls[0].method.data, "kong.log.err");
    assert_non_null(strstr(bench->calls[0].args.list.items[0].string.data, text));
    assert_true(bench->over);
}

static void test_texts(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = bench_create(protocols[i], NULL);
        check_text(bench, KONG_PHASE_LOG, get_path,
                   "kong.request.get_path: Kong does not allow it in the phase log, only in "
                   "rewrite, access, response, header_filter; not sent");
        bench_destroy(bench);
        bench = bench_create(protocols[i], NULL);
        check_text(
            bench, KONG_PHASE_CERTIFICATE, set_status,
            "kong.response.set_status: Kong does not allow it in the phase certificate, only "
            "in rewrite, access, response, header_filter; not sent");
        bench_destroy(bench);
    }
}

static int get_route(struct kong *kong, struct bench *bench) {
    struct kong_route route;
    int error = kong_router_get_route(kong, &route);
    note_error(bench, error);
    note(bench, "%s", kong_error_text(kong));
    return error;
}

/* A plugin that fails closed ends the request with a 500 where the phase allows it. */
static void test_closed(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = bench_create(protocols[i], NULL);
        bench->plugin.on_error = KONG_FAIL_CLOSED;
        bench->phase = KONG_PHASE_REWRITE;
        bench_run(bench, get_route, NULL, NULL, 0);
        assert_int_equal(bench->call_count, 2);
        assert_string_equal(bench->calls[1].method.data, "kong.response.exit");
        assert_true(bench->ended);
        bench_destroy(bench);
    }
}

static void test_2_8(void **state) {
    (void)state;
    struct bench *bench = bench_create_2_8(MP);
    check_text(
        bench, KONG_PHASE_LOG, get_route,
        "kong.router.get_route: Kong 2.8 does not allow it in the phase log, only in access, "
        "response, header_filter; not sent");
    bench_destroy(bench);
}

/* --- Conditions of the phase log --- */

struct condition {
    enum pdk_id id;
    enum protocol protocol;
    const char *asked[2]; /* what Kong is asked first, and its answers in JSON */
    const char *answers[2];
    bool sent;
};

static const struct pdk_row *row_of(enum pdk_id id) {
    size_t i = 0;
    while (i < pdk_row_count && pdk_rows[i].id != id) {
        i++;
    }
    assert_true(i < pdk_row_count);
    return &pdk_rows[i];
}

static void check_condition(const struct condition *condition) {
    struct bench *bench = bench_create(condition->protocol, NULL);
    struct bench_answer answers[2];
    size_t asked = 0;
    bench->phase = KONG_PHASE_LOG;
    while (asked < 2 && condition->asked[asked] != NULL) {
        answers[asked] =
            (struct bench_answer){.kind = BENCH_JSON, .text = condition->answers[asked]};
        asked++;
    }
    bench_run(bench, row_of(condition->id)->handler, NULL, answers, asked);
    bool refused = strncmp(bench_notes(bench), "PHASE ", 6) == 0;
    assert_int_equal(refused, !condition->sent);
    assert_int_equal(bench->call_count, asked + condition->sent);
    for (size_t i = 0; i < asked; i++) {
        assert_string_equal(bench->calls[i].method.data, condition->asked[i]);
    }
    bench_destroy(bench);
}

static void test_conditions(void **state) {
#define SUBSYSTEM                                                                                  \
    { "kong.nginx.get_subsystem", NULL }
#define CONTEXT                                                                                    \
    { "kong.nginx.get_ctx", "kong.nginx.get_ctx" }
    static const struct condition conditions[] = {
        {PDK_REQUEST_GET_HEADER, PB, SUBSYSTEM, {"\"http\""}, true},
        {PDK_REQUEST_GET_HEADER, MP, SUBSYSTEM, {"\"stream\""}, false},
        {PDK_REQUEST_GET_HEADERS, PB, SUBSYSTEM, {"\"stream\""}, false},
        {PDK_RESPONSE_GET_HEADERS, MP, SUBSYSTEM, {"\"stream\""}, false},
        {PDK_CLIENT_GET_PROTOCOL, PB, SUBSYSTEM, {"\"stream\""}, true},
        {PDK_CLIENT_GET_PROTOCOL, PB, SUBSYSTEM, {"\"http\""}, false},
        {PDK_ROUTER_GET_ROUTE, PB, SUBSYSTEM, {"\"stream\""}, false},
        {PDK_ROUTER_GET_ROUTE, PB, SUBSYSTEM, {"\"http\""}, true},
        {PDK_ROUTER_GET_ROUTE, MP, {NULL}, {NULL}, true},
        {PDK_ROUTER_GET_SERVICE, PB, {NULL}, {NULL}, true},
        {PDK_SERVICE_RESPONSE_GET_STATUS, PB, CONTEXT, {"200", "true"}, true},
        {PDK_SERVICE_RESPONSE_GET_STATUS, MP, CONTEXT, {"200", "false"}, false},
        {PDK_SERVICE_RESPONSE_GET_HEADER, MP, CONTEXT, {"null", "true"}, false},
        {PDK_SERVICE_RESPONSE_GET_RAW_BODY, PB, CONTEXT, {"null", "null"}, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        check_condition(&conditions[i]);
    }
}

static int get_twice(struct kong *kong, struct bench *bench) {
    struct kong_str value;
    note_error(bench, kong_request_get_header(kong, "a", &value));
    note_error(bench, kong_request_get_header(kong, "b", &value));
    return 0;
}

/* Once an event; and not at all for a plugin that cannot be on a stream. */
static void test_asked_once(void **state) {
    static const struct bench_answer stream = {.kind = BENCH_JSON, .text = "\"stream\""};
    static const struct bench_answer http = {.kind = BENCH_JSON, .text = "\"http\""};
    (void)state;
    struct bench *bench = bench_create(MP, NULL);
    bench->phase = KONG_PHASE_LOG;
    bench_run(bench, get_twice, NULL, &stream, 1);
    assert_string_equal(bench_notes(bench), "PHASE PHASE ");
    assert_int_equal(bench->call_count, 1);
    bench_run(bench, get_twice, NULL, &http, 1); /* another event, another answer */
    assert_string_equal(bench_notes(bench), "ok ok ");
    assert_int_equal(bench->call_count, 3);
    bench->plugin.handlers[KONG_PHASE_PREREAD] = NULL;
    bench_run(bench, get_twice, NULL, NULL, 0);
    assert_string_equal(bench_notes(bench), "ok ok ");
    assert_int_equal(bench->call_count, 2);
    bench_destroy(bench);
}

/* What its schema's protocols say, when it has no handler for preread. */
static void test_protocols_of_streams(void **state) {
    static const struct {
        const char *list[3];
        bool stream;
    } rows[] = {{{"tcp"}, true},
                {{"udp"}, true},
                {{"tls"}, true},
                {{"tls_passthrough"}, true},
                {{"http"}, false},
                {{"https"}, false},
                {{"grpc"}, false},
                {{"grpcs"}, false},
                {{"http", "https"}, false},
                {{"https", "udp"}, true},
                {{"tcp", "http"}, true}};
    static const struct bench_answer answer = {.kind = BENCH_JSON, .text = "\"stream\""};
    struct bench *bench = bench_create(MP, NULL);
    (void)state;
    bench->phase = KONG_PHASE_LOG;
    bench->plugin.handlers[KONG_PHASE_PREREAD] = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct kong_schema schema = {.protocols = rows[i].list};
        bench->plugin.schema = &schema;
        bench_run(bench, get_twice, NULL, &answer, 1);
        assert_string_equal(bench_notes(bench), rows[i].stream ? "PHASE PHASE " : "ok ok ");
    }
    bench->plugin.schema = NULL;
    bench_destroy(bench);
}

/* The text says the condition. */
static void check_condition_text(bench_handler *handler, const struct bench_answer *answers,
                                 size_t count, const char *text) {
    struct bench *bench = bench_create(PB, NULL);
    bench->phase = KONG_PHASE_LOG;
    bench_run(bench, handler, NULL, answers, count);
    const char *seen = bench_notes(bench);
    if (strstr(seen, text) == NULL) {
        fail_msg("%s: not %s", seen, text);
    }
    bench_destroy(bench);
}

static int get_header(struct kong *kong, struct bench *bench) {
    struct kong_str value;
    note_error(bench, kong_request_get_header(kong, "a", &value));
    note(bench, "%s", kong_error_text(kong));
    return 0;
}

static int get_protocol(struct kong *kong, struct bench *bench) {
    struct kong_str value;
    note_error(bench, kong_client_get_protocol(kong, false, &value));
    note(bench, "%s", kong_error_text(kong));
    return 0;
}

static int get_upstream_status(struct kong *kong, struct bench *bench) {
    int status;
    note_error(bench, kong_service_response_get_status(kong, &status));
    note(bench, "%s", kong_error_text(kong));
    return 0;
}

static void test_condition_texts(void **state) {
    static const struct bench_answer stream = {.kind = BENCH_JSON, .text = "\"stream\""};
    static const struct bench_answer http = {.kind = BENCH_JSON, .text = "\"http\""};
    (void)state;
    check_condition_text(get_route, &stream, 1, "log (on ProtoBuf:1 not of a stream); not sent");
    check_condition_text(get_header, &stream, 1, "header_filter, log (not of a stream); not sent");
    check_condition_text(get_protocol, &http, 1, "header_filter, log (of a stream); not sent");
    check_condition_text(get_upstream_status, NULL, 0, "log (of a buffered response); not sent");
}

/* --- Functions outside the table --- */

static int call_unknown(struct kong *kong, struct bench *bench) {
    unsigned flags = *(const unsigned *)bench->data;
    struct kong_value value;
    note_error(bench, kong_call_flags(kong, flags, "kong.some.thing", NULL, 0, &value));
    note(bench, "%s", kong_error_text(kong));
    return 0;
}

static void test_unknown(void **state) {
    unsigned none = 0, safe = KONG_CALL_SAFE_IN_LOG;
    (void)state;
    struct bench *bench = bench_create(MP, NULL);
    bench_run(bench, call_unknown, &none, NULL, 0);
    assert_string_equal(bench_notes(bench), "ok no error");
    bench->phase = KONG_PHASE_LOG;
    bench_run(bench, call_unknown, &none, NULL, 0);
    assert_string_equal(bench_notes(bench),
                        "PHASE kong.some.thing: this library does not know whether Kong allows it "
                        "in the phase log; not sent (see KONG_CALL_SAFE_IN_LOG)");
    assert_int_equal(bench->call_count, 0);
    bench_run(bench, call_unknown, &safe, NULL, 0);
    assert_string_equal(bench_notes(bench), "ok no error");
    assert_int_equal(bench->call_count, 1);
    bench_destroy(bench);
}

/* --- Arguments on which Kong raises --- */

struct shape {
    const char *method;
    const char *args;
    bool good;
};

static int call_shape(struct kong *kong, struct bench *bench) {
    const struct shape *shape = bench->data;
    struct kong_value args = kong_nil(), result;
    if (!json_to_value(&bench->memory, kong_str(shape->args), &args)) {
        return KONG_E_FAILED;
    }
    note_error(bench, kong_call(kong, shape->method, args.list.items, args.list.count, &result));
    return 0;
}

static void test_shapes(void **state) {
#define ID "\"3ffe2397-bf73-4c4b-b5ca-2a2fdc213330\""
    static const struct shape shapes[] = {
        {"kong.nginx.get_var", "[]", false},
        {"kong.nginx.get_var", "[null]", false},
        {"kong.nginx.get_var", "[1]", false},
        {"kong.nginx.get_var", "[\"request_id\"]", true},
        {"kong.ctx.shared.set", "[]", false},
        {"kong.ctx.shared.set", "[\"k\"]", true},
        {"kong.request.get_headers", "[]", true},
        {"kong.request.get_headers", "[0]", false},
        {"kong.request.get_headers", "[1000]", true},
        {"kong.request.get_headers", "[1001]", false},
        {"kong.request.get_headers", "[\"a\"]", false},
        {"kong.response.set_status", "[]", false},
        {"kong.response.set_status", "[204]", true},
        {"kong.response.set_headers", "[[]]", true},
        {"kong.response.set_headers", "[[1]]", false},
        {"kong.response.set_headers", "[]", false},
        {"kong.response.exit", "[99]", false},
        {"kong.response.exit", "[200,1]", false},
        {"kong.response.exit", "[200,\"b\",1]", false},
        {"kong.response.exit", "[200,{\"a\":1},{}]", true},
        {"kong.response.error", "[399]", false},
        {"kong.service.set_target", "[\"h\"]", false},
        {"kong.service.set_target", "[\"h\",65536]", false},
        {"kong.service.set_target", "[1,80]", false},
        {"kong.service.set_target", "[\"h\",80]", true},
        {"kong.client.load_consumer", "[\"joe\"]", false},
        {"kong.client.load_consumer", "[\"joe\",true]", true},
        {"kong.client.load_consumer", "[\"joe\",false]", false},
        {"kong.client.load_consumer", "[" ID "]", true},
        {"kong.client.load_consumer", "[" ID ",false]", true},
        {"kong.client.load_consumer", "[]", false},
        {"kong.client.authenticate", "[1]", false},
        {"kong.client.authenticate", "[{},1]", false},
        {"kong.client.authenticate", "[{}]", true},
        {"kong.client.get_protocol", "[1]", false},
        {"kong.client.get_protocol", "[]", true},
        {"kong.router.get_route", "[1]", false},
        {"kong.request.get_raw_body", "[0]", true},
        {"kong.log.set_serialize_value", "[1,2]", false},
        {"kong.log.set_serialize_value", "[\"a\",2,{\"mode\":\"add\"}]", true},
        {"kong.log.set_serialize_value", "[\"a\",2,{\"mode\":\"take\"}]", false},
        {"kong.log.set_serialize_value", "[\"a\",2,3]", false},
        {"kong.telemetry.log", "[\"p\",{},\"t\"]", true},
        {"kong.telemetry.log", "[\"p\"]", false},
        {"kong.telemetry.log", "[\"p\",{},\"t\",1]", false},
        {"kong.telemetry.log", "[\"p\",{},\"t\",\"m\",1]", false},
        {"kong.log.err", "[]", true},
        {"kong.response.exit", "[200]", true},
        {"kong.response.exit", "[403,\"b\",null,\"more\"]", false},
        {"kong.response.exit", "[403,\"b\",{\"a\":[1]}]", false},
        {"kong.response.exit", "[403,\"b\",{\"a\":null}]", false},
        {"kong.response.exit", "[403,\"b\",[]]", true},
        {"kong.response.error", "[400,\"m\",{\"Content-Type\":\"image/png\"}]", false},
        {"kong.response.error", "[400,\"m\",{\"a\":[1]}]", false},
        {"kong.response.error", "[400,\"m\",{\"Content-Type\":\"text/html\"}]", true},
        {"kong.response.set_header", "[\"a\"]", false},
        {"kong.response.set_header", "[\"\",\"b\"]", false},
        {"kong.response.add_header", "[\"a\",{\"b\":1}]", false},
        {"kong.response.set_header", "[\"a\",[\"b\",1]]", false},
        {"kong.service.request.set_header", "[\"a\",null]", false},
        {"kong.service.request.set_header", "[\"a\",1]", true},
        {"kong.response.set_headers", "[{\"a\":[{}]}]", false},
        {"kong.service.request.set_headers", "[{\"a\":true}]", true},
        {"kong.client.authenticate", "[null,{\"id\":\"1\"}]", false},
    };
    struct bench *bench = bench_create(MP, NULL);
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        bench_run(bench, call_shape, (void *)(uintptr_t)&shapes[i], NULL, 0);
        const char *seen = bench_notes(bench);
        if (strcmp(seen, shapes[i].good ? "ok " : "INVALID ") != 0) {
            fail_msg("%s%s: %s", shapes[i].method, shapes[i].args, seen);
        }
        assert_int_equal(bench->call_count, shapes[i].good);
    }
    bench_destroy(bench);
}

/* What Kong answers to a call without a name of a variable is of no use, and harms nobody. */
static int get_no_var(struct kong *kong, struct bench *bench) {
    struct kong_value result;
    note_error(bench, kong_call(kong, "kong.nginx.get_var", NULL, 0, &result));
    note_error(bench, kong_call(kong, "kong.nginx.get_var", NULL, 1, &result));
    return 0;
}

static void test_no_arguments(void **state) {
    static const struct bench_answer answer = {.kind = BENCH_JSON, .text = "\"x\""};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = bench_create(protocols[i], NULL);
        bench_run(bench, get_no_var, NULL, &answer, 1);
        assert_string_equal(bench_notes(bench), "INVALID INVALID ");
        assert_int_equal(bench->call_count, 0);
        bench_destroy(bench);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions),  cmocka_unit_test(test_calls),
        cmocka_unit_test(test_texts),      cmocka_unit_test(test_closed),
        cmocka_unit_test(test_2_8),        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_asked_once), cmocka_unit_test(test_protocols_of_streams),
        cmocka_unit_test(test_unknown),    cmocka_unit_test(test_condition_texts),
        cmocka_unit_test(test_shapes),     cmocka_unit_test(test_no_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
