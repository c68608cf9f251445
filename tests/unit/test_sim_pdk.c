/* The simulated Kong's PDK: against what plugins got from Kong 3.9.1 (the .json files in
 * tests/traces/), and function by function. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim_json.h"
#include "sim_lua.h"
#include "sim_pdk.h"
#include "value.h"

struct bench {
    struct sim_pdk *pdk;
    struct arena arena;
    struct kong_value result;
};

static int setup(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    arena_init(&bench->arena, (size_t)16 << 20);
    bench->pdk = sim_pdk_create();
    assert_non_null(bench->pdk);
    *state = bench;
    return 0;
}

static int teardown(void **state) {
    struct bench *bench = *state;
    sim_pdk_destroy(bench->pdk);
    arena_free(&bench->arena);
    free(bench);
    return 0;
}

/* Calls a function; args is a JSON list. */
static int call(struct bench *bench, const char *name, const char *args) {
    struct kong_value list;
    assert_true(json_to_value(&bench->arena, kong_str(args), &list));
    return sim_pdk_call(bench->pdk, NULL, kong_str(name), list.list.items, list.list.count,
                        &bench->arena, &bench->result);
}

static const char *json_of(struct bench *bench) {
    struct kong_str text = json_from_value(&bench->arena, &bench->result);
    assert_non_null(text.data);
    return text.data;
}

#define assert_call(bench, name, args, json)                                                       \
    do {                                                                                           \
        assert_int_equal(call(bench, name, args), SIM_RESULT);                                     \
        struct kong_value expected_;                                                               \
        assert_true(json_to_value(&(bench)->arena, kong_str(json), &expected_));                   \
        if (!value_equal(&(bench)->result, &expected_)) {                                          \
            fail_msg("%s%s gave %s, not %s", name, args, json_of(bench), json);                    \
        }                                                                                          \
    } while (0)

#define assert_outcome(bench, name, args, outcome, text)                                           \
    do {                                                                                           \
        assert_int_equal(call(bench, name, args), outcome);                                        \
        assert_int_equal((bench)->result.type, KONG_STRING);                                       \
        assert_string_equal((bench)->result.string.data, text);                                    \
    } while (0)

/* --- Against the recordings --- */

static struct kong_value read_json(struct bench *bench, const char *name) {
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
static void scene(struct bench *bench, const struct kong_value *all) {
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

static void compare_msgpack(struct bench *bench, const struct kong_value *all,
                            const struct getter *getters, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct kong_value sent;
        bool binary = false;
        assert_int_equal(call(bench, getters[i].name, getters[i].args), SIM_RESULT);
        assert_int_equal(lua_to_msgpack(&bench->arena, kong_str(getters[i].name), &bench->result,
                                        &sent, &binary),
                         0);
        if (!value_equal(&sent, recorded(all, getters[i].key))) {
            fail_msg("%s gave %s", getters[i].key, json_of(bench));
        }
    }
}

#define LENGTH(array) (sizeof(array) / sizeof *(array))

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
    struct bench *bench = *state;
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
    struct bench *bench = *state;
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
    struct bench *bench = *state;
    struct kong_value all = read_json(bench, "kong-3.9.1-protobuf-getters.json");
    scene(bench, &all);
    assert_call(bench, "kong.ctx.shared.set", "[\"k1\", \"v1\"]", "null");
    for (size_t i = 0; i < LENGTH(getters); i++) {
        assert_int_equal(call(bench, getters[i].name, getters[i].args), SIM_RESULT);
        if (!value_equal(&bench->result, recorded(&all, getters[i].key))) {
            fail_msg("%s gave %s", getters[i].key, json_of(bench));
        }
    }
}

/* The memory statistics that a fresh state has are those of the ProtoBuf recording. */
static void fresh_memory_stats(void **state) {
    struct bench *bench = *state;
    struct kong_value all = read_json(bench, "kong-3.9.1-protobuf-getters.json");
    assert_int_equal(call(bench, "kong.node.get_memory_stats", "[]"), SIM_RESULT);
    assert_true(value_equal(&bench->result, recorded(&all, "node.get_memory_stats")));
}

