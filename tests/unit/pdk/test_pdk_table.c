/* The typed functions against the table of PDK methods: each method has one, named after it, and
 * the comment above its declaration says what the table says: Lua name, phases, posted, terminal,
 * MsgPack only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "kong.h"
#include "pdk_methods.h"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

struct function {
    const char *name;
    void (*fn)(void); /* it must exist to be linked */
    enum pdk_id id;
};

#define FUNCTION(id, name) [PDK_##id] = {#name, (void (*)(void))(name), PDK_##id}
#define VARIANT(id, name)                                                                          \
    { #name, (void (*)(void))(name), PDK_##id }

static const struct function functions[PDK_COUNT] = {
    FUNCTION(CLIENT_AUTHENTICATE, kong_client_authenticate),
    FUNCTION(CLIENT_GET_CONSUMER, kong_client_get_consumer),
    FUNCTION(CLIENT_GET_CREDENTIAL, kong_client_get_credential),
    FUNCTION(CLIENT_GET_FORWARDED_IP, kong_client_get_forwarded_ip),
    FUNCTION(CLIENT_GET_FORWARDED_PORT, kong_client_get_forwarded_port),
    FUNCTION(CLIENT_GET_IP, kong_client_get_ip),
    FUNCTION(CLIENT_GET_PORT, kong_client_get_port),
    FUNCTION(CLIENT_GET_PROTOCOL, kong_client_get_protocol),
    FUNCTION(CLIENT_LOAD_CONSUMER, kong_client_load_consumer),
    FUNCTION(CLIENT_TLS_DISABLE_HTTP2_ALPN, kong_client_tls_disable_http2_alpn),
    FUNCTION(CLIENT_TLS_DISABLE_SESSION_REUSE, kong_client_tls_disable_session_reuse),
    FUNCTION(CLIENT_TLS_GET_FULL_CLIENT_CERTIFICATE_CHAIN,
             kong_client_tls_get_full_client_certificate_chain),
    FUNCTION(CLIENT_TLS_REQUEST_CLIENT_CERTIFICATE, kong_client_tls_request_client_certificate),
    FUNCTION(CLIENT_TLS_SET_CLIENT_VERIFY, kong_client_tls_set_client_verify),
    FUNCTION(CLUSTER_GET_ID, kong_cluster_get_id),
    FUNCTION(CTX_SHARED_GET, kong_ctx_shared_get),
    FUNCTION(CTX_SHARED_SET, kong_ctx_shared_set),
    FUNCTION(IP_IS_TRUSTED, kong_ip_is_trusted),
    FUNCTION(LOG, kong_log),
    FUNCTION(LOG_ALERT, kong_log_alert),
    FUNCTION(LOG_CRIT, kong_log_crit),
    FUNCTION(LOG_DEBUG, kong_log_debug),
    FUNCTION(LOG_DEPRECATION, kong_log_deprecation),
    FUNCTION(LOG_ERR, kong_log_err),
    FUNCTION(LOG_INFO, kong_log_info),
    FUNCTION(LOG_NOTICE, kong_log_notice),
    FUNCTION(LOG_SERIALIZE, kong_log_serialize),
    FUNCTION(LOG_SET_SERIALIZE_VALUE, kong_log_set_serialize_value),
    FUNCTION(LOG_WARN, kong_log_warn),
    FUNCTION(NGINX_GET_CTX, kong_nginx_get_ctx),
    FUNCTION(NGINX_GET_STATISTICS, kong_nginx_get_statistics),
    FUNCTION(NGINX_GET_SUBSYSTEM, kong_nginx_get_subsystem),
    FUNCTION(NGINX_GET_TLS1_VERSION_STR, kong_nginx_get_tls1_version_str),
    FUNCTION(NGINX_GET_VAR, kong_nginx_get_var),
    FUNCTION(NGINX_REQ_START_TIME, kong_nginx_req_start_time),
    FUNCTION(NGINX_SET_CTX, kong_nginx_set_ctx),
    FUNCTION(NODE_GET_HOSTNAME, kong_node_get_hostname),
    FUNCTION(NODE_GET_ID, kong_node_get_id),
    FUNCTION(NODE_GET_MEMORY_STATS, kong_node_get_memory_stats),
    FUNCTION(PLUGIN_GET_ID, kong_plugin_get_id),
    FUNCTION(REQUEST_GET_BODY, kong_request_get_body),
    FUNCTION(REQUEST_GET_FORWARDED_HOST, kong_request_get_forwarded_host),
    FUNCTION(REQUEST_GET_FORWARDED_PATH, kong_request_get_forwarded_path),
    FUNCTION(REQUEST_GET_FORWARDED_PORT, kong_request_get_forwarded_port),
    FUNCTION(REQUEST_GET_FORWARDED_PREFIX, kong_request_get_forwarded_prefix),
    FUNCTION(REQUEST_GET_FORWARDED_SCHEME, kong_request_get_forwarded_scheme),
    FUNCTION(REQUEST_GET_HEADER, kong_request_get_header),
    FUNCTION(REQUEST_GET_HEADERS, kong_request_get_headers),
    FUNCTION(REQUEST_GET_HOST, kong_request_get_host),
    FUNCTION(REQUEST_GET_HTTP_VERSION, kong_request_get_http_version),
    FUNCTION(REQUEST_GET_METHOD, kong_request_get_method),
    FUNCTION(REQUEST_GET_PATH, kong_request_get_path),
    FUNCTION(REQUEST_GET_PATH_WITH_QUERY, kong_request_get_path_with_query),
    FUNCTION(REQUEST_GET_PORT, kong_request_get_port),
    FUNCTION(REQUEST_GET_QUERY, kong_request_get_query),
    FUNCTION(REQUEST_GET_QUERY_ARG, kong_request_get_query_arg),
    FUNCTION(REQUEST_GET_RAW_BODY, kong_request_get_raw_body),
    FUNCTION(REQUEST_GET_RAW_PATH, kong_request_get_raw_path),
    FUNCTION(REQUEST_GET_RAW_QUERY, kong_request_get_raw_query),
    FUNCTION(REQUEST_GET_SCHEME, kong_request_get_scheme),
    FUNCTION(REQUEST_GET_START_TIME, kong_request_get_start_time),
    FUNCTION(REQUEST_GET_URI_CAPTURES, kong_request_get_uri_captures),
    FUNCTION(RESPONSE_ADD_HEADER, kong_response_add_header),
    FUNCTION(RESPONSE_CLEAR_HEADER, kong_response_clear_header),
    FUNCTION(RESPONSE_ERROR, kong_response_error),
    FUNCTION(RESPONSE_EXIT, kong_response_exit),
    FUNCTION(RESPONSE_GET_HEADER, kong_response_get_header),
    FUNCTION(RESPONSE_GET_HEADERS, kong_response_get_headers),
    FUNCTION(RESPONSE_GET_RAW_BODY, kong_response_get_raw_body),
    FUNCTION(RESPONSE_GET_SOURCE, kong_response_get_source),
    FUNCTION(RESPONSE_GET_STATUS, kong_response_get_status),
    FUNCTION(RESPONSE_SET_HEADER, kong_response_set_header),
    FUNCTION(RESPONSE_SET_HEADERS, kong_response_set_headers),
    FUNCTION(RESPONSE_SET_RAW_BODY, kong_response_set_raw_body),
    FUNCTION(RESPONSE_SET_STATUS, kong_response_set_status),
    FUNCTION(ROUTER_GET_ROUTE, kong_router_get_route),
    FUNCTION(ROUTER_GET_SERVICE, kong_router_get_service),
    FUNCTION(SERVICE_REQUEST_ADD_HEADER, kong_service_request_add_header),
    FUNCTION(SERVICE_REQUEST_CLEAR_HEADER, kong_service_request_clear_header),
    FUNCTION(SERVICE_REQUEST_CLEAR_QUERY_ARG, kong_service_request_clear_query_arg),
    FUNCTION(SERVICE_REQUEST_DISABLE_TLS, kong_service_request_disable_tls),
    FUNCTION(SERVICE_REQUEST_ENABLE_BUFFERING, kong_service_request_enable_buffering),
    FUNCTION(SERVICE_REQUEST_SET_BODY, kong_service_request_set_body),
    FUNCTION(SERVICE_REQUEST_SET_HEADER, kong_service_request_set_header),
    FUNCTION(SERVICE_REQUEST_SET_HEADERS, kong_service_request_set_headers),
    FUNCTION(SERVICE_REQUEST_SET_METHOD, kong_service_request_set_method),
    FUNCTION(SERVICE_REQUEST_SET_PATH, kong_service_request_set_path),
    FUNCTION(SERVICE_REQUEST_SET_QUERY, kong_service_request_set_query),
    FUNCTION(SERVICE_REQUEST_SET_RAW_BODY, kong_service_request_set_raw_body),
    FUNCTION(SERVICE_REQUEST_SET_RAW_QUERY, kong_service_request_set_raw_query),
    FUNCTION(SERVICE_REQUEST_SET_SCHEME, kong_service_request_set_scheme),
    FUNCTION(SERVICE_RESPONSE_GET_BODY, kong_service_response_get_body),
    FUNCTION(SERVICE_RESPONSE_GET_HEADER, kong_service_response_get_header),
    FUNCTION(SERVICE_RESPONSE_GET_HEADERS, kong_service_response_get_headers),
    FUNCTION(SERVICE_RESPONSE_GET_RAW_BODY, kong_service_response_get_raw_body),
    FUNCTION(SERVICE_RESPONSE_GET_STATUS, kong_service_response_get_status),
    FUNCTION(SERVICE_SET_RETRIES, kong_service_set_retries),
    FUNCTION(SERVICE_SET_TARGET, kong_service_set_target),
    FUNCTION(SERVICE_SET_TIMEOUTS, kong_service_set_timeouts),
    FUNCTION(SERVICE_SET_TLS_VERIFY, kong_service_set_tls_verify),
    FUNCTION(SERVICE_SET_TLS_VERIFY_DEPTH, kong_service_set_tls_verify_depth),
    FUNCTION(SERVICE_SET_UPSTREAM, kong_service_set_upstream),
    FUNCTION(TELEMETRY_LOG, kong_telemetry_log),
    FUNCTION(VAULT_GET, kong_vault_get),
    FUNCTION(VAULT_IS_REFERENCE, kong_vault_is_reference),
    FUNCTION(VAULT_PARSE_REFERENCE, kong_vault_parse_reference),
};

/* Second functions of a method. */
static const struct function variants[] = {
    VARIANT(RESPONSE_SET_HEADER, kong_response_set_header_value),
    VARIANT(RESPONSE_ADD_HEADER, kong_response_add_header_value),
    VARIANT(SERVICE_REQUEST_SET_HEADER, kong_service_request_set_header_value),
    VARIANT(SERVICE_REQUEST_ADD_HEADER, kong_service_request_add_header_value),
};

static void test_functions(void **state) {
    (void)state;
    for (size_t i = 0; i < PDK_COUNT; i++) {
        const char *method = pdk_methods[i].name.data;
        const char *name = functions[i].name;
        if (name == NULL) {
            fail_msg("%s has no function", method);
        }
        assert_non_null(functions[i].fn);
        for (; *method != '\0'; method++, name++) {
            assert_int_equal(*name, *method == '.' ? '_' : *method);
        }
        assert_int_equal(*name, '\0');
    }
}

/* --- What the headers say --- */

/* All of server/include/kong*.h, one after the other. */
static char *read_headers(void) {
    char *text = calloc(1, 1);
    size_t len = 0;
    DIR *dir = opendir("server/include");
    struct dirent *entry;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        const char *end = strrchr(entry->d_name, '.');
        if (strncmp(entry->d_name, "kong", 4) != 0 || end == NULL || strcmp(end, ".h") != 0) {
            continue;
        }
        char path[300];
        snprintf(path, sizeof path, "server/include/%s", entry->d_name);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        for (size_t got = 1; got > 0; len += got) {
            text = realloc(text, len + 4096 + 1);
            assert_non_null(text);
            got = fread(text + len, 1, 4096, file);
            text[len + got] = '\0';
        }
        fclose(file);
    }
    closedir(dir);
    return text;
}

