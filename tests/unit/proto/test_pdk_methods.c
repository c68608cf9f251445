/* The table of PDK methods against a list of its own, taken from Kong's pluginsocket.proto and from
 * what was seen on running gateways; and the look-up over it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>

#include "pdk_methods.h"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

static const char *const args_names[] = {
    [PDK_ARGS_EMPTY] = "Empty",
    [PDK_ARGS_STRING] = "String",
    [PDK_ARGS_INT] = "Int",
    [PDK_ARGS_BOOL] = "Bool",
    [PDK_ARGS_LIST] = "ListValue",
    [PDK_ARGS_STRUCT] = "Struct",
    [PDK_ARGS_KV] = "KV",
    [PDK_ARGS_BYTES] = "ByteString",
    [PDK_ARGS_EXIT] = "ExitArgs",
    [PDK_ARGS_TARGET] = "Target",
    [PDK_ARGS_CONSUMER_SPEC] = "ConsumerSpec",
    [PDK_ARGS_AUTHENTICATE] = "AuthenticateArgs",
    [PDK_ARGS_ANY] = "any",
};

static const char *const result_names[] = {
    [PDK_RESULT_EMPTY] = "Empty",
    [PDK_RESULT_STRING] = "String",
    [PDK_RESULT_INT] = "Int",
    [PDK_RESULT_NUMBER] = "Number",
    [PDK_RESULT_BOOL] = "Bool",
    [PDK_RESULT_BYTES] = "ByteString",
    [PDK_RESULT_VALUE] = "Value",
    [PDK_RESULT_STRUCT] = "Struct",
    [PDK_RESULT_RAW_BODY] = "RawBodyResult",
    [PDK_RESULT_URI_CAPTURES] = "UriCapturesResult",
    [PDK_RESULT_ROUTE] = "Route",
    [PDK_RESULT_SERVICE] = "Service",
    [PDK_RESULT_CONSUMER] = "Consumer",
    [PDK_RESULT_CREDENTIAL] = "AuthenticatedCredential",
    [PDK_RESULT_MEMORY_STATS] = "MemoryStats",
    [PDK_RESULT_ANY] = "any",
};

struct expected {
    const char *name; /* without "kong." */
    const char *args;
    const char *result;
};

/* The calls of ProtoBuf:1, in the order of Kong's service definition. */
static const struct expected protobuf_methods[] = {
    {"client.get_ip", "Empty", "String"},
    {"client.get_forwarded_ip", "Empty", "String"},
    {"client.get_port", "Empty", "Int"},
    {"client.get_forwarded_port", "Empty", "Int"},
    {"client.get_credential", "Empty", "AuthenticatedCredential"},
    {"client.load_consumer", "ConsumerSpec", "Consumer"},
    {"client.get_consumer", "Empty", "Consumer"},
    {"client.authenticate", "AuthenticateArgs", "Empty"},
    {"client.get_protocol", "Bool", "String"},
    {"ctx.shared.set", "KV", "Empty"},
    {"ctx.shared.get", "String", "Value"},
    {"ip.is_trusted", "String", "Bool"},
    {"log.alert", "ListValue", "Empty"},
    {"log.crit", "ListValue", "Empty"},
    {"log.err", "ListValue", "Empty"},
    {"log.warn", "ListValue", "Empty"},
    {"log.notice", "ListValue", "Empty"},
    {"log.info", "ListValue", "Empty"},
    {"log.debug", "ListValue", "Empty"},
    {"log.set_serialize_value", "KV", "Empty"},
    {"log.serialize", "Empty", "String"},
    {"nginx.get_var", "String", "String"},
    {"nginx.get_tls1_version_str", "Empty", "String"},
    {"nginx.set_ctx", "KV", "String"},
    {"nginx.get_ctx", "String", "Value"},
    {"nginx.req_start_time", "Empty", "Number"},
    {"nginx.get_subsystem", "Empty", "String"},
    {"node.get_id", "Empty", "String"},
    {"node.get_memory_stats", "Empty", "MemoryStats"},
    {"request.get_scheme", "Empty", "String"},
    {"request.get_host", "Empty", "String"},
    {"request.get_port", "Empty", "Int"},
    {"request.get_forwarded_scheme", "Empty", "String"},
    {"request.get_forwarded_host", "Empty", "String"},
    {"request.get_forwarded_port", "Empty", "Int"},
    {"request.get_http_version", "Empty", "Number"},
    {"request.get_method", "Empty", "String"},
    {"request.get_path", "Empty", "String"},
    {"request.get_path_with_query", "Empty", "String"},
    {"request.get_raw_query", "Empty", "String"},
    {"request.get_query_arg", "String", "String"},
    {"request.get_query", "Int", "Struct"},
    {"request.get_header", "String", "String"},
    {"request.get_headers", "Int", "Struct"},
    {"request.get_raw_body", "Empty", "RawBodyResult"},
    {"request.get_uri_captures", "Empty", "UriCapturesResult"},
    {"response.get_status", "Empty", "Int"},
    {"response.get_header", "String", "String"},
    {"response.get_headers", "Int", "Struct"},
    {"response.get_source", "Empty", "String"},
    {"response.set_status", "Int", "Empty"},
    {"response.set_header", "KV", "Empty"},
    {"response.add_header", "KV", "Empty"},
    {"response.clear_header", "String", "Empty"},
    {"response.set_headers", "Struct", "Empty"},
    {"response.exit", "ExitArgs", "Empty"},
    {"router.get_route", "Empty", "Route"},
    {"router.get_service", "Empty", "Service"},
    {"service.set_upstream", "String", "Bool"},
    {"service.set_target", "Target", "Empty"},
    {"service.request.set_scheme", "String", "Empty"},
    {"service.request.set_path", "String", "Empty"},
    {"service.request.set_raw_query", "String", "Empty"},
    {"service.request.set_method", "String", "Empty"},
    {"service.request.set_query", "Struct", "Empty"},
    {"service.request.set_header", "KV", "Empty"},
    {"service.request.add_header", "KV", "Empty"},
    {"service.request.clear_header", "String", "Empty"},
    {"service.request.set_headers", "Struct", "Empty"},
    {"service.request.set_raw_body", "ByteString", "Empty"},
    {"service.response.get_status", "Empty", "Int"},
    {"service.response.get_header", "String", "String"},
    {"service.response.get_headers", "Int", "Struct"},
    {"service.response.get_raw_body", "Empty", "ByteString"},
};