/* --- The request --- */

static void request_getters(void **state) {
    struct bench *bench = *state;
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
    assert_call(bench, "kong.nginx.get_var", "[\"arg_q\"]", "\" x y\"");
    assert_call(bench, "kong.nginx.get_var", "[\"server_port\"]", "\"8443\"");
    assert_call(bench, "kong.nginx.get_var", "[\"nothing\"]", "null");
    assert_outcome(bench, "kong.request.get_query_arg", "[1]", SIM_RAISED,
                   "query argument name must be a string");
    assert_outcome(bench, "kong.request.get_query", "[0]", SIM_RAISED, "max_args must be >= 1");
    assert_outcome(bench, "kong.request.get_query", "[\"x\"]", SIM_RAISED,
                   "max_args must be a number");
}

static void query_table(void **state) {
    struct bench *bench = *state;
    assert_true(sim_pdk_set_request(bench->pdk, "GET", "/?c=x&b&c=y&e=&=lost&c&%63=%7a&p=1%2"));
    assert_call(bench, "kong.request.get_query", "[]",
                "{\"c\":[\"x\",\"y\",true,\"z\"],\"b\":true,\"e\":\"\",\"p\":\"1%2\"}");
    assert_call(bench, "kong.request.get_query", "[3]", "{\"c\":[\"x\",\"y\"],\"b\":true}");
}

static void request_headers(void **state) {
    struct bench *bench = *state;
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
    struct bench *bench = *state;
    for (int i = 0; i < 150; i++) {
        char name[16];
        snprintf(name, sizeof name, "x-%d", i);
        assert_true(sim_pdk_add_request_header(bench->pdk, name, "v"));
    }
    assert_int_equal(call(bench, "kong.request.get_headers", "[]"), SIM_RESULT);
    assert_int_equal(bench->result.map.count, 100);
    assert_int_equal(call(bench, "kong.request.get_headers", "[1000]"), SIM_RESULT);
    assert_int_equal(bench->result.map.count, 151);
}

