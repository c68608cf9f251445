/* What the PDK sends: what it refuses because Kong would raise an error, and so fail the client's
 * request; and what it makes of arguments that one of the protocols cannot carry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "limit.h"
#include "pdk_bench.h"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])
#define UUID          "3ffe2397-bf73-4c4b-b5ca-2a2fdc213330"

static const enum protocol protocols[] = {PROTOCOL_PROTOBUF, PROTOCOL_MSGPACK};

/* --- Refused --- */

#define REFUSED(call)                                                                              \
    do {                                                                                           \
        int rc_ = (call);                                                                          \
        if (rc_ != KONG_E_INVALID) {                                                               \
            note(bench, "%d by %s; ", rc_, #call);                                                 \
        }                                                                                          \
    } while (0)

/* On ProtoBuf:1 what is MsgPack only may be refused for that. */
#define REFUSED_THERE(call)                                                                        \
    do {                                                                                           \
        int rc_ = (call);                                                                          \
        if (rc_ != KONG_E_INVALID &&                                                               \
            (rc_ != KONG_E_UNSUPPORTED || bench->protocol != PROTOCOL_PROTOBUF)) {                 \
            note(bench, "%d by %s; ", rc_, #call);                                                 \
        }                                                                                          \
    } while (0)

static struct kong_value list_of(const struct kong_value *item) {
    return kong_list(item, 1);
}

static int refused_headers(struct kong *kong, struct bench *bench) {
    struct kong_value number = kong_integer(1), nil = kong_nil();
    struct kong_pair pair = kong_pair("X", kong_nil()), nameless = kong_pair("", number);
    struct kong_pair listed = kong_pair("X", list_of(&number));
    REFUSED(kong_response_set_header(kong, NULL, "v"));
    REFUSED(kong_response_set_header(kong, "", "v"));
    REFUSED(kong_response_set_header(kong, "X", NULL));
    REFUSED(kong_response_set_header_value(kong, "X", kong_nil()));
    REFUSED(kong_response_set_header_value(kong, "X", kong_map(&pair, 1)));
    REFUSED(kong_response_set_header_value(kong, "X", list_of(&number)));
    REFUSED(kong_response_set_header_value(kong, "X", list_of(&nil)));
    REFUSED(kong_response_add_header(kong, NULL, "v"));
    REFUSED(kong_response_add_header(kong, "X", NULL));
    REFUSED(kong_response_clear_header(kong, NULL));
    REFUSED(kong_response_clear_header(kong, ""));
    REFUSED(kong_response_set_headers(kong, kong_nil()));
    REFUSED(kong_response_set_headers(kong, list_of(&number)));
    REFUSED(kong_response_set_headers(kong, kong_map(&pair, 1)));
    REFUSED(kong_response_set_headers(kong, kong_map(&nameless, 1)));
    REFUSED(kong_response_set_headers(kong, kong_map(&listed, 1)));
    REFUSED(kong_service_request_set_header(kong, "X", NULL));
    REFUSED(kong_service_request_set_header(kong, "", ""));
    REFUSED(kong_service_request_add_header(kong, NULL, ""));
    REFUSED(kong_service_request_clear_header(kong, NULL));
    REFUSED(kong_service_request_set_headers(kong, kong_string("X: y")));
    return 0;
}

static int refused_responses(struct kong *kong, struct bench *bench) {
    struct kong_str nothing = {NULL, 0};
    struct kong_headers headers = {NULL, 9, false};
    REFUSED(kong_response_set_status(kong, 99));
    REFUSED(kong_response_set_status(kong, 600));
    REFUSED(kong_response_exit(kong, 99, nothing, kong_nil()));
    REFUSED(kong_response_exit(kong, 600, nothing, kong_nil()));
    REFUSED(kong_response_exit(kong, 200, nothing, kong_string("X: y")));
    REFUSED(kong_response_error(kong, 399, NULL, kong_nil()));
    REFUSED(kong_response_error(kong, 600, NULL, kong_nil()));
    REFUSED_THERE(kong_response_set_raw_body(kong, nothing));
    REFUSED(kong_response_get_headers(kong, 1001, &headers));
    note(bench, "%zu", headers.count);
    return 0;
}

static int refused_upstream(struct kong *kong, struct bench *bench) {
    struct kong_pair empty = kong_pair("a", kong_nil()), nested = kong_pair("a", kong_map(NULL, 0));
    struct kong_value map = kong_map(NULL, 0);
    struct kong_pair listed = kong_pair("a", list_of(&map));
    REFUSED(kong_service_set_upstream(kong, NULL));
    REFUSED(kong_service_set_target(kong, NULL, 80));
    REFUSED(kong_service_set_target(kong, "h", -1));
    REFUSED(kong_service_set_target(kong, "h", 65536));
    REFUSED_THERE(kong_service_set_retries(kong, -1));
    REFUSED_THERE(kong_service_set_retries(kong, 32768));
    REFUSED_THERE(kong_service_set_timeouts(kong, 0, 1, 1));
    REFUSED_THERE(kong_service_set_timeouts(kong, 1, 0, 1));
    REFUSED_THERE(kong_service_set_timeouts(kong, 1, 1, 2147483647));
    REFUSED(kong_service_request_set_scheme(kong, "HTTP"));
    REFUSED(kong_service_request_set_scheme(kong, NULL));
    REFUSED(kong_service_request_set_path(kong, "x"));
    REFUSED(kong_service_request_set_path(kong, ""));
    REFUSED(kong_service_request_set_path(kong, NULL));
    REFUSED(kong_service_request_set_raw_query(kong, NULL));
    REFUSED(kong_service_request_set_query(kong, kong_nil()));
    REFUSED(kong_service_request_set_query(kong, kong_map(&empty, 1)));
    REFUSED(kong_service_request_set_query(kong, kong_map(&nested, 1)));
    REFUSED(kong_service_request_set_query(kong, kong_map(&listed, 1)));
    REFUSED(kong_service_request_set_method(kong, "get"));
    REFUSED(kong_service_request_set_method(kong, "CONNECT"));
    REFUSED(kong_service_request_set_method(kong, NULL));
    REFUSED(kong_service_request_set_raw_body(kong, kong_str(NULL)));
    REFUSED_THERE(kong_service_request_set_body(kong, kong_string("x"), NULL));
    REFUSED_THERE(kong_service_request_set_body(kong, map, "text/plain"));
    REFUSED_THERE(kong_service_request_set_body(kong, map, "application/jsonp"));
    REFUSED_THERE(kong_service_request_clear_query_arg(kong, NULL));
    return 0;
}

static int refused_others(struct kong *kong, struct bench *bench) {
    struct kong_str string = {"unset", 5};
    struct kong_value value = kong_integer(1);
    struct kong_consumer consumer = {.created_at = 1};
    struct kong_headers headers;
    bool boolean = true;
    REFUSED(kong_client_authenticate(kong, NULL, NULL));
    REFUSED(kong_client_load_consumer(kong, NULL, true, &consumer));
    REFUSED(kong_client_load_consumer(kong, "bob", false, &consumer));
    REFUSED(kong_client_load_consumer(kong, UUID "0", false, &consumer));
    REFUSED(
        kong_client_load_consumer(kong, "3ffe2397-bf73-4c4b-b5ca-2a2fdc21333", false, &consumer));
    REFUSED(
        kong_client_load_consumer(kong, "3ffe2397-bf73-4c4b-b5ca-2a2fdc21333g", false, &consumer));
    REFUSED(
        kong_client_load_consumer(kong, "3ffe2397ebf73-4c4b-b5ca-2a2fdc213330", false, &consumer));
    note(bench, "%lld ", (long long)consumer.created_at);
    REFUSED(kong_client_tls_set_client_verify(kong, "FAILED"));
    REFUSED(kong_client_tls_set_client_verify(kong, NULL));
    REFUSED(kong_ip_is_trusted(kong, NULL, &boolean));
    REFUSED(kong_request_get_header(kong, NULL, &string));
    note_str(bench, string);
    REFUSED(kong_request_get_query_arg(kong, NULL, &string));
    REFUSED(kong_request_get_query(kong, 1001, &headers));
    REFUSED(kong_request_get_headers(kong, 4294967295u, &headers));
    REFUSED(kong_service_response_get_headers(kong, 1001, &headers));
    REFUSED(kong_ctx_shared_get(kong, NULL, &value));
    REFUSED(kong_ctx_shared_set(kong, NULL, kong_nil()));
    REFUSED(kong_nginx_get_var(kong, NULL, &string));
    REFUSED(kong_log_set_serialize_value(kong, NULL, kong_nil()));
    REFUSED_THERE(kong_vault_get(kong, NULL, &string));
    REFUSED_THERE(kong_telemetry_log(kong, NULL, kong_nil(), "t", "m", kong_nil()));
    REFUSED_THERE(kong_telemetry_log(kong, "p", kong_nil(), NULL, "m", kong_nil()));
    REFUSED_THERE(kong_telemetry_log(kong, "p", kong_integer(1), "t", "m", kong_nil()));
    REFUSED_THERE(kong_telemetry_log(kong, "p", kong_nil(), "t", "m", kong_string("x")));
    REFUSED(kong_call(kong, NULL, NULL, 0, &value));
    REFUSED(kong_call(kong, "", NULL, 0, NULL));
    note(bench, " %d", value.type);
    return 0;
}

static void check_refused(bench_handler *handler, const char *seen) {
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct bench *bench = bench_create(protocols[i], NULL);
        bench_run(bench, handler, NULL, NULL, 0);
        assert_string_equal(bench_notes(bench), seen);
        assert_int_equal(bench->call_count, 0);
        assert_true(bench->over);
        bench_destroy(bench);
    }
}

static void test_refused(void **state) {
    (void)state;
    check_refused(refused_headers, "");
    check_refused(refused_responses, "0");
    check_refused(refused_upstream, "");
    check_refused(refused_others, "0 nil 0");
}

/* --- Sent --- */

static struct bench *sent(enum protocol protocol, bench_handler *handler) {
    struct bench *bench = bench_create(protocol, NULL);
    bench_run(bench, handler, NULL, NULL, 0);
    assert_string_equal(bench_notes(bench), "");
    assert_true(bench->over || bench->ended);
    return bench;
}

static void assert_call(struct bench *bench, size_t call, const char *method, const char *args) {
    assert_true(call < bench->call_count);
    assert_string_equal(bench->calls[call].method.data, method);
    assert_string_equal(bench_args(bench, call), args);
}

static int only_credential(struct kong *kong, struct bench *bench) {
    struct kong_credential credential = {.id = kong_str("c")};
    (void)bench;
    return kong_client_authenticate(kong, NULL, &credential);
}

static int only_consumer(struct kong *kong, struct bench *bench) {
    struct kong_pair extra[] = {kong_pair("id", kong_string("old")),
                                kong_pair("ws_id", kong_string("w"))};
    struct kong_consumer consumer = {.id = kong_str("new"), .fields = kong_map(extra, 2)};
    (void)bench;
    return kong_client_authenticate(kong, &consumer, NULL);
}

static void test_authenticate(void **state) {
    (void)state;
    struct bench *bench = sent(PROTOCOL_PROTOBUF, only_credential);
    assert_int_equal(bench->call_count, 1);
    assert_call(bench, 0, "kong.client.authenticate", "[null,{\"id\":\"c\"}]");
    bench_destroy(bench);

    bench = sent(PROTOCOL_MSGPACK, only_credential);
    assert_int_equal(bench->call_count, 2);
    assert_call(bench, 0, "kong.nginx.set_ctx", "[\"authenticated_consumer\"]");
    assert_call(bench, 1, "kong.nginx.set_ctx", "[\"authenticated_credential\",{\"id\":\"c\"}]");
    bench_destroy(bench);

    bench = sent(PROTOCOL_PROTOBUF, only_consumer);
    assert_call(bench, 0, "kong.client.authenticate", "[{\"id\":\"new\"}]");
    bench_destroy(bench);

    bench = sent(PROTOCOL_MSGPACK, only_consumer);
    assert_call(bench, 0, "kong.client.authenticate", "[{\"id\":\"new\",\"ws_id\":\"w\"}]");
    bench_destroy(bench);
}

static int load_by_name(struct kong *kong, struct bench *bench) {
    struct kong_consumer consumer;
    (void)bench;
    return kong_client_load_consumer(kong, "bob", true, &consumer);
}

static void test_load_consumer(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct bench *bench = sent(protocols[i], load_by_name);
        assert_call(bench, 0, "kong.client.load_consumer", "[\"bob\",true]");
        bench_destroy(bench);
    }
}

