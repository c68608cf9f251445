#include "pdk_call.h"

#include <stdio.h>

#include "value.h"

#define LEAST_ERROR 400
#define MOST_STATUS 599

/* --- What it is --- */

PDK_GET_INT(kong_response_get_status, PDK_RESPONSE_GET_STATUS, status)
PDK_GET_STR_OF(kong_response_get_header, PDK_RESPONSE_GET_HEADER)
PDK_GET_HEADERS(kong_response_get_headers, PDK_RESPONSE_GET_HEADERS)
PDK_GET_STR(kong_response_get_source, PDK_RESPONSE_GET_SOURCE, source)

/* --- Changes --- */

static int check_status(struct kong *kong, enum pdk_id id, int status, int least) {
    if (status < least || status > MOST_STATUS) {
        return pdk_fail(kong, id, KONG_E_INVALID, "the status must be %d to %d, not %d", least,
                        MOST_STATUS, status);
    }
    return KONG_OK;
}

/* Those that nginx has for a stream; Kong raises on others. */
bool pdk_is_stream_status(const struct kong_value *status) {
    static const int64_t statuses[] = {200, 400, 403, 500, 502, 503};
    int64_t integer = 0;
    bool found = false;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        found = found || (value_to_integer(status, &integer) && integer == statuses[i]);
    }
    return found;
}

int kong_response_set_status(struct kong *kong, int status) {
    int error = check_status(kong, PDK_RESPONSE_SET_STATUS, status, PDK_LEAST_STATUS);
    return error != 0 ? error : pdk_post(kong, PDK_RESPONSE_SET_STATUS, ARGS(kong_integer(status)));
}

PDK_POST_HEADER(kong_response_set_header, PDK_RESPONSE_SET_HEADER)
PDK_POST_HEADER_VALUE(kong_response_set_header_value, PDK_RESPONSE_SET_HEADER)
PDK_POST_HEADER(kong_response_add_header, PDK_RESPONSE_ADD_HEADER)
PDK_POST_HEADER_VALUE(kong_response_add_header_value, PDK_RESPONSE_ADD_HEADER)
PDK_CLEAR_HEADER(kong_response_clear_header, PDK_RESPONSE_CLEAR_HEADER)
PDK_POST_HEADERS(kong_response_set_headers, PDK_RESPONSE_SET_HEADERS)
PDK_POST_BODY(kong_response_set_raw_body, PDK_RESPONSE_SET_RAW_BODY)

/* --- Ends --- */

/* Kong's own length of a body in a table is not known here. */
static bool is_length_of(const struct kong_value *value, const struct kong_value *body) {
    char text[24];
    int64_t length;
    if (body == NULL || (body->type != KONG_NIL && body->type != KONG_STRING)) {
        return false;
    }
    size_t len = body->type == KONG_STRING ? body->string.len : 0;
    snprintf(text, sizeof text, "%zu", len);
    return kong_str_equal(kong_to_str(value), kong_str(text)) ||
           (value_to_integer(value, &length) && length >= 0 && (uint64_t)length == len);
}

/* A client waits for bytes that never come, or misses some, when Content-Length is another than the
 * body's. Kong sends the right one without it. */
const char *pdk_wrong_length(const struct kong_value *headers, const struct kong_value *body) {
    for (size_t i = 0; headers->type == KONG_MAP && i < headers->map.count; i++) {
        const struct kong_pair *pair = &headers->map.pairs[i];
        if (pdk_is_length(pair->key) && !is_length_of(&pair->value, body)) {
            return "Content-Length is not that of the body: Kong sets it by itself";
        }
    }
    return NULL;
}

static int check_length(struct kong *kong, enum pdk_id id, const struct kong_value *headers,
                        const struct kong_value *body) {
    const char *wrong = pdk_wrong_length(headers, body);
    return wrong == NULL ? KONG_OK : pdk_fail(kong, id, KONG_E_INVALID, "%s", wrong);
}

int kong_response_exit(struct kong *kong, int status, struct kong_str body,
                       struct kong_value headers) {
    const enum pdk_id id = PDK_RESPONSE_EXIT;
    struct kong_value checked, number = kong_integer(status);
    struct kong_value content = body.data == NULL ? kong_nil() : kong_bytes(body.data, body.len);
    int error = check_status(kong, id, status, PDK_LEAST_STATUS);
    if (error == 0 && kong_get_phase(kong) == KONG_PHASE_PREREAD &&
        !pdk_is_stream_status(&number)) {
        error = pdk_fail(kong, id, KONG_E_INVALID,
                         "in preread the status must be 200, 400, 403, 500, 502 or 503, not %d",
                         status);
    }
    if (error == 0) {
        error = pdk_check_headers(kong, id, headers, true, &checked);
    }
    if (error == 0) {
        error = check_length(kong, id, &checked, &content);
    }
    if (error != 0) {
        return pdk_end(kong, error);
    }
    /* With a status only, which is what MsgPack:1 leaves of two nils, Kong makes an HTML page. */
    if (body.data == NULL && checked.type == KONG_NIL && pdk_is_msgpack(kong)) {
        content = kong_bytes("", 0);
    }
    return pdk_end(kong, pdk_post(kong, id, ARGS(number, content, checked)));
}

/* Kong has a template for each of these, and raises on another; it looks for "Content-Type" in this
 * spelling only. */
int pdk_check_format(struct kong *kong, const struct kong_value *headers) {
    static const char *const formats[] = {
        "application/json", "text/html", "text/plain", "application/xml", "application/grpc",
    };
    static const char charset[] = "; charset=utf-8";
    const struct kong_value *type = kong_map_get(headers, "Content-Type");
    struct kong_str text = kong_to_str(type);
    if (type == NULL) {
        return KONG_OK;
    }
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        size_t len = strlen(formats[i]);
        if (text.len >= len && memcmp(text.data, formats[i], len) == 0 &&
            (text.len == len || strcmp(text.data + len, charset) == 0)) {
            return KONG_OK;
        }
    }
    return pdk_fail(kong, PDK_RESPONSE_ERROR, KONG_E_INVALID,
                    "Kong formats no error as this Content-Type");
}

int kong_response_error(struct kong *kong, int status, const char *message,
                        struct kong_value headers) {
    const enum pdk_id id = PDK_RESPONSE_ERROR;
    struct kong_value checked;
    int error = check_status(kong, id, status, LEAST_ERROR);
    if (error == 0) {
        error = pdk_check_headers(kong, id, headers, true, &checked);
    }
    if (error == 0) {
        error = check_length(kong, id, &checked, NULL);
    }
    if (error == 0) {
        error = pdk_check_format(kong, &checked);
    }
    if (error != 0) {
        return pdk_end(kong, error);
    }
    return pdk_end(kong,
                   pdk_post(kong, id, ARGS(kong_integer(status), kong_string(message), checked)));
}
