/* The typed PDK functions from end to end: a plugin calls them in every phase, over both protocols,
 * against the simulated Kong; what it got, and what Kong was left with, must be the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kong_test.h"

/* --- The plugin writes down what it gets; the test reads it when the request is over --- */

static char notes[16384];
static size_t used;

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...) {
    va_list list;
    va_start(list, format);
    int len = vsnprintf(notes + used, sizeof notes - used, format, list);
    va_end(list);
    if (len > 0 && (size_t)len < sizeof notes - used) {
        used += (size_t)len;
    }
}

static const char *shown(struct kong_str text) {
    return text.data == NULL ? "nil" : text.data;
}

static void note_text(const char *name, int error, struct kong_str text) {
    note("%s %s\n", name, error == 0 ? shown(text) : kong_strerror(error));
}

static void note_number(const char *name, int error, double number) {
    note("%s %s%.10g\n", name, error == 0 ? "" : kong_strerror(error), number);
}

#define TEXT(function, ...)                                                                        \
    do {                                                                                           \
        struct kong_str text_;                                                                     \
        int error_ = kong_##function(kong, ##__VA_ARGS__, &text_);                                 \
        note_text(#function, error_, text_);                                                       \
    } while (0)

#define NUMBER(type, function, ...)                                                                \
    do {                                                                                           \
        type number_;                                                                              \
        int error_ = kong_##function(kong, ##__VA_ARGS__, &number_);                               \
        note_number(#function, error_, (double)number_);                                           \
    } while (0)

/* A call without a result. */
#define DO(function, ...)                                                                          \
    do {                                                                                           \
        int error_ = kong_##function(kong, __VA_ARGS__);                                           \
        if (error_ != 0) {                                                                         \
            note("%s %s\n", #function, kong_strerror(error_));                                     \
        }                                                                                          \
    } while (0)

static int compare_headers(const void *a, const void *b) {
    return strcmp(((const struct kong_header *)a)->name.data,
                  ((const struct kong_header *)b)->name.data);
}

/* Sorted: Lua's tables have no order. */
static void note_headers(const char *name, int error, const struct kong_headers *headers) {
    struct kong_header sorted[32];
    size_t count = headers->count < 32 ? headers->count : 32;
    note("%s%s", name, error == 0 ? "" : kong_strerror(error));
    if (count > 0) {
        memcpy(sorted, headers->items, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, compare_headers);
    }
    for (size_t i = 0; i < count; i++) {
        note(" %s=", sorted[i].name.data);
        for (size_t k = 0; k < sorted[i].count; k++) {
            note("%s%s", k == 0 ? "" : ",", sorted[i].flag ? "<flag>" : sorted[i].values[k].data);
        }
    }
    note("\n");
}

#define HEADERS(function, most)                                                                    \
    do {                                                                                           \
        struct kong_headers headers_;                                                              \
        int error_ = kong_##function(kong, most, &headers_);                                       \
        note_headers(#function, error_, &headers_);                                                \
    } while (0)

static void the_request(struct kong *kong) {
    TEXT(request_get_scheme);
    TEXT(request_get_host);
    NUMBER(int, request_get_port);
    TEXT(request_get_forwarded_scheme);
    TEXT(request_get_forwarded_host);
    NUMBER(int, request_get_forwarded_port);
    NUMBER(double, request_get_http_version);
    TEXT(request_get_method);
    TEXT(request_get_path);
    TEXT(request_get_path_with_query);
    TEXT(request_get_raw_query);
    TEXT(request_get_query_arg, "c");
    TEXT(request_get_query_arg, "none");
    HEADERS(request_get_query, 0);
    HEADERS(request_get_query, 2);
    TEXT(request_get_header, "X-MULTI");
    TEXT(request_get_header, "X-None");
    HEADERS(request_get_headers, 0);
    HEADERS(request_get_headers, 2);
    TEXT(request_get_raw_body, (size_t)100);
    TEXT(request_get_raw_body, (size_t)3);
    struct kong_captures captures;
    int error = kong_request_get_uri_captures(kong, &captures);
    note("captures %d %zu %zu %s %s\n", error, captures.unnamed.count, captures.named_count,
         captures.unnamed.count > 1 ? captures.unnamed.items[1].data : "",
         captures.named_count > 0 ? captures.named[0].value.data : "");
}

static void the_client(struct kong *kong) {
    struct kong_consumer consumer;
    struct kong_credential credential;
    bool trusted = false;
    TEXT(client_get_ip);
    TEXT(client_get_forwarded_ip);
    NUMBER(int, client_get_port);
    NUMBER(int, client_get_forwarded_port);
    TEXT(client_get_protocol, false);
    int error = kong_client_get_consumer(kong, &consumer);
    note("consumer %d %s\n", error, shown(consumer.id));
    error = kong_client_get_credential(kong, &credential);
    note("credential %d %s\n", error, shown(credential.id));
    error = kong_client_load_consumer(kong, "ann", true, &consumer);
    note("loaded %d %s %s %lld %zu\n", error, shown(consumer.id), shown(consumer.username),
         (long long)consumer.created_at, consumer.tags.count);
    credential = (struct kong_credential){.id = kong_str("key-1"), .consumer_id = consumer.id};
    DO(client_authenticate, &consumer, &credential);
    error = kong_client_get_consumer(kong, &consumer);
    note("consumer %d %s\n", error, shown(consumer.username));
    error = kong_client_get_credential(kong, &credential);
    note("credential %d %s\n", error, shown(credential.id));
    error = kong_ip_is_trusted(kong, "10.1.1.1", &trusted);
    note("trusted %d %d\n", error, trusted);
    error = kong_ip_is_trusted(kong, "11.1.1.1", &trusted);
    note("trusted %d %d\n", error, trusted);
}

static void the_node(struct kong *kong) {
    struct kong_route route;
    struct kong_service service;
    struct kong_memory_stats stats;
    int error = kong_router_get_route(kong, &route);
    note("route %d %s %s %zu %s %d %d %s\n", error, shown(route.id), shown(route.name),
         route.protocols.count, route.paths.items[0].data, route.strip_path,
         route.https_redirect_status_code, shown(route.service_id));
    error = kong_router_get_service(kong, &service);
    note("service %d %s %s %d %s %d %d\n", error, shown(service.name), shown(service.host),
         service.port, shown(service.path), service.retries, service.read_timeout);
    TEXT(node_get_id);
    error = kong_node_get_memory_stats(kong, &stats);
    note("memory %d %d %lld\n", error, stats.dict_count >= 2,
         (long long)stats.workers[0].http_allocated_gc);
    TEXT(nginx_get_var, "request_uri");
    TEXT(nginx_get_var, "no_such_variable");
    TEXT(nginx_get_subsystem);
    TEXT(nginx_get_tls1_version_str);
    NUMBER(double, nginx_req_start_time);
}

static void the_contexts(struct kong *kong) {
    struct kong_value items[] = {kong_integer(1), kong_string("two"), kong_number(2.5)};
    struct kong_pair pair = kong_pair("list", kong_list(items, 3));
    struct kong_value value;
    DO(ctx_shared_set, "map", kong_map(&pair, 1));
    DO(nginx_set_ctx, "text", kong_string("t"));
    int error = kong_ctx_shared_get(kong, "map", &value);
    const struct kong_value *list = kong_map_get(&value, "list");
    double number = 0;
    bool is_number =
        list != NULL && list->list.count == 3 && kong_to_number(&list->list.items[2], &number);
    note("shared %d %d %.1f\n", error, is_number, number);
    error = kong_ctx_shared_get(kong, "none", &value);
    note("shared %d %d\n", error, value.type);
    error = kong_nginx_get_ctx(kong, "text", &value);
    note("ctx %d %s\n", error, shown(kong_to_str(&value)));
}

static void the_upstream(struct kong *kong) {
    struct kong_value list[] = {kong_string("a"), kong_string("b")};
    struct kong_pair query[] = {kong_pair("q", kong_list(list, 2)),
                                kong_pair("f", kong_boolean(true))};
    struct kong_pair headers[] = {kong_pair("X-S1", kong_string("s")),
                                  kong_pair("X-S2", kong_list(list, 2))};
    DO(service_request_set_scheme, "https");
    DO(service_request_set_path, "/new path");
    DO(service_request_set_method, "PUT");
    DO(service_request_set_raw_query, "raw=1");
    TEXT(request_get_raw_query);
    DO(service_request_set_query, kong_map(query, 2));
    DO(service_request_set_header, "X-Up", "1");
    DO(service_request_add_header, "X-Up", "2");
    DO(service_request_set_header_value, "X-List", kong_list(list, 2));
    DO(service_request_set_headers, kong_map(headers, 2));
    DO(service_request_clear_header, "X-Multi");
    DO(service_request_set_raw_body, kong_str("new body"));
    DO(service_set_target, "10.9.8.7", 81);
    int error = kong_service_set_upstream(kong, "none");
    note("upstream %s\n", error == 0 ? "ok" : "not there");
}

static void the_logs(struct kong *kong) {
    DO(log_alert, "%s %d", "alert", 1);
    DO(log_crit, "%s", "crit");
    DO(log_err, "%s", "err");
    DO(log_warn, "%s", "warn");
    DO(log_notice, "%s", "notice");
    DO(log_info, "%s", "info");
    DO(log_debug, "%s", "debug");
    DO(log_set_serialize_value, "mine.deep", kong_integer(9));
}

static int in_access(struct kong *kong, const void *config) {
    struct kong_value list[] = {kong_string("p"), kong_string("q")};
    struct kong_pair headers[] = {kong_pair("X-R1", kong_string("r"))};
    (void)config;
    the_request(kong);
    the_client(kong);
    the_node(kong);
    the_contexts(kong);
    the_upstream(kong);
    the_logs(kong);
    DO(response_set_header, "X-One", "1");
    DO(response_add_header, "X-One", "2");
    DO(response_set_header_value, "X-Pair", kong_list(list, 2));
    DO(response_set_headers, kong_map(headers, 1));
    DO(response_set_header, "X-Gone", "soon");
    DO(response_clear_header, "x-gone");
    return KONG_OK;
}

static int in_response(struct kong *kong, const void *config) {
    (void)config;
    NUMBER(int, response_get_status);
    TEXT(response_get_header, "foo");
    TEXT(response_get_header, "none");
    HEADERS(response_get_headers, 0);
    TEXT(response_get_source);
    NUMBER(int, service_response_get_status);
    TEXT(service_response_get_header, "Foo");
    HEADERS(service_response_get_headers, 0);
    TEXT(service_response_get_raw_body, (size_t)100);
    DO(response_set_status, 299);
    return KONG_OK;
}

static int in_log(struct kong *kong, const void *config) {
    struct kong_str json;
    (void)config;
    NUMBER(int, response_get_status);
    TEXT(response_get_source);
    TEXT(request_get_header, "host");
    HEADERS(request_get_headers, 0);
    int error = kong_log_serialize(kong, &json);
    note("serialized %d %d %d\n", error, strstr(shown(json), "\"deep\":9") != NULL,
         strstr(shown(json), "\"status\":299") != NULL);
    return KONG_OK;
}

static const struct kong_plugin plugin = {
    .name = "calls",
    .version = "1.0",
    .priority = 1,
    .handlers = {[KONG_PHASE_ACCESS] = in_access,
                 [KONG_PHASE_RESPONSE] = in_response,
                 [KONG_PHASE_LOG] = in_log},
};

/* What it must have got, whatever the protocol. */
static const char expected[] =
    "request_get_scheme https\n"
    "request_get_host example.com\n"
    "request_get_port 8443\n"
    "request_get_forwarded_scheme https\n"
    "request_get_forwarded_host example.com\n"
    "request_get_forwarded_port 8443\n"
    "request_get_http_version 2\n"
    "request_get_method POST\n"
    "request_get_path /base/x\n"
    "request_get_path_with_query /base/./x?b&c=1&c=2&e=\n"
    "request_get_raw_query b&c=1&c=2&e=\n"
    "request_get_query_arg 1\n"
    "request_get_query_arg nil\n"
    "request_get_query b=<flag> c=1,2 e=\n"
    "request_get_query b=<flag> c=1\n"
    "request_get_header m1\n"
    "request_get_header nil\n"
    "request_get_headers host=Example.com:8443 x-empty= x-multi=m1,m2\n"
    "request_get_headers host=Example.com:8443 x-multi=m1\n"
    "request_get_raw_body body\n"
    "request_get_raw_body too big\n"
    "captures 0 2 1 two named\n"
    "client_get_ip 10.0.0.9\n"
    "client_get_forwarded_ip 10.0.0.9\n"
    "client_get_port 1234\n"
    "client_get_forwarded_port 1234\n"
    "client_get_protocol https\n"
    "consumer 0 nil\n"
    "credential 0 nil\n"
    "loaded 0 7a267194-6123-5ee0-a1c9-4c1559eb0d95 ann 17 2\n"
    "consumer 0 ann\n"
    "credential 0 key-1\n"
    "trusted 0 1\n"
    "trusted 0 0\n"
    "route 0 eeb325b8-afd4-5ba2-a113-c34eeb969c1d r 2 /base 0 426 "
    "7a267194-6123-5ee0-a1c9-4c1559eb0d95\n"
    "service 0 s up 9000 nil 5 60000\n"
    "node_get_id b1f722a9-4f78-4566-b8e6-b865dd02244d\n"
    "memory 0 1 54226945\n"
    "nginx_get_var /base/./x?b&c=1&c=2&e=\n"
    "nginx_get_var nil\n"
    "nginx_get_subsystem http\n"
    "nginx_get_tls1_version_str TLSv1.3\n"
    "nginx_req_start_time 1795374239\n"
    "shared 0 1 2.5\n"
    "shared 0 0\n"
    "ctx 0 t\n"
    "request_get_raw_query raw=1\n"
    "upstream not there\n"
    "response_get_status 200\n"
    "response_get_header bar\n"
    "response_get_header nil\n"
    "response_get_headers connection=keep-alive content-type=text/plain foo=bar x-one=1,2 "
    "x-pair=p,q x-r1=r\n"
    "response_get_source service\n"
    "service_response_get_status 200\n"
    "service_response_get_header bar\n"
    "service_response_get_headers\n"
    "service_response_get_raw_body answer\n"
    "response_get_status 299\n"
    "response_get_source service\n"
    "request_get_header Example.com:8443\n"
    "request_get_headers content-length=8 host=Example.com:8443 x-empty= x-list=a,b x-s1=s "
    "x-s2=a,b x-up=1,2\n"
    "serialized 0 1 1\n";

static void prepare(struct kong_test *test) {
    kong_test_consumers(test, "[{\"id\":\"7a267194-6123-5ee0-a1c9-4c1559eb0d95\","
                              "\"username\":\"ann\",\"created_at\":17,\"tags\":[\"a\",\"b\"]}]");
    kong_test_trusted_ips(test, "[\"10.1.0.0/16\"]");
    kong_test_route(test, "{\"id\":\"eeb325b8-afd4-5ba2-a113-c34eeb969c1d\",\"name\":\"r\","
                          "\"protocols\":[\"http\",\"https\"],\"paths\":[\"/base\"],"
                          "\"strip_path\":false,\"https_redirect_status_code\":426,"
                          "\"service\":{\"id\":\"7a267194-6123-5ee0-a1c9-4c1559eb0d95\"}}");
    kong_test_service(test, "{\"id\":\"7a267194-6123-5ee0-a1c9-4c1559eb0d95\",\"name\":\"s\","
                            "\"host\":\"up\",\"port\":9000,\"protocol\":\"http\",\"retries\":5,"
                            "\"read_timeout\":60000}");
    kong_test_request(test, "POST", "https://Example.com:8443/base/./x?b&c=1&c=2&e=");
    kong_test_request_header(test, "X-Multi", "m1");
    kong_test_request_header(test, "X-Multi", "m2");
    kong_test_request_header(test, "X-Empty", "");
    kong_test_request_body(test, "body", 4);
    kong_test_client(test, "10.0.0.9", 1234);
    kong_test_http_version(test, 2);
    kong_test_captures(test, "{\"unnamed\":[\"one\",\"two\"],\"named\":{\"n\":\"named\"}}");
    kong_test_upstream(test, 200, "answer");
    kong_test_upstream_header(test, "Content-Type", "text/plain");
    kong_test_upstream_header(test, "Foo", "bar");
}

/* Line by line, for a failure that can be read. */
static void compare_notes(void) {
    const char *got = notes;
    const char *wanted = expected;
    while (*wanted != '\0' || *got != '\0') {
        size_t got_len = strcspn(got, "\n");
        size_t wanted_len = strcspn(wanted, "\n");
        if (got_len != wanted_len || memcmp(got, wanted, got_len) != 0) {
            fail_msg("got \"%.*s\", not \"%.*s\"", (int)got_len, got, (int)wanted_len, wanted);
        }
        got += got_len + (got[got_len] != '\0');
        wanted += wanted_len + (wanted[wanted_len] != '\0');
    }
}

static void all_calls(void **state) {
    static const char *const levels[] = {"alert", "crit", "err", "warn", "notice", "info", "debug"};
    struct kong_test *test = NULL;
    char error[256];
    struct kong_test_options options = {.plugin = &plugin, .msgpack = *(bool *)*state};
    assert_int_equal(kong_test_open(&options, &test, error, sizeof error), 0);
    used = 0;
    prepare(test);
    if (kong_test_run(test) != KONG_TEST_OK) {
        fail_msg("%s\n%s", kong_test_error(test), notes);
    }
    compare_notes();
    assert_string_equal(kong_test_sent_scheme(test), "https");
    assert_string_equal(kong_test_sent_method(test), "PUT");
    assert_string_equal(kong_test_sent_path(test), "/new%20path");
    assert_string_equal(kong_test_sent_query(test), "f&q=a&q=b");
    assert_string_equal(kong_test_sent_to(test), "10.9.8.7");
    assert_int_equal(kong_test_sent_port(test), 81);
    assert_string_equal(kong_test_sent_body(test, NULL), "new body");
    assert_string_equal(kong_test_sent_header_at(test, "X-Up", 1), "2");
    assert_string_equal(kong_test_sent_header_at(test, "X-List", 1), "b");
    assert_null(kong_test_sent_header(test, "X-Multi"));
    assert_int_equal(kong_test_response_status(test), 299);
    assert_string_equal(kong_test_response_header_at(test, "X-One", 1), "2");
    assert_null(kong_test_response_header(test, "X-Gone"));
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        const char *level = NULL;
        const char *line = kong_test_log(test, i, &level);
        assert_string_equal(level, levels[i]);
        assert_string_equal(line, i == 0 ? "alert 1" : levels[i]);
    }
    kong_test_close(test);
}

int main(void) {
    static bool protobuf = false;
    static bool msgpack = true;
    const struct CMUnitTest tests[] = {
        {"all_calls protobuf", all_calls, NULL, NULL, &protobuf},
        {"all_calls msgpack", all_calls, NULL, NULL, &msgpack},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
