/* The simulated Kong's PDK, function by function: the request to the upstream, the response, and
 * all that is about neither. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "checkers.h"
#include "sim_bench.h"

/* --- The request to the upstream --- */

static void upstream_headers(void **state) {
    struct sim_bench *bench = *state;
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
    assert_non_null(headers_find(&pdk->request.headers, kong_str("X-A")));
    assert_call(bench, "kong.service.request.clear_header", "[\"x-a\"]", "null");
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
    struct sim_bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_call(bench, "kong.service.request.set_path", "[\"/a b/\\u00e4%20\"]", "null");
    assert_string_equal(pdk->upstream.path.data, "/a%20b/%C3%A4%20");
    assert_outcome(bench, "kong.service.request.set_path", "[\"a\"]", SIM_RAISED,
                   "path must start with /");
    assert_call(bench, "kong.service.request.set_query",
                "[{\"b\":[1,\"x y\",true],\"a\":true,\"c\":\"&\",\"d\":false}]", "null");
    assert_call(bench, "kong.request.get_raw_query", "[]", "\"&a&b=1&b=x%20y&b&c=%26\"");
    assert_call(bench, "kong.service.request.set_query", "[{\"b\":{\"c\":1},\"d\":[]}]", "null");
    assert_call(bench, "kong.request.get_raw_query", "[]", "\"&b=1\"");
    assert_outcome(bench, "kong.service.request.set_query", "[{\"b\":[[1]]}]", SIM_RAISED,
                   "attempt to use table as query arg value");
    assert_call(bench, "kong.service.request.set_raw_query", "[\"a b\\n\"]", "null");
    assert_call(bench, "kong.request.get_raw_query", "[]", "\"a%20b%0A\"");
    assert_call(bench, "kong.service.request.set_raw_query", "[\"a=1+2&b=2&a&%61=3\"]", "null");
    assert_call(bench, "kong.service.request.clear_query_arg", "[\"b\"]", "null");
    assert_call(bench, "kong.request.get_raw_query", "[]", "\"a=1+2&a=&a=3\"");
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
    struct sim_bench *bench = *state;
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
    struct sim_bench *bench = *state;
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

static void balance(struct sim_pdk *pdk, int wanted) {
    const char *why = NULL;
    int status = -1;
    assert_true(sim_pdk_balance(pdk, &status, &why));
    assert_int_equal(status, wanted);
}

static void routing(void **state) {
    struct sim_bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_true(sim_pdk_set_request(pdk, "GET", "/v1/users/1?x=2"));
    assert_true(sim_pdk_set_json(pdk, &pdk->service_entity,
                                 "{\"protocol\":\"https\",\"host\":\"up.example\",\"port\":8443,"
                                 "\"path\":\"/base/\"}"));
    assert_true(sim_pdk_set_json(pdk, &pdk->route,
                                 "{\"paths\":[\"/v\",\"/v1\"],"
                                 "\"strip_path\":true}"));
    assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_REWRITE));
    assert_call(bench, "kong.request.get_forwarded_prefix", "[]", "\"\"");
    assert_call(bench, "kong.service.request.set_path", "[\"/lost\"]", "null");
    assert_call(bench, "kong.service.request.set_scheme", "[\"http\"]", "null");
    assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_ACCESS));
    assert_call(bench, "kong.request.get_forwarded_prefix", "[]", "\"/v1\"");
    assert_string_equal(pdk->upstream.path.data, "/base/users/1");
    assert_string_equal(pdk->upstream.scheme.data, "https");
    assert_call(bench, "kong.nginx.get_var", "[\"upstream_host\"]", "\"\"");
    balance(pdk, 0);
    assert_string_equal(pdk->upstream.host_header.data, "up.example:8443");
    assert_int_equal(pdk->upstream.port, 8443);
    assert_call(bench, "kong.nginx.get_var", "[\"upstream_uri\"]", "\"/base/users/1?x=2\"");
    assert_true(sim_pdk_reset(pdk));
    assert_true(sim_pdk_set_request(pdk, "GET", "/v1/us%20ers/1"));
    assert_true(sim_pdk_set_json(pdk, &pdk->route,
                                 "{\"paths\":[\"/v1\"],\"strip_path\":false,"
                                 "\"preserve_host\":true}"));
    assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_ACCESS));
    balance(pdk, 0);
    assert_string_equal(pdk->upstream.path.data, "/v1/us%20ers/1");
    assert_string_equal(pdk->upstream.host_header.data, "localhost:8000");
}

/* What a regular expression in a route's paths matches is cut off. */
static void regex_route(void **state) {
    struct sim_bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_true(sim_pdk_set_request(pdk, "GET", "/re/42/rest"));
    assert_true(
        sim_pdk_set_json(pdk, &pdk->route, "{\"paths\":[\"/r\",\"~/re/(?<id>\\\\d+)(?:/x)?\"]}"));
    assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_ACCESS));
    assert_call(bench, "kong.request.get_forwarded_prefix", "[]", "\"/re/42\"");
    assert_string_equal(pdk->upstream.path.data, "/rest");
}