static int log_lines(struct kong *kong, struct bench *bench) {
    char line[5001];
    (void)bench;
    memset(line, 'x', 5000);
    line[5000] = '\0';
    kong_log_err(kong, "%s", line);
    line[2047] = '\0';
    kong_log_warn(kong, "%s", line);
    kong_log_info(kong, "%s", "");
    return kong_log_debug(kong, "100%% %s", "%s");
}

static void test_log(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct bench *bench = sent(protocols[i], log_lines);
        assert_int_equal(bench->call_count, 4);
        assert_int_equal(bench->calls[0].args.list.items[0].string.len, 2047);
        assert_int_equal(bench->calls[1].args.list.items[0].string.len, 2047);
        assert_call(bench, 2, "kong.log.info", "[\"\"]");
        assert_call(bench, 3, "kong.log.debug", "[\"100% %s\"]");
        bench_destroy(bench);
    }
}

static int deprecations(struct kong *kong, struct bench *bench) {
    (void)bench;
    kong_log_deprecation(kong, NULL, NULL, "a");
    return kong_log_deprecation(kong, NULL, "4.0", "b");
}

static void test_deprecation(void **state) {
    (void)state;
    struct bench *bench = sent(PROTOCOL_MSGPACK, deprecations);
    assert_call(bench, 0, "kong.log.deprecation", "[\"a\"]");
    assert_call(bench, 1, "kong.log.deprecation", "[\"b\",{\"removal\":\"4.0\"}]");
    bench_destroy(bench);
}

