/* What the PDK makes of Kong's answers beyond the plain ones: numbers of other kinds, headers,
 * queries, captures, entities; and errors with their texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pdk_bench.h"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])
#define JSON(json)                                                                                 \
    { .kind = BENCH_JSON, .text = (json) }

/* Runs a handler against one answer in JSON; what it noted must be `seen`. */
static void check(enum protocol protocol, bench_handler *handler, const char *json,
                  const char *seen) {
    struct bench *bench = bench_create(protocol, NULL);
    const struct bench_answer answer = JSON(json);
    bench_run(bench, handler, NULL, &answer, 1);
    assert_string_equal(bench_notes(bench), seen);
    assert_true(bench->over);
    bench_destroy(bench);
}

static void check_value(enum protocol protocol, bench_handler *handler, struct kong_value value,
                        const char *seen) {
    struct bench *bench = bench_create(protocol, NULL);
    const struct bench_answer answer = {.kind = BENCH_VALUE, .value = &value};
    bench_run(bench, handler, NULL, &answer, 1);
    assert_string_equal(bench_notes(bench), seen);
    bench_destroy(bench);
}

#define MP PROTOCOL_MSGPACK
#define PB PROTOCOL_PROTOBUF

static void note_text(struct kong *kong, struct bench *bench) {
    note(bench, ": %s", kong_error_text(kong));
}

/* --- Numbers --- */

static int get_port(struct kong *kong, struct bench *bench) {
    int port;
    note_error(bench, kong_request_get_port(kong, &port));
    note(bench, "%d", port);
    return 0;
}

static int get_version(struct kong *kong, struct bench *bench) {
    double version;
    note_error(bench, kong_request_get_http_version(kong, &version));
    note(bench, "%.3g", version);
    return 0;
}

static void test_numbers(void **state) {
    (void)state;
    check_value(MP, get_port, kong_number(8000.0), "ok 8000");
    check_value(MP, get_port, kong_number(8000.5), "TYPE 0");
    check_value(MP, get_port, kong_integer(2147483647), "ok 2147483647");
    check_value(MP, get_port, kong_integer(2147483648), "TYPE 0");
    check_value(MP, get_port, kong_integer(-2147483649), "TYPE 0");
    check_value(MP, get_port, kong_string("8000"), "TYPE 0");
    check_value(MP, get_version, kong_integer(2), "ok 2");
    check_value(MP, get_version, kong_number(1.1), "ok 1.1");
    check_value(MP, get_version, kong_string("1.1"), "TYPE 0");
}

static int look_into(struct kong *kong, struct bench *bench) {
    struct kong_value value;
    int64_t integer = -1;
    double number = -1;
    note_error(bench, kong_ctx_shared_get(kong, "k", &value));
    note(bench, "%d ", kong_to_integer(kong_map_get(&value, "i"), &integer));
    note(bench, "%lld ", (long long)integer);
    note(bench, "%d ", kong_to_integer(kong_map_get(&value, "f"), &integer));
    note(bench, "%lld ", (long long)integer);
    note(bench, "%d ", kong_to_number(kong_map_get(&value, "f"), &number));
    note(bench, "%g ", number);
    note(bench, "%d ", kong_to_number(kong_map_get(&value, "i"), &number));
    note(bench, "%g ", number);
    note(bench, "%d ", kong_to_number(kong_map_get(&value, "s"), &number));
    note(bench, "%g ", number);
    note_str(bench, kong_to_str(kong_map_get(&value, "s")));
    note_str(bench, kong_to_str(kong_map_get(&value, "i")));
    note_str(bench, kong_to_str(kong_map_get(&value, "none")));
    note(bench, " %d", kong_map_get(kong_map_get(&value, "i"), "x") == NULL);
    note(bench, "%d", kong_map_get(kong_map_get(&value, "none"), "x") == NULL);
    note(bench, "%d%d", kong_to_integer(NULL, &integer), kong_to_number(NULL, &number));
    return 0;
}