/* Where Kong does not get to the upstream that a plugin has chosen. */
static void unreachable(void **state) {
    struct sim_bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_true(sim_pdk_set_json(pdk, &pdk->service_entity, "{\"host\":\"10.0.0.1\"}"));
    assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_ACCESS));
    assert_call(bench, "kong.service.set_target", "[\"name.example\", 80]", "null");
    balance(pdk, 500);
    assert_call(bench, "kong.service.set_target", "[\"10.0.0.2\", 0]", "null");
    balance(pdk, 502);
    assert_call(bench, "kong.service.set_target", "[\"10.0.0.2\", 80]", "null");
    balance(pdk, 0);
}

/* --- The response --- */

static void response_headers(void **state) {
    struct sim_bench *bench = *state;
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
    struct sim_bench *bench = *state;
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

/* nginx has one Content-Type and one Content-Length: the upstream's. A client reads as many bytes
 * as Content-Length says. */
static void single_headers(void **state) {
    struct sim_bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_call(bench, "kong.response.set_header", "[\"Content-Type\", \"a/b\"]", "null");
    assert_call(bench, "kong.response.set_header", "[\"X-A\", \"1\"]", "null");
    pdk->service.status = 200;
    pdk->service.body = kong_str("answer");
    assert_true(
        fields_add(&pdk->service.headers, kong_str("content-type"), kong_str("c/d"), false));
    assert_true(fields_add(&pdk->service.headers, kong_str("X-A"), kong_str("2"), false));
    assert_true(sim_pdk_upstream_answered(pdk, false));
    pdk->phase = KONG_PHASE_HEADER_FILTER;
    assert_call(bench, "kong.response.get_headers", "[]",
                "{\"x-a\":[\"1\",\"2\"],\"content-type\":\"c/d\",\"connection\":\"keep-alive\"}");
    assert_call(bench, "kong.response.set_header", "[\"Content-Length\", \"3\"]", "null");
    assert_true(sim_pdk_sent(pdk));
    assert_string_equal(pdk->client.body.data, "ans");
}

/* Buffered, the upstream's request is made by Lua, which has no number for PURGE. */
static void buffered_method(void **state) {
    struct sim_bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_true(sim_pdk_set_request(pdk, "PURGE", "/"));
    assert_string_equal(sim_pdk_sent_method(pdk).data, "PURGE");
    assert_call(bench, "kong.service.request.enable_buffering", "[]", "null");
    assert_string_equal(sim_pdk_sent_method(pdk).data, "GET");
    assert_call(bench, "kong.request.get_method", "[]", "\"PURGE\"");
}

static void exits(void **state) {
    struct sim_bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_int_equal(sim_call(bench, "kong.response.exit",
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
    assert_int_equal(sim_call(bench, "kong.response.exit", "[200, {\"a\":1}]"), SIM_EXITED);
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
    struct sim_bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    assert_int_equal(sim_call(bench, "kong.response.error", "[404]"), SIM_EXITED);
    assert_string_equal(pdk->client.body.data,
                        "{\n  \"message\":\"Not found\",\n  "
                        "\"request_id\":\"5d4f1a0c9b8e4736a1c2d3e4f5061728\"\n}");
    assert_true(sim_pdk_reset(pdk));
    assert_true(sim_pdk_add_request_header(pdk, "Accept", "text/plain"));
    assert_int_equal(sim_call(bench, "kong.response.error", "[503, \"later\"]"), SIM_EXITED);
    assert_string_equal(pdk->client.body.data,
                        "later\nrequest_id: 5d4f1a0c9b8e4736a1c2d3e4f5061728\n");
    assert_outcome(bench, "kong.response.error", "[399]", SIM_RAISED,
                   "code must be a number between 400 and 599");
}

/* --- The rest --- */

static void clients(void **state) {
    struct sim_bench *bench = *state;
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
    struct sim_bench *bench = *state;
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
    struct sim_bench *bench = *state;
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
    struct sim_bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    struct kong_value root;
    assert_true(sim_pdk_set_request(pdk, "PUT", "/p?q=1"));
    assert_true(sim_pdk_add_request_header(pdk, "Authorization", "secret"));
    assert_call(bench, "kong.log.set_serialize_value", "[\"my.new.value\", 4]", "null");
    assert_call(bench, "kong.log.set_serialize_value", "[\".b\", {\"c\":1}]", "null");
    assert_call(bench, "kong.log.set_serialize_value", "[\"request.method\", null]", "null");
    assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_LOG));
    assert_call(bench, "kong.log.set_serialize_value", "[\"late\", 1]", "null");
    assert_int_equal(sim_call(bench, "kong.log.serialize", "[]"), SIM_RESULT);
    assert_true(json_to_value(&bench->arena, bench->result.string, &root));
    const struct kong_value *request = value_get(&root, "request");
    assert_non_null(request);
    assert_null(value_get(request, "method"));
    assert_string_equal(value_get(request, "uri")->string.data, "/p?q=1");
    assert_string_equal(value_get(value_get(request, "headers"), "authorization")->string.data,
                        "REDACTED");
    assert_int_equal(value_get(value_get(value_get(&root, "my"), "new"), "value")->integer, 4);
    assert_int_equal(value_get(value_get(&root, ".b"), "c")->integer, 1);
    assert_null(value_get(&root, "late"));
}

static void node(void **state) {
    struct sim_bench *bench = *state;
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
    assert_call(bench, "kong.cluster.get_id", "[]", "null");
    assert_int_equal(sim_call(bench, "kong.telemetry.log", "[\"p\", {}, \"t\", \"hello\"]"),
                     SIM_FAILED);
    assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_CERTIFICATE));
    assert_call(bench, "kong.client.tls.disable_session_reuse", "[]", "true");
    assert_true(value_get(&pdk->client_tls, "disable_session_reuse")->boolean);
}

