/* The simulated Kong's PDK against what plugins got from Kong 3.9.1 (the .json files in
 * tests/traces/), and its getters of the request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim_bench.h"
#include "sim_lua.h"
#include "value_equal.h"

/* --- Against the recordings --- */

static struct kong_value read_json(struct sim_bench *bench, const char *name) {
    char path[256];
    const char *directory = getenv("TRACES");
    struct kong_value value;
    snprintf(path, sizeof path, "%s/%s", directory == NULL ? "tests/traces" : directory, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = malloc(65536);
    assert_non_null(text);
    size_t len = fread(text, 1, 65536, file);
    fclose(file);
    assert_true(len > 0 && len < 65536);
    assert_true(json_to_value(&bench->arena, (struct kong_str){text, len}, &value));
    free(text);
    return value;
}

static const struct kong_value *recorded(const struct kong_value *all, const char *key) {
    const struct kong_value *value = value_get(all, key);
    if (value == NULL) {
        fail_msg("nothing recorded for %s", key);
    }
    return value;
}

/* The request of scene 3. */
static void scene(struct sim_bench *bench, const struct kong_value *all) {
    struct sim_pdk *pdk = bench->pdk;
    assert_true(sim_pdk_set_request(
        pdk, "GET", "http://127.0.0.1:8000/x?do=getters&a=1&b&c=x&c=y&e=&h=Foo:bar"));
    assert_true(sim_pdk_add_request_header(pdk, "User-Agent", "curl/7.88.1"));
    assert_true(sim_pdk_add_request_header(pdk, "Accept", "*/*"));
    assert_true(sim_pdk_add_request_header(pdk, "X-Multi", "a"));
    assert_true(sim_pdk_add_request_header(pdk, "X-Multi", "b"));
    assert_true(sim_pdk_add_request_header(pdk, "X-Empty", ""));
    pdk->route = *recorded(all, "router.get_route");
    pdk->service_entity = *recorded(all, "router.get_service");
    pdk->memory_stats = *recorded(all, "node.get_memory_stats");
    pdk->node_id = recorded(all, "node.get_id")->string;
}

/* One recorded getter: its key in the file, and how it is called. */
struct getter {
    const char *key, *name, *args;
};

static void compare_msgpack(struct sim_bench *bench, const struct kong_value *all,
                            const struct getter *getters, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct kong_value sent;
        bool binary = false;
        assert_int_equal(sim_call(bench, getters[i].name, getters[i].args), SIM_RESULT);
        assert_int_equal(lua_to_msgpack(&bench->arena, kong_str(getters[i].name), &bench->result,
                                        &sent, &binary),
                         0);
        if (!value_equal(&sent, recorded(all, getters[i].key))) {
            fail_msg("%s gave %s", getters[i].key, sim_json_of(bench));
        }
    }
}

static void recorded_getters_msgpack(void **state) {
    static const struct getter getters[] = {
        {"request.get_headers", "kong.request.get_headers", "[]"},
        {"request.get_headers(2)", "kong.request.get_headers", "[2]"},
        {"request.get_query", "kong.request.get_query", "[]"},
        {"request.get_header host", "kong.request.get_header", "[\"host\"]"},
        {"request.get_method", "kong.request.get_method", "[]"},
        {"request.get_http_version", "kong.request.get_http_version", "[]"},
        {"request.get_port", "kong.request.get_port", "[]"},
        {"request.get_uri_captures", "kong.request.get_uri_captures", "[]"},
        {"client.get_ip", "kong.client.get_ip", "[]"},
        {"router.get_route", "kong.router.get_route", "[]"},
        {"router.get_service", "kong.router.get_service", "[]"},
        {"node.get_id", "kong.node.get_id", "[]"},
        {"node.get_memory_stats", "kong.node.get_memory_stats", "[]"},
        {"ctx.shared.get", "kong.ctx.shared.get", "[\"k1\"]"},
        {"nginx.get_var", "kong.nginx.get_var", "[\"request_uri\"]"},
        {"nginx.get_subsystem", "kong.nginx.get_subsystem", "[]"},
        {"ip.is_trusted", "kong.ip.is_trusted", "[\"127.0.0.1\"]"},
    };
    struct sim_bench *bench = *state;
    struct kong_value all = read_json(bench, "kong-3.9.1-msgpack-getters.json");
    scene(bench, &all);
    assert_call(bench, "kong.ctx.shared.set", "[\"k1\", {\"a\":[1,2,\"x\"]}]", "null");
    compare_msgpack(bench, &all, getters, LENGTH(getters));
    assert_int_equal(all.map.count, LENGTH(getters));
}

