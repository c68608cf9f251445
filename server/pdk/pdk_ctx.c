#include "pdk_entities.h"

PDK_GET_VALUE_OF(kong_ctx_shared_get, PDK_CTX_SHARED_GET)
PDK_POST_VALUE(kong_ctx_shared_set, PDK_CTX_SHARED_SET)
PDK_GET_VALUE_OF(kong_nginx_get_ctx, PDK_NGINX_GET_CTX)
PDK_POST_VALUE(kong_nginx_set_ctx, PDK_NGINX_SET_CTX)
PDK_GET_STR_OF(kong_nginx_get_var, PDK_NGINX_GET_VAR)
PDK_GET_STR(kong_nginx_get_tls1_version_str, PDK_NGINX_GET_TLS1_VERSION_STR, version)
PDK_GET_STR(kong_nginx_get_subsystem, PDK_NGINX_GET_SUBSYSTEM, subsystem)
PDK_GET_NUMBER(kong_nginx_req_start_time, PDK_NGINX_REQ_START_TIME, seconds)

int kong_nginx_get_statistics(struct kong *kong, struct kong_nginx_statistics *statistics) {
    static const struct pdk_field fields[] = {
        PDK_FIELD(INT64, kong_nginx_statistics, connections_active),
        PDK_FIELD(INT64, kong_nginx_statistics, connections_reading),
        PDK_FIELD(INT64, kong_nginx_statistics, connections_writing),
        PDK_FIELD(INT64, kong_nginx_statistics, connections_waiting),
        PDK_FIELD(INT64, kong_nginx_statistics, connections_accepted),
        PDK_FIELD(INT64, kong_nginx_statistics, connections_handled),
        PDK_FIELD(INT64, kong_nginx_statistics, total_requests),
    };
    struct kong_value all;
    return pdk_get_entity(kong, PDK_NGINX_GET_STATISTICS, NO_ARGS, fields, COUNT(fields),
                          statistics, sizeof *statistics, &all);
}