/* Every method of the table answers somewhere, but for four, and raises with Kong's words where it
 * is not allowed. */
static void phases(void **state) {
    struct sim_bench *bench = *state;
    struct sim_pdk *pdk = bench->pdk;
    size_t nowhere = 0;
    for (size_t i = 0; i < PDK_COUNT; i++) {
        const struct pdk_method *method = &pdk_methods[i];
        unsigned allowed = 0;
        for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
            assert_true(sim_pdk_reset(pdk));
            assert_true(sim_pdk_set_phase(pdk, (enum kong_phase)phase));
            int outcome =
                sim_pdk_call(pdk, method, method->name, NULL, 0, &bench->arena, &bench->result);
            bool refused =
                outcome == SIM_UNKNOWN ||
                (outcome == SIM_RAISED &&
                 strncmp(bench->result.string.data, "function cannot be called in ", 29) == 0);
            allowed += !refused;
        }
        nowhere += allowed == 0;
    }
    assert_int_equal(nowhere, 3);
    assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_ACCESS));
    assert_outcome(bench, "kong.response.get_headers", "[]", SIM_RAISED,
                   "function cannot be called in access phase (only in: response, header_filter, "
                   "log)");
    assert_int_equal(sim_call(bench, "kong.no.such", "[]"), SIM_UNKNOWN);
    assert_string_equal(pdk->logs[0].text.data, "could not find pdk method: kong.no.such");
    assert_int_equal(sim_call(bench, "kong.service.request.disable_tls", "[]"), SIM_UNKNOWN);
    assert_int_equal(sim_call(bench, "kong.vault.try", "[]"), SIM_RAISED);
    assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_PREREAD));
    assert_int_equal(sim_call(bench, "kong.client.tls.disable_session_reuse", "[]"), SIM_UNKNOWN);
}

/* Each method, without arguments and with each of some odd ones: an answer or an error, no crash.
 * Under valgrind, where it takes 50 times as long, in two phases. */
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
    struct sim_bench *bench = *state;
    const unsigned first = under_valgrind() ? KONG_PHASE_ACCESS : 0;
    const unsigned step = under_valgrind() ? KONG_PHASE_LOG - KONG_PHASE_ACCESS : 1;
    for (size_t i = 0; i < PDK_COUNT; i++) {
        for (size_t k = 0; k < LENGTH(odd); k++) {
            for (unsigned phase = first; phase < KONG_PHASE_COUNT; phase += step) {
                assert_true(sim_pdk_reset(bench->pdk));
                bench->pdk->phase = (enum kong_phase)phase;
                int outcome = sim_call(bench, pdk_methods[i].name.data, odd[k]);
                assert_in_range(outcome, SIM_RESULT, SIM_UNKNOWN);
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
        SIM_TEST(upstream_headers), SIM_TEST(upstream_line),
        SIM_TEST(upstream_target),  SIM_TEST(upstream_body),
        SIM_TEST(routing),          SIM_TEST(regex_route),
        SIM_TEST(single_headers),   SIM_TEST(buffered_method),
        SIM_TEST(unreachable),      SIM_TEST(response_headers),
        SIM_TEST(upstream_answers), SIM_TEST(exits),
        SIM_TEST(errors),           SIM_TEST(clients),
        SIM_TEST(contexts),         SIM_TEST(logs),
        SIM_TEST(serialized),       SIM_TEST(node),
        SIM_TEST(phases),           SIM_TEST(odd_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
