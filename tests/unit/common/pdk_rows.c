#include "pdk_rows.h"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

/* --- What the handlers do: call one function, and note its code and results --- */

#define STR(name, ...)                                                                             \
    static int do_##name(struct kong *kong, struct bench *bench) {                                 \
        struct kong_str result = {"unset", 5};                                                     \
        note_error(bench, kong_##name(kong, ##__VA_ARGS__, &result));                              \
        note_str(bench, result);                                                                   \
        return 0;                                                                                  \
    }

#define INT(name)                                                                                  \
    static int do_##name(struct kong *kong, struct bench *bench) {                                 \
        int result = -1;                                                                           \
        note_error(bench, kong_##name(kong, &result));                                             \
        note(bench, "%d", result);                                                                 \
        return 0;                                                                                  \
    }

#define NUMBER(name)                                                                               \
    static int do_##name(struct kong *kong, struct bench *bench) {                                 \
        double result = -1;                                                                        \
        note_error(bench, kong_##name(kong, &result));                                             \
        note(bench, "%.17g", result);                                                              \
        return 0;                                                                                  \
    }

#define BOOL(name, ...)                                                                            \
    static int do_##name(struct kong *kong, struct bench *bench) {                                 \
        bool result = true;                                                                        \
        note_error(bench, kong_##name(kong, ##__VA_ARGS__, &result));                              \
        note(bench, "%s", result ? "true" : "false");                                              \
        return 0;                                                                                  \
    }

#define VALUE(name, ...)                                                                           \
    static int do_##name(struct kong *kong, struct bench *bench) {                                 \
        struct kong_value result = kong_integer(-1);                                               \
        note_error(bench, kong_##name(kong, ##__VA_ARGS__, &result));                              \
        note_value(bench, &result);                                                                \
        return 0;                                                                                  \
    }

#define HEADERS(name, most)                                                                        \
    static int do_##name(struct kong *kong, struct bench *bench) {                                 \
        struct kong_headers result = {NULL, 99, false};                                            \
        note_error(bench, kong_##name(kong, most, &result));                                       \
        note_headers(bench, &result);                                                              \
        return 0;                                                                                  \
    }

#define PLAIN(name, ...)                                                                           \
    static int do_##name(struct kong *kong, struct bench *bench) {                                 \
        note_error(bench, kong_##name(kong, ##__VA_ARGS__));                                       \
        return 0;                                                                                  \
    }

static void note_headers(struct bench *bench, const struct kong_headers *headers) {
    note(bench, "%zu", headers->count);
    for (size_t i = 0; i < headers->count; i++) {
        const struct kong_header *header = &headers->items[i];
        note(bench, " %s%s", header->name.data, header->flag ? "?" : "");
        for (size_t j = 0; j < header->count; j++) {
            note(bench, "%s", j == 0 ? "=" : ",");
            note_str(bench, header->values[j]);
        }
    }
}

static void note_strings(struct bench *bench, struct kong_strings strings) {
    note(bench, "[");
    for (size_t i = 0; i < strings.count; i++) {
        note(bench, "%s", i == 0 ? "" : ",");
        note_str(bench, strings.items[i]);
    }
    note(bench, "]");
}

static void note_strs(struct bench *bench, const struct kong_str *strings, size_t count) {
    for (size_t i = 0; i < count; i++) {
        note(bench, i == 0 ? "" : " ");
        note_str(bench, strings[i]);
    }
}

static struct kong_value map_of(const struct kong_pair *pairs, size_t count) {
    return kong_map(pairs, count);
}

#define MAP(...)                                                                                   \
    map_of((const struct kong_pair[]){__VA_ARGS__},                                                \
           sizeof((const struct kong_pair[]){__VA_ARGS__}) / sizeof(struct kong_pair))
#define LIST(...)                                                                                  \
    kong_list((const struct kong_value[]){__VA_ARGS__},                                            \
              sizeof((const struct kong_value[]){__VA_ARGS__}) / sizeof(struct kong_value))

#define UUID "3ffe2397-bf73-4c4b-b5ca-2a2fdc213330"