/* What only MsgPack:1 can call. */
static const char *const msgpack_methods[] = {
    "response.error",
    "response.get_raw_body",
    "response.set_raw_body",
    "request.get_body",
    "request.get_raw_path",
    "request.get_forwarded_path",
    "request.get_forwarded_prefix",
    "request.get_start_time",
    "service.set_retries",
    "service.set_timeouts",
    "service.set_tls_verify",
    "service.set_tls_verify_depth",
    "service.request.set_body",
    "service.request.clear_query_arg",
    "service.request.enable_buffering",
    "service.request.disable_tls",
    "service.response.get_body",
    "node.get_hostname",
    "cluster.get_id",
    "plugin.get_id",
    "nginx.get_statistics",
    "vault.get",
    "vault.is_reference",
    "vault.parse_reference",
    "client.tls.request_client_certificate",
    "client.tls.disable_session_reuse",
    "client.tls.get_full_client_certificate_chain",
    "client.tls.set_client_verify",
    "client.tls.disable_http2_alpn",
    "telemetry.log",
    "log",
    "log.deprecation",
};

static const struct pdk_method *find(const char *name) {
    char full[128];

    snprintf(full, sizeof(full), "kong.%s", name);
    return pdk_method_find(kong_str(full));
}

static void test_protobuf_methods(void **state) {
    (void)state;
    assert_int_equal(LENGTH(protobuf_methods), 74);
    for (size_t i = 0; i < LENGTH(protobuf_methods); i++) {
        const struct expected *expected = &protobuf_methods[i];
        const struct pdk_method *method = find(expected->name);

        if (method == NULL) {
            fail_msg("%s is missing", expected->name);
        }
        assert_string_equal(args_names[method->args], expected->args);
        assert_string_equal(result_names[method->result], expected->result);
        assert_false(method->flags & PDK_MSGPACK_ONLY);
    }
}

static void test_msgpack_methods(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(msgpack_methods); i++) {
        const struct pdk_method *method = find(msgpack_methods[i]);

        if (method == NULL) {
            fail_msg("%s is missing", msgpack_methods[i]);
        }
        assert_true(method->flags & PDK_MSGPACK_ONLY);
    }
    assert_int_equal(PDK_COUNT, LENGTH(protobuf_methods) + LENGTH(msgpack_methods));
}