/* The comment above a declaration as one line, without its stars. Freed by the caller. */
static char *comment_of(const char *headers, const char *name) {
    char declaration[100];
    snprintf(declaration, sizeof declaration, "\nint %s(struct kong *kong", name);
    const char *at = strstr(headers, declaration);
    if (at == NULL) {
        fail_msg("%s is not declared", name);
        return NULL;
    }
    if (strstr(at + 1, declaration) != NULL) {
        fail_msg("%s is declared twice", name);
    }
    const char *start = at;
    assert_true(at - headers > 2 && strncmp(at - 2, "*/", 2) == 0);
    while (strncmp(start, "/*", 2) != 0) {
        start--;
    }
    char *line = calloc(1, (size_t)(at - start) + 1);
    assert_non_null(line);
    size_t len = 0;
    for (const char *c = start + 2; c < at - 2; c++) {
        bool star = *c == '*' && (c[-1] == ' ' && c[-2] == '\n');
        bool space = isspace((unsigned char)*c) != 0 || star;
        if (!space) {
            line[len++] = *c;
        } else if (len > 0 && line[len - 1] != ' ') {
            line[len++] = ' ';
        }
    }
    return line;
}

static const char *condition_of(const struct pdk_method *method) {
    static const struct {
        unsigned flags;
        const char *text;
    } conditions[] = {
        {PDK_LOG_OF_HTTP | PDK_LOG_PROTOBUF, " (on ProtoBuf:1 not of a stream)"},
        {PDK_LOG_OF_HTTP, " (not of a stream)"},
        {PDK_LOG_OF_STREAM, " (of a stream)"},
        {PDK_LOG_IF_BUFFERED, " (of a buffered response)"},
    };
    for (size_t i = 0; i < LENGTH(conditions); i++) {
        if ((method->flags & conditions[i].flags) == conditions[i].flags) {
            return conditions[i].text;
        }
    }
    return "";
}