static void forwarded(void **state) {
    struct bench *bench = *state;
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
    struct bench *bench = *state;
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
    struct bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    char *large = malloc(20000);
    assert_non_null(large);
    memset(large, 'x', 20000);
    assert_call(bench, "kong.request.get_raw_body", "[]", "\"\"");
    assert_true(sim_pdk_set_request_body(pdk, "\0\1\xff\xfe", 4));
    assert_int_equal(call(bench, "kong.request.get_raw_body", "[]"), SIM_RESULT);
    assert_int_equal(bench->result.string.len, 4);
    assert_memory_equal(bench->result.string.data, "\0\1\xff\xfe", 4);
    /* At the buffer's size it is in memory; above it, in a file. */
    assert_true(sim_pdk_set_request_body(pdk, large, 8192));
    assert_int_equal(call(bench, "kong.request.get_raw_body", "[]"), SIM_RESULT);
    assert_int_equal(bench->result.type, KONG_STRING);
    assert_true(sim_pdk_set_request_body(pdk, large, 20000));
    assert_int_equal(call(bench, "kong.request.get_raw_body", "[]"), SIM_RESULT);
    const struct kong_value *path = value_get(&bench->result, "body_filepath");
    assert_non_null(path);
    FILE *file = fopen(path->string.data, "r");
    assert_non_null(file);
    char *read_back = malloc(20001);
    assert_non_null(read_back);
    assert_int_equal(fread(read_back, 1, 20001, file), 20000);
    assert_memory_equal(read_back, large, 20000);
    fclose(file);
    assert_int_equal(call(bench, "kong.request.get_raw_body", "[0]"), SIM_RESULT);
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
    struct bench *bench = *state;
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

/* --- The request to the upstream --- */

static void upstream_headers(void **state) {
    struct bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_call(bench, "kong.service.request.set_header", "[\"X-A\", 1]", "null");
    assert_call(bench, "kong.service.request.add_header", "[\"x-a\", \"two\"]", "null");
    assert_call(bench, "kong.request.get_headers", "[]",
                "{\"host\":\"localhost:8000\",\"x-a\":[\"1\",\"two\"]}");
    assert_call(bench, "kong.service.request.set_header", "[\"x-A\", [\"p\",\"\"]]", "null");
    assert_call(bench, "kong.service.request.set_headers", "[{\"Host\":\"up\",\"X-B\":true}]",
                "null");
    assert_call(bench, "kong.request.get_headers", "[]",
                "{\"host\":\"up\",\"x-a\":[\"p\",\" \"],\"x-b\":\"true\"}");
    assert_string_equal(pdk->upstream.host_header.data, "up");
    assert_call(bench, "kong.service.request.clear_header", "[\"X_a\"]", "null");
    assert_null(headers_find(&pdk->request.headers, kong_str("X-A")));
    assert_outcome(bench, "kong.service.request.set_header", "[\"X\", null]", SIM_RAISED,
                   "invalid header value for \"X\": got nil, expected array of string, string, "
                   "number or boolean");
    assert_outcome(bench, "kong.service.request.set_header", "[1, \"x\"]", SIM_RAISED,
                   "invalid header name \"1\": got number, expected string");
    assert_outcome(bench, "kong.service.request.add_header", "[\"X\", [\"a\", 1]]", SIM_RAISED,
                   "invalid header value in array \"X\": got number, expected string");
    assert_outcome(bench, "kong.service.request.set_headers", "[3]", SIM_RAISED,
                   "headers must be a table");
}

static void upstream_line(void **state) {
    struct bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_call(bench, "kong.service.request.set_path", "[\"/a b/\\u00e4%20\"]", "null");
    assert_string_equal(pdk->upstream.path.data, "/a%20b/%C3%A4%20");
    assert_outcome(bench, "kong.service.request.set_path", "[\"a\"]", SIM_RAISED,
                   "path must start with /");
    assert_call(bench, "kong.service.request.set_query",
                "[{\"b\":[1,\"x y\",true],\"a\":true,\"c\":\"&\",\"d\":false}]", "null");
    assert_call(bench, "kong.request.get_raw_query", "[]", "\"&a&b=1&b=x%20y&b&c=%26\"");
    assert_outcome(bench, "kong.service.request.set_query", "[{\"b\":{\"c\":1}}]", SIM_RAISED,
                   "attempt to use table as query arg value");
    assert_call(bench, "kong.service.request.set_raw_query", "[\"a=1+2&b=2&a&%61=3\"]", "null");
    assert_call(bench, "kong.service.request.clear_query_arg", "[\"b\"]", "null");
    assert_call(bench, "kong.request.get_raw_query", "[]", "\"a=1%202&a&%61=3\"");
    assert_call(bench, "kong.service.request.clear_query_arg", "[\"a\"]", "null");
    assert_call(bench, "kong.request.get_raw_query", "[]", "\"\"");
    assert_call(bench, "kong.service.request.set_method", "[\"PATCH\"]", "null");
    assert_call(bench, "kong.request.get_method", "[]", "\"PATCH\"");
    assert_outcome(bench, "kong.service.request.set_method", "[\"patch\"]", SIM_RAISED,
                   "invalid method: patch");
    assert_call(bench, "kong.service.request.set_scheme", "[\"https\"]", "null");
    assert_string_equal(pdk->upstream.scheme.data, "https");
    assert_outcome(bench, "kong.service.request.set_scheme", "[\"ftp\"]", SIM_RAISED,
                   "invalid scheme: ftp");
}

static void upstream_target(void **state) {
    struct bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_call(bench, "kong.service.set_target", "[\"10.0.0.1\", 81]", "null");
    assert_string_equal(pdk->upstream.host.data, "10.0.0.1");
    assert_int_equal(pdk->upstream.port, 81);
    assert_outcome(bench, "kong.service.set_target", "[\"h\", 65536]", SIM_RAISED,
                   "port must be an integer between 0 and 65535: given 65536");
    assert_outcome(bench, "kong.service.set_target", "[\"h\", 1.5]", SIM_RAISED,
                   "port must be an integer");
    assert_outcome(bench, "kong.service.set_upstream", "[\"none\"]", SIM_FAILED,
                   "could not find an Upstream named 'none'");
    assert_true(sim_pdk_set_json(pdk, &pdk->upstreams, "[\"blue\"]"));
    assert_call(bench, "kong.service.set_upstream", "[\"blue\"]", "true");
    assert_string_equal(pdk->upstream.host.data, "blue");
    assert_call(bench, "kong.service.set_timeouts", "[1, 2, 3]", "null");
    assert_int_equal(pdk->upstream.read_timeout, 3);
    assert_outcome(bench, "kong.service.set_timeouts", "[1, 0, 3]", SIM_RAISED,
                   "write_timeout must be an integer between 1 and 2147483646: given 0");
    assert_call(bench, "kong.service.set_retries", "[4]", "null");
    assert_int_equal(pdk->upstream.retries, 4);
    assert_call(bench, "kong.service.set_tls_verify", "[true]", "true");
    assert_int_equal(pdk->upstream.tls_verify, 1);
    assert_call(bench, "kong.service.set_tls_verify_depth", "[2]", "true");
    assert_int_equal(pdk->upstream.tls_verify_depth, 2);
}

static void upstream_body(void **state) {
    struct bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_call(bench, "kong.service.request.set_raw_body", "[\"raw\"]", "null");
    assert_call(bench, "kong.request.get_raw_body", "[]", "\"raw\"");
    assert_outcome(bench, "kong.service.request.set_body", "[{\"a\":1}]", SIM_FAILED,
                   "content type was neither explicitly given as an argument or received as a "
                   "header");
    assert_call(bench, "kong.service.request.set_body", "[{\"a\":1}, \"application/json\"]",
                "true");
    assert_string_equal(pdk->request.body.data, "{\"a\":1}");
    assert_call(bench, "kong.request.get_header", "[\"content-type\"]", "\"application/json\"");
    assert_call(bench, "kong.service.request.set_body",
                "[{\"b\":\"x y\",\"a\":[1,2]}, \"application/x-www-form-urlencoded\"]", "true");
    assert_string_equal(pdk->request.body.data, "a=1&a=2&b=x%20y");
    assert_call(bench, "kong.service.request.set_body",
                "[{\"b\":\"2\",\"a\":\"1\"}, \"multipart/form-data; boundary=\\\"Q\\\"\"]", "true");
    assert_string_equal(pdk->request.body.data,
                        "--Q\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n"
                        "--Q\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n2\r\n--Q--\r\n");
    assert_outcome(bench, "kong.service.request.set_body", "[{}, \"text/plain\"]", SIM_RAISED,
                   "unsupported content type text/plain");
}

static void routing(void **state) {
    struct bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_true(sim_pdk_set_request(pdk, "GET", "/v1/users/1?x=2"));
    assert_true(sim_pdk_set_json(pdk, &pdk->service_entity,
                                 "{\"protocol\":\"https\",\"host\":\"up.example\",\"port\":8443,"
                                 "\"path\":\"/base/\"}"));
    assert_true(sim_pdk_set_json(pdk, &pdk->route,
                                 "{\"paths\":[\"/v\",\"/v1\"],"
                                 "\"strip_path\":true}"));
    assert_call(bench, "kong.request.get_forwarded_prefix", "[]", "\"/v1\"");
    assert_true(sim_pdk_route(pdk));
    assert_string_equal(pdk->upstream.path.data, "/base/users/1");
    assert_string_equal(pdk->upstream.scheme.data, "https");
    assert_string_equal(pdk->upstream.host_header.data, "up.example");
    assert_int_equal(pdk->upstream.port, 8443);
    assert_true(sim_pdk_reset(pdk));
    assert_true(sim_pdk_set_request(pdk, "GET", "/v1/users/1"));
    assert_true(sim_pdk_set_json(pdk, &pdk->route,
                                 "{\"paths\":[\"/v1\"],\"strip_path\":false,"
                                 "\"preserve_host\":true}"));
    assert_true(sim_pdk_route(pdk));
    assert_string_equal(pdk->upstream.path.data, "/v1/users/1");
    assert_string_equal(pdk->upstream.host_header.data, "localhost:8000");
}

/* --- The response --- */

static void response_headers(void **state) {
    struct bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_call(bench, "kong.response.set_header", "[\"X-A\", \"1\"]", "null");
    assert_call(bench, "kong.response.add_header", "[\"x-a\", [\"2\",\"3\"]]", "null");
    assert_call(bench, "kong.response.set_headers", "[{\"X-B\":[\"p\",\"q\"],\"X-C\":1.5}]",
                "null");
    assert_call(bench, "kong.response.set_header", "[\"Transfer-Encoding\", \"x\"]", "null");
    assert_int_equal(pdk->log_count, 1);
    assert_string_equal(pdk->logs[0].text.data, "manually setting Transfer-Encoding. Ignored.");
    assert_string_equal(pdk->logs[0].level.data, "warn");
    assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_HEADER_FILTER));
    assert_call(bench, "kong.response.get_headers", "[]",
                "{\"x-a\":[\"1\",\"2\",\"3\"],\"x-b\":[\"p\",\"q\"],\"x-c\":\"1.5\","
                "\"connection\":\"keep-alive\"}");
    assert_call(bench, "kong.response.get_header", "[\"X_A\"]", "\"1\"");
    assert_call(bench, "kong.response.clear_header", "[\"X-a\"]", "null");
    assert_call(bench, "kong.response.get_header", "[\"X-A\"]", "null");
    assert_call(bench, "kong.response.set_status", "[418]", "null");
    assert_call(bench, "kong.response.get_status", "[]", "418");
    assert_outcome(bench, "kong.response.set_status", "[99]", SIM_RAISED,
                   "code must be a number between 100 and 599");
    assert_outcome(bench, "kong.response.set_status", "[600]", SIM_RAISED,
                   "code must be a number between 100 and 599");
    assert_outcome(bench, "kong.response.set_header", "[\"X\"]", SIM_RAISED,
                   "invalid header value for \"X\": got nil, expected array of string, string, "
                   "number or boolean");
}