STR(client_get_ip)
STR(client_get_forwarded_ip)
INT(client_get_port)
INT(client_get_forwarded_port)
STR(client_get_protocol, true)
BOOL(ip_is_trusted, "10.0.0.1")
PLAIN(client_tls_request_client_certificate)
PLAIN(client_tls_disable_session_reuse)
PLAIN(client_tls_disable_http2_alpn)
STR(client_tls_get_full_client_certificate_chain)
PLAIN(client_tls_set_client_verify, "FAILED:expired")
STR(cluster_get_id)
VALUE(ctx_shared_get, "k")
PLAIN(ctx_shared_set, "k", LIST(kong_integer(1), kong_string("x"), kong_number(0.5)))
PLAIN(log, "%s %d", "line", 1)
PLAIN(log_alert, "%s", "alert")
PLAIN(log_crit, "%s", "crit")
PLAIN(log_err, "%s: %d%%", "err", 7)
PLAIN(log_warn, "%s", "warn")
PLAIN(log_notice, "%s", "notice")
PLAIN(log_info, "%s", "info")
PLAIN(log_debug, "%s", "debug")
PLAIN(log_deprecation, "2.5.0", "3.0.0", "%s", "old")
STR(log_serialize)
PLAIN(log_set_serialize_value, "a.b", kong_integer(3))
VALUE(nginx_get_ctx, "k")
PLAIN(nginx_set_ctx, "k", kong_string("v"))
STR(nginx_get_var, "request_id")
STR(nginx_get_tls1_version_str)
STR(nginx_get_subsystem)
NUMBER(nginx_req_start_time)
STR(node_get_hostname)
STR(node_get_id)
STR(plugin_get_id)
VALUE(request_get_body, "application/json")
STR(request_get_forwarded_host)
STR(request_get_forwarded_path)
INT(request_get_forwarded_port)
STR(request_get_forwarded_prefix)
STR(request_get_forwarded_scheme)
STR(request_get_header, "X-Multi")
HEADERS(request_get_headers, 0)
STR(request_get_host)
NUMBER(request_get_http_version)
STR(request_get_method)
STR(request_get_path)
STR(request_get_path_with_query)
INT(request_get_port)
HEADERS(request_get_query, 1000)
STR(request_get_query_arg, "a")
STR(request_get_raw_body, 1000)
STR(request_get_raw_path)
STR(request_get_raw_query)
STR(request_get_scheme)
NUMBER(request_get_start_time)
PLAIN(response_add_header, "X-A", "1")
PLAIN(response_add_header_value, "X-A", kong_integer(1000000000000000))
PLAIN(response_clear_header, "X-A")
PLAIN(response_error, 503, "busy", MAP(kong_pair("Retry-After", kong_integer(3))))
PLAIN(response_exit, 403, kong_str("no"), MAP(kong_pair("X-Deny", kong_boolean(false))))
STR(response_get_header, "Foo")
HEADERS(response_get_headers, 7)
STR(response_get_raw_body, 1000)
STR(response_get_source)
INT(response_get_status)
PLAIN(response_set_header, "X-A", "1")
PLAIN(response_set_header_value, "X-A", kong_bytes("b\0c", 3))
PLAIN(response_set_headers, MAP(kong_pair("X-A", kong_string("1")),
                                kong_pair("X-B", LIST(kong_string("2"), kong_string("3")))))
PLAIN(response_set_raw_body, kong_str("body"))
PLAIN(response_set_status, 418)
PLAIN(service_request_add_header, "X-A", "1")
PLAIN(service_request_add_header_value, "X-A", kong_number(0.25))
PLAIN(service_request_clear_header, "X-A")
PLAIN(service_request_clear_query_arg, "a")
PLAIN(service_request_disable_tls)
PLAIN(service_request_enable_buffering)
PLAIN(service_request_set_body, MAP(kong_pair("a", kong_integer(1))), "application/json")
PLAIN(service_request_set_header, "Host", "b.example")
PLAIN(service_request_set_header_value, "X-A", kong_boolean(true))
PLAIN(service_request_set_headers, MAP(kong_pair("X-A", kong_string("1"))))
PLAIN(service_request_set_method, "PATCH")
PLAIN(service_request_set_path, "/new")
PLAIN(service_request_set_query,
      MAP(kong_pair("a", kong_integer(1)), kong_pair("b", kong_boolean(true)),
          kong_pair("c", LIST(kong_string("x"), kong_integer(2)))))
