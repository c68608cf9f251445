/* Getters whose answers a handler wants in any case, so that it does not wait for each of them.
 * Part of kong.h.
 *
 *     static const struct kong_plugin plugin = {
 *         ...
 *         .prefetch = {[KONG_PHASE_ACCESS] = KONG_PREFETCH(KONG_WANT_REQUEST_METHOD,
 *                                                          KONG_WANT_REQUEST_PATH,
 *                                                          KONG_WANT_REQUEST_HEADER("x-api-key"))},
 *     };
 *
 * in C++ .prefetch = {{KONG_PHASE_ACCESS, KONG_PREFETCH(...)}}.
 *
 * On ProtoBuf:1 the server asks Kong for all of them at once, before the handler runs, and
 * kong_request_get_method and the others find the answer, or wait for just that one: ten getters
 * take about as long as one. What they give is the same as without, errors too: an answer is used
 * only while the handler has called nothing that could change it (kong_service_request_set_header
 * before kong_request_get_header), else Kong is asked again. What the handler does not ask for
 * costs Kong's time. MsgPack:1 has one call at a time: there .prefetch changes nothing.
 *
 * The arguments are those that the handler gives: KONG_WANT_REQUEST_HEADERS is
 * kong_request_get_headers(kong, 0, ...). The names of headers may differ in case.
 *
 * The program ends with one line when it starts, where Kong would raise an error on a getter in the
 * phase, or where it could do so in the phase log. On Kong 2.8 (--kong-version 2.8) the lists of
 * headers and of the query's arguments are not asked for ahead: there Kong raises an error on them
 * for some requests.
 *
 * KONG_WANT_NGINX_VAR gives the variable as it was before the handler ran, and
 * KONG_WANT_REQUEST_RAW_BODY has Kong read the whole body: name it only for handlers that need it.
 *
 * The server learns by itself what nearly all events of a phase ask for (--prefetch auto): that
 * needs no list, but the first events of a process go without. */
#ifndef KONG_PREFETCH_H
#define KONG_PREFETCH_H

#include <stddef.h>
#include <stdint.h>

#include "kong_phase.h"

#ifdef __cplusplus
#include <initializer_list>
#endif

/* Getters of one phase, at most. */
#define KONG_PREFETCH_MOST 24

/* A getter, by its Lua name, and its argument: the member that the function takes. */
struct kong_want {
    const char *function; /* NULL: the end of a list */
    const char *text;
    int64_t number; /* of a boolean, 0 or 1 */
};

#ifdef __cplusplus
/* Before C++20 a list is an array of its own: static const kong_want wants[] = {…, {}}. */
#define KONG_PREFETCH(...) KONG_CXX_ARRAY_(kong_want, __VA_ARGS__, kong_want{nullptr, nullptr, 0})

/* An array by phase. */
struct kong_cxx_prefetch {
    struct entry {
        enum kong_phase phase;
        const kong_want *wants;
    };

    const kong_want *by_phase[KONG_PHASE_COUNT] = {};

    constexpr kong_cxx_prefetch() = default;
#if __cplusplus >= 201402L
    constexpr
#endif
        kong_cxx_prefetch(std::initializer_list<entry> entries) {
        for (const entry &each : entries) {
            by_phase[each.phase] = each.wants;
        }
    }
};
#else
#define KONG_PREFETCH(...) ((const struct kong_want[]){__VA_ARGS__, {NULL, NULL, 0}})
#endif

/* An error here means: the argument is no text in quotes, or no number from 1 to 1000. */
#define KONG_WANT_(function_)                                                                      \
    { "kong." function_, NULL, 0 }
#define KONG_WANT_TEXT_(function_, text_)                                                          \
    { "kong." function_, "" text_ "", 0 }
#define KONG_WANT_MOST_(function_, most_)                                                          \
    { "kong." function_, NULL, (most_) / ((most_) >= 1 && (most_) <= 1000) }

#define KONG_WANT_CLIENT_IP             KONG_WANT_("client.get_ip")
#define KONG_WANT_CLIENT_FORWARDED_IP   KONG_WANT_("client.get_forwarded_ip")
#define KONG_WANT_CLIENT_PORT           KONG_WANT_("client.get_port")
#define KONG_WANT_CLIENT_FORWARDED_PORT KONG_WANT_("client.get_forwarded_port")
#define KONG_WANT_CLIENT_CONSUMER       KONG_WANT_("client.get_consumer")
#define KONG_WANT_CLIENT_CREDENTIAL     KONG_WANT_("client.get_credential")
#define KONG_WANT_CLIENT_PROTOCOL(allow_terminated_)                                               \
    { "kong.client.get_protocol", NULL, (allow_terminated_) ? 1 : 0 }