static int header_values(struct kong *kong, struct bench *bench) {
    struct kong_value args[] = {kong_string("E"), kong_boolean(false)};
    (void)bench;
    kong_response_set_header_value(kong, "A", kong_boolean(false));
    kong_response_add_header_value(kong, "B", kong_integer(INT64_MIN));
    kong_response_set_header_value(kong, "C", kong_bytes("a\0b", 3));
    kong_response_add_header_value(kong, "D", kong_list(NULL, 0));
    kong_call(kong, "kong.response.set_header", args, 2, NULL);
    return kong_response_exit(kong, 599, kong_str(NULL), kong_nil());
}

static void test_header_values(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct bench *bench = sent(protocols[i], header_values);
        assert_call(bench, 0, "kong.response.set_header", "[\"A\",\"false\"]");
        assert_call(bench, 1, "kong.response.add_header", "[\"B\",\"-9223372036854775808\"]");
        assert_call(bench, 2, "kong.response.set_header", "[\"C\",\"a\\u0000b\"]");
        assert_call(bench, 3, "kong.response.add_header", "[\"D\",[]]");
        assert_call(bench, 4, "kong.response.set_header", "[\"E\",\"false\"]");
        assert_call(bench, 5, "kong.response.exit",
                    protocols[i] == PROTOCOL_MSGPACK ? "[599,\"\"]" : "[599]");
        bench_destroy(bench);
    }
}