static void test_values(void **state) {
    static const char json[] = "{\"i\":5,\"f\":2.5,\"s\":\"t\"}";
    static const char seen[] = "ok 1 5 0 0 1 2.5 1 5 0 0 \"t\"nilnil 1100";
    (void)state;
    check(MP, look_into, json, seen);
    check(PB, look_into, json, seen);
}

/* --- Headers and queries --- */

static void note_headers(struct bench *bench, const struct kong_headers *headers) {
    for (size_t i = 0; i < headers->count; i++) {
        const struct kong_header *header = &headers->items[i];
        note(bench, "%s%s", header->name.data, header->flag ? "?" : "");
        for (size_t j = 0; j < header->count; j++) {
            note(bench, j == 0 ? "=" : ",");
            note_str(bench, header->values[j]);
        }
        note(bench, ";");
    }
}

static int get_query(struct kong *kong, struct bench *bench) {
    struct kong_headers query;
    struct kong_value map;
    note_error(bench, kong_request_get_query(kong, 0, &query));
    note_headers(bench, &query);
    note(bench, " ");
    note_error(bench, kong_headers_to_map(kong, &query, &map));
    note_value(bench, &map);
    return 0;
}

static int find_in_both(struct kong *kong, struct bench *bench) {
    struct kong_headers headers, query;
    note_error(bench, kong_request_get_headers(kong, 0, &headers));
    note_error(bench, kong_request_get_query(kong, 0, &query));
    note_str(bench, kong_headers_get(&headers, "X-A"));
    note_str(bench, kong_headers_get(&query, "X-A"));
    note_str(bench, kong_headers_get(&query, "x-a"));
    note_str(bench, kong_headers_get(&headers, "X-"));
    note_str(bench, kong_headers_get(&headers, ""));
    const struct kong_header *header = kong_headers_find(&headers, "x-A");
    note(bench, " %zu", header == NULL ? 0 : header->count);
    note(bench, " %d", kong_headers_find(&headers, "x-ab") == NULL);
    return 0;
}

/* Names of the same length are different names, whatever their case. */
static int find_same_length(struct kong *kong, struct bench *bench) {
    static const struct kong_str one = {"1", 1}, two = {"2", 1};
    const struct kong_header items[] = {{.name = {"x-a", 3}, .values = &one, .count = 1},
                                        {.name = {"x-b", 3}, .values = &two, .count = 1},
                                        {.name = {"", 0}, .values = &one, .count = 1}};
    struct kong_headers headers = {items, 3, false};
    (void)kong;
    for (int exact = 0; exact < 2; exact++) {
        headers.exact = exact != 0;
        note_str(bench, kong_headers_get(&headers, "x-b"));
        note_str(bench, kong_headers_get(&headers, "X-B"));
        note_str(bench, kong_headers_get(&headers, "x-c"));
        note_str(bench, kong_headers_get(&headers, ""));
        note(bench, " ");
    }
    return 0;
}

static void test_same_length(void **state) {
    struct bench *bench = bench_create(MP, NULL);
    (void)state;
    bench_run(bench, find_same_length, NULL, NULL, 0);
    assert_string_equal(bench_notes(bench), "\"2\"\"2\"nil\"1\" \"2\"nilnil\"1\" ");
    bench_destroy(bench);
}

/* The values lie right before memory that must not be touched. */
static int map_of_last(struct kong *kong, struct bench *bench) {
    const struct kong_header items[] = {{.name = {"a", 1}, .values = bench->data, .count = 2}};
    const struct kong_headers headers = {items, 1, false};
    struct kong_value map;
    note_error(bench, kong_headers_to_map(kong, &headers, &map));
    note_value(bench, &map);
    return 0;
}

