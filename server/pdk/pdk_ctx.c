#include "pdk_entities.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

int kong_ctx_shared_get(struct kong *kong, const char *key, struct kong_value *value) {
    return pdk_get(kong, PDK_CTX_SHARED_GET, ARGS(kong_string(key)), value);
}

int kong_ctx_shared_set(struct kong *kong, const char *key, struct kong_value value) {
    return pdk_post(kong, PDK_CTX_SHARED_SET, ARGS(kong_string(key), value));
}

int kong_nginx_get_ctx(struct kong *kong, const char *key, struct kong_value *value) {
    return pdk_get(kong, PDK_NGINX_GET_CTX, ARGS(kong_string(key)), value);
}

int kong_nginx_set_ctx(struct kong *kong, const char *key, struct kong_value value) {
    return pdk_post(kong, PDK_NGINX_SET_CTX, ARGS(kong_string(key), value));
}

int kong_nginx_get_var(struct kong *kong, const char *name, struct kong_str *value) {
    return pdk_get_str(kong, PDK_NGINX_GET_VAR, ARGS(kong_string(name)), value);
}

int kong_nginx_get_tls1_version_str(struct kong *kong, struct kong_str *version) {
    return pdk_get_str(kong, PDK_NGINX_GET_TLS1_VERSION_STR, NO_ARGS, version);
}

int kong_nginx_get_subsystem(struct kong *kong, struct kong_str *subsystem) {
    return pdk_get_str(kong, PDK_NGINX_GET_SUBSYSTEM, NO_ARGS, subsystem);
}

int kong_nginx_req_start_time(struct kong *kong, double *seconds) {
    return pdk_get_number(kong, PDK_NGINX_REQ_START_TIME, NO_ARGS, seconds);
}

int kong_nginx_get_statistics(struct kong *kong, struct kong_nginx_statistics *statistics) {
    static const struct pdk_field fields[] = {
#define FIELD(name) {#name, PDK_FIELD_INT64, offsetof(struct kong_nginx_statistics, name)}
        FIELD(connections_active),  FIELD(connections_reading),  FIELD(connections_writing),
        FIELD(connections_waiting), FIELD(connections_accepted), FIELD(connections_handled),
        FIELD(total_requests),
#undef FIELD
    };
    struct kong_value all;
    return pdk_get_entity(kong, PDK_NGINX_GET_STATISTICS, NO_ARGS, fields, COUNT(fields),
                          statistics, sizeof *statistics, &all);
}