static void recorded_response_getters_msgpack(void **state) {
    static const struct getter getters[] = {
        {"response.get_headers", "kong.response.get_headers", "[]"},
        {"response.get_headers(1)", "kong.response.get_headers", "[1]"},
        {"response.get_header Foo", "kong.response.get_header", "[\"Foo\"]"},
        {"response.get_status", "kong.response.get_status", "[]"},
        {"response.get_source", "kong.response.get_source", "[]"},
        {"service.response.get_status", "kong.service.response.get_status", "[]"},
        {"service.response.get_headers", "kong.service.response.get_headers", "[]"},
        {"service.response.get_header Foo", "kong.service.response.get_header", "[\"Foo\"]"},
        {"request.get_headers", "kong.request.get_headers", "[]"},
    };
    struct sim_bench *bench = *state;
    struct kong_value requests = read_json(bench, "kong-3.9.1-msgpack-getters.json");
    struct kong_value all = read_json(bench, "kong-3.9.1-msgpack-response-getters.json");
    struct sim_pdk *pdk = bench->pdk;
    scene(bench, &requests);
    /* The plugin set X-Trace in access; the rest is the upstream's. */
    assert_call(bench, "kong.response.set_header",
                "[\"X-Trace\", \"eyJyZXF1ZXN0LmdldF9oZWFkZXJzIjp7IngtbXVsdGkiOlsiYSIsImIiXSwi\"]",
                "null");
    static const char *const theirs[][2] = {{"Date", "Sun, 22 Nov 2026 19:01:41 GMT"},
                                            {"Content-Type", "application/json"},
                                            {"Content-Length", "466"},
                                            {"Connection", "keep-alive"},
                                            {"Foo", "bar"}};
    for (size_t i = 0; i < LENGTH(theirs); i++) {
        assert_true(fields_add(&pdk->service.headers, kong_str(theirs[i][0]),
                               kong_str(theirs[i][1]), false));
    }
    pdk->service.status = 200;
    assert_true(sim_pdk_upstream_answered(pdk, true));
    assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_RESPONSE));
    compare_msgpack(bench, &all, getters, LENGTH(getters));
}

/* go-pdk shows a table's single strings as lists, leaves flags out and shows absent fields as
 * zeros: what is compared here are the values it shows as they are. */
static void recorded_getters_protobuf(void **state) {
    static const struct getter getters[] = {
        {"client.get_ip", "kong.client.get_ip", "[]"},
        {"client.get_protocol", "kong.client.get_protocol", "[false]"},
        {"ctx.get_shared k1", "kong.ctx.shared.get", "[\"k1\"]"},
        {"ctx.get_shared nope", "kong.ctx.shared.get", "[\"nope\"]"},
        {"ip.is_trusted", "kong.ip.is_trusted", "[\"127.0.0.1\"]"},
        {"nginx.get_subsystem", "kong.nginx.get_subsystem", "[]"},
        {"nginx.get_var", "kong.nginx.get_var", "[\"request_uri\"]"},
        {"node.get_id", "kong.node.get_id", "[]"},
        {"node.get_memory_stats", "kong.node.get_memory_stats", "[]"},
        {"request.get_header host", "kong.request.get_header", "[\"host\"]"},
        {"request.get_header x-multi", "kong.request.get_header", "[\"x-multi\"]"},
        {"request.get_http_version", "kong.request.get_http_version", "[]"},
        {"request.get_method", "kong.request.get_method", "[]"},
        {"request.get_port", "kong.request.get_port", "[]"},
    };
    struct sim_bench *bench = *state;
    struct kong_value all = read_json(bench, "kong-3.9.1-protobuf-getters.json");
    scene(bench, &all);
    assert_call(bench, "kong.ctx.shared.set", "[\"k1\", \"v1\"]", "null");
    for (size_t i = 0; i < LENGTH(getters); i++) {
        assert_int_equal(sim_call(bench, getters[i].name, getters[i].args), SIM_RESULT);
        if (!value_equal(&bench->result, recorded(&all, getters[i].key))) {
            fail_msg("%s gave %s", getters[i].key, sim_json_of(bench));
        }
    }
}