static void test_no_value_too_many(void **state) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)state;
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    struct kong_str *values = (struct kong_str *)(void *)(pages + page) - 2;
    values[0] = kong_str("1");
    values[1] = kong_str("2");
    struct bench *bench = bench_create(MP, NULL);
    bench_run(bench, map_of_last, values, NULL, 0);
    assert_string_equal(bench_notes(bench), "ok {\"a\":[\"1\",\"2\"]}");
    bench_destroy(bench);
    munmap(pages, 2 * page);
}

static void test_queries(void **state) {
    (void)state;
    /* `?a` between others of the same name; a nil is left out */
    check(PB, get_query, "{\"a\":[true,\"1\"],\"b\":\"\",\"f\":true}",
          "ok a?=\"\",\"1\";b=\"\";f?=\"\"; ok {\"a\":[\"\",\"1\"],\"b\":\"\",\"f\":true}");
    check(MP, get_query, "{\"a\":[true,\"1\"],\"n\":null,\"f\":[]}",
          "ok a?=\"\",\"1\";f?=\"\"; ok {\"a\":[\"\",\"1\"],\"f\":true}");
    check(MP, get_query, "[]", "ok  ok {}");
    check(MP, get_query, "{}", "ok  ok {}");
    check(MP, get_query, "[\"a\"]", "TYPE  ok {}");
    check(MP, get_query, "{\"a\":[\"1\"],\"b\":[2]}", "TYPE  ok {}");
    check(MP, get_query, "{\"a\":false}", "TYPE  ok {}");
    check(PB, get_query, "{\"a\":1}", "TYPE  ok {}");
}

static void test_names(void **state) {
    static const struct bench_answer answers[] = {JSON("{\"x-a\":[\"1\",\"2\"]}"),
                                                  JSON("{\"x-a\":[\"3\"]}")};
    const enum protocol protocols[] = {MP, PB};
    (void)state;
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct bench *bench = bench_create(protocols[i], NULL);
        bench_run(bench, find_in_both, NULL, answers, 2);
        assert_string_equal(bench_notes(bench), "ok ok \"1\"nil\"3\"nilnil 2 1");
        bench_destroy(bench);
    }
}

static int get_arg(struct kong *kong, struct bench *bench) {
    struct kong_str value;
    note_error(bench, kong_request_get_query_arg(kong, "a", &value));
    note_str(bench, value);
    return 0;
}

static void test_query_arg(void **state) {
    (void)state;
    check(MP, get_arg, "true", "ok \"\""); /* `?a` */
    check(MP, get_arg, "\"\"", "ok \"\"");
    check(MP, get_arg, "false", "TYPE nil");
    check(MP, get_arg, "1", "TYPE nil");
}

/* --- Captures --- */

static int get_captures(struct kong *kong, struct bench *bench) {
    struct kong_captures captures;
    note_error(bench, kong_request_get_uri_captures(kong, &captures));
    for (size_t i = 0; i < captures.unnamed.count; i++) {
        note_str(bench, captures.unnamed.items[i]);
    }
    for (size_t i = 0; i < captures.named_count; i++) {
        note(bench, " %s=", captures.named[i].name.data);
        note_str(bench, captures.named[i].value);
    }
    return 0;
}

static void test_captures(void **state) {
    (void)state;
    /* a table with a 0 or with holes travels as a map */
    check(MP, get_captures,
          "{\"unnamed\":{\"0\":\"/a/c\",\"3\":\"c\",\"1\":\"a\"},\"named\":{\"n\":false}}",
          "ok \"a\"nil\"c\" n=nil");
    check(MP, get_captures, "{\"unnamed\":[\"a\",false,\"c\"],\"named\":[]}", "ok \"a\"nil\"c\"");
    check(MP, get_captures, "{\"unnamed\":[],\"named\":[]}", "ok ");
    check(MP, get_captures,
          "{\"unnamed\":{\"1\":\"a\",\"2\":false,\"x\":\"y\",\"99999999999\":\"z\"}}", "ok \"a\"");
    check(MP, get_captures, "{}", "ok ");
    check(MP, get_captures, "{\"unnamed\":[1]}", "TYPE ");
    check(MP, get_captures, "{\"unnamed\":[\"a\"],\"named\":{\"n\":1}}", "TYPE ");
    check(MP, get_captures, "\"no\"", "TYPE ");
    check(PB, get_captures, "{\"unnamed\":[\"a\",\"b\"],\"named\":{\"n\":\"v\"}}",
          "ok \"a\"\"b\" n=\"v\"");
}

