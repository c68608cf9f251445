/* Where Kong does something else than it was asked for: what is refused here, sent otherwise, or
 * made of an answer, so that a plugin gets what its header promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "pdk_bench.h"
#include "printable.h"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])
#define MP            PROTOCOL_MSGPACK
#define PB            PROTOCOL_PROTOBUF

static const enum protocol protocols[] = {PB, MP};

static struct bench *run(enum protocol protocol, bench_handler *handler) {
    struct bench *bench = bench_create(protocol, NULL);
    bench_run(bench, handler, NULL, NULL, 0);
    return bench;
}

static void assert_call(struct bench *bench, size_t call, const char *method, const char *args) {
    assert_true(call < bench->call_count);
    assert_string_equal(bench->calls[call].method.data, method);
    assert_string_equal(bench_args(bench, call), args);
}

static struct kong_value two(void) {
    static const struct kong_value items[] = {{.type = KONG_STRING, .string = {"a", 1}},
                                              {.type = KONG_STRING, .string = {"b", 1}}};
    return kong_list(items, 2);
}

/* --- Headers of the upstream --- */

static int add_lists(struct kong *kong, struct bench *bench) {
    struct kong_value list = two();
    note_error(bench, kong_service_request_add_header_value(kong, "X-A", list));
    note_error(bench, kong_service_request_add_header_value(kong, "X-B", kong_list(NULL, 0)));
    note_error(bench, kong_service_request_set_header_value(kong, "X-C", list));
    return 0;
}

/* Kong would make one header "table: 0x7f…" of a list. */
static void test_add_header_list(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = run(protocols[i], add_lists);
        assert_string_equal(bench_notes(bench), "ok ok ok ");
        assert_int_equal(bench->call_count, 3);
        assert_call(bench, 0, "kong.service.request.add_header", "[\"X-A\",\"a\"]");
        assert_call(bench, 1, "kong.service.request.add_header", "[\"X-A\",\"b\"]");
        assert_call(bench, 2, "kong.service.request.set_header", "[\"X-C\",[\"a\",\"b\"]]");
        bench_destroy(bench);
    }
}

static int set_lists(struct kong *kong, struct bench *bench) {
    struct kong_value list = two(), args[] = {kong_string("X-E"), list};
    struct kong_pair pair = kong_pair("X-F", list);
    struct kong_value headers = kong_map(&pair, 1);
    note_error(bench, kong_response_set_header_value(kong, "X-A", list));
    note_error(bench, kong_response_add_header_value(kong, "X-B", list));
    note_error(bench, kong_service_request_set_header_value(kong, "X-C", list));
    note_error(bench, kong_response_set_header_value(kong, "X-D", kong_list(NULL, 0)));
    note_error(bench, kong_call(kong, "kong.response.set_header", args, 2, NULL));
    note_error(bench, kong_call(kong, "kong.response.add_header", args, 2, NULL));
    note_error(bench, kong_call(kong, "kong.service.request.set_header", args, 2, NULL));
    note_error(bench, kong_call(kong, "kong.service.request.add_header", args, 2, NULL));
    note_error(bench, kong_call(kong, "kong.response.set_headers", &headers, 1, NULL));
    return 0;
}

/* Kong 2.8 raises an error on a list but in set_headers. */
static void test_set_header_list(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = bench_create_2_8(protocols[i]);
        bench_run(bench, set_lists, NULL, NULL, 0);
        assert_string_equal(bench_notes(bench), "ok ok ok ok INVALID INVALID INVALID INVALID ok ");
        assert_int_equal(bench->call_count, 6);
        assert_call(bench, 0, "kong.response.set_headers", "[{\"X-A\":[\"a\",\"b\"]}]");
        assert_call(bench, 1, "kong.response.add_header", "[\"X-B\",\"a\"]");
        assert_call(bench, 2, "kong.response.add_header", "[\"X-B\",\"b\"]");
        assert_call(bench, 3, "kong.service.request.set_headers", "[{\"X-C\":[\"a\",\"b\"]}]");
        assert_call(bench, 4, "kong.response.set_headers", "[{\"X-D\":[]}]");
        assert_call(bench, 5, "kong.response.set_headers", "[{\"X-F\":[\"a\",\"b\"]}]");
        bench_destroy(bench);
        bench = run(protocols[i], set_lists);
        assert_string_equal(bench_notes(bench), "ok ok ok ok ok ok ok INVALID ok ");
        assert_call(bench, 0, "kong.response.set_header", "[\"X-A\",[\"a\",\"b\"]]");
        assert_call(bench, 1, "kong.response.add_header", "[\"X-B\",[\"a\",\"b\"]]");
        bench_destroy(bench);
    }
}