static size_t list_phases(unsigned phases, const char *condition, char *text, size_t size) {
    const char *comma = "";
    size_t len = 0;
    for (int phase = 0; phase < KONG_PHASE_COUNT; phase++) {
        if ((phases & KONG_PHASE_BIT(phase)) != 0) {
            len += (size_t)snprintf(text + len, size - len, "%s%s%s", comma,
                                    kong_phase_name((enum kong_phase)phase),
                                    phase == KONG_PHASE_LOG ? condition : "");
            comma = ", ";
        }
    }
    return len + (size_t)snprintf(text + len, size - len, ".");
}

/* What 2.8 lacks: " Kong 2.8: not in log."; nothing where it does as 3.9. */
static void phases_2_8(const struct pdk_method *method, char *text, size_t size) {
    const char *on = (method->flags & PDK_2_8_PROTOBUF) != 0 ? " on ProtoBuf:1" : "";
    unsigned lost = method->phases & method->not_2_8;
    text[0] = '\0';
    if (lost == method->phases && lost != 0) {
        snprintf(text, size, " Kong 2.8%s: none.", on);
    } else if (lost != 0) {
        size_t len = (size_t)snprintf(text, size, " Kong 2.8%s: not in ", on);
        list_phases(lost, "", text + len, size - len);
    }
}