/* --- Entities --- */

static int get_route(struct kong *kong, struct bench *bench) {
    struct kong_route route;
    int error = kong_router_get_route(kong, &route);
    note_error(bench, error);
    note_str(bench, route.id);
    note(bench, " ");
    note_headers(bench, &route.headers);
    for (size_t i = 0; i < route.sources.count; i++) {
        note_str(bench, route.sources.items[i].ip);
        note(bench, ":%d ", route.sources.items[i].port);
    }
    note_str(bench, kong_to_str(kong_map_get(&route.fields, "ws_id")));
    if (error != 0) {
        note_text(kong, bench);
    }
    return 0;
}

static void test_routes(void **state) {
    (void)state;
    check(MP, get_route,
          "{\"id\":\"1\",\"ws_id\":\"w\",\"headers\":{\"X-V\":[\"1\",\"2\"]},\"service\":null,"
          "\"sources\":[{\"ip\":\"10.0.0.0/8\"},{\"port\":53},\"::1\"],\"tags\":{}}",
          "ok \"1\" X-V=\"1\",\"2\";\"10.0.0.0/8\":0 nil:53 \"::1\":0 \"w\"");
    check(MP, get_route, "{}", "ok nil nil");
    check(MP, get_route, "[]", "ok nil nil");
    check(MP, get_route, "{\"id\":1}", "TYPE nil nil: kong.router.get_route: id is an integer");
    check(MP, get_route, "{\"id\":\"1\",\"paths\":\"/\"}",
          "TYPE nil nil: kong.router.get_route: paths is a string");
    check(MP, get_route, "{\"id\":\"1\",\"paths\":[1]}",
          "TYPE nil nil: kong.router.get_route: paths is an integer");
    check(MP, get_route, "{\"id\":\"1\",\"strip_path\":1}",
          "TYPE nil nil: kong.router.get_route: strip_path is an integer");
    check(MP, get_route, "{\"id\":\"1\",\"service\":\"s\"}",
          "TYPE nil nil: kong.router.get_route: service is a string");
    check(MP, get_route, "{\"id\":\"1\",\"created_at\":1.5}",
          "TYPE nil nil: kong.router.get_route: created_at is a number");
    check(MP, get_route, "{\"id\":\"1\",\"https_redirect_status_code\":4294967296}",
          "TYPE nil nil: kong.router.get_route: https_redirect_status_code is out of range: "
          "4294967296");
    check(MP, get_route, "{\"id\":\"1\",\"sources\":[1]}",
          "TYPE nil nil: kong.router.get_route: sources is an integer");
    check(MP, get_route, "{\"id\":\"1\",\"headers\":{\"a\":[1]}}",
          "TYPE nil nil: kong.router.get_route: a value is an integer");
    check(MP, get_route, "7", "TYPE nil nil: kong.router.get_route: the answer is an integer");
    check(PB, get_route, "{\"id\":\"1\",\"headers\":[\"X-V\"],\"sources\":[\"10.0.0.1\"]}",
          "ok \"1\" \"10.0.0.1\":0 nil");
}

static int get_stats(struct kong *kong, struct bench *bench) {
    struct kong_memory_stats stats;
    note_error(bench, kong_node_get_memory_stats(kong, &stats));
    note(bench, "%zu %zu", stats.dict_count, stats.worker_count);
    return 0;
}