static int set_hosts(struct kong *kong, struct bench *bench) {
    struct kong_value list = two(), one = kong_list(list.list.items, 1);
    struct kong_pair pairs[] = {kong_pair("hOST", list), kong_pair("X-A", list)};
    note_error(bench, kong_service_request_set_header_value(kong, "Host", list));
    note_error(bench, kong_service_request_add_header_value(kong, "host", list));
    note_error(bench, kong_service_request_set_header_value(kong, "Host", kong_list(NULL, 0)));
    note_error(bench, kong_service_request_set_headers(kong, kong_map(pairs, 2)));
    note(bench, "%s ", kong_error_text(kong));
    note_error(bench, kong_service_request_set_header_value(kong, "Host", one));
    note_error(bench, kong_service_request_set_header_value(kong, "Hosts", list));
    note_error(bench, kong_response_set_header_value(kong, "Host", list));
    return 0;
}

static void test_host(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = run(protocols[i], set_hosts);
        assert_string_equal(
            bench_notes(bench),
            "INVALID INVALID INVALID INVALID kong.service.request.set_headers: Host "
            "takes one value ok ok ok ");
        assert_int_equal(bench->call_count, 3);
        assert_call(bench, 0, "kong.service.request.set_header", "[\"Host\",\"a\"]");
        bench_destroy(bench);
    }
}

static int set_odd_targets(struct kong *kong, struct bench *bench) {
    note_error(bench, kong_service_set_target(kong, "", 80));
    note(bench, "%s ", kong_error_text(kong));
    note_error(bench, kong_service_set_target(kong, NULL, 80));
    note_error(bench, kong_service_set_tls_verify_depth(kong, -1));
    note_error(bench, kong_service_set_target(kong, "h", 80));
    return 0;
}

static void test_targets(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = run(protocols[i], set_odd_targets);
        assert_string_equal(
            bench_notes(bench),
            "INVALID kong.service.set_target: the host is empty INVALID INVALID ok ");
        assert_int_equal(bench->call_count, 1);
        bench_destroy(bench);
    }
}

/* --- Ends --- */

static int exit_alone(struct kong *kong, struct bench *bench) {
    (void)bench;
    return kong_response_exit(kong, 494, kong_str(NULL), kong_nil());
}

static int exit_headers(struct kong *kong, struct bench *bench) {
    struct kong_pair pair = kong_pair("X-A", kong_string("1"));
    (void)bench;
    return kong_response_exit(kong, 494, kong_str(NULL), kong_map(&pair, 1));
}

/* On MsgPack:1 a status alone would make Kong send an HTML page, and 400 for 494. */
static void test_exit_alone(void **state) {
    (void)state;
    struct bench *bench = run(MP, exit_alone);
    assert_call(bench, 0, "kong.response.exit", "[494,\"\"]");
    bench_destroy(bench);
    bench = run(PB, exit_alone);
    assert_call(bench, 0, "kong.response.exit", "[494]");
    bench_destroy(bench);
    bench = run(PB, exit_headers);
    assert_call(bench, 0, "kong.response.exit", "[494,null,{\"X-A\":\"1\"}]");
    bench_destroy(bench);
}

static int exit_lengths(struct kong *kong, struct bench *bench) {
    struct kong_pair pair = kong_pair("content-LENGTH", kong_integer(6));
    struct kong_value headers = kong_map(&pair, 1);
    note_error(bench, kong_response_exit(kong, 200, kong_str("hello"), headers));
    note(bench, "%s ", kong_error_text(kong));
    note_error(bench, kong_response_exit(kong, 200, kong_str(NULL), headers));
    pair.value = two();
    note_error(bench, kong_response_exit(kong, 200, kong_str("hello"), headers));
    pair = kong_pair("content_length", kong_string("6"));
    note_error(bench, kong_response_exit(kong, 200, kong_str("hello"), headers));
    const struct kong_value args[] = {kong_integer(200), kong_string("hello"), headers};
    note_error(bench, kong_call(kong, "kong.response.exit", args, 3, NULL));
    pair.value = kong_string("5");
    note_error(bench, kong_response_exit(kong, 200, kong_str("hello"), headers));
    return 0;
}