static void phases_of(const struct pdk_method *method, char *text, size_t size) {
    const unsigned all = (1u << KONG_PHASE_COUNT) - 1;
    size_t len = (size_t)snprintf(text, size, "Phases: ");
    if (method->phases == all && condition_of(method)[0] == '\0') {
        snprintf(text + len, size - len, "all.");
        return;
    }
    if (method->phases == 0) {
        snprintf(text + len, size - len, "none that reaches a plugin server (Kong allows it in ");
        return;
    }
    len += list_phases(method->phases, condition_of(method), text + len, size - len);
    phases_2_8(method, text + len, size - len);
}

static void check_comment(const char *headers, const struct function *function, bool variant) {
    const struct pdk_method *method = &pdk_methods[function->id];
    char *comment = comment_of(headers, function->name);
    char phases[300], start[200];
    assert_non_null(comment);
    snprintf(start, sizeof start, "%s%s", method->name.data, variant ? " with " : ": ");
    phases_of(method, phases, sizeof phases);
    bool posted = (method->flags & PDK_POSTED) != 0, terminal = (method->flags & PDK_TERMINAL) != 0,
         msgpack = (method->flags & PDK_MSGPACK_ONLY) != 0;
    if (strncmp(comment, start, strlen(start)) != 0) {
        fail_msg("%s: the comment does not start with '%s'", function->name, start);
    }
    if (strstr(comment, phases) == NULL) {
        fail_msg("%s: the comment does not say '%s'", function->name, phases);
    }
    if ((strstr(comment, " Posted.") != NULL) != posted ||
        (strstr(comment, " Terminal.") != NULL) != terminal ||
        (strstr(comment, " MsgPack:1 only.") != NULL) != msgpack) {
        fail_msg("%s: what the comment says of posted, terminal, MsgPack:1 only is not what the "
                 "table says",
                 function->name);
    }
    bool old = method->not_2_8 != 0;
    if (!old && strstr(comment, "Kong 2.8: no") != NULL) {
        fail_msg("%s: the table does not say what the comment says of Kong 2.8", function->name);
    }
    free(comment);
}