/* A value that nests too deep is one clear error, whatever the protocol; nothing is sent. */
static int too_deep(struct kong *kong, struct bench *bench) {
    struct kong_value levels[200];
    levels[199] = kong_list(NULL, 0);
    for (size_t i = 199; i > 0; i--) {
        levels[i - 1] = kong_list(&levels[i], 1);
    }
    struct kong_value args[] = {kong_string("key"), levels[0]};
    note_error(bench, kong_call(kong, "kong.ctx.shared.set", args, 2, NULL));
    note(bench, "%s ", kong_error_text(kong));
    args[1] = levels[200 - LIMIT_NESTING + 1];
    note_error(bench, kong_call(kong, "kong.ctx.shared.set", args, 2, NULL));
    args[1] = levels[200 - LIMIT_NESTING - 1];
    note_error(bench, kong_call(kong, "kong.ctx.shared.set", args, 2, NULL));
    return 0;
}

static void test_nesting(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct bench *bench = bench_create(protocols[i], NULL);
        bench_run(bench, too_deep, NULL, NULL, 0);
        assert_string_equal(bench_notes(bench),
                            "INVALID kong.ctx.shared.set: a value nests deeper than 32 levels; not "
                            "sent ok INVALID ");
        assert_int_equal(bench->call_count, 1);
        bench_destroy(bench);
    }
}