static void test_exit_length(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = run(protocols[i], exit_lengths);
        assert_string_equal(bench_notes(bench),
                            "INVALID kong.response.exit: Content-Length is not that of the body: "
                            "Kong sets it by itself INVALID INVALID INVALID INVALID ok ");
        assert_int_equal(bench->call_count, 1);
        bench_destroy(bench);
    }
}

static int error_length(struct kong *kong, struct bench *bench) {
    struct kong_pair pair = kong_pair("Content-Length", kong_string("3"));
    struct kong_value headers = kong_map(&pair, 1);
    const struct kong_value args[] = {kong_integer(400), kong_nil(), headers};
    note_error(bench, kong_response_error(kong, 400, "no", headers));
    note(bench, "%s ", kong_error_text(kong));
    note_error(bench, kong_call(kong, "kong.response.error", args, 3, NULL));
    return 0;
}

/* Kong makes the body, so that no Content-Length can be right. */
static void test_error_length(void **state) {
    (void)state;
    struct bench *bench = run(MP, error_length);
    assert_string_equal(bench_notes(bench),
                        "INVALID kong.response.error: Content-Length is not that of the body: Kong "
                        "sets it by itself INVALID ");
    assert_int_equal(bench->call_count, 0);
    bench_destroy(bench);
}

static int lengths(struct kong *kong, struct bench *bench) {
    struct kong_pair pair = kong_pair("content-length", kong_string("3"));
    struct kong_value headers = kong_map(&pair, 1), args[] = {pair.value, pair.value};
    args[0] = kong_string("Content-Length");
    note_error(bench, kong_response_set_header(kong, "Content-Length", "3"));
    note(bench, "%s ", kong_error_text(kong));
    note_error(bench, kong_response_set_header_value(kong, "CONTENT-LENGTH", kong_integer(3)));
    note_error(bench, kong_response_add_header(kong, "content_length", "3"));
    note_error(bench, kong_response_set_headers(kong, headers));
    note_error(bench, kong_service_request_set_header(kong, "Content-Length", "3"));
    note_error(bench, kong_service_request_add_header(kong, "Content-Length", "3"));
    note_error(bench, kong_service_request_set_headers(kong, headers));
    note_error(bench, kong_call(kong, "kong.service.request.set_header", args, 2, NULL));
    note_error(bench, kong_call(kong, "kong.response.set_headers", &headers, 1, NULL));
    note_error(bench, kong_response_set_header(kong, "Content-Lengths", "3"));
    note_error(bench, kong_response_clear_header(kong, "Content-Length"));
    return 0;
}

/* What Kong sends is not cut: the rest would be the next answer, or another request. */
static void test_lengths(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = run(protocols[i], lengths);
        assert_string_equal(bench_notes(bench),
                            "INVALID kong.response.set_header: Kong sets Content-Length by itself "
                            "INVALID INVALID INVALID INVALID INVALID INVALID INVALID INVALID ok "
                            "ok ");
        assert_int_equal(bench->call_count, 2);
        bench_destroy(bench);
    }
}

static int low_statuses(struct kong *kong, struct bench *bench) {
    struct kong_value args[] = {kong_integer(199)};
    for (int status = 100; status < 200; status += 99) {
        note_error(bench, kong_response_set_status(kong, status));
        note_error(bench, kong_response_exit(kong, status, kong_str("x"), kong_nil()));
    }
    note(bench, "%s ", kong_error_text(kong));
    note_error(bench, kong_call(kong, "kong.response.set_status", args, 1, NULL));
    note_error(bench, kong_call(kong, "kong.response.exit", args, 1, NULL));
    note_error(bench, kong_response_set_status(kong, 200));
    note_error(bench, kong_response_exit(kong, 200, kong_str("x"), kong_nil()));
    return 0;
}