/* The ids follow the names. */
static void test_ids(void **state) {
    static const char *const ids[] = {
#define PDK(id, name, args, result, flags, phases, not_2_8, reads, changes) #id,
#include "pdk_methods.def"
#undef PDK
    };

    (void)state;
    for (size_t i = 0; i < PDK_COUNT; i++) {
        const char *name = pdk_methods[i].name.data;
        const char *id = ids[i];

        assert_int_equal(strncmp(name, "kong.", 5), 0);
        assert_int_equal(strlen(name), pdk_methods[i].name.len);
        for (name += 5; *name != '\0'; name++, id++) {
            assert_int_equal(*id, *name == '.' ? '_' : toupper((unsigned char)*name));
        }
        assert_int_equal(*id, '\0');
    }
    assert_string_equal(pdk_methods[PDK_RESPONSE_SET_HEADER].name.data, "kong.response.set_header");
    assert_string_equal(pdk_methods[PDK_LOG].name.data, "kong.log");
}

/* strcmp orders ASCII as the search does. */
static void test_sorted(void **state) {
    (void)state;
    for (size_t i = 1; i < PDK_COUNT; i++) {
        if (strcmp(pdk_methods[i - 1].name.data, pdk_methods[i].name.data) >= 0) {
            fail_msg("%s is out of order", pdk_methods[i].name.data);
        }
    }
}

static void test_find(void **state) {
    (void)state;
    for (size_t i = 0; i < PDK_COUNT; i++) {
        struct kong_str name = pdk_methods[i].name;
        char longer[128];

        assert_ptr_equal(pdk_method_find(name), &pdk_methods[i]);

        name.len--;
        const struct pdk_method *shorter = pdk_method_find(name);
        assert_true(shorter == NULL || kong_str_equal(shorter->name, name));

        snprintf(longer, sizeof(longer), "%s!", pdk_methods[i].name.data);
        assert_null(pdk_method_find(kong_str(longer)));
        longer[strlen(longer) - 1] = '\0';
        longer[0] = 'K';
        assert_null(pdk_method_find(kong_str(longer)));
    }
    assert_null(pdk_method_find(kong_str("")));
    assert_null(pdk_method_find((struct kong_str){NULL, 0}));
    assert_null(pdk_method_find(kong_str("zzz")));
    assert_null(pdk_method_find((struct kong_str){"kong.log\0.info", 14}));
}

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* A method that only changes something is posted, one that asks is waited for. */
static void test_flags(void **state) {
    (void)state;
    for (size_t i = 0; i < PDK_COUNT; i++) {
        const struct pdk_method *method = &pdk_methods[i];
        const char *last = strrchr(method->name.data, '.') + 1;
        unsigned kind = method->flags & (PDK_POSTED | PDK_TERMINAL);

        if (strcmp(last, "exit") == 0 || strcmp(last, "error") == 0) {
            assert_int_equal(kind, PDK_TERMINAL);
        } else if (method->result == PDK_RESULT_EMPTY || i == PDK_NGINX_SET_CTX) {
            assert_int_equal(kind, PDK_POSTED);
        } else {
            assert_int_equal(kind, PDK_WAITED);
        }
        if (starts_with(last, "get_") || starts_with(last, "is_")) {
            assert_int_equal(kind, PDK_WAITED);
        }
        assert_true(method->flags < 2u * PDK_SAFE);
        if (!(method->flags & PDK_MSGPACK_ONLY)) {
            assert_int_not_equal(method->args, PDK_ARGS_ANY);
            assert_int_not_equal(method->result, PDK_RESULT_ANY);
        }
    }
}

static bool reads_and_changes_nothing(const char *last) {
    return strcmp(last, "warn") == 0 || strcmp(last, "notice") == 0 || strcmp(last, "log") == 0 ||
           strcmp(last, "info") == 0 || strcmp(last, "err") == 0 || strcmp(last, "debug") == 0 ||
           strcmp(last, "crit") == 0 || strcmp(last, "alert") == 0 ||
           strcmp(last, "deprecation") == 0;
}

/* A getter reads something and changes nothing; all others change something that is read, but for
 * lines in the log. */