static void test_comments(void **state) {
    (void)state;
    char *headers = read_headers();
    for (size_t i = 0; i < PDK_COUNT; i++) {
        check_comment(headers, &functions[i], false);
    }
    for (size_t i = 0; i < LENGTH(variants); i++) {
        check_comment(headers, &variants[i], true);
    }
    free(headers);
}

/* Whoever gives a result says that its place must not be NULL. */
static void test_nonnull(void **state) {
    (void)state;
    char *headers = read_headers();
    for (size_t i = 0; i < PDK_COUNT; i++) {
        char declaration[100];
        snprintf(declaration, sizeof declaration, "\nint %s(struct kong *kong", functions[i].name);
        const char *at = strstr(headers, declaration), *end = at == NULL ? NULL : strchr(at, ';');
        assert_non_null(end);
        char text[400];
        assert_true(end - at < (ptrdiff_t)sizeof text);
        snprintf(text, sizeof text, "%.*s", (int)(end - at), at);
        enum pdk_result result = pdk_methods[i].result;
        bool gives = (pdk_methods[i].flags & (PDK_POSTED | PDK_TERMINAL)) == 0 &&
                     (result != PDK_RESULT_BOOL || strstr(text, "bool *") != NULL);
        if (gives != (strstr(text, "KONG_NONNULL(1, ") != NULL)) {
            fail_msg("%s: %s", functions[i].name,
                     gives ? "its result has no KONG_NONNULL" : "KONG_NONNULL without a result");
        }
    }
    free(headers);
}

/* Each code has a text of its own. */
static void test_texts(void **state) {
    (void)state;
    for (int error = KONG_E_PHASE; error <= KONG_OK; error++) {
        assert_string_not_equal(kong_strerror(error), kong_strerror(1));
        for (int other = KONG_E_PHASE; other < error; other++) {
            assert_string_not_equal(kong_strerror(error), kong_strerror(other));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_comments),
        cmocka_unit_test(test_nonnull),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