/* Kong takes ":authority" in set_header, and in set_headers for a header's name. */
static int authority(struct kong *kong, struct bench *bench) {
    (void)bench;
    kong_service_request_set_header(kong, "X-A", "a");
    kong_service_request_set_header(kong, ":authority", "host:1");
    kong_service_request_set_header(kong, "X-B", "b");
    return kong_service_request_set_header(kong, "X-C", "c");
}

static void test_authority_stays_alone(void **state) {
    struct bench *bench = sent(PROTOCOL_MSGPACK, authority);
    (void)state;
    assert_call(bench, 0, "kong.service.request.set_header", "[\"X-A\",\"a\"]");
    assert_call(bench, 1, "kong.service.request.set_header", "[\":authority\",\"host:1\"]");
    assert_call(bench, 2, "kong.service.request.set_headers", "[{\"X-B\":\"b\",\"X-C\":\"c\"}]");
    bench_destroy(bench);
}

/* What is given is copied: it may be gone before it leaves. */
static int short_lived(struct kong *kong, struct bench *bench) {
    char name[8] = "X-One", value[8] = "first";
    struct kong_pair pair = kong_pair(name, kong_string(value));
    (void)bench;
    kong_response_set_header(kong, name, value);
    kong_service_request_set_headers(kong, kong_map(&pair, 1));
    memset(name, 'z', 5);
    memset(value, 'z', 5);
    return kong_call(kong, "kong.log.err", &pair.value, 1, NULL);
}

static void test_copies(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct bench *bench = sent(protocols[i], short_lived);
        assert_call(bench, 0, "kong.response.set_header", "[\"X-One\",\"first\"]");
        assert_call(bench, 1, "kong.service.request.set_headers", "[{\"X-One\":\"first\"}]");
        assert_call(bench, 2, "kong.log.err", "[\"zzzzz\"]");
        bench_destroy(bench);
    }
}

static int call_anything(struct kong *kong, struct bench *bench) {
    struct kong_value args[] = {kong_string("a"), kong_integer(2)}, result;
    note_error(bench, kong_call(kong, "kong.some.thing", args, 2, &result));
    note_value(bench, &result);
    return 0;
}

static void test_call(void **state) {
    static const struct bench_answer answer = {.kind = BENCH_JSON, .text = "{\"b\":1}"};
    (void)state;
    struct bench *bench = bench_create(PROTOCOL_MSGPACK, NULL);
    bench_run(bench, call_anything, NULL, &answer, 1);
    assert_string_equal(bench_notes(bench), "ok {\"b\":1}");
    assert_call(bench, 0, "kong.some.thing", "[\"a\",2]");
    bench_destroy(bench);

    bench = bench_create(PROTOCOL_PROTOBUF, NULL);
    bench_run(bench, call_anything, NULL, &answer, 1);
    assert_string_equal(bench_notes(bench), "UNSUPPORTED null");
    assert_int_equal(bench->call_count, 0);
    bench_destroy(bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_authenticate),
        cmocka_unit_test(test_load_consumer),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_deprecation),
        cmocka_unit_test(test_header_values),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_authority_stays_alone),
        cmocka_unit_test(test_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