PLAIN(service_request_set_raw_body, kong_str("raw"))
PLAIN(service_request_set_raw_query, "a=1&b")
PLAIN(service_request_set_scheme, "https")
VALUE(service_response_get_body, NULL)
STR(service_response_get_header, "Foo")
HEADERS(service_response_get_headers, 0)
STR(service_response_get_raw_body, 1000)
INT(service_response_get_status)
PLAIN(service_set_retries, 5)
PLAIN(service_set_target, "10.0.0.2", 8080)
PLAIN(service_set_timeouts, 1, 2, 2147483646)
PLAIN(service_set_tls_verify, false)
PLAIN(service_set_tls_verify_depth, 3)
PLAIN(service_set_upstream, "blue")
PLAIN(telemetry_log, "p", kong_nil(), "type", NULL, MAP(kong_pair("a", kong_integer(1))))
STR(vault_get, "{vault://env/x}")
BOOL(vault_is_reference, "{vault://env/x}")

static int do_client_get_consumer(struct kong *kong, struct bench *bench) {
    struct kong_consumer consumer = {.created_at = -1};
    note_error(bench, kong_client_get_consumer(kong, &consumer));
    note_strs(bench, (struct kong_str[]){consumer.id, consumer.username, consumer.custom_id}, 3);
    note(bench, " %lld ", (long long)consumer.created_at);
    note_strings(bench, consumer.tags);
    note(bench, " %d", consumer.fields.type);
    return 0;
}

static int do_client_load_consumer(struct kong *kong, struct bench *bench) {
    struct kong_consumer consumer = {.created_at = -1};
    note_error(bench, kong_client_load_consumer(kong, UUID, false, &consumer));
    note_str(bench, consumer.id);
    note(bench, " %lld", (long long)consumer.created_at);
    return 0;
}

static int do_client_get_credential(struct kong *kong, struct bench *bench) {
    struct kong_credential credential = {.id = {"unset", 5}, .consumer_id = {"unset", 5}};
    note_error(bench, kong_client_get_credential(kong, &credential));
    note_strs(bench, (struct kong_str[]){credential.id, credential.consumer_id}, 2);
    return 0;
}

static int do_client_authenticate(struct kong *kong, struct bench *bench) {
    struct kong_str tags[] = {{"a", 1}, {"b", 1}};
    struct kong_consumer consumer = {
        .id = kong_str("1"), .created_at = 5, .username = kong_str("u"), .tags = {tags, 2}};
    struct kong_credential credential = {.id = kong_str("2"), .consumer_id = kong_str("1")};
    note_error(bench, kong_client_authenticate(kong, &consumer, &credential));
    return 0;
}

static int do_nginx_get_statistics(struct kong *kong, struct bench *bench) {
    struct kong_nginx_statistics s = {.total_requests = -1};
    note_error(bench, kong_nginx_get_statistics(kong, &s));
    note(bench, "%lld %lld %lld %lld %lld %lld %lld", (long long)s.connections_active,
         (long long)s.connections_reading, (long long)s.connections_writing,
         (long long)s.connections_waiting, (long long)s.connections_accepted,
         (long long)s.connections_handled, (long long)s.total_requests);
    return 0;
}

static int do_node_get_memory_stats(struct kong *kong, struct bench *bench) {
    struct kong_memory_stats stats = {NULL, 9, NULL, 9};
    note_error(bench, kong_node_get_memory_stats(kong, &stats));
    note(bench, "%zu %zu", stats.dict_count, stats.worker_count);
    for (size_t i = 0; i < stats.dict_count; i++) {
        note(bench, " %s=%lld/%lld", stats.dicts[i].name.data,
             (long long)stats.dicts[i].allocated_slabs, (long long)stats.dicts[i].capacity);
    }
    for (size_t i = 0; i < stats.worker_count; i++) {
        note(bench, " %lld:%lld", (long long)stats.workers[i].pid,
             (long long)stats.workers[i].http_allocated_gc);
    }
    return 0;
}

static int do_request_get_uri_captures(struct kong *kong, struct bench *bench) {
    struct kong_captures captures = {.named_count = 9, .unnamed = {NULL, 9}};
    note_error(bench, kong_request_get_uri_captures(kong, &captures));
    note_strings(bench, captures.unnamed);
    for (size_t i = 0; i < captures.named_count; i++) {
        note(bench, " %s=", captures.named[i].name.data);
        note_str(bench, captures.named[i].value);
    }
    return 0;
}