/* Streamed: ours, then theirs. Buffered: theirs in the place of ours. */
static void upstream_answers(void **state) {
    struct bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    for (int buffered = 0; buffered < 2; buffered++) {
        assert_true(sim_pdk_reset(pdk));
        assert_call(bench, "kong.response.set_header", "[\"Version\", \"ours\"]", "null");
        pdk->service.status = 201;
        pdk->service.body = kong_str("[]");
        assert_true(
            fields_add(&pdk->service.headers, kong_str("version"), kong_str("theirs"), false));
        assert_true(fields_add(&pdk->service.headers, kong_str("Content-Type"),
                               kong_str("application/json"), false));
        assert_true(sim_pdk_upstream_answered(pdk, buffered == 1));
        assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_RESPONSE));
        assert_call(bench, "kong.response.get_status", "[]", "201");
        assert_call(bench, "kong.response.get_source", "[]", "\"service\"");
        assert_call(bench, "kong.response.get_header", "[\"Version\"]",
                    buffered == 1 ? "\"theirs\"" : "\"ours\"");
        assert_int_equal(pdk->client.headers.count, buffered == 1 ? 2 : 3);
        assert_call(bench, "kong.service.response.get_header", "[\"Version\"]", "\"theirs\"");
        if (buffered == 1) {
            assert_call(bench, "kong.service.response.get_headers", "[]", "{}");
            assert_call(bench, "kong.service.response.get_raw_body", "[]", "\"[]\"");
            assert_call(bench, "kong.service.response.get_body", "[]", "[]");
        } else {
            assert_outcome(bench, "kong.service.response.get_raw_body", "[]", SIM_RAISED,
                           "service body is only available with buffered proxying (see: "
                           "kong.service.request.enable_buffering function)");
        }
    }
}

