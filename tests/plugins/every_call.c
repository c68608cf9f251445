/* every-call: makes the one PDK call that its configuration names, in whatever phase. An example of
 * each typed function of the PDK; as a plugin, of use to try out what a Kong makes of a call.
 *
 * `call` is the function's name without kong_: "request_get_path". */
#include <kong.h>

struct config {
    const char *call;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, call, .required = true, .match = "^[%l%d_]+$",
                      .description = "The function of the PDK to call, without kong_."),
};

static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

#define UNKNOWN 1 /* no error of the library is positive */

/* Calls the function and returns, if it is the one that `name` says. */
#define CALL(function, ...)                                                                        \
    do {                                                                                           \
        if (strcmp(name, #function) == 0) {                                                        \
            return kong_##function(kong, ##__VA_ARGS__);                                           \
        }                                                                                          \
    } while (0)

static int of_client(struct kong *kong, const char *name) {
    struct kong_consumer consumer = {.id = kong_str("7a267194-6123-5ee0-a1c9-4c1559eb0d95"),
                                     .username = kong_str("ann")};
    struct kong_credential credential = {.id = kong_str("key-1"), .consumer_id = consumer.id};
    struct kong_str text;
    bool trusted;
    int port;
    CALL(client_authenticate, &consumer, &credential);
    CALL(client_get_consumer, &consumer);
    CALL(client_get_credential, &credential);
    CALL(client_get_forwarded_ip, &text);
    CALL(client_get_forwarded_port, &port);
    CALL(client_get_ip, &text);
    CALL(client_get_port, &port);
    CALL(client_get_protocol, false, &text);
    CALL(client_load_consumer, "ann", true, &consumer);
    CALL(client_tls_disable_http2_alpn);
    CALL(client_tls_disable_session_reuse);
    CALL(client_tls_get_full_client_certificate_chain, &text);
    CALL(client_tls_request_client_certificate);
    CALL(client_tls_set_client_verify, "FAILED:expired");
    CALL(ip_is_trusted, "10.0.0.1", &trusted);
    return UNKNOWN;
}

static int of_log(struct kong *kong, const char *name) {
    struct kong_str text;
    CALL(log, "a line");
    CALL(log_alert, "%s", "a line");
    CALL(log_crit, "%s", "a line");
    CALL(log_debug, "%d lines", 1);
    CALL(log_deprecation, "3.0", "4.0", "%s is deprecated", "it");
    CALL(log_err, "%s", "a line");
    CALL(log_info, "%s", "a line");
    CALL(log_notice, "%s", "a line");
    CALL(log_serialize, &text);
    CALL(log_set_serialize_value, "mine.deep", kong_integer(9));
    CALL(log_warn, "%s", "a line");
    CALL(telemetry_log, "every-call", kong_nil(), "type", "message", kong_nil());
    return UNKNOWN;
}

static int of_node(struct kong *kong, const char *name) {
    struct kong_vault_reference parts;
    struct kong_nginx_statistics statistics;
    struct kong_memory_stats memory;
    struct kong_value value;
    struct kong_str text;
    double seconds;
    bool yes;
    CALL(cluster_get_id, &text);
    CALL(ctx_shared_get, "key", &value);
    CALL(ctx_shared_set, "key", kong_string("value"));
    CALL(nginx_get_ctx, "key", &value);
    CALL(nginx_get_statistics, &statistics);
    CALL(nginx_get_subsystem, &text);
    CALL(nginx_get_tls1_version_str, &text);
    CALL(nginx_get_var, "request_id", &text);
    CALL(nginx_req_start_time, &seconds);
    CALL(nginx_set_ctx, "key", kong_number(0.5));
    CALL(node_get_hostname, &text);
    CALL(node_get_id, &text);
    CALL(node_get_memory_stats, &memory);
    CALL(plugin_get_id, &text);
    CALL(vault_get, "{vault://env/secret}", &text);
    CALL(vault_is_reference, "{vault://env/secret}", &yes);
    CALL(vault_parse_reference, "{vault://env/secret}", &parts);
    return UNKNOWN;
}

static int of_request(struct kong *kong, const char *name) {
    struct kong_captures captures;
    struct kong_headers list;
    struct kong_value value;
    struct kong_str text;
    double number;
    int port;
    CALL(request_get_body, NULL, &value);
    CALL(request_get_forwarded_host, &text);
    CALL(request_get_forwarded_path, &text);
    CALL(request_get_forwarded_port, &port);
    CALL(request_get_forwarded_prefix, &text);
    CALL(request_get_forwarded_scheme, &text);
    CALL(request_get_header, "User-Agent", &text);
    CALL(request_get_headers, 0, &list);
    CALL(request_get_host, &text);
    CALL(request_get_http_version, &number);
    CALL(request_get_method, &text);
    CALL(request_get_path, &text);
    CALL(request_get_path_with_query, &text);
    CALL(request_get_port, &port);
    CALL(request_get_query, 10, &list);
    CALL(request_get_query_arg, "a", &text);
    CALL(request_get_raw_body, 8192, &text);
    CALL(request_get_raw_path, &text);
    CALL(request_get_raw_query, &text);
    CALL(request_get_scheme, &text);
    CALL(request_get_start_time, &number);
    CALL(request_get_uri_captures, &captures);
    return UNKNOWN;
}

static int of_response(struct kong *kong, const char *name) {
    struct kong_pair pair = kong_pair("X-Every", kong_string("call"));
    struct kong_headers headers;
    struct kong_str text;
    int status;
    CALL(response_add_header, "X-Every", "call");
    CALL(response_clear_header, "X-Every");
    CALL(response_error, 403, "not now", kong_map(&pair, 1));
    CALL(response_exit, 403, kong_str("not now"), kong_map(&pair, 1));
    CALL(response_get_header, "Content-Type", &text);
    CALL(response_get_headers, 0, &headers);
    CALL(response_get_raw_body, 8192, &text);
    CALL(response_get_source, &text);
    CALL(response_get_status, &status);
    CALL(response_set_header, "X-Every", "call");
    CALL(response_set_headers, kong_map(&pair, 1));
    CALL(response_set_raw_body, kong_str("body"));
    CALL(response_set_status, 299);
    return UNKNOWN;
}

static int of_service(struct kong *kong, const char *name) {
    struct kong_service service;
    struct kong_headers headers;
    struct kong_route route;
    struct kong_value value;
    struct kong_str text;
    int status;
    CALL(router_get_route, &route);
    CALL(router_get_service, &service);
    CALL(service_response_get_body, NULL, &value);
    CALL(service_response_get_header, "Content-Type", &text);
    CALL(service_response_get_headers, 0, &headers);
    CALL(service_response_get_raw_body, 8192, &text);
    CALL(service_response_get_status, &status);
    CALL(service_set_retries, 2);
    CALL(service_set_target, "127.0.0.1", 8080);
    CALL(service_set_timeouts, 1000, 2000, 3000);
    CALL(service_set_tls_verify, true);
    CALL(service_set_tls_verify_depth, 2);
    CALL(service_set_upstream, "up");
    return UNKNOWN;
}

static int of_service_request(struct kong *kong, const char *name) {
    struct kong_pair pair = kong_pair("every", kong_string("call"));
    CALL(service_request_add_header, "X-Every", "call");
    CALL(service_request_clear_header, "X-Every");
    CALL(service_request_clear_query_arg, "a");
    CALL(service_request_disable_tls);
    CALL(service_request_enable_buffering);
    CALL(service_request_set_body, kong_map(&pair, 1), "application/json");
    CALL(service_request_set_header, "X-Every", "call");
    CALL(service_request_set_headers, kong_map(&pair, 1));
    CALL(service_request_set_method, "PUT");
    CALL(service_request_set_path, "/every");
    CALL(service_request_set_query, kong_map(&pair, 1));
    CALL(service_request_set_raw_body, kong_str("body"));
    CALL(service_request_set_raw_query, "every=call");
    CALL(service_request_set_scheme, "https");
    return UNKNOWN;
}

static int call(struct kong *kong, const void *data) {
    static int (*const modules[])(struct kong * kong, const char *name) = {
        of_client, of_log, of_node, of_request, of_response, of_service, of_service_request,
    };
    const struct config *config = data;
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        int error = modules[i](kong, config->call);
        if (error != UNKNOWN) {
            return error;
        }
    }
    kong_log_err(kong, "there is no function kong_%s", config->call);
    return KONG_E_FAILED;
}

static const struct kong_plugin plugin = {
    .name = "every-call",
    .version = "0.1.0",
    .priority = 1,
    .phases = KONG_PHASE_BIT(KONG_PHASE_ACCESS),
    .schema = &schema,
    .handlers =
        {
            [KONG_PHASE_CERTIFICATE] = call,
            [KONG_PHASE_REWRITE] = call,
            [KONG_PHASE_ACCESS] = call,
            [KONG_PHASE_RESPONSE] = call,
            [KONG_PHASE_HEADER_FILTER] = call,
            [KONG_PHASE_PREREAD] = call,
            [KONG_PHASE_LOG] = call,
        },
};

KONG_MAIN(plugin)