static int do_router_get_route(struct kong *kong, struct bench *bench) {
    struct kong_route r = {.regex_priority = -1};
    note_error(bench, kong_router_get_route(kong, &r));
    note_strs(bench, (struct kong_str[]){r.id, r.name, r.service_id}, 3);
    note(bench, " %lld %lld %d %lld %d%d ", (long long)r.created_at, (long long)r.updated_at,
         r.https_redirect_status_code, (long long)r.regex_priority, r.strip_path, r.preserve_host);
    const struct kong_strings lists[] = {r.protocols, r.methods, r.hosts, r.paths, r.snis, r.tags};
    for (size_t i = 0; i < LENGTH(lists); i++) {
        note_strings(bench, lists[i]);
    }
    note(bench, " %zu %zu", r.sources.count, r.destinations.count);
    return 0;
}

static int do_router_get_service(struct kong *kong, struct bench *bench) {
    struct kong_service s = {.retries = -1};
    note_error(bench, kong_router_get_service(kong, &s));
    note_strs(
        bench,
        (struct kong_str[]){s.id, s.name, s.protocol, s.host, s.path, s.client_certificate_id}, 6);
    note(bench, " %lld %lld %d %d %d %d %d ", (long long)s.created_at, (long long)s.updated_at,
         s.retries, s.port, s.connect_timeout, s.write_timeout, s.read_timeout);
    note_strings(bench, s.tags);
    return 0;
}

static int do_vault_parse_reference(struct kong *kong, struct bench *bench) {
    struct kong_vault_reference parts = {.version = -1};
    note_error(bench, kong_vault_parse_reference(kong, "{vault://env/a/b?c=d#2}", &parts));
    note_strs(bench, (struct kong_str[]){parts.name, parts.resource, parts.key}, 3);
    note(bench, " %lld ", (long long)parts.version);
    note_value(bench, &parts.config);
    return 0;
}

/* --- What they should see --- */

#define GETS(name, method, asked, told, noted, ...)                                                \
    {                                                                                              \
        .handler = do_##name, .id = PDK_##method, .args = asked, .answer = told, .seen = noted,    \
        __VA_ARGS__                                                                                \
    }