static void test_reads_and_changes(void **state) {
    (void)state;
    for (size_t i = 0; i < PDK_COUNT; i++) {
        const struct pdk_method *method = &pdk_methods[i];
        const char *last = strrchr(method->name.data, '.') + 1;
        bool posted = (method->flags & (PDK_POSTED | PDK_TERMINAL)) != 0;

        assert_true(method->reads == 0 || method->changes == 0);
        if (starts_with(last, "get_") || starts_with(last, "is_")) {
            assert_int_not_equal(method->reads, 0);
        }
        if (posted) {
            assert_int_equal(method->reads, 0);
            assert_int_equal(method->changes == 0, reads_and_changes_nothing(last));
        }
        if (starts_with(last, "set_") || starts_with(last, "add_") || starts_with(last, "clear_")) {
            assert_true((method->changes & PDK_OF_MOMENT) != 0);
        }
        if ((method->flags & PDK_SAFE) != 0) {
            assert_int_not_equal(method->reads, 0);
            assert_int_equal(method->reads & PDK_OF_MOMENT, 0);
            assert_int_equal(method->flags & PDK_MSGPACK_ONLY, 0);
        }
    }
}

#define BIT(phase) (1U << KONG_PHASE_##phase)

static void test_phases(void **state) {
    const unsigned request = BIT(REWRITE) | BIT(ACCESS) | BIT(RESPONSE) | BIT(HEADER_FILTER);
    const unsigned answer = BIT(RESPONSE) | BIT(HEADER_FILTER) | BIT(LOG);

    (void)state;
    assert_int_equal(pdk_methods[PDK_RESPONSE_SET_HEADER].phases, request);
    assert_int_equal(pdk_methods[PDK_RESPONSE_GET_HEADERS].phases, answer);
    assert_int_equal(pdk_methods[PDK_SERVICE_REQUEST_SET_HEADER].phases,
                     BIT(REWRITE) | BIT(ACCESS));
    assert_int_equal(pdk_methods[PDK_CLIENT_AUTHENTICATE].phases, BIT(ACCESS));
    assert_int_equal(pdk_methods[PDK_ROUTER_GET_ROUTE].phases, BIT(ACCESS) | answer);
    assert_int_equal(pdk_methods[PDK_REQUEST_GET_METHOD].phases, request);
    assert_int_equal(pdk_methods[PDK_REQUEST_GET_HEADER].phases, request | BIT(LOG));
    assert_int_equal(pdk_methods[PDK_REQUEST_GET_RAW_BODY].phases,
                     BIT(REWRITE) | BIT(ACCESS) | BIT(RESPONSE));
    assert_int_equal(pdk_methods[PDK_LOG_SERIALIZE].phases, BIT(LOG));
    assert_int_equal(pdk_methods[PDK_LOG_ERR].phases, (1U << KONG_PHASE_COUNT) - 1);
    assert_int_equal(pdk_methods[PDK_SERVICE_SET_TARGET].phases, BIT(ACCESS) | BIT(PREREAD));
    assert_int_equal(pdk_methods[PDK_RESPONSE_SET_RAW_BODY].phases, 0);
    for (size_t i = 0; i < PDK_COUNT; i++) {
        assert_int_equal(pdk_methods[i].phases >> KONG_PHASE_COUNT, 0);
    }
}

/* --- What a running Kong did --- */

struct seen {
    const char *name;
    const char *on[2]; /* ProtoBuf:1, MsgPack:1 */
};

static const struct seen kong_phases[] = {
#define KONG_PHASES(name, protobuf, msgpack) {name, {protobuf, msgpack}},
#include "kong_phases.def"
#undef KONG_PHASES
};

enum { SEEN_LOG = 5, SEEN_STREAM_LOG = 6 };

static const enum kong_phase seen_phases[] = {
    KONG_PHASE_CERTIFICATE, KONG_PHASE_REWRITE, KONG_PHASE_ACCESS, KONG_PHASE_RESPONSE,
    KONG_PHASE_PREREAD,     KONG_PHASE_LOG,     KONG_PHASE_LOG,
};

/* Whether the table lets the call through. */
static bool is_sent(const struct pdk_method *method, bool protobuf, size_t where) {
    bool conditional = protobuf || (method->flags & PDK_LOG_PROTOBUF) == 0;
    if ((method->phases & (1u << seen_phases[where])) == 0) {
        return false;
    }
    if (where == SEEN_LOG) { /* of a response that was buffered */
        return (method->flags & PDK_LOG_OF_STREAM) == 0;
    }
    if (where == SEEN_STREAM_LOG && conditional) {
        return (method->flags & (PDK_LOG_OF_HTTP | PDK_LOG_IF_BUFFERED)) == 0;
    }
    return true;
}

