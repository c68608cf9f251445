#include "pdk_call.h"

#define LEAST_STATUS 100
#define LEAST_ERROR  400
#define MOST_STATUS  599

/* --- What it is --- */

int kong_response_get_status(struct kong *kong, int *status) {
    return pdk_get_int(kong, PDK_RESPONSE_GET_STATUS, NO_ARGS, status);
}

int kong_response_get_header(struct kong *kong, const char *name, struct kong_str *value) {
    return pdk_get_str(kong, PDK_RESPONSE_GET_HEADER, ARGS(kong_string(name)), value);
}

int kong_response_get_headers(struct kong *kong, unsigned most, struct kong_headers *headers) {
    return pdk_get_headers(kong, PDK_RESPONSE_GET_HEADERS, most, false, headers);
}

int kong_response_get_source(struct kong *kong, struct kong_str *source) {
    return pdk_get_str(kong, PDK_RESPONSE_GET_SOURCE, NO_ARGS, source);
}

/* --- Changes --- */

static int check_status(struct kong *kong, enum pdk_id id, int status, int least) {
    if (status < least || status > MOST_STATUS) {
        return pdk_fail(kong, id, KONG_E_INVALID, "the status must be %d to %d, not %d", least,
                        MOST_STATUS, status);
    }
    return KONG_OK;
}

int kong_response_set_status(struct kong *kong, int status) {
    int error = check_status(kong, PDK_RESPONSE_SET_STATUS, status, LEAST_STATUS);
    return error != 0 ? error : pdk_post(kong, PDK_RESPONSE_SET_STATUS, ARGS(kong_integer(status)));
}

int kong_response_set_header(struct kong *kong, const char *name, const char *value) {
    return pdk_post_header(kong, PDK_RESPONSE_SET_HEADER, name, kong_string(value));
}

int kong_response_set_header_value(struct kong *kong, const char *name, struct kong_value value) {
    return pdk_post_header(kong, PDK_RESPONSE_SET_HEADER, name, value);
}

int kong_response_add_header(struct kong *kong, const char *name, const char *value) {
    return pdk_post_header(kong, PDK_RESPONSE_ADD_HEADER, name, kong_string(value));
}

int kong_response_add_header_value(struct kong *kong, const char *name, struct kong_value value) {
    return pdk_post_header(kong, PDK_RESPONSE_ADD_HEADER, name, value);
}

int kong_response_clear_header(struct kong *kong, const char *name) {
    return pdk_post_header_name(kong, PDK_RESPONSE_CLEAR_HEADER, name);
}

int kong_response_set_headers(struct kong *kong, struct kong_value headers) {
    struct kong_value checked;
    int error = pdk_check_headers(kong, PDK_RESPONSE_SET_HEADERS, headers, false, &checked);
    return error != 0 ? error : pdk_post(kong, PDK_RESPONSE_SET_HEADERS, &checked, 1);
}

int kong_response_set_raw_body(struct kong *kong, struct kong_str body) {
    if (body.data == NULL) {
        return pdk_fail(kong, PDK_RESPONSE_SET_RAW_BODY, KONG_E_INVALID, "the body is nil");
    }
    return pdk_post(kong, PDK_RESPONSE_SET_RAW_BODY, ARGS(kong_bytes(body.data, body.len)));
}

/* --- Ends --- */

static int end(struct kong *kong, enum pdk_id id, int status, int least_status,
               struct kong_value body, struct kong_value headers) {
    struct kong_value checked;
    int error = check_status(kong, id, status, least_status);
    if (error == 0) {
        error = pdk_check_headers(kong, id, headers, true, &checked);
    }
    return error != 0 ? error : pdk_post(kong, id, ARGS(kong_integer(status), body, checked));
}

int kong_response_exit(struct kong *kong, int status, struct kong_str body,
                       struct kong_value headers) {
    return end(kong, PDK_RESPONSE_EXIT, status, LEAST_STATUS,
               body.data == NULL ? kong_nil() : kong_bytes(body.data, body.len), headers);
}

int kong_response_error(struct kong *kong, int status, const char *message,
                        struct kong_value headers) {
    return end(kong, PDK_RESPONSE_ERROR, status, LEAST_ERROR, kong_string(message), headers);
}