static void exits(void **state) {
    struct bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_int_equal(call(bench, "kong.response.exit",
                          "[403, \"denied\", {\"X-Deny\":[\"yes\"],\"Version\":\"0.1\"}]"),
                     SIM_EXITED);
    assert_true(pdk->exited);
    assert_int_equal(pdk->client.status, 403);
    assert_string_equal(pdk->client.body.data, "denied");
    assert_string_equal(headers_find(&pdk->client.headers, kong_str("x-deny"))->value.data, "yes");
    assert_string_equal(headers_find(&pdk->client.headers, kong_str("content-length"))->value.data,
                        "6");
    assert_null(headers_find(&pdk->client.headers, kong_str("content-type")));
    assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_LOG));
    assert_call(bench, "kong.response.get_source", "[]", "\"exit\"");
    assert_true(sim_pdk_reset(pdk));
    assert_int_equal(call(bench, "kong.response.exit", "[200, {\"a\":1}]"), SIM_EXITED);
    assert_string_equal(pdk->client.body.data, "{\"a\":1}");
    assert_string_equal(headers_find(&pdk->client.headers, kong_str("content-type"))->value.data,
                        "application/json; charset=utf-8");
    assert_true(sim_pdk_reset(pdk));
    assert_outcome(bench, "kong.response.exit", "[\"200\"]", SIM_RAISED, "code must be a number");
    assert_outcome(bench, "kong.response.exit", "[200, 7]", SIM_RAISED,
                   "body must be a nil, string or table");
    assert_outcome(bench, "kong.response.exit", "[200, \"\", 7]", SIM_RAISED,
                   "headers must be a nil or table");
    assert_false(pdk->exited);
}