static void test_stats(void **state) {
    (void)state;
    check(MP, get_stats,
          "{\"lua_shared_dicts\":{\"a\":{},\"b\":{},\"c\":{}},"
          "\"workers_lua_vms\":{\"1\":{\"pid\":1,\"err\":\"x\"},\"err\":\"no keys\"}}",
          "ok 3 1");
    check(MP, get_stats, "{\"lua_shared_dicts\":[],\"workers_lua_vms\":[]}", "ok 0 0");
    check(MP, get_stats, "{\"workers_lua_vms\":[{\"pid\":\"1\"}]}", "TYPE 0 0");
    check(MP, get_stats, "{\"lua_shared_dicts\":{\"a\":{\"capacity\":\"5 MiB\"}}}", "TYPE 0 0");
}

/* --- Errors and their texts --- */

static int three_errors(struct kong *kong, struct bench *bench) {
    struct kong_str text;
    int port;
    note(bench, "%s", kong_error_text(kong));
    note_error(bench, kong_request_get_raw_path(kong, &text));
    note_text(kong, bench);
    note_error(bench, kong_request_get_method(kong, &text));
    note_text(kong, bench); /* the last error's, still */
    note_error(bench, kong_request_get_port(kong, &port));
    note_text(kong, bench);
    note_error(bench, kong_response_set_status(kong, 99));
    note_text(kong, bench);
    return KONG_E_FAILED;
}

static void test_error_texts(void **state) {
    static const struct bench_answer answers[] = {
        {.kind = BENCH_ERROR, .text = "the words"}, JSON("\"GET\""), JSON("\"80\"")};
    (void)state;
    struct bench *bench = bench_create(MP, NULL);
    bench_run(bench, three_errors, NULL, answers, 3);
    assert_string_equal(
        bench_notes(bench),
        "no errorKONG : the wordsok : the wordsTYPE : kong.request.get_port: the answer is a "
        "stringINVALID : kong.response.set_status: the status must be 200 to 599, not 99");
    /* the failed handler's own code is logged, not an older text */
    assert_string_equal(bench_args(bench, bench->call_count - 1),
                        "[\"bench: access failed: the plugin failed\"]");
    bench_destroy(bench);
}

static int fail_with_text(struct kong *kong, struct bench *bench) {
    (void)bench;
    return kong_service_set_upstream(kong, "green");
}

static void test_failure_is_logged(void **state) {
    const enum protocol protocols[] = {MP, PB};
    (void)state;
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        struct bench *bench = bench_create(protocols[i], NULL);
        bench_run(bench, fail_with_text, NULL, NULL, 0);
        assert_int_equal(bench->call_count, 2);
        assert_string_equal(bench->calls[1].method.data, "kong.log.err");
        assert_string_equal(
            bench_args(bench, 1),
            "[\"bench: access failed: kong.service.set_upstream: there is no such Upstream\"]");
        assert_true(bench->over);
        bench_destroy(bench);
    }
}

static int use_memory(struct kong *kong, struct bench *bench) {
    char *bytes = kong_alloc(kong, 100000);
    struct kong_str text = kong_printf(kong, "%s-%d", "a", 5);
    note(bench, "%d ", bytes != NULL && (uintptr_t)bytes % _Alignof(max_align_t) == 0);
    if (bytes != NULL) {
        memset(bytes, 'x', 100000);
    }
    note_str(bench, text);
    note(bench, " %d", kong_alloc(kong, SIZE_MAX / 2) == NULL);
    note(bench, " %d", kong_get_phase(kong) == KONG_PHASE_ACCESS);
    return 0;
}

static void test_memory(void **state) {
    (void)state;
    check(MP, use_memory, "null", "1 \"a-5\" 1 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),     cmocka_unit_test(test_values),
        cmocka_unit_test(test_queries),     cmocka_unit_test(test_names),
        cmocka_unit_test(test_same_length), cmocka_unit_test(test_no_value_too_many),
        cmocka_unit_test(test_query_arg),   cmocka_unit_test(test_captures),
        cmocka_unit_test(test_routes),      cmocka_unit_test(test_stats),
        cmocka_unit_test(test_error_texts), cmocka_unit_test(test_failure_is_logged),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