#define POSTS(name, method, asked)                                                                 \
    { .handler = do_##name, .id = PDK_##method, .args = asked, .seen = "ok ", .zero = "" }
#define CONFIRMS(name, method, asked)                                                              \
    {                                                                                              \
        .handler = do_##name, .id = PDK_##method, .args = asked, .answer = "true", .seen = "ok ",  \
        .zero = "", .nil = "KONG "                                                                 \
    }
#define NIL   .zero = "nil"
#define ZERO  .zero = "0"
#define FALSE .zero = "false"

#define ROUTE_ZERO   "nil nil nil 0 0 0 0 00 [][][][][][] 0 0"
#define SERVICE_ZERO "nil nil nil nil nil nil 0 0 0 0 0 0 0 []"

const struct pdk_row pdk_rows[] = {
    GETS(client_get_ip, CLIENT_GET_IP, "[]", "\"127.0.0.1\"", "ok \"127.0.0.1\"", NIL),
    GETS(client_get_forwarded_ip, CLIENT_GET_FORWARDED_IP, "[]", "\"::1\"", "ok \"::1\"", NIL),
    GETS(client_get_port, CLIENT_GET_PORT, "[]", "65535", "ok 65535", ZERO),
    GETS(client_get_forwarded_port, CLIENT_GET_FORWARDED_PORT, "[]", "443", "ok 443", ZERO),
    GETS(client_get_protocol, CLIENT_GET_PROTOCOL, "[true]", "\"https\"", "ok \"https\"", NIL),
    GETS(ip_is_trusted, IP_IS_TRUSTED, "[\"10.0.0.1\"]", "true", "ok true", FALSE),
    GETS(client_get_consumer, CLIENT_GET_CONSUMER, "[]",
         "{\"id\":\"1\",\"username\":\"u\",\"created_at\":1795374098,\"tags\":[\"x\",\"y\"]}",
         "ok \"1\" \"u\" nil 1795374098 [\"x\",\"y\"] 6", .zero = "nil nil nil 0 [] 0"),
    GETS(client_load_consumer, CLIENT_LOAD_CONSUMER, "[\"" UUID "\",false]",
         "{\"id\":\"" UUID "\",\"created_at\":7}", "ok \"" UUID "\" 7", .zero = "nil 0"),
    GETS(client_get_credential, CLIENT_GET_CREDENTIAL, "[]",
         "{\"id\":\"2\",\"key\":\"secret\",\"consumer\":{\"id\":\"1\"}}", "ok \"2\" \"1\"",
         .zero = "nil nil", .answer_protobuf = "{\"id\":\"2\",\"consumer_id\":\"1\"}"),
    POSTS(client_authenticate, CLIENT_AUTHENTICATE,
          "[{\"id\":\"1\",\"created_at\":5,\"username\":\"u\",\"tags\":[\"a\",\"b\"]},"
          "{\"id\":\"2\",\"consumer_id\":\"1\"}]"),
    CONFIRMS(client_tls_request_client_certificate, CLIENT_TLS_REQUEST_CLIENT_CERTIFICATE, "[]"),
    CONFIRMS(client_tls_disable_session_reuse, CLIENT_TLS_DISABLE_SESSION_REUSE, "[]"),
    CONFIRMS(client_tls_disable_http2_alpn, CLIENT_TLS_DISABLE_HTTP2_ALPN, "[]"),
    GETS(client_tls_get_full_client_certificate_chain, CLIENT_TLS_GET_FULL_CLIENT_CERTIFICATE_CHAIN,
         "[]", "\"PEM\"", "ok \"PEM\"", NIL),
    POSTS(client_tls_set_client_verify, CLIENT_TLS_SET_CLIENT_VERIFY, "[\"FAILED:expired\"]"),
    GETS(cluster_get_id, CLUSTER_GET_ID, "[]", "\"c\"", "ok \"c\"", NIL),
    GETS(ctx_shared_get, CTX_SHARED_GET, "[\"k\"]", "{\"a\":[1,2.5,\"x\",false]}",
         "ok {\"a\":[1,2.5,\"x\",false]}", .zero = "null"),
    POSTS(ctx_shared_set, CTX_SHARED_SET, "[\"k\",[1,\"x\",0.5]]"),
    POSTS(log, LOG, "[\"line 1\"]"),
    POSTS(log_alert, LOG_ALERT, "[\"alert\"]"),
    POSTS(log_crit, LOG_CRIT, "[\"crit\"]"),
    POSTS(log_err, LOG_ERR, "[\"err: 7%\"]"),
    POSTS(log_warn, LOG_WARN, "[\"warn\"]"),
    POSTS(log_notice, LOG_NOTICE, "[\"notice\"]"),
    POSTS(log_info, LOG_INFO, "[\"info\"]"),
    POSTS(log_debug, LOG_DEBUG, "[\"debug\"]"),
    POSTS(log_deprecation, LOG_DEPRECATION,
          "[\"old\",{\"after\":\"2.5.0\",\"removal\":\"3.0.0\"}]"),
    GETS(log_serialize, LOG_SERIALIZE, "[]", "\"{}\"", "ok \"{}\"", NIL),
    POSTS(log_set_serialize_value, LOG_SET_SERIALIZE_VALUE, "[\"a.b\",3]"),
    GETS(nginx_get_ctx, NGINX_GET_CTX, "[\"k\"]", "[\"x\"]", "ok [\"x\"]", .zero = "null"),
    POSTS(nginx_set_ctx, NGINX_SET_CTX, "[\"k\",\"v\"]"),
    GETS(nginx_get_var, NGINX_GET_VAR, "[\"request_id\"]", "\"1f\"", "ok \"1f\"", NIL),
    GETS(nginx_get_tls1_version_str, NGINX_GET_TLS1_VERSION_STR, "[]", "\"TLSv1.3\"",
         "ok \"TLSv1.3\"", NIL),
    GETS(nginx_get_subsystem, NGINX_GET_SUBSYSTEM, "[]", "\"http\"", "ok \"http\"", NIL),
    GETS(nginx_req_start_time, NGINX_REQ_START_TIME, "[]", "1795374098.25", "ok 1795374098.25",
         ZERO),
    GETS(nginx_get_statistics, NGINX_GET_STATISTICS, "[]",
         "{\"connections_active\":1,\"connections_reading\":2,\"connections_writing\":3,"
         "\"connections_waiting\":4,\"connections_accepted\":5,\"connections_handled\":6,"
         "\"total_requests\":7}",
         "ok 1 2 3 4 5 6 7", .zero = "0 0 0 0 0 0 0"),
    GETS(node_get_hostname, NODE_GET_HOSTNAME, "[]", "\"host\"", "ok \"host\"", NIL),
    GETS(node_get_id, NODE_GET_ID, "[]", "\"" UUID "\"", "ok \"" UUID "\"", NIL),
    GETS(node_get_memory_stats, NODE_GET_MEMORY_STATS, "[]",
         "{\"lua_shared_dicts\":{\"kong\":{\"capacity\":20,\"allocated_slabs\":10},"
         "\"kong_db_cache\":{\"capacity\":40,\"allocated_slabs\":30}},"
         "\"workers_lua_vms\":[{\"pid\":9,\"http_allocated_gc\":54112398}]}",
         "ok 2 1 kong=10/20 kong_db_cache=30/40 9:54112398", .zero = "0 0"),
    GETS(plugin_get_id, PLUGIN_GET_ID, "[]", "\"p\"", "ok \"p\"", NIL),
    GETS(request_get_body, REQUEST_GET_BODY, "[\"application/json\"]", "{\"a\":[1]}",
         "ok {\"a\":[1]}", .zero = "null", .nil = "KONG null"),
    GETS(request_get_forwarded_host, REQUEST_GET_FORWARDED_HOST, "[]", "\"h\"", "ok \"h\"", NIL),
    GETS(request_get_forwarded_path, REQUEST_GET_FORWARDED_PATH, "[]", "\"/p\"", "ok \"/p\"", NIL),
    GETS(request_get_forwarded_port, REQUEST_GET_FORWARDED_PORT, "[]", "81", "ok 81", ZERO),
    GETS(request_get_forwarded_prefix, REQUEST_GET_FORWARDED_PREFIX, "[]", "\"/p\"", "ok \"/p\"",
         NIL),
    GETS(request_get_forwarded_scheme, REQUEST_GET_FORWARDED_SCHEME, "[]", "\"https\"",
         "ok \"https\"", NIL),
    GETS(request_get_header, REQUEST_GET_HEADER, "[\"X-Multi\"]", "\"a\"", "ok \"a\"", NIL),
    GETS(request_get_headers, REQUEST_GET_HEADERS, "[]",
         "{\"host\":[\"h:8000\"],\"x-multi\":[\"a\",\"b\"],\"x-empty\":[\"\"]}",
         "ok 3 host=\"h:8000\" x-multi=\"a\",\"b\" x-empty=\"\"", ZERO, .args_protobuf = "[100]",
         .answer_protobuf = "{\"host\":\"h:8000\",\"x-multi\":[\"a\",\"b\"],\"x-empty\":\"\"}"),
    GETS(request_get_host, REQUEST_GET_HOST, "[]", "\"h\"", "ok \"h\"", NIL),
    GETS(request_get_http_version, REQUEST_GET_HTTP_VERSION, "[]", "2", "ok 2", ZERO),
    GETS(request_get_method, REQUEST_GET_METHOD, "[]", "\"GET\"", "ok \"GET\"", NIL),
    GETS(request_get_path, REQUEST_GET_PATH, "[]", "\"/x\"", "ok \"/x\"", NIL),
    GETS(request_get_path_with_query, REQUEST_GET_PATH_WITH_QUERY, "[]", "\"/x?a\"", "ok \"/x?a\"",
         NIL),
    GETS(request_get_port, REQUEST_GET_PORT, "[]", "8000", "ok 8000", ZERO),
    GETS(request_get_query, REQUEST_GET_QUERY, "[1000]",
         "{\"a\":[\"1\"],\"b\":[],\"c\":[\"x\",\"y\"],\"e\":[\"\"]}",
         "ok 4 a=\"1\" b?=\"\" c=\"x\",\"y\" e=\"\"", ZERO,
         .answer_protobuf = "{\"a\":\"1\",\"b\":true,\"c\":[\"x\",\"y\"],\"e\":\"\"}"),
    GETS(request_get_query_arg, REQUEST_GET_QUERY_ARG, "[\"a\"]", "\"1\"", "ok \"1\"", NIL,
         .args_protobuf = "[1000]", .answer_protobuf = "{\"a\":[\"1\",\"2\"]}",
         .arrives_protobuf = PDK_REQUEST_GET_QUERY),
    GETS(request_get_raw_body, REQUEST_GET_RAW_BODY, "[67108864]", "\"bytes\"", "ok \"bytes\"", NIL,
         .nil = "ok \"\"", .args_protobuf = "[]", .answer_protobuf = "{\"content\":\"bytes\"}"),
    GETS(request_get_raw_path, REQUEST_GET_RAW_PATH, "[]", "\"/%78\"", "ok \"/%78\"", NIL),
    GETS(request_get_raw_query, REQUEST_GET_RAW_QUERY, "[]", "\"a=1\"", "ok \"a=1\"", NIL,
         .nil = "ok \"\""),
    GETS(request_get_scheme, REQUEST_GET_SCHEME, "[]", "\"http\"", "ok \"http\"", NIL),
    GETS(request_get_start_time, REQUEST_GET_START_TIME, "[]", "1649960273000", "ok 1649960273000",
         ZERO),
    GETS(request_get_uri_captures, REQUEST_GET_URI_CAPTURES, "[]",
         "{\"unnamed\":[\"a\",\"b\"],\"named\":{\"n\":\"v\"}}", "ok [\"a\",\"b\"] n=\"v\"",
         .zero = "[]"),
    POSTS(response_add_header, RESPONSE_ADD_HEADER, "[\"X-A\",\"1\"]"),
    POSTS(response_add_header_value, RESPONSE_ADD_HEADER, "[\"X-A\",\"1000000000000000\"]"),
    POSTS(response_clear_header, RESPONSE_CLEAR_HEADER, "[\"X-A\"]"),
    POSTS(response_error, RESPONSE_ERROR, "[503,\"busy\",{\"Retry-After\":\"3\"}]"),
    POSTS(response_exit, RESPONSE_EXIT, "[403,\"no\",{\"X-Deny\":\"false\"}]"),
    GETS(response_get_header, RESPONSE_GET_HEADER, "[\"Foo\"]", "\"bar\"", "ok \"bar\"", NIL),
    GETS(response_get_headers, RESPONSE_GET_HEADERS, "[7]", "{\"foo\":[\"bar\"]}",
         "ok 1 foo=\"bar\"", ZERO),
    GETS(response_get_raw_body, RESPONSE_GET_RAW_BODY, "[]", "\"b\"", "ok \"b\"", NIL,
         .nil = "ok \"\""),
    GETS(response_get_source, RESPONSE_GET_SOURCE, "[]", "\"service\"", "ok \"service\"", NIL),
    GETS(response_get_status, RESPONSE_GET_STATUS, "[]", "204", "ok 204", ZERO),
    POSTS(response_set_header, RESPONSE_SET_HEADER, "[\"X-A\",\"1\"]"),
    POSTS(response_set_header_value, RESPONSE_SET_HEADER, "[\"X-A\",\"b\\u0000c\"]"),
    POSTS(response_set_headers, RESPONSE_SET_HEADERS, "[{\"X-A\":\"1\",\"X-B\":[\"2\",\"3\"]}]"),
    POSTS(response_set_raw_body, RESPONSE_SET_RAW_BODY, "[\"body\"]"),
    POSTS(response_set_status, RESPONSE_SET_STATUS, "[418]"),
    GETS(router_get_route, ROUTER_GET_ROUTE, "[]",
         "{\"id\":\"1\",\"name\":\"n\",\"service\":{\"id\":\"2\"},\"created_at\":3,"
         "\"updated_at\":4,\"https_redirect_status_code\":426,\"regex_priority\":5,"
         "\"strip_path\":true,\"preserve_host\":true,\"protocols\":[\"http\",\"https\"],"
         "\"methods\":[\"GET\"],\"hosts\":[\"h\"],\"paths\":[\"/\"],\"snis\":[\"s\"],"
         "\"tags\":[\"t\"]}",
         "ok \"1\" \"n\" \"2\" 3 4 426 5 11 "
         "[\"http\",\"https\"][\"GET\"][\"h\"][\"/\"][\"s\"][\"t\"] 0 0",
         .zero = ROUTE_ZERO),
    GETS(router_get_service, ROUTER_GET_SERVICE, "[]",
         "{\"id\":\"1\",\"name\":\"n\",\"protocol\":\"http\",\"host\":\"h\",\"path\":\"/\","
         "\"client_certificate\":{\"id\":\"c\"},\"created_at\":1,\"updated_at\":2,\"retries\":3,"
         "\"port\":4,\"connect_timeout\":5,\"write_timeout\":6,\"read_timeout\":7,"
         "\"tags\":[\"t\"]}",
         "ok \"1\" \"n\" \"http\" \"h\" \"/\" \"c\" 1 2 3 4 5 6 7 [\"t\"]", .zero = SERVICE_ZERO),
    POSTS(service_request_add_header, SERVICE_REQUEST_ADD_HEADER, "[\"X-A\",\"1\"]"),
    POSTS(service_request_add_header_value, SERVICE_REQUEST_ADD_HEADER, "[\"X-A\",0.25]"),
    POSTS(service_request_clear_header, SERVICE_REQUEST_CLEAR_HEADER, "[\"X-A\"]"),
    POSTS(service_request_clear_query_arg, SERVICE_REQUEST_CLEAR_QUERY_ARG, "[\"a\"]"),
    CONFIRMS(service_request_disable_tls, SERVICE_REQUEST_DISABLE_TLS, "[]"),
    POSTS(service_request_enable_buffering, SERVICE_REQUEST_ENABLE_BUFFERING, "[]"),
    CONFIRMS(service_request_set_body, SERVICE_REQUEST_SET_BODY,
             "[{\"a\":1},\"application/json\"]"),
    POSTS(service_request_set_header, SERVICE_REQUEST_SET_HEADER, "[\"Host\",\"b.example\"]"),
    POSTS(service_request_set_header_value, SERVICE_REQUEST_SET_HEADER, "[\"X-A\",\"true\"]"),
    POSTS(service_request_set_headers, SERVICE_REQUEST_SET_HEADERS, "[{\"X-A\":\"1\"}]"),
    POSTS(service_request_set_method, SERVICE_REQUEST_SET_METHOD, "[\"PATCH\"]"),
    POSTS(service_request_set_path, SERVICE_REQUEST_SET_PATH, "[\"/new\"]"),
    POSTS(service_request_set_query, SERVICE_REQUEST_SET_QUERY,
          "[{\"a\":\"1\",\"b\":true,\"c\":[\"x\",\"2\"]}]"),
    POSTS(service_request_set_raw_body, SERVICE_REQUEST_SET_RAW_BODY, "[\"raw\"]"),
    POSTS(service_request_set_raw_query, SERVICE_REQUEST_SET_RAW_QUERY, "[\"a=1&b\"]"),
    POSTS(service_request_set_scheme, SERVICE_REQUEST_SET_SCHEME, "[\"https\"]"),
    GETS(service_response_get_body, SERVICE_RESPONSE_GET_BODY, "[]", "[1]", "ok [1]",
         .zero = "null", .nil = "KONG null"),
    GETS(service_response_get_header, SERVICE_RESPONSE_GET_HEADER, "[\"Foo\"]", "\"bar\"",
         "ok \"bar\"", NIL),
    GETS(service_response_get_headers, SERVICE_RESPONSE_GET_HEADERS, "[]", "{}", "ok 0", ZERO,
         .args_protobuf = "[100]"),
    GETS(service_response_get_raw_body, SERVICE_RESPONSE_GET_RAW_BODY, "[]", "\"b\"", "ok \"b\"",
         NIL, .nil = "ok \"\""),
    GETS(service_response_get_status, SERVICE_RESPONSE_GET_STATUS, "[]", "502", "ok 502", ZERO),
    POSTS(service_set_retries, SERVICE_SET_RETRIES, "[5]"),
    POSTS(service_set_target, SERVICE_SET_TARGET, "[\"10.0.0.2\",8080]"),
    POSTS(service_set_timeouts, SERVICE_SET_TIMEOUTS, "[1,2,2147483646]"),
    CONFIRMS(service_set_tls_verify, SERVICE_SET_TLS_VERIFY, "[false]"),
    CONFIRMS(service_set_tls_verify_depth, SERVICE_SET_TLS_VERIFY_DEPTH, "[3]"),
    CONFIRMS(service_set_upstream, SERVICE_SET_UPSTREAM, "[\"blue\"]"),
    CONFIRMS(telemetry_log, TELEMETRY_LOG, "[\"p\",{},\"type\",\"\",{\"a\":1}]"),
    GETS(vault_get, VAULT_GET, "[\"{vault://env/x}\"]", "\"s\"", "ok \"s\"", NIL,
         .nil = "KONG nil"),
    GETS(vault_is_reference, VAULT_IS_REFERENCE, "[\"{vault://env/x}\"]", "true", "ok true", FALSE),
    GETS(vault_parse_reference, VAULT_PARSE_REFERENCE, "[\"{vault://env/a/b?c=d#2}\"]",
         "{\"name\":\"env\",\"resource\":\"a\",\"key\":\"b\",\"config\":{\"c\":\"d\"},"
         "\"version\":2}",
         "ok \"env\" \"a\" \"b\" 2 {\"c\":\"d\"}", .zero = "nil nil nil 0 null",
         .nil = "KONG nil nil nil 0 null"),
};

const size_t pdk_row_count = LENGTH(pdk_rows);