static void errors(void **state) {
    struct bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_int_equal(call(bench, "kong.response.error", "[404]"), SIM_EXITED);
    assert_string_equal(pdk->client.body.data,
                        "{\n  \"message\":\"Not found\",\n  \"request_id\":\"\"\n}");
    assert_true(sim_pdk_reset(pdk));
    assert_true(sim_pdk_add_request_header(pdk, "Accept", "text/plain"));
    assert_int_equal(call(bench, "kong.response.error", "[503, \"later\"]"), SIM_EXITED);
    assert_string_equal(pdk->client.body.data, "later\nrequest_id: \n");
    assert_outcome(bench, "kong.response.error", "[399]", SIM_RAISED,
                   "code must be a number between 400 and 599");
}

/* --- The rest --- */

static void clients(void **state) {
    struct bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_call(bench, "kong.client.get_consumer", "[]", "null");
    assert_true(sim_pdk_set_json(pdk, &pdk->consumers,
                                 "[{\"id\":\"7a267194-6123-5ee0-a1c9-4c1559eb0d95\","
                                 "\"username\":\"ann\"}]"));
    assert_call(bench, "kong.client.load_consumer", "[\"ann\", true]",
                "{\"id\":\"7a267194-6123-5ee0-a1c9-4c1559eb0d95\",\"username\":\"ann\"}");
    assert_call(bench, "kong.client.load_consumer", "[\"7a267194-6123-5ee0-a1c9-4c1559eb0d95\"]",
                "{\"id\":\"7a267194-6123-5ee0-a1c9-4c1559eb0d95\",\"username\":\"ann\"}");
    assert_call(bench, "kong.client.load_consumer", "[\"bob\", true]", "null");
    assert_outcome(bench, "kong.client.load_consumer", "[\"ann\", false]", SIM_RAISED,
                   "cannot load a consumer with an id that is not a uuid");
    assert_outcome(bench, "kong.client.authenticate", "[]", SIM_RAISED,
                   "either credential or consumer must be provided");
    assert_call(bench, "kong.client.authenticate", "[{\"id\":\"c\"}, {\"id\":\"k\"}]", "null");
    assert_call(bench, "kong.client.get_consumer", "[]", "{\"id\":\"c\"}");
    assert_call(bench, "kong.client.get_credential", "[]", "{\"id\":\"k\"}");
    assert_outcome(bench, "kong.client.get_protocol", "[]", SIM_FAILED, "No active route found");
    assert_true(sim_pdk_set_json(pdk, &pdk->route, "{\"protocols\":[\"grpc\"]}"));
    assert_call(bench, "kong.client.get_protocol", "[]", "\"grpc\"");
    assert_true(sim_pdk_set_json(pdk, &pdk->route, "{\"protocols\":[\"http\",\"https\"]}"));
    assert_true(sim_pdk_set_json(pdk, &pdk->trusted_ips, "[\"0.0.0.0/0\"]"));
    assert_true(sim_pdk_add_request_header(pdk, "X-Forwarded-Proto", "https"));
    assert_call(bench, "kong.client.get_protocol", "[]", "\"http\"");
    assert_call(bench, "kong.client.get_protocol", "[true]", "\"https\"");
}