/* The memory statistics that a fresh state has: what ProtoBuf:1 lets through of them is as
 * recorded. */
static void fresh_memory_stats(void **state) {
    struct sim_bench *bench = *state;
    struct kong_value all = read_json(bench, "kong-3.9.1-protobuf-getters.json");
    struct kong_value sent;
    assert_int_equal(sim_call(bench, "kong.node.get_memory_stats", "[]"), SIM_RESULT);
    assert_true(lua_to_protobuf(&bench->arena,
                                pdk_method_find(kong_str("kong.node.get_memory_stats")),
                                (struct kong_str){NULL, 0}, &bench->result, &sent));
    assert_true(value_equal(&sent, recorded(&all, "node.get_memory_stats")));
}

/* --- The request --- */

static void request_getters(void **state) {
    struct sim_bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_true(sim_pdk_set_request(pdk, "POST",
                                    "https://Example.COM:8443/a%2Fb/%41/./c/../d//e?q=%20x+y&z"));
    assert_call(bench, "kong.request.get_scheme", "[]", "\"https\"");
    assert_call(bench, "kong.request.get_host", "[]", "\"example.com\"");
    assert_call(bench, "kong.request.get_port", "[]", "8443");
    assert_call(bench, "kong.request.get_path", "[]", "\"/a%2Fb/A/d/e\"");
    assert_call(bench, "kong.request.get_raw_path", "[]", "\"/a%2Fb/%41/./c/../d//e\"");
    assert_call(bench, "kong.request.get_path_with_query", "[]",
                "\"/a%2Fb/%41/./c/../d//e?q=%20x+y&z\"");
    assert_call(bench, "kong.request.get_raw_query", "[]", "\"q=%20x+y&z\"");
    assert_call(bench, "kong.request.get_query_arg", "[\"q\"]", "\" x y\"");
    assert_call(bench, "kong.request.get_query_arg", "[\"z\"]", "true");
    assert_call(bench, "kong.request.get_query_arg", "[\"none\"]", "null");
    assert_call(bench, "kong.request.get_query", "[1]", "{\"q\":\" x y\"}");
    assert_call(bench, "kong.nginx.get_tls1_version_str", "[]", "\"TLSv1.3\"");
    assert_call(bench, "kong.nginx.get_var", "[\"arg_Q\"]", "\"%20x+y\"");
    assert_call(bench, "kong.nginx.get_var", "[\"arg_z\"]", "null");
    assert_call(bench, "kong.nginx.get_var", "[\"server_port\"]", "\"8443\"");
    assert_call(bench, "kong.nginx.get_var", "[\"nothing\"]", "null");
    assert_outcome(bench, "kong.request.get_query_arg", "[1]", SIM_RAISED,
                   "query argument name must be a string");
    assert_outcome(bench, "kong.request.get_query", "[0]", SIM_RAISED, "max_args must be >= 1");
    assert_outcome(bench, "kong.request.get_query", "[\"x\"]", SIM_RAISED,
                   "max_args must be a number");
}

static void query_table(void **state) {
    struct sim_bench *bench = *state;
    assert_true(sim_pdk_set_request(bench->pdk, "GET", "/?c=x&b&c=y&e=&=lost&c&%63=%7a&p=1%2"));
    assert_call(bench, "kong.request.get_query", "[]",
                "{\"c\":[\"x\",\"y\",true,\"z\"],\"b\":true,\"e\":\"\",\"p\":\"1%2\"}");
    assert_call(bench, "kong.request.get_query", "[3]", "{\"c\":[\"x\",\"y\"],\"b\":true}");
}

