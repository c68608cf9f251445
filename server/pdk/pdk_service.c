#include "pdk_call.h"

#include <limits.h>

/* --- Where to --- */

int kong_service_set_upstream(struct kong *kong, const char *name) {
    return pdk_confirm(kong, PDK_SERVICE_SET_UPSTREAM, ARGS(kong_string(name)),
                       "there is no such Upstream");
}

static int check_range(struct kong *kong, enum pdk_id id, const char *what, int number, int least,
                       int most) {
    if (number < least || number > most) {
        return pdk_fail(kong, id, KONG_E_INVALID, "%s must be %d to %d, not %d", what, least, most,
                        number);
    }
    return KONG_OK;
}

int kong_service_set_target(struct kong *kong, const char *host, int port) {
    int error = check_range(kong, PDK_SERVICE_SET_TARGET, "the port", port, 0, 65535);
    if (error == 0 && host != NULL && host[0] == '\0') {
        return pdk_fail(kong, PDK_SERVICE_SET_TARGET, KONG_E_INVALID, "the host is empty");
    }
    return error != 0 ? error
                      : pdk_post(kong, PDK_SERVICE_SET_TARGET,
                                 ARGS(kong_string(host), kong_integer(port)));
}

int kong_service_set_retries(struct kong *kong, int retries) {
    int error = check_range(kong, PDK_SERVICE_SET_RETRIES, "the retries", retries, 0, 32767);
    return error != 0 ? error
                      : pdk_post(kong, PDK_SERVICE_SET_RETRIES, ARGS(kong_integer(retries)));
}

int kong_service_set_timeouts(struct kong *kong, int connect_timeout, int write_timeout,
                              int read_timeout) {
    const int timeouts[] = {connect_timeout, write_timeout, read_timeout};
    struct kong_value args[COUNT(timeouts)];
    for (size_t i = 0; i < COUNT(timeouts); i++) {
        int error =
            check_range(kong, PDK_SERVICE_SET_TIMEOUTS, "a time-out", timeouts[i], 1, INT_MAX - 1);
        if (error != 0) {
            return error;
        }
        args[i] = kong_integer(timeouts[i]);
    }
    return pdk_post(kong, PDK_SERVICE_SET_TIMEOUTS, args, COUNT(args));
}

int kong_service_set_tls_verify(struct kong *kong, bool on) {
    return pdk_confirm(kong, PDK_SERVICE_SET_TLS_VERIFY, ARGS(kong_boolean(on)),
                       "Kong could not set it");
}

int kong_service_set_tls_verify_depth(struct kong *kong, int depth) {
    const enum pdk_id id = PDK_SERVICE_SET_TLS_VERIFY_DEPTH;
    int error = check_range(kong, id, "the depth", depth, 0, INT_MAX - 1);
    return error != 0 ? error
                      : pdk_confirm(kong, id, ARGS(kong_integer(depth)), "Kong could not set it");
}

/* --- The request to the upstream --- */

static int post_string(struct kong *kong, enum pdk_id id, const char *string) {
    return pdk_post(kong, id, ARGS(kong_string(string)));
}

int kong_service_request_set_scheme(struct kong *kong, const char *scheme) {
    if (scheme == NULL || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
        return pdk_fail(kong, PDK_SERVICE_REQUEST_SET_SCHEME, KONG_E_INVALID,
                        "must be http or https");
    }
    return post_string(kong, PDK_SERVICE_REQUEST_SET_SCHEME, scheme);
}

int kong_service_request_set_path(struct kong *kong, const char *path) {
    if (path == NULL || path[0] != '/') {
        return pdk_fail(kong, PDK_SERVICE_REQUEST_SET_PATH, KONG_E_INVALID, "must start with /");
    }
    return post_string(kong, PDK_SERVICE_REQUEST_SET_PATH, path);
}

int kong_service_request_set_raw_query(struct kong *kong, const char *query) {
    return post_string(kong, PDK_SERVICE_REQUEST_SET_RAW_QUERY, query);
}

/* A scalar, or a list of scalars. */
static int check_argument(struct kong *kong, const struct kong_value *value,
                          struct kong_value *checked) {
    const enum pdk_id id = PDK_SERVICE_REQUEST_SET_QUERY;
    if (value->type != KONG_LIST) {
        return pdk_scalar(kong, id, value, false, checked);
    }
    size_t count = value->list.count;
    struct kong_value *items = arena_array(pdk_arena(kong), count, sizeof *items);
    if (items == NULL) {
        return pdk_no_memory(kong);
    }
    for (size_t i = 0; i < count; i++) {
        int error = pdk_scalar(kong, id, &value->list.items[i], false, &items[i]);
        if (error != 0) {
            return error;
        }
    }
    *checked = kong_list(items, count);
    return KONG_OK;
}