static void contexts(void **state) {
    struct bench *bench = *state;
    assert_call(bench, "kong.ctx.shared.set", "[\"k\", [1,{\"a\":\"b\"}]]", "null");
    assert_call(bench, "kong.ctx.shared.get", "[\"k\"]", "[1,{\"a\":\"b\"}]");
    assert_call(bench, "kong.ctx.shared.set", "[\"k\", 2]", "null");
    assert_call(bench, "kong.ctx.shared.get", "[\"k\"]", "2");
    assert_call(bench, "kong.nginx.get_ctx", "[\"k\"]", "null");
    assert_call(bench, "kong.nginx.set_ctx", "[\"k\", false]", "null");
    assert_call(bench, "kong.nginx.get_ctx", "[\"k\"]", "false");
    assert_call(bench, "kong.ctx.shared.set", "[\"k\"]", "null");
    assert_call(bench, "kong.ctx.shared.get", "[\"k\"]", "null");
    assert_outcome(bench, "kong.ctx.shared.set", "[]", SIM_RAISED, "table index is nil");
}

static void logs(void **state) {
    struct bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    static const char *const levels[] = {"alert", "crit",   "err",  "warn",
                                         "debug", "notice", "info", NULL};
    for (size_t i = 0; levels[i] != NULL; i++) {
        char name[32];
        snprintf(name, sizeof name, "kong.log.%s", levels[i]);
        assert_call(bench, name, "[\"n \", 1, true, null, 0.25]", "null");
        assert_int_equal(pdk->log_count, i + 1);
        assert_string_equal(pdk->logs[i].level.data, levels[i]);
        assert_string_equal(pdk->logs[i].text.data, "n 1truenil0.25");
    }
}

static void serialized(void **state) {
    struct bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    struct kong_value root;
    assert_true(sim_pdk_set_request(pdk, "PUT", "/p?q=1"));
    assert_true(sim_pdk_add_request_header(pdk, "Authorization", "secret"));
    assert_call(bench, "kong.log.set_serialize_value", "[\"my.new.value\", 4]", "null");
    assert_call(bench, "kong.log.set_serialize_value", "[\"a\\\\.b\", {\"c\":1}]", "null");
    assert_call(bench, "kong.log.set_serialize_value", "[\"request.method\", null]", "null");
    assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_LOG));
    assert_call(bench, "kong.log.set_serialize_value", "[\"late\", 1]", "null");
    assert_int_equal(call(bench, "kong.log.serialize", "[]"), SIM_RESULT);
    assert_true(json_to_value(&bench->arena, bench->result.string, &root));
    const struct kong_value *request = value_get(&root, "request");
    assert_non_null(request);
    assert_null(value_get(request, "method"));
    assert_string_equal(value_get(request, "uri")->string.data, "/p?q=1");
    assert_string_equal(value_get(value_get(request, "headers"), "authorization")->string.data,
                        "REDACTED");
    assert_int_equal(value_get(value_get(value_get(&root, "my"), "new"), "value")->integer, 4);
    assert_int_equal(value_get(value_get(&root, "a.b"), "c")->integer, 1);
    assert_null(value_get(&root, "late"));
}