static void request_headers(void **state) {
    struct sim_bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_true(sim_pdk_add_request_header(pdk, "X-One", "1"));
    assert_true(sim_pdk_add_request_header(pdk, "x-one", "2"));
    assert_call(bench, "kong.request.get_header", "[\"X-ONE\"]", "\"1\"");
    assert_call(bench, "kong.request.get_header", "[\"x_one\"]", "\"1\"");
    assert_call(bench, "kong.request.get_header", "[\"x-two\"]", "null");
    assert_call(bench, "kong.request.get_headers", "[]",
                "{\"host\":\"localhost:8000\",\"x-one\":[\"1\",\"2\"]}");
    assert_call(bench, "kong.request.get_headers", "[2]",
                "{\"host\":\"localhost:8000\",\"x-one\":\"1\"}");
    assert_call(bench, "kong.nginx.get_var", "[\"http_x_one\"]", "\"1, 2\"");
    assert_outcome(bench, "kong.request.get_header", "[]", SIM_RAISED,
                   "header name must be a string");
    assert_outcome(bench, "kong.request.get_headers", "[0]", SIM_RAISED,
                   "max_headers must be >= 1");
    assert_outcome(bench, "kong.request.get_headers", "[1001]", SIM_RAISED,
                   "max_headers must be <= 1000");
    assert_call(bench, "kong.request.get_headers", "[1000]",
                "{\"host\":\"localhost:8000\",\"x-one\":[\"1\",\"2\"]}");
}

/* 100 headers unless told. */
static void max_headers_default(void **state) {
    struct sim_bench *bench = *state;
    for (int i = 0; i < 150; i++) {
        char name[16];
        snprintf(name, sizeof name, "x-%d", i);
        assert_true(sim_pdk_add_request_header(bench->pdk, name, "v"));
    }
    assert_int_equal(sim_call(bench, "kong.request.get_headers", "[]"), SIM_RESULT);
    assert_int_equal(bench->result.map.count, 100);
    assert_int_equal(sim_call(bench, "kong.request.get_headers", "[1000]"), SIM_RESULT);
    assert_int_equal(bench->result.map.count, 151);
}

static void forwarded(void **state) {
    struct sim_bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_true(sim_pdk_add_request_header(pdk, "X-Forwarded-Proto", "HTTPS"));
    assert_true(sim_pdk_add_request_header(pdk, "X-Forwarded-Host", "me@Example.com:99"));
    assert_true(sim_pdk_add_request_header(pdk, "X-Forwarded-Path", "/before"));
    assert_call(bench, "kong.request.get_forwarded_scheme", "[]", "\"http\"");
    assert_call(bench, "kong.request.get_forwarded_host", "[]", "\"localhost\"");
    assert_call(bench, "kong.request.get_forwarded_port", "[]", "8000");
    assert_call(bench, "kong.request.get_forwarded_path", "[]", "\"/\"");
    assert_true(sim_pdk_set_json(pdk, &pdk->trusted_ips, "[\"10.0.0.0/8\",\"127.0.0.0/9\"]"));
    assert_call(bench, "kong.request.get_forwarded_scheme", "[]", "\"https\"");
    assert_call(bench, "kong.request.get_forwarded_host", "[]", "\"example.com\"");
    assert_call(bench, "kong.request.get_forwarded_port", "[]", "99");
    assert_call(bench, "kong.request.get_forwarded_path", "[]", "\"/before\"");
    assert_true(sim_pdk_add_request_header(pdk, "X-Forwarded-Port", "7"));
    assert_call(bench, "kong.request.get_forwarded_port", "[]", "7");
}

static void trusted_addresses(void **state) {
    struct sim_bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_call(bench, "kong.ip.is_trusted", "[\"10.1.2.3\"]", "false");
    assert_true(sim_pdk_set_json(pdk, &pdk->trusted_ips,
                                 "[\"10.16.0.0/12\",\"2001:db8::/33\",\"192.168.7.9\"]"));
    assert_call(bench, "kong.ip.is_trusted", "[\"10.31.255.255\"]", "true");
    assert_call(bench, "kong.ip.is_trusted", "[\"10.32.0.0\"]", "false");
    assert_call(bench, "kong.ip.is_trusted", "[\"192.168.7.9\"]", "true");
    assert_call(bench, "kong.ip.is_trusted", "[\"192.168.7.8\"]", "false");
    assert_call(bench, "kong.ip.is_trusted", "[\"2001:db8:7fff::1\"]", "true");
    assert_call(bench, "kong.ip.is_trusted", "[\"2001:db8:8000::1\"]", "false");
    assert_call(bench, "kong.ip.is_trusted", "[\"nonsense\"]", "false");
}