int kong_service_request_set_query(struct kong *kong, struct kong_value query) {
    const enum pdk_id id = PDK_SERVICE_REQUEST_SET_QUERY;
    if (query.type != KONG_MAP) {
        return pdk_fail(kong, id, KONG_E_INVALID, "the query must be a map");
    }
    struct kong_pair *pairs = arena_array(pdk_arena(kong), query.map.count, sizeof *pairs);
    if (pairs == NULL) {
        return pdk_no_memory(kong);
    }
    for (size_t i = 0; i < query.map.count; i++) {
        pairs[i].key = query.map.pairs[i].key;
        int error = check_argument(kong, &query.map.pairs[i].value, &pairs[i].value);
        if (error != 0) {
            return error;
        }
    }
    return pdk_post(kong, id, ARGS(kong_map(pairs, query.map.count)));
}

int kong_service_request_clear_query_arg(struct kong *kong, const char *name) {
    return post_string(kong, PDK_SERVICE_REQUEST_CLEAR_QUERY_ARG, name);
}

static bool is_one_of(const char *text, const char *const *texts, size_t count) {
    for (size_t i = 0; text != NULL && i < count; i++) {
        if (strcmp(text, texts[i]) == 0) {
            return true;
        }
    }
    return false;
}

int kong_service_request_set_method(struct kong *kong, const char *method) {
    static const char *const methods[] = {
        "GET",  "HEAD",     "PUT",       "POST", "DELETE", "OPTIONS", "MKCOL", "COPY",
        "MOVE", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK", "PATCH",   "TRACE",
    };
    if (!is_one_of(method, methods, COUNT(methods))) {
        return pdk_fail(kong, PDK_SERVICE_REQUEST_SET_METHOD, KONG_E_INVALID,
                        "nginx does not know this method");
    }
    return post_string(kong, PDK_SERVICE_REQUEST_SET_METHOD, method);
}

PDK_POST_HEADER(kong_service_request_set_header, PDK_SERVICE_REQUEST_SET_HEADER)
PDK_POST_HEADER_VALUE(kong_service_request_set_header_value, PDK_SERVICE_REQUEST_SET_HEADER)
PDK_POST_HEADER(kong_service_request_add_header, PDK_SERVICE_REQUEST_ADD_HEADER)
PDK_POST_HEADER_VALUE(kong_service_request_add_header_value, PDK_SERVICE_REQUEST_ADD_HEADER)
PDK_CLEAR_HEADER(kong_service_request_clear_header, PDK_SERVICE_REQUEST_CLEAR_HEADER)
PDK_POST_HEADERS(kong_service_request_set_headers, PDK_SERVICE_REQUEST_SET_HEADERS)
PDK_POST_BODY(kong_service_request_set_raw_body, PDK_SERVICE_REQUEST_SET_RAW_BODY)

/* Compared without its parameters, as Kong does it. */
static bool is_encodable(const char *mimetype) {
    static const char *const types[] = {
        "application/x-www-form-urlencoded",
        "application/json",
        "multipart/form-data",
    };
    size_t len = strcspn(mimetype, ";");
    for (size_t i = 0; i < COUNT(types); i++) {
        if (strlen(types[i]) == len && memcmp(types[i], mimetype, len) == 0) {
            return true;
        }
    }
    return false;
}

int kong_service_request_set_body(struct kong *kong, struct kong_value body, const char *mimetype) {
    const enum pdk_id id = PDK_SERVICE_REQUEST_SET_BODY;
    if (body.type != KONG_MAP && body.type != KONG_LIST) {
        return pdk_fail(kong, id, KONG_E_INVALID, "the body must be a map or a list");
    }
    if (mimetype != NULL && !is_encodable(mimetype)) {
        return pdk_fail(kong, id, KONG_E_INVALID, "Kong cannot encode this mimetype");
    }
    return pdk_confirm(kong, id, ARGS(body, kong_string(mimetype)),
                       "the request has no Content-Type");
}

int kong_service_request_enable_buffering(struct kong *kong) {
    return pdk_post(kong, PDK_SERVICE_REQUEST_ENABLE_BUFFERING, NO_ARGS);
}

PDK_CONFIRM(kong_service_request_disable_tls, PDK_SERVICE_REQUEST_DISABLE_TLS,
            "Kong could not do it")

/* --- The response of the upstream --- */

PDK_GET_INT(kong_service_response_get_status, PDK_SERVICE_RESPONSE_GET_STATUS, status)
PDK_GET_STR_OF(kong_service_response_get_header, PDK_SERVICE_RESPONSE_GET_HEADER)
PDK_GET_HEADERS(kong_service_response_get_headers, PDK_SERVICE_RESPONSE_GET_HEADERS)