#define KONG_WANT_REQUEST_SCHEME              KONG_WANT_("request.get_scheme")
#define KONG_WANT_REQUEST_HOST                KONG_WANT_("request.get_host")
#define KONG_WANT_REQUEST_PORT                KONG_WANT_("request.get_port")
#define KONG_WANT_REQUEST_FORWARDED_SCHEME    KONG_WANT_("request.get_forwarded_scheme")
#define KONG_WANT_REQUEST_FORWARDED_HOST      KONG_WANT_("request.get_forwarded_host")
#define KONG_WANT_REQUEST_FORWARDED_PORT      KONG_WANT_("request.get_forwarded_port")
#define KONG_WANT_REQUEST_HTTP_VERSION        KONG_WANT_("request.get_http_version")
#define KONG_WANT_REQUEST_METHOD              KONG_WANT_("request.get_method")
#define KONG_WANT_REQUEST_PATH                KONG_WANT_("request.get_path")
#define KONG_WANT_REQUEST_PATH_WITH_QUERY     KONG_WANT_("request.get_path_with_query")
#define KONG_WANT_REQUEST_RAW_QUERY           KONG_WANT_("request.get_raw_query")
#define KONG_WANT_REQUEST_HEADER(name_)       KONG_WANT_TEXT_("request.get_header", name_)
#define KONG_WANT_REQUEST_HEADERS             KONG_WANT_MOST_("request.get_headers", 100)
#define KONG_WANT_REQUEST_HEADERS_MOST(most_) KONG_WANT_MOST_("request.get_headers", most_)
#define KONG_WANT_REQUEST_QUERY               KONG_WANT_MOST_("request.get_query", 100)
#define KONG_WANT_REQUEST_QUERY_MOST(most_)   KONG_WANT_MOST_("request.get_query", most_)
/* For kong_request_get_query_arg, whatever the argument: on ProtoBuf:1 it asks for all of them. */
#define KONG_WANT_REQUEST_QUERY_ARG    KONG_WANT_MOST_("request.get_query", 1000)
#define KONG_WANT_REQUEST_RAW_BODY     KONG_WANT_("request.get_raw_body")
#define KONG_WANT_REQUEST_URI_CAPTURES KONG_WANT_("request.get_uri_captures")

#define KONG_WANT_RESPONSE_STATUS              KONG_WANT_("response.get_status")
#define KONG_WANT_RESPONSE_HEADER(name_)       KONG_WANT_TEXT_("response.get_header", name_)
#define KONG_WANT_RESPONSE_HEADERS             KONG_WANT_MOST_("response.get_headers", 100)
#define KONG_WANT_RESPONSE_HEADERS_MOST(most_) KONG_WANT_MOST_("response.get_headers", most_)
#define KONG_WANT_RESPONSE_SOURCE              KONG_WANT_("response.get_source")

#define KONG_WANT_SERVICE_RESPONSE_STATUS KONG_WANT_("service.response.get_status")
#define KONG_WANT_SERVICE_RESPONSE_HEADER(name_)                                                   \
    KONG_WANT_TEXT_("service.response.get_header", name_)
#define KONG_WANT_SERVICE_RESPONSE_RAW_BODY KONG_WANT_("service.response.get_raw_body")

#define KONG_WANT_ROUTER_ROUTE           KONG_WANT_("router.get_route")
#define KONG_WANT_ROUTER_SERVICE         KONG_WANT_("router.get_service")
#define KONG_WANT_CTX_SHARED(key_)       KONG_WANT_TEXT_("ctx.shared.get", key_)
#define KONG_WANT_NGINX_CTX(key_)        KONG_WANT_TEXT_("nginx.get_ctx", key_)
#define KONG_WANT_NGINX_VAR(name_)       KONG_WANT_TEXT_("nginx.get_var", name_)
#define KONG_WANT_NGINX_SUBSYSTEM        KONG_WANT_("nginx.get_subsystem")
#define KONG_WANT_NGINX_TLS1_VERSION_STR KONG_WANT_("nginx.get_tls1_version_str")
#define KONG_WANT_NGINX_REQ_START_TIME   KONG_WANT_("nginx.req_start_time")
#define KONG_WANT_NODE_ID                KONG_WANT_("node.get_id")
#define KONG_WANT_IP_IS_TRUSTED(ip_)     KONG_WANT_TEXT_("ip.is_trusted", ip_)
#define KONG_WANT_LOG_SERIALIZE          KONG_WANT_("log.serialize")

#endif