/* Below 200 the client gets nothing that ends its request. */
static void test_low_statuses(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = run(protocols[i], low_statuses);
        assert_string_equal(bench_notes(bench),
                            "INVALID INVALID INVALID INVALID kong.response.exit: the status must "
                            "be 200 to 599, not 199 INVALID INVALID ok ok ");
        assert_int_equal(bench->call_count, 2);
        bench_destroy(bench);
    }
}

static int exit_preread(struct kong *kong, struct bench *bench) {
    static const int refused[] = {204, 401, 404, 501, 599};
    for (size_t i = 0; i < LENGTH(refused); i++) {
        struct kong_value args[] = {kong_integer(refused[i])};
        note_error(bench, kong_response_exit(kong, refused[i], kong_str("x"), kong_nil()));
        note_error(bench, kong_call(kong, "kong.response.exit", args, 1, NULL));
    }
    note(bench, "%s ", kong_error_text(kong));
    note_error(bench, kong_response_exit(kong, *(int *)bench->data, kong_str("x"), kong_nil()));
    return 0;
}

static void test_exit_preread(void **state) {
    static int taken[] = {200, 400, 403, 500, 502, 503};
    (void)state;
    for (size_t i = 0; i < 2 * LENGTH(taken); i++) {
        struct bench *bench = bench_create(protocols[i % 2], NULL);
        bench->phase = KONG_PHASE_PREREAD;
        bench_run(bench, exit_preread, &taken[i / 2], NULL, 0);
        assert_string_equal(
            bench_notes(bench),
            "INVALID INVALID INVALID INVALID INVALID INVALID INVALID INVALID INVALID "
            "INVALID kong.response.exit: the first argument must be a status ok ");
        assert_true(bench->ended);
        bench_destroy(bench);
    }
}

static int error_formats(struct kong *kong, struct bench *bench) {
    static const char *const types[] = {"text/x", "text/plain; charset=latin1", "", "application"};
    static const char *const good[] = {"text/html", "application/json; charset=utf-8"};
    struct kong_pair pair = kong_pair("Content-Type", kong_nil());
    for (size_t i = 0; i < LENGTH(types); i++) {
        pair.value = kong_string(types[i]);
        note_error(bench, kong_response_error(kong, 400, "m", kong_map(&pair, 1)));
    }
    pair.value = two();
    note_error(bench, kong_response_error(kong, 400, "m", kong_map(&pair, 1)));
    note(bench, "%s ", kong_error_text(kong));
    pair.value = kong_string(good[*(size_t *)bench->data]);
    note_error(bench, kong_response_error(kong, 400, "m", kong_map(&pair, 1)));
    return 0;
}

static void test_error_format(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = bench_create(MP, NULL);
        bench_run(bench, error_formats, &i, NULL, 0);
        assert_string_equal(bench_notes(bench),
                            "INVALID INVALID INVALID INVALID INVALID kong.response.error: Kong "
                            "formats no error as this Content-Type ok ");
        assert_int_equal(bench->call_count, 1);
        bench_destroy(bench);
    }
}

/* --- Answers --- */

static int get_arguments(struct kong *kong, struct bench *bench) {
    static const char *const names[] = {"flag", "empty", "twice", "none"};
    for (size_t i = 0; i < LENGTH(names); i++) {
        struct kong_str value = {"unset", 5};
        note_error(bench, kong_request_get_query_arg(kong, names[i], &value));
        note_str(bench, value);
        note(bench, " ");
    }
    return 0;
}

/* An argument without `=` is a client's to send: it fails no request on either protocol. */
static void test_query_arg(void **state) {
    const struct bench_answer all = {
        .kind = BENCH_JSON, .text = "{\"flag\":true,\"empty\":\"\",\"twice\":[\"1\",\"2\"]}"};
    const struct bench_answer protobuf[] = {all, all, all, all};
    const struct bench_answer msgpack[] = {{.kind = BENCH_JSON, .text = "true"},
                                           {.kind = BENCH_JSON, .text = "\"\""},
                                           {.kind = BENCH_JSON, .text = "\"1\""},
                                           {.kind = BENCH_JSON, .text = "null"}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = bench_create(protocols[i], NULL);
        bench_run(bench, get_arguments, NULL, protocols[i] == PB ? protobuf : msgpack, 4);
        assert_string_equal(bench_notes(bench), "ok \"\" ok \"\" ok \"1\" ok nil ");
        assert_string_equal(bench->calls[0].method.data, protocols[i] == PB
                                                             ? "kong.request.get_query"
                                                             : "kong.request.get_query_arg");
        bench_destroy(bench);
    }
}