static void bodies(void **state) {
    struct sim_bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    char *large = malloc(20000);
    assert_non_null(large);
    memset(large, 'x', 20000);
    assert_call(bench, "kong.request.get_raw_body", "[]", "\"\"");
    assert_true(sim_pdk_set_request_body(pdk, "\0\1\xff\xfe", 4));
    assert_int_equal(sim_call(bench, "kong.request.get_raw_body", "[]"), SIM_RESULT);
    assert_int_equal(bench->result.string.len, 4);
    assert_memory_equal(bench->result.string.data, "\0\1\xff\xfe", 4);
    /* At the buffer's size it is in memory; above it, in a file. */
    assert_true(sim_pdk_set_request_body(pdk, large, 8192));
    assert_int_equal(sim_call(bench, "kong.request.get_raw_body", "[]"), SIM_RESULT);
    assert_int_equal(bench->result.type, KONG_STRING);
    assert_true(sim_pdk_set_request_body(pdk, large, 20000));
    assert_int_equal(sim_call(bench, "kong.request.get_raw_body", "[]"), SIM_RESULT);
    const struct kong_value *path = value_get(&bench->result, "body_filepath");
    assert_non_null(path);
    FILE *file = fopen(path->string.data, "r");
    assert_non_null(file);
    char *read_back = malloc(20001);
    assert_non_null(read_back);
    assert_int_equal(fread(read_back, 1, 20001, file), 20000);
    assert_memory_equal(read_back, large, 20000);
    fclose(file);
    assert_int_equal(sim_call(bench, "kong.request.get_raw_body", "[0]"), SIM_RESULT);
    assert_int_equal(bench->result.string.len, 20000);
    assert_outcome(bench, "kong.request.get_raw_body", "[100]", SIM_FAILED,
                   "request body file too big: 20000 > 100");
    char *gone = strdup(pdk->body_file);
    assert_true(sim_pdk_reset(pdk));
    assert_int_equal(access(gone, F_OK), -1);
    free(gone);
    free(read_back);
    free(large);
}

static void decoded_bodies(void **state) {
    struct sim_bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    static const char parts[] = "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n"
                                "--XX\r\nContent-Disposition: form-data; name=\"b\"\r\n"
                                "Content-Type: text/plain\r\n\r\ntwo\r\nlines\r\n--XX--\r\n";
    assert_outcome(bench, "kong.request.get_body", "[]", SIM_FAILED, "missing content type");
    assert_true(sim_pdk_set_request_body(pdk, "{\"a\":[1,null]}", 14));
    assert_call(bench, "kong.request.get_body", "[\"application/json\"]", "{\"a\":[1,null]}");
    assert_true(sim_pdk_add_request_header(pdk, "Content-Type", "APPLICATION/JSON; charset=utf-8"));
    assert_call(bench, "kong.request.get_body", "[]", "{\"a\":[1,null]}");
    assert_true(sim_pdk_set_request_body(pdk, "7", 1));
    assert_outcome(bench, "kong.request.get_body", "[]", SIM_FAILED, "invalid json body");
    assert_true(sim_pdk_set_request_body(pdk, "a=1&b=%20&a=2", 13));
    assert_call(bench, "kong.request.get_body", "[\"application/x-www-form-urlencoded\"]",
                "{\"a\":[\"1\",\"2\"],\"b\":\" \"}");
    assert_true(sim_pdk_set_request_body(pdk, parts, sizeof parts - 1));
    assert_call(bench, "kong.request.get_body", "[\"multipart/form-data; boundary=XX\"]",
                "{\"a\":\"one\",\"b\":\"two\\r\\nlines\"}");
    assert_outcome(bench, "kong.request.get_body", "[\"image/png\"]", SIM_FAILED,
                   "unsupported content type 'image/png'");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SIM_TEST(recorded_getters_msgpack),
        SIM_TEST(recorded_response_getters_msgpack),
        SIM_TEST(recorded_getters_protobuf),
        SIM_TEST(fresh_memory_stats),
        SIM_TEST(request_getters),
        SIM_TEST(query_table),
        SIM_TEST(request_headers),
        SIM_TEST(max_headers_default),
        SIM_TEST(forwarded),
        SIM_TEST(trusted_addresses),
        SIM_TEST(bodies),
        SIM_TEST(decoded_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