static void check_seen(const struct seen *seen, bool protobuf) {
    const struct pdk_method *method = pdk_method_find(kong_str(seen->name));
    const char *what = seen->on[!protobuf];
    assert_non_null(method);
    assert_int_equal(strlen(what), sizeof seen_phases / sizeof *seen_phases);
    for (size_t where = 0; what[where] != '\0'; where++) {
        bool sent = is_sent(method, protobuf, where);
        if (where == SEEN_STREAM_LOG && starts_with(seen->name, "kong.client.tls.")) {
            assert_false(sent); /* Kong's answer is that it can do nothing: not worth a condition */
            continue;
        }
        if (what[where] == '-') {
            assert_true(protobuf && (method->flags & PDK_MSGPACK_ONLY) != 0);
        } else if (what[where] != '?' && sent != (what[where] == '.')) {
            fail_msg("%s (%s): %s in %s, where Kong %s", seen->name,
                     protobuf ? "ProtoBuf:1" : "MsgPack:1", sent ? "sent" : "refused",
                     where == SEEN_STREAM_LOG ? "log of a stream"
                                              : kong_phase_name(seen_phases[where]),
                     what[where] == '.' ? "answers" : "raises");
        }
    }
}

/* The table allows what Kong answers, and nothing on which it raises. */
static void test_seen(void **state) {
    (void)state;
    assert_int_equal(sizeof kong_phases / sizeof *kong_phases, PDK_COUNT);
    for (size_t i = 0; i < PDK_COUNT; i++) {
        check_seen(&kong_phases[i], true);
        check_seen(&kong_phases[i], false);
    }
}

/* Those that the PDK of 2.8.5 does not have. */
static void test_not_in_2_8(void **state) {
    static const size_t lacks[] = {PDK_CLIENT_TLS_DISABLE_HTTP2_ALPN,
                                   PDK_NGINX_GET_STATISTICS,
                                   PDK_PLUGIN_GET_ID,
                                   PDK_REQUEST_GET_RAW_PATH,
                                   PDK_REQUEST_GET_START_TIME,
                                   PDK_REQUEST_GET_URI_CAPTURES,
                                   PDK_SERVICE_REQUEST_CLEAR_QUERY_ARG,
                                   PDK_SERVICE_SET_RETRIES,
                                   PDK_SERVICE_SET_TIMEOUTS,
                                   PDK_TELEMETRY_LOG};
    (void)state;
    for (size_t i = 0; i < sizeof lacks / sizeof *lacks; i++) {
        assert_int_equal(pdk_phases(&pdk_methods[lacks[i]], true, false), 0);
        assert_int_not_equal(pdk_phases(&pdk_methods[lacks[i]], false, false), 0);
    }
}

/* Kong 2.8 takes phases away only, and only from methods where the table says it. */
static void test_2_8(void **state) {
    const struct pdk_method *route = &pdk_methods[PDK_ROUTER_GET_ROUTE];
    const struct pdk_method *headers = &pdk_methods[PDK_REQUEST_GET_HEADERS];
    (void)state;
    assert_int_equal(pdk_phases(route, true, true), route->phases & ~BIT(LOG));
    assert_int_equal(pdk_phases(route, true, false), route->phases & ~BIT(LOG));
    assert_int_equal(pdk_phases(route, false, true), route->phases);
    assert_int_equal(pdk_phases(headers, true, true), headers->phases & ~BIT(LOG));
    assert_int_equal(pdk_phases(headers, true, false), headers->phases);
    assert_int_equal(pdk_phases(&pdk_methods[PDK_SERVICE_SET_RETRIES], true, false), 0);
    assert_int_equal(pdk_phases(&pdk_methods[PDK_SERVICE_SET_UPSTREAM], true, true), 0);
    assert_int_equal(pdk_phases(&pdk_methods[PDK_SERVICE_SET_UPSTREAM], true, false), BIT(ACCESS));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protobuf_methods),
        cmocka_unit_test(test_msgpack_methods),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_sorted),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_reads_and_changes),
        cmocka_unit_test(test_phases),
        cmocka_unit_test(test_seen),
        cmocka_unit_test(test_not_in_2_8),
        cmocka_unit_test(test_2_8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