static int get_raw_query(struct kong *kong, struct bench *bench) {
    struct kong_str query = {NULL, 0};
    note_error(bench, kong_request_get_raw_query(kong, &query));
    note_str(bench, query);
    return 0;
}

static void test_raw_query(void **state) {
    const struct bench_answer nil = {.kind = BENCH_JSON, .text = "null"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = bench_create(protocols[i], NULL);
        bench_run(bench, get_raw_query, NULL, &nil, 1);
        assert_string_equal(bench_notes(bench), "ok \"\"");
        bench_destroy(bench);
    }
}

/* --- Lines in Kong's log --- */

static int log_lines(struct kong *kong, struct bench *bench) {
    struct kong_value args[] = {kong_bytes("a\0b\n", 4), kong_integer(5), kong_string("\r")};
    note_error(bench, kong_log_err(kong, "a\r\n%s\033[31m\x7f", "2026/11/26 [error] forged"));
    note_error(bench, kong_log_notice(kong, "%s", "caf\xc3\xa9 \xff"));
    note_error(bench, kong_call(kong, "kong.log.warn", args, 3, NULL));
    return 0;
}

/* One line each, whatever is in it: nobody forges another at column 0. */
static void test_lines(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = run(protocols[i], log_lines);
        assert_string_equal(bench_notes(bench), "ok ok ok ");
        assert_call(bench, 0, "kong.log.err",
                    "[\"a\\\\x0D\\\\x0A2026/11/26 [error] forged\\\\x1B[31m\\\\x7F\"]");
        assert_call(bench, 1, "kong.log.notice", "[\"caf\xc3\xa9 \\\\xFF\"]");
        assert_call(bench, 2, "kong.log.warn", "[\"a\\\\x00b\\\\x0A\",5,\"\\\\x0D\"]");
        bench_destroy(bench);
    }
}

static int fail_with(struct kong *kong, struct bench *bench) {
    struct kong_str host;
    (void)bench;
    return kong_request_get_host(kong, &host);
}

/* A failed handler's line holds what Kong said. */
static void test_failure(void **state) {
    const struct bench_answer words = {.kind = BENCH_ERROR, .text = "no\n2026 [alert] forged"};
    (void)state;
    struct bench *bench = bench_create(MP, NULL);
    bench_run(bench, fail_with, NULL, &words, 1);
    assert_int_equal(bench->call_count, 2);
    assert_string_equal(bench->calls[1].method.data, "kong.log.err");
    assert_non_null(strstr(bench_args(bench, 1), "no\\\\x0A2026 [alert] forged"));
    bench_destroy(bench);
}

static char *long_text(void) {
    static char text[5001];
    memset(text, 'x', sizeof text - 1);
    return text;
}

static int log_long(struct kong *kong, struct bench *bench) {
    struct kong_value arg = kong_string(long_text());
    (void)bench;
    kong_log_err(kong, "%.*s", PRINTABLE_KONG_LINE - 1, long_text());
    kong_log_err(kong, "%.*s", PRINTABLE_KONG_LINE, long_text());
    kong_log_err(kong, "%s", long_text());
    return kong_call(kong, "kong.log.err", &arg, 1, NULL);
}

static void test_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = run(protocols[i], log_long);
        assert_int_equal(bench->call_count, 4);
        for (size_t k = 0; k < 4; k++) {
            struct kong_str text = bench->calls[k].args.list.items[0].string;
            assert_int_equal(text.len, PRINTABLE_KONG_LINE - 1);
            assert_string_equal(text.data + text.len - 3, k == 0 ? "xxx" : "...");
        }
        bench_destroy(bench);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_header_list),
        cmocka_unit_test(test_set_header_list),
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_exit_alone),
        cmocka_unit_test(test_exit_length),
        cmocka_unit_test(test_error_length),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_low_statuses),
        cmocka_unit_test(test_exit_preread),
        cmocka_unit_test(test_error_format),
        cmocka_unit_test(test_query_arg),
        cmocka_unit_test(test_raw_query),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