static void node(void **state) {
    struct bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_call(bench, "kong.nginx.req_start_time", "[]", "1795374239.123");
    assert_call(bench, "kong.request.get_start_time", "[]", "1795374239123");
    assert_call(bench, "kong.node.get_hostname", "[]", "\"kong\"");
    assert_call(bench, "kong.vault.is_reference", "[\"{vault://env/x}\"]", "true");
    assert_call(bench, "kong.vault.is_reference", "[\"vault://env/x\"]", "false");
    assert_call(bench, "kong.vault.parse_reference", "[\"{vault://env/cert/key?prefix=SSL_#1}\"]",
                "{\"name\":\"env\",\"resource\":\"cert\",\"key\":\"key\","
                "\"config\":{\"prefix\":\"SSL_\"},\"version\":1}");
    assert_outcome(bench, "kong.vault.get", "[\"x\"]", SIM_FAILED, "not a reference [x]");
    assert_true(sim_pdk_set_json(pdk, &pdk->vault, "{\"{vault://env/x}\":\"s3cret\"}"));
    assert_call(bench, "kong.vault.get", "[\"{vault://env/x}\"]", "\"s3cret\"");
    assert_call(bench, "kong.telemetry.log", "[\"p\", {}, \"t\", \"hello\"]", "true");
    assert_string_equal(pdk->logs[0].text.data, "hello");
    assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_CERTIFICATE));
    assert_call(bench, "kong.client.tls.disable_session_reuse", "[]", "true");
    assert_true(value_get(&pdk->client_tls, "disable_session_reuse")->boolean);
}

/* Every method of the table answers in a phase that allows it, and raises in one that does not,
 * with Kong's words. */
static void phases(void **state) {
    struct bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    for (size_t i = 0; i < PDK_COUNT; i++) {
        const struct pdk_method *method = &pdk_methods[i];
        for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
            assert_true(sim_pdk_reset(pdk));
            assert_true(sim_pdk_set_phase(pdk, (enum kong_phase)phase));
            int outcome =
                sim_pdk_call(pdk, method, method->name, NULL, 0, &bench->arena, &bench->result);
            bool refused =
                outcome == SIM_RAISED &&
                strncmp(bench->result.string.data, "function cannot be called in ", 29) == 0;
            if (refused == ((method->phases & (1u << phase)) != 0)) {
                fail_msg("%s in %s", method->name.data, kong_phase_name((enum kong_phase)phase));
            }
        }
    }
    assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_ACCESS));
    assert_outcome(bench, "kong.response.get_headers", "[]", SIM_RAISED,
                   "function cannot be called in access phase (only in: response, header_filter, "
                   "log)");
    assert_int_equal(call(bench, "kong.no.such", "[]"), SIM_UNKNOWN);
}

/* Each method, without arguments and with each of some odd ones: an answer or an error, no crash.
 */
static void odd_arguments(void **state) {
    static const char *const odd[] = {"[]",
                                      "[null]",
                                      "[[]]",
                                      "[{}]",
                                      "[\"\"]",
                                      "[true,true]",
                                      "[-1,-1,-1]",
                                      "[1e300]",
                                      "[{},{}]",
                                      "[\"x\",null]",
                                      "[\"a\",[null],{\"b\":{}}]",
                                      "[200,\"\",[]]"};
    struct bench *bench = *state;
    for (size_t i = 0; i < PDK_COUNT; i++) {
        for (size_t k = 0; k < LENGTH(odd); k++) {
            for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
                if ((pdk_methods[i].phases & (1u << phase)) == 0) {
                    continue;
                }
                assert_true(sim_pdk_reset(bench->pdk));
                bench->pdk->phase = (enum kong_phase)phase;
                int outcome = call(bench, pdk_methods[i].name.data, odd[k]);
                assert_in_range(outcome, SIM_RESULT, SIM_EXITED);
                if (outcome == SIM_RAISED) {
                    assert_string_not_equal(bench->result.string.data, "not enough memory");
                }
            }
        }
        arena_reset(&bench->arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(recorded_getters_msgpack),
        TEST(recorded_response_getters_msgpack),
        TEST(recorded_getters_protobuf),
        TEST(fresh_memory_stats),
        TEST(request_getters),
        TEST(query_table),
        TEST(request_headers),
        TEST(max_headers_default),
        TEST(forwarded),
        TEST(trusted_addresses),
        TEST(bodies),
        TEST(decoded_bodies),
        TEST(upstream_headers),
        TEST(upstream_line),
        TEST(upstream_target),
        TEST(upstream_body),
        TEST(routing),
        TEST(response_headers),
        TEST(upstream_answers),
        TEST(exits),
        TEST(errors),
        TEST(clients),
        TEST(contexts),
        TEST(logs),
        TEST(serialized),
        TEST(node),
        TEST(phases),
        TEST(odd_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
